"""One frame of Viterbi over every linear state of the text at once.

Each state holds two tokens, one for its label and one for the blank after it. A token is one
integer: the score in the upper half; in the lower half, inverted, its run, numbered by when it was
entered and at which word, so that comparing integers is comparing paths, ties included. A frame
updates all states in place from the last to the first, since a state's own word lies just before
it; the arcs that come from elsewhere are gathered first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from decoders.path import DEAD, Weights
from quran_index.graph import ACROSS, Graph

LOW = 0xFFFFFFFF
"""The lower half of a token; less the number of its run."""

NONE = DEAD << 32
"""No token."""


class DenseNet(NamedTuple):
    """The graph by target. ``special`` states have other arcs in than the plain one from ``s - 1``.

    ``label``, ``word``, ``leave`` (the cost of leaving a run, as a token), ``chained`` (has the
    plain arc): one per linear state. ``source[offsets[k]:offsets[k + 1]]`` are where special state
    ``k`` is reached from, with ``blank_only`` and ``cost`` (as a token); ``entry``: what entering
    there costs.
    """

    words: int
    label: NDArray[np.int16]
    word: NDArray[np.int32]
    leave: NDArray[np.int64]
    chained: NDArray[np.bool_]
    special: NDArray[np.int32]
    offsets: NDArray[np.int32]
    source: NDArray[np.int32]
    blank_only: NDArray[np.bool_]
    cost: NDArray[np.int64]
    entry: NDArray[np.int32]

    @staticmethod
    def of(graph: Graph, weights: Weights) -> DenseNet:
        """The net of a graph's linear states."""
        chained, special, offsets, source, blank_only, cost = _arcs_in(
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
        return DenseNet(
            words=graph.words,
            label=graph.label[: graph.linear],
            word=graph.word[: graph.linear],
            leave=weights.stop(graph).astype(np.int64) << 32,
            chained=chained,
            special=special,
            offsets=offsets,
            source=source,
            blank_only=blank_only,
            cost=cost,
            entry=entry,
        )


class DenseTokens(NamedTuple):
    """The tokens of all linear states, and in which frame each blank was entered.

    ``arriving`` is room for what reaches the special states.
    """

    held: NDArray[np.int64]
    blank: NDArray[np.int64]
    since: NDArray[np.int32]
    arriving: NDArray[np.int64]

    @staticmethod
    def none(net: DenseNet) -> DenseTokens:
        """No tokens yet."""
        states = len(net.label)
        return DenseTokens(
            held=np.full(states, NONE, np.int64),
            blank=np.full(states, NONE, np.int64),
            since=np.zeros(states, np.int32),
            arriving=np.empty(len(net.special), np.int64),
        )


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
def sweep(net, tokens, scores, emit, frame, gate, run):  # type: ignore[no-untyped-def]
    """Take in one frame of ``scores`` [symbols]; the best token there is for leaving a run after
    it.

    ``gate``: score with which runs are entered in this frame; entered at word ``w`` they are number
    ``run * words + w``. ``emit``: int64 [symbols], room for the scores as tokens.
    """
    held, blank, since, arriving = tokens
    label, chained, leave, special = net.label, net.chained, net.leave, net.special
    for i in range(len(emit)):
        emit[i] = np.int64(scores[i]) << 32
    for k in range(len(special)):
        value = np.int64(NONE)
        if net.entry[k] > DEAD:
            entered = np.int64(run) * net.words + net.word[special[k]]
            value = ((gate + net.entry[k]) << 32) + (LOW - entered)
        for a in range(net.offsets[k], net.offsets[k + 1]):
            token = blank[net.source[a]]
            if not net.blank_only[a]:
                token = max(token, held[net.source[a]])
            value = max(value, token + net.cost[a])
        arriving[k] = value
    best = np.int64(NONE)
    for s in range(len(label) - 1, 0, -1):
        here, after = held[s], blank[s]
        moved = max(held[s - 1], blank[s - 1])
        moved = moved if chained[s] else np.int64(NONE)
        since[s] = frame if here > after else since[s]
        after = max(after, here) + emit[0]
        best = max(best, after + leave[s])
        blank[s] = after
        held[s] = max(here, moved) + emit[label[s]]
    since[0] = frame if held[0] > blank[0] else since[0]
    blank[0] = max(blank[0], held[0]) + emit[0]
    best = max(best, blank[0] + leave[0])
    held[0] += emit[label[0]]
    for k in range(len(special)):
        s = special[k]
        held[s] = max(held[s], arriving[k] + emit[label[s]])
    return best


@njit(cache=True, nogil=True)
def where_left(net, tokens, best):  # type: ignore[no-untyped-def]
    """The last word and the end frame of the run that the token ``best`` of `sweep` leaves."""
    blank, since, leave, word = tokens.blank, tokens.since, net.leave, net.word
    for s in range(len(blank)):
        if blank[s] + leave[s] == best:
            end = since[s]
            after = s + 1
            while after < len(blank) and word[after] == word[s]:
                if blank[after] + leave[after] == best:
                    end = min(end, since[after])
                after += 1
            return word[s], end
    return -1, 0


@njit(cache=True, nogil=True)
def rebase(tokens, score):  # type: ignore[no-untyped-def]
    """Lower all scores by ``score``, and clear what is out of reach."""
    for s in range(len(tokens.held)):
        for row in (tokens.held, tokens.blank):
            row[s] = NONE if row[s] >> 32 < DEAD // 2 else row[s] - (score << 32)
