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

from decoders.moves import Moves, close_by
from decoders.path import DEAD, REACH, Weights
from quran_index.graph import ACROSS, Graph

LOW = 0xFFFFFFFF
"""The lower half of a token; less the number of its run."""

NONE = DEAD << 32
"""No token."""

CLOSED = (DEAD // 2) << 32  # what no token can pay


_TILE = 1024  # states whose tokens fit into the processor's nearest cache


class DenseNet(NamedTuple):
    """The graph by target; costs and labels as tokens, that is, in the upper half.

    ``label``, ``word``, ``leave`` (what leaving a run costs), ``chained`` (reached from ``s - 1``
    at no cost): one per linear state. All other arcs lead into ``special`` states: arc ``a`` from
    ``source[a]`` to ``special[target[a]]`` costs ``cost[a]`` from the blank, ``held_cost[a]`` from
    the label (more than any token has if a blank must stand between). ``entry``: cost of entering a
    run there (more than any token has where no word starts); ``entry_word``: the word; ``start``:
    where among the special states each of the moves' starts is.
    """

    words: int
    label: NDArray[np.int16]
    word: NDArray[np.int32]
    leave: NDArray[np.int64]
    chained: NDArray[np.bool_]
    special: NDArray[np.int32]
    special_label: NDArray[np.int16]
    entry: NDArray[np.int64]
    entry_word: NDArray[np.int64]
    start: NDArray[np.int32]
    moves: Moves
    source: NDArray[np.int32]
    target: NDArray[np.int32]
    cost: NDArray[np.int64]
    held_cost: NDArray[np.int64]

    @staticmethod
    def of(graph: Graph, weights: Weights) -> DenseNet:
        """The net of a graph's linear states."""
        arcs = graph.succ_offsets[graph.linear]
        source = np.repeat(
            np.arange(graph.linear, dtype=np.int32), np.diff(graph.succ_offsets[: graph.linear + 1])
        )
        target, cost = graph.succ[:arcs], weights.arc[:arcs].astype(np.int64) << 32
        blank_only = graph.arc_kind[:arcs] == ACROSS
        blank_only |= graph.label[source] == graph.label[target]
        plain = (target == source + 1) & (graph.word[source] == graph.word[target]) & ~blank_only
        chained = np.zeros(graph.linear, bool)
        chained[target[plain]] = True

        is_special = np.zeros(graph.linear, bool)
        is_special[target[~plain]] = is_special[graph.starts] = True
        special = np.flatnonzero(is_special).astype(np.int32)
        entry = np.full(len(special), CLOSED, np.int64)
        starts = np.searchsorted(special, graph.starts)
        entry[starts] = weights.entry[graph.word[graph.starts]].astype(np.int64) << 32
        # Arcs by source, as they come: so are most of them by target.
        source, target, cost, blank_only = (x[~plain] for x in (source, target, cost, blank_only))
        return DenseNet(
            words=graph.words,
            label=graph.label[: graph.linear],
            word=graph.word[: graph.linear],
            leave=weights.stop(graph).astype(np.int64) << 32,
            chained=chained,
            special=special,
            special_label=graph.label[special],
            entry=entry,
            entry_word=graph.word[special].astype(np.int64),
            start=starts.astype(np.int32),
            moves=Moves.of(graph, weights),
            source=source,
            target=np.searchsorted(special, target).astype(np.int32),
            cost=cost,
            held_cost=np.where(blank_only, np.int64(CLOSED), cost),
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
def sweep(net, tokens, scores, frame, gate, run, left, last):  # type: ignore[no-untyped-def]
    """Take in one frame of ``scores`` [symbols]; the best token for leaving a run after it.

    ``gate``: score with which runs are entered in this frame; entered at word ``w`` they are number
    ``run * words + w``. ``left``, ``last``: score and last word of the run left for them (-1: none
    is).
    """
    held, blank, since, arriving = tokens
    emit = scores.astype(np.int64) << 32
    number = LOW - run * net.words
    _arrive(net, held, blank, arriving, (gate << 32) + number)
    if last >= 0:
        _move_close_by(net, arriving, (left << 32) + number, last)
    best = np.int64(NONE)
    moved, heard = np.empty(_TILE, np.int64), np.empty(_TILE, np.int64)
    high = len(held)
    while high > 1:
        low = max(1, high - _TILE)
        size = high - low
        _move(
            moved[:size], held[low - 1 : high - 1], blank[low - 1 : high - 1], net.chained[low:high]
        )
        _hear(heard[:size], net.label[low:high], emit)
        left = _stay(
            held[low:high], blank[low:high], since[low:high], net.leave[low:high], emit[0], frame
        )
        best = max(best, left)
        _join(held[low:high], moved[:size], heard[:size])
        high = low
    best = max(best, _stay(held[:1], blank[:1], since[:1], net.leave[:1], emit[0], frame))
    held[0] += emit[net.label[0]]
    for k in range(len(arriving)):
        state = np.uint32(net.special[k])
        held[state] = max(held[state], arriving[k] + emit[net.special_label[k]])
    return best


# The parts of a sweep are functions of a few arrays each, so that the compiler sees that these do
# not overlap and uses the processor's vectors.


@njit(cache=True, nogil=True)
def _arrive(net, held, blank, arriving, gate):  # type: ignore[no-untyped-def]
    """What reaches the special states: runs entered there, and tokens on their arcs."""
    entry, entry_word = net.entry, net.entry_word
    for k in range(len(arriving)):
        arriving[k] = max(entry[k] + gate - entry_word[k], np.int64(NONE))
    for a in range(len(net.source)):
        source, target = np.uint32(net.source[a]), np.uint32(net.target[a])
        token = max(blank[source] + net.cost[a], held[source] + net.held_cost[a])
        arriving[target] = max(arriving[target], token)


@njit(cache=True, nogil=True)
def _move_close_by(net, arriving, left, last):  # type: ignore[no-untyped-def]
    """Runs entered near the word ``last`` that was left."""
    moves = net.moves
    room = len(moves.near) + len(moves.verses)
    words, costs = np.empty(room, np.int64), np.empty(room, np.int64)
    for m in range(close_by(moves, last, words, costs)):
        token = left + (costs[m] << 32) - words[m]
        for i in range(moves.start_offsets[words[m]], moves.start_offsets[words[m] + 1]):
            arriving[net.start[i]] = max(arriving[net.start[i]], token)


@njit(cache=True, nogil=True)
def _move(moved, held, blank, chained):  # type: ignore[no-untyped-def]
    """The better token of each state's neighbour, where there is an arc from it."""
    for i in range(len(moved)):
        better = max(held[i], blank[i])
        moved[i] = better if chained[i] else np.int64(NONE)


@njit(cache=True, nogil=True)
def _hear(heard, label, emit):  # type: ignore[no-untyped-def]
    """The score of each state's label."""
    for i in range(len(heard)):
        heard[i] = emit[label[i]]


@njit(cache=True, nogil=True)
def _stay(held, blank, since, leave, emit, frame):  # type: ignore[no-untyped-def]
    """Move tokens on into the blank; the best one for leaving a run."""
    now = np.int32(frame)
    for i in range(len(since)):
        since[i] = now if held[i] > blank[i] else since[i]
    best = np.int64(NONE)
    for i in range(len(blank)):
        after = max(blank[i], held[i]) + emit
        blank[i] = after
        best = max(best, after + leave[i])
    return best


@njit(cache=True, nogil=True)
def _join(held, moved, heard):  # type: ignore[no-untyped-def]
    """The better of what was in each label and what came from its neighbour."""
    for i in range(len(held)):
        held[i] = max(held[i], moved[i]) + heard[i]


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
            row[s] = NONE if row[s] >> 32 < -REACH else row[s] - (score << 32)
