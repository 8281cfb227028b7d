"""Which verse a stretch of audio is, if it is exactly one, whole (see `decoders.whole`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from decoders.align import WordTime as Aligned
from decoders.align import align
from quran_index import QuranIndex
from quran_index.graph import Graph

from .history import Float

_RANKED = 20  # verses whose shares are worth knowing

Score = Callable[[Float], npt.NDArray[np.float64]]
"""How well log-probs [T, symbols] fit each verse as a whole: nats [V]."""


@dataclass(frozen=True, slots=True)
class Whole:
    """The verse that fits best as a whole.

    ``lead``: nats before any verse of another text; ``ranked``: (verse, score) of the best ones,
    best first.
    """

    verse: int
    lead: float
    ranked: tuple[tuple[int, float], ...]


class WholeFinder:
    """Compares a stretch of log-probs with every verse; ``graph`` spells what ``score`` knows."""

    def __init__(self, index: QuranIndex, graph: Graph, score: Score) -> None:
        self._index = index
        self._graph = graph
        self._score = score

    def find(self, log_probs: Float, after: int) -> Whole:
        """The best verse of ``log_probs`` [T, symbols]; of alike ones the next ``after`` one."""
        scores = self._score(log_probs)
        best = int(scores.argmax())
        alike = self._index.identical(best)
        verse = min((v for v in alike if v > after >= 0), default=best)
        ranked = np.argsort(scores)[: -_RANKED - 1 : -1].tolist()
        return Whole(
            verse,
            float(scores[best] - np.delete(scores, alike).max()),
            tuple((v, float(scores[v])) for v in ranked),
        )

    def words(self, log_probs: Float, verse: int, start: int) -> list[Aligned]:
        """Times of its words, ``log_probs`` beginning in frame ``start``; none if there is no room.

        What is heard before the first word counts as if it belonged to it: all is to be the verse.
        """
        first, end = self._index.first_word[verse : verse + 2].tolist()
        try:
            times = align(log_probs, self._graph, first, end - 1, 1.0)
        except ValueError:  # too few frames
            return []
        before = log_probs[: int(times[0].start)]
        unexplained = float((before[:, 0] - before.max(axis=1)).sum())
        times[0] = replace(times[0], score=times[0].score + unexplained)
        return [replace(t, start=t.start + start, end=t.end + start) for t in times]

    def opens_another(self, verse: int) -> bool:
        """Whether a longer verse begins with the words of this one."""
        forms, opens = self._index.form_of_word, self._index.first_word
        words = forms[opens[verse] : opens[verse + 1]]
        longer = np.flatnonzero(np.diff(opens) > len(words))
        begun = forms[opens[longer][:, None] + np.arange(len(words))]
        return bool((begun == words).all(axis=1).any())
