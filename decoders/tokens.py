"""The compiled part of the beam search: passing tokens along the graph, a frame at a time.

Tokens lie in rows of integers, one row a state; what streams keep besides is a row of scalars and
the records of their histories. `decoders.beam` holds these and says when to do what.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from decoders.dense import LOW, NONE, sweep, where_left
from decoders.layout import (
    BEST,
    BLANKED,
    BLANKED_ENTRY,
    BLANKED_RECORD,
    FRAMES,
    GATE,
    GATE_END,
    GATE_ENTRY,
    GATE_LAST,
    GATE_RECORD,
    HELD,
    HELD_ENTRY,
    HELD_RECORD,
    OFFSET,
    ROWS,
    SILENCE,
    SINCE,
    STATE,
    beats,
)
from decoders.moves import close_by
from decoders.net import (
    AHEAD,
    BELOW,
    FIRST,
    LABEL,
    STOP,
    SYMBOL,
    TARGET,
    WEIGHT,
    words_below,
)
from decoders.path import DEAD
from decoders.records import write_record

_REBASE = -(2**24)  # scores are brought back to 0 when the best is this low


@njit(cache=True, nogil=True, inline="always")
def _offer(rows, slot, count, state, score, record, entry):  # type: ignore[no-untyped-def]
    """Put a token into the label of ``state`` unless a better one is there; the number of rows."""
    i = slot[state]
    if i >= count or rows[i, STATE] != state:
        i = count
        count += 1
        slot[state] = i
        rows[i, STATE] = state
        rows[i, BLANKED] = DEAD
    elif rows[i, HELD] > DEAD and not beats(
        score, record, entry, rows[i, HELD], rows[i, HELD_RECORD], rows[i, HELD_ENTRY]
    ):
        return count
    rows[i, HELD] = score
    rows[i, HELD_RECORD] = record
    rows[i, HELD_ENTRY] = entry
    return count


@njit(cache=True, nogil=True)
def pass_tokens(  # type: ignore[no-untyped-def]
    net, rows, spare, slot, records, scalars, scores, beam, wide, jump
):
    """Take in frames of relative scores [T, symbols] until too many states are active.

    Returns the number of frames; if it is odd, the rows are in ``spare``.
    """
    old, new = rows, spare
    for f in range(len(scores)):
        _frame(net, old, new, slot, records, scalars, scores[f], beam, jump)
        old, new = new, old
        if scalars[ROWS] > wide:
            return f + 1
    return len(scores)


@njit(cache=True, nogil=True)
def sweep_all(  # type: ignore[no-untyped-def]
    net, dense, tokens, rows, records, scalars, scores, beam, jump
):
    """Take in frames of relative scores [T, symbols], every state in each of them.

    The tokens of ``rows`` are spread over all linear states first, those in the trie over the words
    they may become, and those within the beam are collected at the end.
    """
    _spread(net, tokens, rows, scalars)
    for f in range(len(scores)):
        entered = write_record(records, scalars, jump)
        last = scalars[GATE_LAST] if scalars[GATE_RECORD] >= 0 else -1
        gate = scalars[GATE]
        best = sweep(dense, tokens, scores[f], scalars[FRAMES], gate, entered, gate - jump, last)
        scalars[SILENCE] = max(scalars[SILENCE] + scores[f, 0], DEAD)
        last, end = where_left(dense, tokens, best)
        run = LOW - (best & LOW)
        record, entry = run // net.words, run % net.words
        _set_gate(scalars, jump, best >> 32, record, entry, last, end)
        scalars[FRAMES] += 1
    _collect(net, tokens, rows, scalars, beam)
    _lead(net, rows, scalars, jump)


@njit(cache=True, nogil=True)
def _spread(net, tokens, rows, scalars):  # type: ignore[no-untyped-def]
    """Put the tokens of ``rows`` where they belong among all linear states."""
    held, blank, since, _ = tokens
    held[:] = NONE
    blank[:] = NONE
    for i in range(scalars[ROWS]):
        state = rows[i, STATE]
        in_trie, low, high = words_below(net, state)
        for k in range(low, high):
            at, word, weight = state, 0, 0
            if in_trie:
                word = net.trie_words[k]
                weight = net.entry[word]
                at = net.body[word] + net.trie_depth[state - net.linear] - 1
            for column in (HELD, BLANKED):
                if rows[i, column] == DEAD:
                    continue
                entry = word if in_trie else rows[i, column + 2]
                run = np.int64(rows[i, column + 1]) * net.words + entry
                token = ((np.int64(rows[i, column]) + weight) << 32) + (LOW - run)
                if column == HELD:
                    held[at] = max(held[at], token)
                elif token > blank[at] or (token == blank[at] and rows[i, SINCE] < since[at]):
                    blank[at] = token
                    since[at] = rows[i, SINCE]


@njit(cache=True, nogil=True)
def _collect(net, tokens, rows, scalars, beam):  # type: ignore[no-untyped-def]
    """Make rows of the tokens within the beam."""
    held, blank, since, _ = tokens
    top = np.int64(NONE)
    for s in range(net.linear):
        top = max(top, held[s], blank[s])
    best = max(top >> 32, scalars[SILENCE])
    floor = best - beam
    if scalars[SILENCE] < floor:
        scalars[SILENCE] = DEAD
    least = floor << 32
    count = 0
    for s in range(net.linear):
        if held[s] < least and blank[s] < least:
            continue
        rows[count, STATE] = s
        for column, token in ((HELD, held[s]), (BLANKED, blank[s])):
            rows[count, column] = DEAD
            if token >= least:
                run = LOW - (token & LOW)
                record = run // net.words
                rows[count, column] = token >> 32
                rows[count, column + 1] = record
                rows[count, column + 2] = run - record * net.words
        rows[count, SINCE] = since[s]
        count += 1
    scalars[ROWS] = count
    _rebase(rows, scalars, best)


@njit(cache=True, nogil=True)
def _frame(  # type: ignore[no-untyped-def]
    net, old, new, slot, records, scalars, emit, beam, jump
):
    count = 0
    active = scalars[ROWS]
    silence = max(scalars[SILENCE] + emit[0], DEAD)
    best = silence  # of the new frame so far; whatever is below best - beam can be left out

    for turn in range(active):
        # The leading state first: that makes the bound tight early.
        i = turn
        if turn == 0:
            i = scalars[BEST]
        elif turn == scalars[BEST]:
            i = 0
        state = old[i, STATE]
        held, by, begun = old[i, HELD], old[i, HELD_RECORD], old[i, HELD_ENTRY]
        blank, blank_by, blank_begun = (
            old[i, BLANKED],
            old[i, BLANKED_RECORD],
            old[i, BLANKED_ENTRY],
        )
        either, record, entry, since = blank, blank_by, blank_begun, old[i, SINCE]
        if held > DEAD and (blank == DEAD or beats(held, by, begun, blank, record, entry)):
            either, record, entry, since = held, by, begun, scalars[FRAMES]

        # The tokens stay: in their label, or in the blank after it.
        ahead = net.node[state, AHEAD]
        after = either + emit[0]
        longer = held + emit[net.node[state, LABEL]] if held > DEAD else DEAD
        key = max(longer, after) + ahead
        if key >= best - beam:
            best = max(best, key)
            if longer > DEAD:
                count = _offer(new, slot, count, state, longer, by, begun)
            else:
                j = slot[state]
                if j >= count or new[j, STATE] != state:
                    slot[state] = count
                    new[count, STATE] = state
                    new[count, HELD] = DEAD
                    count += 1
            j = slot[state]
            new[j, BLANKED] = after
            new[j, BLANKED_RECORD] = record
            new[j, BLANKED_ENTRY] = entry
            new[j, SINCE] = since

        # The better one moves on, or where a blank must stand between, that in the blank.
        for a in range(net.node[state, FIRST], net.node[state + 1, FIRST]):
            target, symbol, weight = net.arc[a, TARGET], net.arc[a, SYMBOL], net.arc[a, WEIGHT]
            leaves_trie = state >= net.linear > target
            if leaves_trie and either + weight < best - beam:
                break
            score, by, word = either, record, entry
            if symbol < 0:
                if blank == DEAD:
                    continue
                symbol = ~symbol
                score, by, word = blank, blank_by, blank_begun
            score += weight + emit[symbol]
            key = score + net.arc[a, BELOW]
            if key < best - beam:
                continue
            best = max(best, key)
            if leaves_trie:
                word = net.word[target]
            count = _offer(new, slot, count, target, score, by, word)

    # Runs that are entered now, from silence or out of the run that can best be left.
    entered = -1
    for r in range(len(net.roots)):
        root = net.roots[r]
        score = scalars[GATE] + emit[net.node[root, LABEL]]
        word = -1
        if root < net.linear:
            word = net.word[root]
            score += net.entry[word]
        key = score + net.node[root, AHEAD]
        if key < best - beam:
            continue
        best = max(best, key)
        if entered < 0:
            entered = write_record(records, scalars, jump)
        count = _offer(new, slot, count, root, score, entered, word)
    if scalars[GATE_RECORD] >= 0:
        moves, left = net.moves, scalars[GATE] - jump
        room = len(moves.near) + len(moves.verses)
        words, costs = np.empty(room, np.int64), np.empty(room, np.int64)
        for m in range(close_by(moves, scalars[GATE_LAST], words, costs)):
            if left + costs[m] < best - beam:
                continue
            for s in range(moves.start_offsets[words[m]], moves.start_offsets[words[m] + 1]):
                state = moves.starts[s]
                score = left + costs[m] + emit[net.node[state, LABEL]]
                if score < best - beam:
                    continue
                best = max(best, score)
                if entered < 0:
                    entered = write_record(records, scalars, jump)
                count = _offer(new, slot, count, state, score, entered, words[m])

    floor = best - beam
    if silence < floor:
        silence = DEAD

    scalars[ROWS] = _prune(net, new, count, floor)
    scalars[SILENCE] = silence
    _lead(net, new, scalars, jump)
    scalars[FRAMES] += 1
    if best < _REBASE:
        _rebase(new, scalars, best)


@njit(cache=True, nogil=True)
def _lead(net, rows, scalars, jump):  # type: ignore[no-untyped-def]
    """Find the leading row, and the gate for the next frame."""
    top, leaving, last, end = DEAD, DEAD, -1, 0
    gate_record, gate_entry = -1, -1
    for i in range(scalars[ROWS]):
        state, blank = rows[i, STATE], rows[i, BLANKED]
        key = max(rows[i, HELD], blank)
        if state >= net.linear:
            key += net.node[state, AHEAD]
        if key > top:
            top = key
            scalars[BEST] = i
        if blank < leaving or blank == DEAD or state >= net.linear:
            continue
        record, entry = rows[i, BLANKED_RECORD], rows[i, BLANKED_ENTRY]
        score = blank + net.node[state, STOP]
        word, since = net.word[state], rows[i, SINCE]
        if score == leaving and record == gate_record and entry == gate_entry:
            if word > last or (word == last and since >= end):
                continue
        elif not beats(score, record, entry, leaving, gate_record, gate_entry):
            continue
        leaving, gate_record, gate_entry, last, end = score, record, entry, word, since
    _set_gate(scalars, jump, leaving, gate_record, gate_entry, last, end)


@njit(cache=True, nogil=True)
def _set_gate(scalars, jump, score, record, entry, last, end):  # type: ignore[no-untyped-def]
    """How runs may be entered in the next frame, given the best run to leave."""
    if score + jump > scalars[SILENCE]:
        scalars[GATE] = score + jump
        scalars[GATE_RECORD], scalars[GATE_ENTRY] = record, entry
        scalars[GATE_LAST], scalars[GATE_END] = last, end
    else:
        scalars[GATE], scalars[GATE_RECORD] = scalars[SILENCE], -1


@njit(cache=True, nogil=True)
def _rebase(rows, scalars, score):  # type: ignore[no-untyped-def]
    """Lower all scores by ``score``."""
    scalars[OFFSET] += score
    scalars[GATE] -= score
    if scalars[SILENCE] > DEAD:
        scalars[SILENCE] -= score
    for i in range(scalars[ROWS]):
        for column in (HELD, BLANKED):
            if rows[i, column] > DEAD:
                rows[i, column] -= score


@njit(cache=True, nogil=True)
def _prune(net, rows, count, floor):  # type: ignore[no-untyped-def]
    """Drop tokens below ``floor`` and close the gaps; the new number of rows."""
    kept = 0
    for i in range(count):
        state = rows[i, STATE]
        least = floor
        if state >= net.linear:
            least -= net.node[state, AHEAD]
        held, blank = rows[i, HELD] >= least, rows[i, BLANKED] >= least
        if not held and not blank:
            continue
        if kept < i:
            rows[kept] = rows[i]
        if not held:
            rows[kept, HELD] = DEAD
        if not blank:
            rows[kept, BLANKED] = DEAD
        kept += 1
    return kept
