"""What a reciter got wrong: words left out or replaced, verses left out, a wrong continuation.

Words are judged on the frames that the verse was aligned to: a gap by how much better they fit the
verse without it than with all its words, a strange word by how much worse it fits than the words
around it, less what that many sounds of anything would have gained. Both are log-likelihood ratios,
so that of recordings that fit nothing well nothing is said: a false alarm is worse than a miss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from rapidfuzz.distance import Levenshtein

from decoders import greedy
from decoders.align import WordTime, align, pronunciation
from quran_index import QuranIndex
from quran_index.graph import Graph

from .history import Float

SKIPPED = 2
"""Verses left out in a row; who leaves out more went elsewhere."""
_RARE = 5.0  # nats: how much less usual a mistake is than none
_SOUND = 1.1  # nats: what a sound of any other word gains, the Quran's phonemes being so varied
_UNLIKE = 0.5  # share of a word's sounds that must differ
_CLEAR = -0.6  # nats a sound: words around that fit less well say nothing of one among them
_PACE = 1.0  # frames a sound takes at least: a longer gap may hold what was not heard
_CERTAIN = 30.0


@dataclass(frozen=True, slots=True)
class Slip:
    """A mistake at a word of a verse (from 1; 0: the verse was left out).

    ``heard``: the sounds, or the word of another verse, that were said instead (empty: none).
    """

    verse: int
    word: int
    heard: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Recited:
    """A verse that was made final: its first and last word, and where in frames they are."""

    slot: int
    verse: int
    first_word: int
    last_word: int
    start: float
    end: float
    confidence: float


class MistakeFinder:
    """Compares what was heard with what should have been."""

    def __init__(
        self, index: QuranIndex, graph: Graph, symbols: Sequence[str], temperature: float
    ) -> None:
        """``symbols``: what those of ``graph`` are called; ``temperature``: nats of score
        difference per nat of log odds."""
        self._index = index
        self._graph = graph
        self._symbols = symbols
        self._temperature = temperature

    def in_words(
        self, words: list[WordTime], between: Callable[[int, int], Float]
    ) -> Iterator[Slip]:
        """Mistakes in the aligned words of one verse, in frames; ``between`` has the log-probs."""
        lengths = [len(self._index.spell(w.word, w.word)) for w in words]
        usual = float(np.median([w.score / n for w, n in zip(words, lengths, strict=True)]))
        clear = len(words) >= 3 and usual >= _CLEAR
        for before, after in pairwise(words):
            missing = range(before.word + 1, after.word)
            if not missing or after.start < before.end:
                continue
            confidence, heard = self._left_out(before, after, between), ""
            if clear:
                frames = between(round(before.end), round(after.start))
                instead, sounds = self._replaced(frames, missing, None, usual)
                if instead > confidence:
                    confidence, heard = instead, sounds
            for word in missing:
                yield self._slip(word, heard, confidence)
        for said, following in pairwise(words[1:]) if clear else ():
            frames = between(round(said.start), round(following.start))
            only = range(said.word, said.word + 1)
            confidence, heard = self._replaced(frames, only, said.score, usual)
            if confidence:
                yield self._slip(said.word, heard, confidence)

    def between_verses(self, before: Recited, now: Recited) -> Iterator[tuple[int, Slip]]:
        """Mistakes on the way from one verse to the next: the slots they belong to, and they."""
        index, confidence = self._index, min(before.confidence, now.confidence)
        if now.verse - 1 in index.identical(before.verse):
            return  # it may have been that one
        (surah, _), (surah_now, _) = index.reference(before.verse), index.reference(now.verse)
        opens, completes = index.first_word[[now.verse, before.verse + 1]].tolist()
        missed = range(before.verse + 1, now.verse)
        if now.first_word == opens and surah == surah_now and 0 < len(missed) <= SKIPPED:
            sounds = len(index.spell(completes, opens - 1))
            if now.start - before.end < _PACE * sounds:
                for verse in missed:
                    yield now.slot, Slip(verse, 0, "", confidence)
        elif (
            now.verse != before.verse
            and now.first_word > opens
            and before.last_word < completes - 1
            and now.start - before.end < _PACE * len(index.spell(opens, now.first_word - 1))
        ):
            heard = index.words(now.verse)[now.first_word - opens]
            yield before.slot, self._slip(before.last_word + 1, heard, confidence)

    def _slip(self, word: int, heard: str, confidence: float) -> Slip:
        verse = int(self._index.verse_of_word[word])
        return Slip(verse, word - int(self._index.first_word[verse]) + 1, heard, confidence)

    def _replaced(
        self, frames: Float, words: range, score: float | None, usual: float
    ) -> tuple[float, str]:
        """Probability that something else was said in the words' place, and what.

        ``score``: how well they fit, in nats (None: the path passed them over); ``usual``: nats a
        phoneme of the words around.
        """
        if not len(frames):  # some words were said again, and those after them were not
            return 0.0, ""
        sounds = greedy(frames)
        first, last = words[0], words[-1]
        try:
            expected = pronunciation(frames, self._graph, first, last).tolist()
            if score is None:
                score = sum(w.score for w in align(frames, self._graph, first, last, 1.0))
        except ValueError:  # no room for them in these frames alone
            return 0.0, ""
        if Levenshtein.normalized_distance(sounds, expected) < _UNLIKE:
            return 0.0, ""
        length = len(self._index.spell(first, last))
        gain = usual * length - score - _SOUND * len(sounds)
        return _probability(gain), "".join(self._symbols[i] for i in sounds)

    def _left_out(
        self, before: WordTime, after: WordTime, between: Callable[[int, int], Float]
    ) -> float:
        """Probability that the words between two aligned ones were not said."""
        start, middle, end = round(before.start), round(after.start), round(after.end)

        def fit(low: int, high: int, first: int, last: int) -> float:
            return sum(w.score for w in align(between(low, high), self._graph, first, last, 1.0))

        try:
            without = fit(start, middle, before.word, before.word)
            without += fit(middle, end, after.word, after.word)
        except ValueError:  # not even that can have been said in so few frames
            return 0.0
        try:
            return _probability(
                (without - fit(start, end, before.word, after.word)) / self._temperature
            )
        except ValueError:  # there is no room for them
            return _probability(math.inf)


def _probability(gain: float) -> float:
    """That there is a mistake, by what it gains, in nats."""
    odds = min(gain, _CERTAIN) - _RARE
    return 1 / (1 + math.exp(-max(odds, -_CERTAIN)))
