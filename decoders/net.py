"""The graph as the compiled search wants it: what is read together lies together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from decoders.moves import Moves
from decoders.path import Weights
from quran_index.graph import ACROSS, Graph

Ints = NDArray[np.int32]

# Columns of `Net.node` and `Net.arc`.
FIRST, LABEL, AHEAD, STOP = range(4)
TARGET, SYMBOL, WEIGHT, BELOW = range(4)


class Net(NamedTuple):
    """The graph by source.

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
    node[:, FIRST] = graph.succ_offsets
    node[:-1, LABEL] = graph.label
    node[graph.linear : -1, AHEAD] = graph.trie_max(weights.entry)
    node[: graph.linear, STOP] = weights.stop(graph)
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
    arc[:, TARGET], arc[:, WEIGHT] = succ, weight
    arc[:, SYMBOL] = np.where(blank_only, ~label, label)
    inner = succ >= graph.linear
    arc[inner, BELOW] = graph.trie_max(weights.entry)[succ[inner] - graph.linear]
    return arc


@njit(cache=True, nogil=True, inline="always")
def words_below(net, state):  # type: ignore[no-untyped-def]
    """Whether ``state`` is a node of the trie, and from and to which of `Net.trie_words` the words
    below it stand; of a linear state it is one place, and none of those."""
    if state < net.linear:
        return False, np.int32(0), np.int32(1)
    low, high = net.trie_range[state - net.linear]
    return True, low, high
