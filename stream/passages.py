"""From the decoder's runs to recited verses.

A run reads word after word, over as many verses as it likes; a reciter who goes back three words
makes a new run inside the same verse. An application thinks in verses: each `Passage` is one
recitation of one verse, with the stretches of runs it is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from decoders.path import Run
from quran_index import QuranIndex

ASIDE = 14
"""Phonemes of other verses that may stand in a word's place: a reciter who says a wrong word and
reads on is still in the verse, though the best path makes a leap of it."""
_MISSED = 4  # words over which a verse is read on after an aside


@dataclass(frozen=True, slots=True)
class Stretch:
    """Words ``first_word..last_word`` of one verse, read without a break by one run.

    ``entered`` is the run's first frame; ``start`` and ``end`` are this stretch's own frames,
    guessed from the run's by counting phonemes.
    """

    entered: int
    first_word: int
    last_word: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Passage:
    """One recitation of one verse (as yet)."""

    verse: int
    stretches: tuple[Stretch, ...]

    @property
    def first_word(self) -> int:
        """The earliest word recited (global number)."""
        return min(s.first_word for s in self.stretches)

    @property
    def last_word(self) -> int:
        """The furthest word reached (global number)."""
        return max(s.last_word for s in self.stretches)

    @property
    def start(self) -> int:
        """First frame."""
        return self.stretches[0].start

    @property
    def end(self) -> int:
        """Frame after the last."""
        return self.stretches[-1].end


class PassageFinder:
    """Groups runs into passages."""

    def __init__(self, index: QuranIndex) -> None:
        self._index = index
        self._length = index.graph.word_states.astype(np.int64)  # counts both endings of a word

    def phonemes(self, first_word: int, last_word: int) -> int:
        """About how many phonemes the words have."""
        return int(self._length[last_word + 1] - self._length[first_word])

    def find(self, runs: Iterable[Run], decided: Callable[[int, Stretch], bool]) -> list[Passage]:
        """The passages of a path, in order, without the stretches (of a verse) already ``decided``.

        Going back inside a verse, or skipping ahead in it, stays in its passage, and so does
        reading on in it after an aside; beginning it anew after its last word opens another.
        """
        passages: list[Passage] = []
        for run in runs:
            for verse, stretch in self._split(run):
                if decided(verse, stretch):
                    continue
                opens, ends = self._index.first_word[verse : verse + 2].tolist()
                if self._is_aside(passages, verse, stretch):
                    passages.pop()
                last = passages[-1] if passages else None
                if last is not None and last.verse == verse:
                    complete = last.stretches[-1].last_word == ends - 1
                    if not (complete and stretch.first_word == opens):
                        passages[-1] = Passage(verse, (*last.stretches, stretch))
                        continue
                passages.append(Passage(verse, (stretch,)))
        return passages

    def _is_aside(self, passages: list[Passage], verse: int, stretch: Stretch) -> bool:
        """Whether the last passage only stands for words of the verse that is read on now."""
        if len(passages) < 2 or passages[-2].verse != verse:
            return False
        missed = stretch.first_word - passages[-2].stretches[-1].last_word - 1
        aside = sum(self.phonemes(s.first_word, s.last_word) for s in passages[-1].stretches)
        return 0 <= missed <= _MISSED and aside <= ASIDE

    def _split(self, run: Run) -> Iterable[tuple[int, Stretch]]:
        index, length = self._index, self._length
        base, total = length[run.first_word], self.phonemes(run.first_word, run.last_word)
        frames = run.end_frame - run.start_frame

        def frame(word: int) -> int:
            return run.start_frame + int(frames * (length[word] - base) // total)

        verses = index.verse_of_word[[run.first_word, run.last_word]].tolist()
        for verse in range(verses[0], verses[1] + 1):
            first = max(run.first_word, int(index.first_word[verse]))
            last = min(run.last_word, int(index.first_word[verse + 1]) - 1)
            yield verse, Stretch(run.start_frame, first, last, frame(first), frame(last + 1))
