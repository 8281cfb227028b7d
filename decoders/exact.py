"""Dense Viterbi over every state of the text: no pruning, no candidates, the reference.

Each label state holds two tokens, one for its label and one for the blank after it. A token is one
integer: the score in the upper half; in the lower half its run's entry (frame and word), inverted,
so that comparing integers is comparing paths, ties included. One frame updates all states in place
from the last to the first, since a state's own word lies just before it; the few hundred thousand
arcs that come from elsewhere are gathered first.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from decoders.path import DEAD, SCALE, Decoding, PathPriors, Run, Weights, relative
from quran_index.graph import ACROSS, Graph

_LOW = 0xFFFFFFFF
_RENORM = 256


def decode(log_probs: NDArray[np.float32], graph: Graph, priors: PathPriors) -> Decoding:
    """Best path of ``log_probs`` [T, symbols] through the whole graph.

    ValueError: the wrong shape, NaN, or more frames than a token's entry can count (55 minutes of
    60 ms frames for the whole Quran).
    """
    scores, background = relative(log_probs, graph.symbols)
    if len(scores) * graph.words > _LOW:
        raise ValueError(f"{len(scores)} frames are too many for the exact decoder; split them")
    weights = Weights.of(graph, priors)
    chained, special, offsets, source, blank_only, weight = _arcs_in(
        graph.linear,
        graph.succ_offsets,
        graph.succ,
        graph.arc_kind,
        graph.label,
        graph.word,
        graph.starts,
        weights.arc,
    )
    entry = np.full(len(special), DEAD, np.int32)
    entry[np.searchsorted(special, graph.starts)] = weights.entry[graph.word[graph.starts]]
    records, final = _search(
        scores,
        graph.label[: graph.linear],
        graph.word[: graph.linear],
        chained,
        special,
        offsets,
        source,
        blank_only,
        weight,
        entry,
        weights.stop(graph),
        graph.can_end[: graph.linear],
        graph.words,
        weights.jump,
    )
    score = int(final[0])
    runs: list[Run] = []
    entry_id, last_word, end = (int(x) for x in final[1:])
    while entry_id >= 0:
        frame, first_word = divmod(entry_id, graph.words)
        before, word_before, end_before, score_before = (int(x) for x in records[frame])
        runs.append(Run(first_word, last_word, frame, end, (score - score_before) / SCALE))
        entry_id, last_word, end, score = before, word_before, end_before, score_before
    return Decoding(background + int(final[0]) / SCALE, background, tuple(reversed(runs)))


@njit(cache=True, nogil=True)
def _arcs_in(linear, succ_offsets, succ, kind, label, word, starts, weight):  # type: ignore[no-untyped-def]
    """Which states plainly follow their neighbour, and the remaining arcs by target.

    The targets (`special`, ascending) include every start, whether or not an arc leads there.
    """
    chained = np.zeros(linear, np.bool_)
    plain = np.zeros(succ_offsets[linear], np.bool_)
    count = np.zeros(linear, np.int32)
    wanted = np.zeros(linear, np.bool_)
    wanted[starts] = True
    for s in range(linear):
        for a in range(succ_offsets[s], succ_offsets[s + 1]):
            d = succ[a]
            if d == s + 1 and word[d] == word[s] and kind[a] != ACROSS and label[d] != label[s]:
                plain[a] = True
                chained[d] = True
            else:
                count[d] += 1
                wanted[d] = True
    special = np.flatnonzero(wanted).astype(np.int32)
    offsets = np.zeros(len(special) + 1, np.int32)
    for k in range(len(special)):
        offsets[k + 1] = offsets[k] + count[special[k]]
        count[special[k]] = offsets[k]
    source = np.empty(offsets[-1], np.int32)
    blank_only = np.empty(offsets[-1], np.bool_)
    cost = np.empty(offsets[-1], np.int64)
    for s in range(linear):
        for a in range(succ_offsets[s], succ_offsets[s + 1]):
            if not plain[a]:
                d = succ[a]
                at = count[d]
                count[d] += 1
                source[at] = s
                blank_only[at] = kind[a] == ACROSS or label[s] == label[d]
                cost[at] = np.int64(weight[a]) << 32
    return chained, special, offsets, source, blank_only, cost


@njit(cache=True, nogil=True)
def _search(  # type: ignore[no-untyped-def]
    scores, label, word, chained, special, offsets, source, blank_only, cost, entry, stop,
    can_end,     words, jump,
):  # fmt: skip
    """Run the recursion; see the module's text for the tokens.

    Returns the record of each frame in which a run could be entered (entry id of the run before or
    -1, its last word, its end frame, its score), and the best end (score, entry id, last word, end
    frame).
    """
    low = np.int64(_LOW)
    dead = np.int64(DEAD) << 32
    frames = len(scores)
    held = np.full(len(label), dead)
    blank = np.full(len(label), dead)
    arriving = np.empty(len(special), np.int64)
    since = np.zeros(len(label), np.int32)
    leave = stop.astype(np.int64) << 32
    records = np.zeros((frames, 4), np.int64)
    emit = np.empty(scores.shape[1], np.int64)
    silence = np.int64(0)
    offset = np.int64(0)
    best = dead
    for t in range(frames):
        for i in range(len(emit)):
            emit[i] = np.int64(scores[t, i]) << 32

        # The best run to leave, and the silence before the first one, from which a run may be
        # entered.
        best_word, best_end = 0, 0
        for s in range(len(label)):
            if blank[s] + leave[s] == best:
                best_word, best_end = word[s], since[s]
                while s + 1 < len(label) and word[s + 1] == best_word:
                    s += 1
                    if blank[s] + leave[s] == best:
                        best_end = min(best_end, since[s])
                break
        gate = (best >> 32) + jump
        if gate > silence:
            records[t, 0] = low - (best & low)
            records[t, 1] = best_word
            records[t, 2] = best_end
            records[t, 3] = offset + (best >> 32)
        else:
            gate = silence
            records[t, 0] = -1

        for k in range(len(special)):
            value = dead
            if entry[k] > DEAD:
                entered = np.int64(t) * words + word[special[k]]
                value = ((gate + entry[k]) << 32) + (low - entered)
            for a in range(offsets[k], offsets[k + 1]):
                token = blank[source[a]]
                if not blank_only[a]:
                    token = max(token, held[source[a]])
                value = max(value, token + cost[a])
            arriving[k] = value
        best = dead
        for s in range(len(label) - 1, 0, -1):
            here, after = held[s], blank[s]
            moved = max(held[s - 1], blank[s - 1])
            moved = moved if chained[s] else dead
            since[s] = t if here > after else since[s]
            after = max(after, here) + emit[0]
            best = max(best, after + leave[s])
            blank[s] = after
            held[s] = max(here, moved) + emit[label[s]]
        since[0] = t if held[0] > blank[0] else since[0]
        blank[0] = max(blank[0], held[0]) + emit[0]
        best = max(best, blank[0] + leave[0])
        held[0] += emit[label[0]]
        for k in range(len(special)):
            s = special[k]
            held[s] = max(held[s], arriving[k] + emit[label[s]])
        silence += scores[t, 0]

        if (t + 1) % _RENORM == 0:
            top = max(held.max() >> 32, blank.max() >> 32, silence)
            offset += top
            silence = max(silence - top, np.int64(DEAD))
            best -= top << 32
            for s in range(len(label)):
                held[s] = dead if held[s] >> 32 < DEAD // 2 else held[s] - (top << 32)
                blank[s] = dead if blank[s] >> 32 < DEAD // 2 else blank[s] - (top << 32)

    # The best end; the order of ties is path.py's.
    final = np.array([silence, -1, 0, 0])
    for s in range(len(label)):
        for in_blank in range(2):
            token = (blank[s] if in_blank else held[s]) + (np.int64(stop[s]) << 32)
            score, run = token >> 32, low - (token & low)
            if score < final[0] or (score == final[0] and (final[1] < 0 or run > final[1])):
                continue
            end = np.int64(since[s]) if in_blank and can_end[s] else np.int64(frames)
            same = score == final[0] and run == final[1]
            if same and (word[s] > final[2] or (word[s] == final[2] and end >= final[3])):
                continue
            final[0], final[1], final[2], final[3] = score, run, word[s], end
    final[0] += offset
    return records, final
