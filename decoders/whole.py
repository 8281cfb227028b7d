"""How well each verse explains a stretch of audio as a whole: one verse, from end to end.

A search for any path has a hundred thousand pieces of verses to choose from, and in a bad recording
some of them fit by chance. Most of what people say between two silences is one whole verse, and of
those there are only 6,236. Else it mostly is the beginning of one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from decoders.dense import CLOSED, DenseNet, DenseTokens, sweep
from decoders.path import BLANK, SCALE, relative
from quran_index.graph import Graph

Nats = NDArray[np.float64]


class VerseScores(NamedTuple):
    """Nats [V] of each verse's best path through all of the audio, silence around it included,
    against a free loop over all symbols; -inf where there is no room for it."""

    whole: Nats
    """Of paths that end where the verse does."""
    begun: Nats
    """Of paths that end anywhere in it."""
    reached: int
    """The word in which the best of those ends."""


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
        self._word = graph.word[: graph.linear]
        self._verse = verse[self._word]
        self._verses = graph.verses

    def scores(self, log_probs: NDArray[np.float32]) -> VerseScores:
        """How well each verse, and each beginning, explains ``log_probs`` [T, symbols].

        ValueError: the wrong shape, or NaN.
        """
        scores, _ = relative(log_probs, self._symbols, BLANK)
        tokens = DenseTokens.none(self._net)
        _search(self._net, tokens, scores)
        states = len(self._verse)
        best = np.maximum(tokens.held[:states], tokens.blank[:states]) >> 32
        return VerseScores(
            self._of_verses(self._verse[self._ends], best[self._ends]),
            self._of_verses(self._verse, best),
            int(self._word[best.argmax()]),
        )

    def _of_verses(
        self, verse: NDArray[np.int32], scores: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """The best [V] of ``scores``, each of which is of a ``verse``, in nats."""
        none = CLOSED >> 32
        best = np.full(self._verses, none)
        np.maximum.at(best, verse, scores)
        return np.where(best > none, best / SCALE, -np.inf)


@njit(cache=True, nogil=True)
def _search(net, tokens, scores):  # type: ignore[no-untyped-def]
    """Sweep over all frames; verses begin after any number of blanks."""
    silence = np.int64(0)
    for t in range(len(scores)):
        sweep(net, tokens, scores[t], t, silence, 0, np.int64(0), -1)
        silence += scores[t, 0]
