"""What the decoders believe before they hear anything, as arrays over the words of the Quran.

The priors come from the word n-gram model, but are computed once (``python -m lm.build``), so that
decoding needs no n-gram library. All are natural logarithms.

- Somewhere in the Quran a reading begins: at the start of a verse with probability
  `VERSE_START_MASS`, each verse being as likely as any other (a prior of popularity would make
  famous verses of rare ones); else inside a verse, at a word before which the model expects a pause
  and which it expects to start a breath.
- After a word a reciter pauses or reads on. Verses end in a pause with `VERSE_END_PAUSE`. Inside
  them the model's probability of an end decides, but never as much as that it rules out either.
- After a pause a reciter leaves the order of the text: takes some of the words just recited up
  again (`BACK`), says the verse again from its start (`REPEAT`), goes back a verse or a few
  (`BACK_VERSE`), leaves out a word or a few (`SKIP`) or a verse or two (`SKIP_VERSE`), or goes on
  anywhere else in the Quran (`JUMP`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quran_index import QuranIndex

DATA_PATH = Path(__file__).with_name("data") / "priors.npz"

VERSE_START_MASS = 0.8
VERSE_END_PAUSE = 0.9
JUMP = 0.05

BACK, BACK_DECAY, BACK_WORDS = 0.035, 0.75, 10
"""How often words are taken up again, how much less often each word more is, and the most of them:
counted in 2.3 hours of six studio readers (42 times at about 1,200 stops)."""

REPEAT, BACK_VERSE, BACK_VERSES = 0.02, 0.003, 3
"""Each verse back is as likely as another. People who learn do it; in studios nobody does."""

SKIP, SKIP_WORDS = 5e-5, 3
SKIP_VERSE, SKIP_VERSES = 5e-4, 2
"""Of each word or verse; studio readers leave out none, so that what is heard of it there is an
error of the acoustic model: at 40 times this probability, 27 in 6,200 words."""

LEAST_PAUSE, MOST_PAUSE = 0.01, 0.6
"""Bounds of the probability of a pause inside a verse."""

USUAL_PAUSE = 0.07
"""Share of the words inside verses after which reciters pause."""

LEAST_ENTRY = 0.1
"""The least likely entry inside a verse, as a share of the average one."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Priors:
    """Priors over W words, natural logarithms, float32.

    Attributes:
        entry: [W] beginning to read at a word.
        pause: [W] pausing after a word.
        run_on: [W] reading on after a word within the same breath, ``log(1 - exp(pause))``.
        jump: leaving the order of the text after a pause; where to is ``entry``.
        near: [2R + 1] going on at a word so far from the last one in the same verse, which is in
            the middle.
        verses: [2S + 1] going on at the start of a verse so far from the present one, which is in
            the middle.
    """

    entry: Floats
    pause: Floats
    run_on: Floats
    jump: float
    near: Floats
    verses: Floats

    @classmethod
    def load(cls, path: Path = DATA_PATH) -> Priors:
        """The priors taken from the shipped word model.

        Raises:
            FileNotFoundError: the data file is missing (``python -m lm.build`` makes it).
        """
        with np.load(path) as archive:
            return cls._of(archive["entry"], archive["pause"])

    @classmethod
    def uniform(cls, index: QuranIndex) -> Priors:
        """Priors that know where verses begin and end, and treat all words inside them alike."""
        words = len(index.verse_of_word)
        return cls.weighted(index, np.ones(words), np.full(words, USUAL_PAUSE))

    @classmethod
    def weighted(
        cls, index: QuranIndex, start: npt.NDArray[np.float64], stop: npt.NDArray[np.float64]
    ) -> Priors:
        """Priors from weights (of any sum) of starting at each word, and probabilities of stopping.

        Both are [W]; what they say of the starts and ends of verses is not used.
        """
        first, last = index.first_word[:-1], index.first_word[1:] - 1
        inside = np.ones(len(start), bool)
        inside[first] = False
        weight = np.maximum(start, LEAST_ENTRY * start[inside].mean())
        entry = weight * (1.0 - VERSE_START_MASS) / weight[inside].sum()
        entry[first] = VERSE_START_MASS / len(first)
        pause = np.clip(stop, LEAST_PAUSE, MOST_PAUSE)
        pause[last] = VERSE_END_PAUSE
        return cls._of(np.log(entry).astype(np.float32), np.log(pause).astype(np.float32))

    @classmethod
    def _of(cls, entry: Floats, pause: Floats) -> Priors:
        run_on = np.log1p(-np.exp(pause))
        near, verses = _near(), _verses()
        for array in (entry, pause, run_on, near, verses):
            array.flags.writeable = False
        return cls(entry, pause, run_on, math.log(JUMP), near, verses)

    def save(self, path: Path) -> None:
        """Write what `load` reads."""
        np.savez_compressed(path, entry=self.entry, pause=self.pause)


def _near() -> Floats:
    """`Priors.near`; the next word is no move."""
    near = np.full(2 * BACK_WORDS + 1, -np.inf)
    back = BACK_DECAY ** np.arange(BACK_WORDS)
    near[BACK_WORDS:0:-1] = np.log(BACK * back / back.sum())
    near[BACK_WORDS + 2 : BACK_WORDS + 2 + SKIP_WORDS] = math.log(SKIP)
    return near.astype(np.float32)


def _verses() -> Floats:
    """`Priors.verses`; the next verse is no move."""
    verses = np.full(2 * BACK_VERSES + 1, -np.inf)
    verses[:BACK_VERSES] = math.log(BACK_VERSE)
    verses[BACK_VERSES] = math.log(REPEAT)
    verses[BACK_VERSES + 2 : BACK_VERSES + 2 + SKIP_VERSES] = math.log(SKIP_VERSE)
    return verses.astype(np.float32)
