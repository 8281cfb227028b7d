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

from decoders.dense import CLOSED, NONE, DenseNet, DenseTokens, sweep
from decoders.path import BLANK, SCALE, relative
from quran_index.graph import Graph

Nats = NDArray[np.float64]

_NEVER = np.int64(CLOSED >> 32)


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
        self._word = graph.word[: graph.linear]
        self._verse = verse[self._word]
        self._closes = graph.can_end[: graph.linear] & np.isin(self._word, last)
        self._verses = graph.verses
        # Room for each search that was ever run at once. Were it made anew each time, every thread
        # that ran one would keep it.
        self._spare: list[DenseTokens] = []

    def scores(self, log_probs: NDArray[np.float32]) -> VerseScores:
        """How well each verse, and each beginning, explains ``log_probs`` [T, symbols].

        ValueError: the wrong shape, or NaN.
        """
        scores, _ = relative(log_probs, self._symbols, BLANK)
        tokens = self._spare.pop() if self._spare else DenseTokens.none(self._net)
        tokens.held.fill(NONE)
        tokens.blank.fill(NONE)
        _search(self._net, tokens, scores)
        whole, begun, best = _best(
            tokens.held, tokens.blank, self._verse, self._closes, self._verses
        )
        self._spare.append(tokens)
        return VerseScores(_nats(whole), _nats(begun), int(self._word[best]))


def _nats(scores: NDArray[np.int64]) -> Nats:
    return np.where(scores > _NEVER, scores / SCALE, -np.inf)


@njit(cache=True, nogil=True)
def _search(net, tokens, scores):  # type: ignore[no-untyped-def]
    """Sweep over all frames; verses begin after any number of blanks."""
    silence = np.int64(0)
    for t in range(len(scores)):
        sweep(net, tokens, scores[t], t, silence, 0, np.int64(0), -1)
        silence += scores[t, 0]


@njit(cache=True, nogil=True)
def _best(held, blank, verse, closes, verses):  # type: ignore[no-untyped-def]
    """The best score of each verse: in states that close it, and in all; the best state of all."""
    whole = np.full(verses, _NEVER)
    begun = np.full(verses, _NEVER)
    best, at = _NEVER, 0
    for state in range(len(verse)):
        score = max(held[state], blank[state]) >> 32
        if score > begun[verse[state]]:
            begun[verse[state]] = score
            if score > best:
                best, at = score, state
        if closes[state] and score > whole[verse[state]]:
            whole[verse[state]] = score
    return whole, begun, at
