"""Which verse a stretch of audio is, if it is exactly one, whole (see `decoders.whole`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from rapidfuzz.distance import Levenshtein

from decoders import greedy
from decoders.align import WordTime as Aligned
from decoders.align import align, pronunciation
from decoders.whole import VerseScores
from quran_index import QuranIndex
from quran_index.graph import Graph

from .history import Float
from .policy import WholeEvidence

_RANKED = 20  # verses whose shares are worth knowing

Score = Callable[[Float], VerseScores]
"""How well log-probs [T, symbols] fit each verse."""


@dataclass(frozen=True, slots=True)
class Whole:
    """The verse that fits best, up to its word ``last``.

    ``lead``: nats before any verse of another text, finished or not; ``ranked``: (verse, score) of
    those that fit best, best first.
    """

    verse: int
    last: int
    lead: float
    ranked: tuple[tuple[int, float], ...]


class WholeFinder:
    """Compares a stretch of log-probs with every verse; ``graph`` spells what ``score`` knows."""

    def __init__(self, index: QuranIndex, graph: Graph, score: Score) -> None:
        self._index = index
        self._graph = graph
        self._score = score

    def find(self, log_probs: Float, after: int, *, begun: bool = False) -> Whole:
        """The best verse of ``log_probs`` [T, symbols]; of alike ones the next ``after`` one.

        ``begun``: it may end anywhere in the verse, not only where that does.
        """
        found = self._score(log_probs)
        scores = found.begun if begun else found.whole
        best = int(scores.argmax())
        alike = self._index.identical(best)
        verse = min((v for v in alike if v > after >= 0), default=best)
        opens = self._index.first_word
        last = found.reached - opens[best] + opens[verse] if begun else opens[verse + 1] - 1
        ranked = np.argsort(scores)[: -_RANKED - 1 : -1].tolist()
        lead = float(scores[best] - np.delete(found.begun, alike).max())
        return Whole(verse, int(last), lead, tuple((v, float(scores[v])) for v in ranked))

    def words(self, log_probs: Float, whole: Whole, start: int) -> list[Aligned]:
        """Times of its words, ``log_probs`` beginning in frame ``start``; none if there is no room.

        What is heard before the first word counts as if it belonged to it: all is to be the verse.
        """
        first = int(self._index.first_word[whole.verse])
        try:
            times = align(log_probs, self._graph, first, whole.last, 1.0)
        except ValueError:  # too few frames
            return []
        before = log_probs[: int(times[0].start)]
        unexplained = float((before[:, 0] - before.max(axis=1)).sum())
        times[0] = replace(times[0], score=times[0].score + unexplained)
        return [replace(t, start=t.start + start, end=t.end + start) for t in times]

    def evidence(self, log_probs: Float, whole: Whole) -> WholeEvidence:
        """How what is heard in ``log_probs``, whatever it is, compares with the verse.

        ValueError: there is no room for the verse, or nothing is heard.
        """
        first = int(self._index.first_word[whole.verse])
        said = pronunciation(log_probs, self._graph, first, whole.last).tolist()
        symbols = greedy(log_probs)
        if not symbols:
            raise ValueError("nothing is heard")
        same = sum(b.size for b in Levenshtein.opcodes(symbols, said).as_matching_blocks())
        return WholeEvidence(same / len(symbols), whole.lead, len(symbols) / len(said))

    def opens_another(self, verse: int) -> bool:
        """Whether a longer verse begins with the words of this one."""
        forms, opens = self._index.form_of_word, self._index.first_word
        words = forms[opens[verse] : opens[verse + 1]]
        longer = np.flatnonzero(np.diff(opens) > len(words))
        begun = forms[opens[longer][:, None] + np.arange(len(words))]
        return bool((begun == words).all(axis=1).any())
