"""How well each verse explains a stretch of audio as a whole: one verse, from end to end.

A search for any path has a hundred thousand pieces of verses to choose from, and in a bad recording
some of them fit by chance. Most of what people say between two silences is one whole verse, and of
those there are only 6,236.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from decoders.dense import CLOSED, DenseNet, DenseTokens, sweep
from decoders.path import BLANK, SCALE, relative
from quran_index.graph import Graph


class WholeVerses:
    """The verses of a graph, each by itself; ``net`` is the graph's."""

    def __init__(self, graph: Graph, net: DenseNet) -> None:
        self._symbols = graph.symbols
        opens = np.zeros(graph.words, bool)
        opens[graph.first_word[:-1]] = True
        verse = graph.verse_of_word
        leads_out = verse[net.word[net.source]] != verse[net.word[net.special[net.target]]]
        self._net = net._replace(
            entry=np.where((net.entry > CLOSED) & opens[net.entry_word], np.int64(0), CLOSED),
            cost=np.where(leads_out, CLOSED, net.cost),
            held_cost=np.where(leads_out, CLOSED, net.held_cost),
        )
        last = graph.first_word[1:] - 1
        closes = graph.can_end[: graph.linear].copy()
        closes &= np.isin(graph.word[: graph.linear], last)
        self._ends = np.flatnonzero(closes)
        self._verse_of_end = verse[graph.word[self._ends]]
        self._verses = graph.verses

    def scores(self, log_probs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Nats [V] of each verse's best path through ``log_probs`` [T, symbols] against a free loop
        over all symbols, silence around it included; -inf where there is no room for it.

        ValueError: the wrong shape, or NaN.
        """
        scores, _ = relative(log_probs, self._symbols, BLANK)
        tokens = DenseTokens.none(self._net)
        _search(self._net, tokens, scores)
        ends = np.maximum(tokens.held[self._ends], tokens.blank[self._ends]) >> 32
        best = np.full(self._verses, CLOSED >> 32)
        np.maximum.at(best, self._verse_of_end, ends)
        return np.where(best > CLOSED >> 32, best / SCALE, -np.inf)


@njit(cache=True, nogil=True)
def _search(net, tokens, scores):  # type: ignore[no-untyped-def]
    """Sweep over all frames; verses begin after any number of blanks."""
    silence = np.int64(0)
    for t in range(len(scores)):
        sweep(net, tokens, scores[t], t, silence, 0, np.int64(0), -1)
        silence += scores[t, 0]
