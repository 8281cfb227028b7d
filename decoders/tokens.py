"""The compiled part of the beam search: passing tokens along the graph, a frame at a time.

Tokens lie in rows of integers, one row a state; what streams keep besides is a row of scalars and
the records of their histories. `decoders.beam` holds these and says when to do what.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from decoders.dense import LOW, NONE, sweep, where_left
from decoders.moves import Moves, close_by
from decoders.path import DEAD, Weights
from quran_index.graph import ACROSS, Graph

Ints = NDArray[np.int32]

_REBASE = -(2**24)  # scores are brought back to 0 when the best is this low
_FEW = 64  # a trie token counts for the verses below its node if there are at most so many words

# Columns of a row of tokens: a state, the token in its label and the one in its blank. A token is
# its score, its record, and its entry word (-1 in the trie); SINCE is the frame that entered the
# blank.
_STATE, _HELD, _HELD_RECORD, _HELD_ENTRY, _BLANK, _BLANK_RECORD, _BLANK_ENTRY, _SINCE = range(8)

# Columns of `Net.node` and `Net.arc`.
_FIRST, _LABEL, _AHEAD, _STOP = range(4)
_TARGET, _SYMBOL, _WEIGHT, _BELOW = range(4)

# Columns of a record: the frame in which runs were entered, and the run before them (none: its
# record is -1): its record, entry word, last word, end frame, and the score at its end.
_FRAME, _BEFORE, _BEFORE_ENTRY, _BEFORE_LAST, _BEFORE_END, _BEFORE_SCORE = range(6)

# Scalars of a stream. GATE_*: the run that would be left if a run were entered in the next frame.
ROWS, _BEST, _SILENCE, OFFSET, FRAMES, RECORDS = range(6)
_GATE, GATE_RECORD, _GATE_ENTRY, _GATE_LAST, _GATE_END = range(6, 11)
SCALARS = 11


class Net(NamedTuple):
    """The graph by source, as the inner loop wants it: what is read together lies together.

    ``node`` [S + 1, 4]: a state's first arc, label, the best entry prior below it (0 if linear),
    and what leaving a run costs. ``arc`` [A, 4]: target, its label (inverted if a blank must stand
    between), weight, and the best entry prior below the target. A trie node's arcs are sorted: its
    children, then its exits by falling weight. ``body``: the first state of each word's initial
    form.
    """

    linear: int
    words: int
    node: Ints
    arc: Ints
    word: Ints
    entry: Ints
    can_end: NDArray[np.bool_]
    roots: Ints
    trie_words: Ints
    trie_range: Ints
    trie_depth: Ints
    body: Ints
    moves: Moves

    @staticmethod
    def of(graph: Graph, weights: Weights) -> Net:
        """The net of a whole graph."""
        return Net(
            linear=graph.linear,
            words=graph.words,
            node=_nodes(graph, weights),
            arc=_arcs(graph, weights),
            word=graph.word,
            entry=weights.entry,
            can_end=graph.can_end,
            roots=graph.roots,
            trie_words=graph.trie_words,
            trie_range=graph.trie_range,
            trie_depth=graph.trie_depth,
            body=graph.starts[np.searchsorted(graph.word[graph.starts], np.arange(graph.words))],
            moves=Moves.of(graph, weights),
        )


def _nodes(graph: Graph, weights: Weights) -> Ints:
    """`Net.node`; its last row only ends the arcs of the last state."""
    node = np.zeros((graph.states + 1, 4), np.int32)
    node[:, _FIRST] = graph.succ_offsets
    node[:-1, _LABEL] = graph.label
    node[graph.linear : -1, _AHEAD] = graph.trie_max(weights.entry)
    node[: graph.linear, _STOP] = weights.stop(graph)
    return node


def _arcs(graph: Graph, weights: Weights) -> Ints:
    """`Net.arc`."""
    source = np.repeat(np.arange(graph.states, dtype=np.int32), np.diff(graph.succ_offsets))
    succ, weight = graph.succ.copy(), weights.arc.copy()
    first = graph.succ_offsets[graph.linear]
    exits = succ[first:] < graph.linear
    order = first + np.lexsort((-weight[first:], exits, source[first:]))
    succ[first:], weight[first:] = succ[order], weight[order]

    arc = np.zeros((len(succ), 4), np.int32)
    label = graph.label[succ]
    blank_only = (graph.arc_kind == ACROSS) | (label == graph.label[source])
    arc[:, _TARGET], arc[:, _WEIGHT] = succ, weight
    arc[:, _SYMBOL] = np.where(blank_only, ~label, label)
    inner = succ >= graph.linear
    arc[inner, _BELOW] = graph.trie_max(weights.entry)[succ[inner] - graph.linear]
    return arc


@njit(cache=True, nogil=True, inline="always")
def _beats(score, record, entry, other_score, other_record, other_entry):  # type: ignore[no-untyped-def]
    """Whether a token is better than another one in the same place."""
    if score != other_score:
        return score > other_score
    if record != other_record:
        return record < other_record
    return entry < other_entry


@njit(cache=True, nogil=True, inline="always")
def _offer(rows, slot, count, state, score, record, entry):  # type: ignore[no-untyped-def]
    """Put a token into the label of ``state`` unless a better one is there; the number of rows."""
    i = slot[state]
    if i >= count or rows[i, _STATE] != state:
        i = count
        count += 1
        slot[state] = i
        rows[i, _STATE] = state
        rows[i, _BLANK] = DEAD
    elif rows[i, _HELD] > DEAD and not _beats(
        score, record, entry, rows[i, _HELD], rows[i, _HELD_RECORD], rows[i, _HELD_ENTRY]
    ):
        return count
    rows[i, _HELD] = score
    rows[i, _HELD_RECORD] = record
    rows[i, _HELD_ENTRY] = entry
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
        entered = _record(records, scalars, jump)
        last = scalars[_GATE_LAST] if scalars[GATE_RECORD] >= 0 else -1
        gate = scalars[_GATE]
        best = sweep(dense, tokens, scores[f], scalars[FRAMES], gate, entered, gate - jump, last)
        scalars[_SILENCE] = max(scalars[_SILENCE] + scores[f, 0], DEAD)
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
        state = rows[i, _STATE]
        in_trie = state >= net.linear
        low, high = np.int32(0), np.int32(1)
        if in_trie:
            low, high = net.trie_range[state - net.linear]
        for k in range(low, high):
            at, word, weight = state, 0, 0
            if in_trie:
                word = net.trie_words[k]
                weight = net.entry[word]
                at = net.body[word] + net.trie_depth[state - net.linear] - 1
            for column in (_HELD, _BLANK):
                if rows[i, column] == DEAD:
                    continue
                entry = word if in_trie else rows[i, column + 2]
                run = np.int64(rows[i, column + 1]) * net.words + entry
                token = ((np.int64(rows[i, column]) + weight) << 32) + (LOW - run)
                if column == _HELD:
                    held[at] = max(held[at], token)
                elif token > blank[at] or (token == blank[at] and rows[i, _SINCE] < since[at]):
                    blank[at] = token
                    since[at] = rows[i, _SINCE]


@njit(cache=True, nogil=True)
def _collect(net, tokens, rows, scalars, beam):  # type: ignore[no-untyped-def]
    """Make rows of the tokens within the beam."""
    held, blank, since, _ = tokens
    top = np.int64(NONE)
    for s in range(net.linear):
        top = max(top, held[s], blank[s])
    best = max(top >> 32, scalars[_SILENCE])
    floor = best - beam
    if scalars[_SILENCE] < floor:
        scalars[_SILENCE] = DEAD
    least = floor << 32
    count = 0
    for s in range(net.linear):
        if held[s] < least and blank[s] < least:
            continue
        rows[count, _STATE] = s
        for column, token in ((_HELD, held[s]), (_BLANK, blank[s])):
            rows[count, column] = DEAD
            if token >= least:
                run = LOW - (token & LOW)
                record = run // net.words
                rows[count, column] = token >> 32
                rows[count, column + 1] = record
                rows[count, column + 2] = run - record * net.words
        rows[count, _SINCE] = since[s]
        count += 1
    scalars[ROWS] = count
    _rebase(rows, scalars, best)


@njit(cache=True, nogil=True)
def _frame(  # type: ignore[no-untyped-def]
    net, old, new, slot, records, scalars, emit, beam, jump
):
    count = 0
    active = scalars[ROWS]
    silence = max(scalars[_SILENCE] + emit[0], DEAD)
    best = silence  # of the new frame so far; whatever is below best - beam can be left out

    for turn in range(active):
        # The leading state first: that makes the bound tight early.
        i = turn
        if turn == 0:
            i = scalars[_BEST]
        elif turn == scalars[_BEST]:
            i = 0
        state = old[i, _STATE]
        held, by, begun = old[i, _HELD], old[i, _HELD_RECORD], old[i, _HELD_ENTRY]
        blank, blank_by, blank_begun = old[i, _BLANK], old[i, _BLANK_RECORD], old[i, _BLANK_ENTRY]
        either, record, entry, since = blank, blank_by, blank_begun, old[i, _SINCE]
        if held > DEAD and (blank == DEAD or _beats(held, by, begun, blank, record, entry)):
            either, record, entry, since = held, by, begun, scalars[FRAMES]

        # The tokens stay: in their label, or in the blank after it.
        ahead = net.node[state, _AHEAD]
        after = either + emit[0]
        longer = held + emit[net.node[state, _LABEL]] if held > DEAD else DEAD
        key = max(longer, after) + ahead
        if key >= best - beam:
            best = max(best, key)
            if longer > DEAD:
                count = _offer(new, slot, count, state, longer, by, begun)
            else:
                j = slot[state]
                if j >= count or new[j, _STATE] != state:
                    slot[state] = count
                    new[count, _STATE] = state
                    new[count, _HELD] = DEAD
                    count += 1
            j = slot[state]
            new[j, _BLANK] = after
            new[j, _BLANK_RECORD] = record
            new[j, _BLANK_ENTRY] = entry
            new[j, _SINCE] = since

        # The better one moves on, or where a blank must stand between, that in the blank.
        for a in range(net.node[state, _FIRST], net.node[state + 1, _FIRST]):
            target, symbol, weight = net.arc[a, _TARGET], net.arc[a, _SYMBOL], net.arc[a, _WEIGHT]
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
            key = score + net.arc[a, _BELOW]
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
        score = scalars[_GATE] + emit[net.node[root, _LABEL]]
        word = -1
        if root < net.linear:
            word = net.word[root]
            score += net.entry[word]
        key = score + net.node[root, _AHEAD]
        if key < best - beam:
            continue
        best = max(best, key)
        if entered < 0:
            entered = _record(records, scalars, jump)
        count = _offer(new, slot, count, root, score, entered, word)
    if scalars[GATE_RECORD] >= 0:
        moves, left = net.moves, scalars[_GATE] - jump
        room = len(moves.near) + len(moves.verses)
        words, costs = np.empty(room, np.int64), np.empty(room, np.int64)
        for m in range(close_by(moves, scalars[_GATE_LAST], words, costs)):
            if left + costs[m] < best - beam:
                continue
            for s in range(moves.start_offsets[words[m]], moves.start_offsets[words[m] + 1]):
                state = moves.starts[s]
                score = left + costs[m] + emit[net.node[state, _LABEL]]
                if score < best - beam:
                    continue
                best = max(best, score)
                if entered < 0:
                    entered = _record(records, scalars, jump)
                count = _offer(new, slot, count, state, score, entered, words[m])

    floor = best - beam
    if silence < floor:
        silence = DEAD

    scalars[ROWS] = _prune(net, new, count, floor)
    scalars[_SILENCE] = silence
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
        state, blank = rows[i, _STATE], rows[i, _BLANK]
        key = max(rows[i, _HELD], blank)
        if state >= net.linear:
            key += net.node[state, _AHEAD]
        if key > top:
            top = key
            scalars[_BEST] = i
        if blank < leaving or blank == DEAD or state >= net.linear:
            continue
        record, entry = rows[i, _BLANK_RECORD], rows[i, _BLANK_ENTRY]
        score = blank + net.node[state, _STOP]
        word, since = net.word[state], rows[i, _SINCE]
        if score == leaving and record == gate_record and entry == gate_entry:
            if word > last or (word == last and since >= end):
                continue
        elif not _beats(score, record, entry, leaving, gate_record, gate_entry):
            continue
        leaving, gate_record, gate_entry, last, end = score, record, entry, word, since
    _set_gate(scalars, jump, leaving, gate_record, gate_entry, last, end)


@njit(cache=True, nogil=True)
def _set_gate(scalars, jump, score, record, entry, last, end):  # type: ignore[no-untyped-def]
    """How runs may be entered in the next frame, given the best run to leave."""
    if score + jump > scalars[_SILENCE]:
        scalars[_GATE] = score + jump
        scalars[GATE_RECORD], scalars[_GATE_ENTRY] = record, entry
        scalars[_GATE_LAST], scalars[_GATE_END] = last, end
    else:
        scalars[_GATE], scalars[GATE_RECORD] = scalars[_SILENCE], -1


@njit(cache=True, nogil=True)
def _rebase(rows, scalars, score):  # type: ignore[no-untyped-def]
    """Lower all scores by ``score``."""
    scalars[OFFSET] += score
    scalars[_GATE] -= score
    if scalars[_SILENCE] > DEAD:
        scalars[_SILENCE] -= score
    for i in range(scalars[ROWS]):
        for column in (_HELD, _BLANK):
            if rows[i, column] > DEAD:
                rows[i, column] -= score


@njit(cache=True, nogil=True)
def _record(records, scalars, jump):  # type: ignore[no-untyped-def]
    """Write down the gate: what was before the runs that are entered in this frame.

    Returns the number of the record.
    """
    number = scalars[RECORDS]
    scalars[RECORDS] += 1
    record = records[number]
    record[_FRAME] = scalars[FRAMES]
    record[_BEFORE] = scalars[GATE_RECORD]
    if scalars[GATE_RECORD] >= 0:
        record[_BEFORE_ENTRY] = scalars[_GATE_ENTRY]
        record[_BEFORE_LAST] = scalars[_GATE_LAST]
        record[_BEFORE_END] = scalars[_GATE_END]
        record[_BEFORE_SCORE] = scalars[OFFSET] + scalars[_GATE] - jump
    else:
        record[_BEFORE_ENTRY] = record[_BEFORE_LAST] = record[_BEFORE_END] = -1
        record[_BEFORE_SCORE] = 0
    return number


@njit(cache=True, nogil=True)
def _prune(net, rows, count, floor):  # type: ignore[no-untyped-def]
    """Drop tokens below ``floor`` and close the gaps; the new number of rows."""
    kept = 0
    for i in range(count):
        state = rows[i, _STATE]
        least = floor
        if state >= net.linear:
            least -= net.node[state, _AHEAD]
        held, blank = rows[i, _HELD] >= least, rows[i, _BLANK] >= least
        if not held and not blank:
            continue
        if kept < i:
            rows[kept] = rows[i]
        if not held:
            rows[kept, _HELD] = DEAD
        if not blank:
            rows[kept, _BLANK] = DEAD
        kept += 1
    return kept


@njit(cache=True, nogil=True)
def settle(net, rows, records, scalars):  # type: ignore[no-untyped-def]
    """The latest record that every token's history passes (or -1); of the runs entered there, the
    entry word if all agree (or -1) and the least word reached."""
    count = scalars[RECORDS]
    if scalars[_SILENCE] > DEAD or count == 0:
        return -1, -1, -1
    unset = -2
    entry_at = np.full(count, unset, np.int64)
    word_at = np.full(count, np.int64(2**31), np.int64)
    passed = np.zeros(count, np.bool_)
    open_paths = 0
    for i in range(scalars[ROWS]):
        word = net.word[rows[i, _STATE]]
        for column in (_HELD, _BLANK):
            if rows[i, column] > DEAD:
                record, entry = rows[i, column + 1], rows[i, column + 2]
                if not passed[record]:
                    passed[record] = True
                    open_paths += 1
                if entry_at[record] == unset:
                    entry_at[record] = entry
                elif entry_at[record] != entry:
                    entry_at[record] = -1
                word_at[record] = min(word_at[record], word)
    for record in range(count - 1, -1, -1):
        if not passed[record]:
            continue
        if open_paths == 1:
            return record, entry_at[record], word_at[record]
        before = records[record, _BEFORE]
        if before < 0:
            break
        if passed[before]:
            open_paths -= 1
        passed[before] = True
        entry = records[record, _BEFORE_ENTRY]
        if entry_at[before] == unset:
            entry_at[before] = entry
        elif entry_at[before] != entry:
            entry_at[before] = -1
        word_at[before] = min(word_at[before], records[record, _BEFORE_LAST])
    return -1, -1, -1


@njit(cache=True, nogil=True)
def compact(rows, records, scalars, root):  # type: ignore[no-untyped-def]
    """Forget what was before ``root`` and the records no token can reach."""
    count = scalars[RECORDS]
    wanted = np.zeros(count, np.bool_)
    for i in range(scalars[ROWS]):
        for column in (_HELD, _BLANK):
            if rows[i, column] > DEAD:
                wanted[rows[i, column + 1]] = True
    if root >= 0:
        records[root, _BEFORE] = -1
    place = np.full(count, -1, np.int64)
    for record in range(count - 1, -1, -1):
        if wanted[record] and records[record, _BEFORE] >= 0:
            wanted[records[record, _BEFORE]] = True
    kept = 0
    for record in range(count):
        if wanted[record]:
            place[record] = kept
            records[kept] = records[record]
            if records[kept, _BEFORE] >= 0:
                records[kept, _BEFORE] = place[records[kept, _BEFORE]]
            kept += 1
    for i in range(scalars[ROWS]):
        for column in (_HELD, _BLANK):
            if rows[i, column] > DEAD:
                rows[i, column + 1] = place[rows[i, column + 1]]
    if scalars[GATE_RECORD] >= 0:
        scalars[GATE_RECORD] = place[scalars[GATE_RECORD]]
    scalars[RECORDS] = kept


@njit(cache=True, nogil=True)
def survey(net, rows, scalars, cut, by_verse, ended):  # type: ignore[no-untyped-def]
    """The best token (row, or -1 in silence; whether in the blank; score with what lies ahead), and
    the best score in each verse, put into ``by_verse``, and into ``ended`` if reading ends here."""
    best, row, in_blank = scalars[_SILENCE], -1, False
    record, entry, at = -1, -1, -1
    for i in range(scalars[ROWS]):
        state = rows[i, _STATE]
        score = max(rows[i, _HELD], rows[i, _BLANK])
        ahead = net.node[state, _AHEAD]
        if state < net.linear:
            verse = net.moves.verse_of_word[net.word[state]]
            by_verse[verse] = max(by_verse[verse], score)
            ended[verse] = max(ended[verse], score + net.node[state, _STOP])
        else:
            low, high = net.trie_range[state - net.linear]
            if high - low <= _FEW:
                for k in range(low, high):
                    word = net.trie_words[k]
                    verse = net.moves.verse_of_word[word]
                    by_verse[verse] = max(by_verse[verse], score + net.entry[word])
                    ended[verse] = max(ended[verse], score + net.entry[word] + cut)
        for column in (_HELD, _BLANK):
            if rows[i, column] == DEAD:
                continue
            key, by, word = rows[i, column] + ahead, rows[i, column + 1], rows[i, column + 2]
            if _beats(key, by, word, best, record, entry) or (
                key == best and by == record and word == entry and state < at
            ):
                best, row, in_blank = key, i, column == _BLANK
                record, entry, at = by, word, state
    return row, in_blank, best


@njit(cache=True, nogil=True)
def finish(net, rows, scalars, cut):  # type: ignore[no-untyped-def]
    """The best end: its score, record (-1: only silence), entry word, last word and end frame."""
    frames = scalars[FRAMES]
    best, record, entry, last, end = scalars[_SILENCE], np.int64(-1), -1, -1, np.int64(0)
    for i in range(scalars[ROWS]):
        state = rows[i, _STATE]
        in_trie = state >= net.linear
        low, high = np.int32(0), np.int32(1)
        if in_trie:
            low, high = net.trie_range[state - net.linear]
        for column in (_HELD, _BLANK):
            if rows[i, column] == DEAD:
                continue
            by = np.int64(rows[i, column + 1])
            stopped = frames
            if not in_trie and column == _BLANK and net.can_end[state]:
                stopped = np.int64(rows[i, _SINCE])
            for k in range(low, high):
                if in_trie:
                    word = net.trie_words[k]
                    begun, score = word, rows[i, column] + net.entry[word] + cut
                else:
                    word = net.word[state]
                    begun, score = rows[i, column + 2], rows[i, column] + net.node[state, _STOP]
                if score < best or (score == best and record < 0):
                    continue
                if score == best and by == record and begun == entry:
                    if word > last or (word == last and stopped >= end):
                        continue
                elif not _beats(score, by, begun, best, record, entry):
                    continue
                best, record, entry, last, end = score, by, begun, word, stopped
    return best, record, entry, last, end
