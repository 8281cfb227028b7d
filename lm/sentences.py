"""The Quran as the n-gram models see it: one sentence for what is said between two pauses.

A verse ends in a pause, and within a verse the mushaf's pause signs say where the reading may
rest. So a model's ``</s>`` means a pause and its ``<s>`` a start after one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quran_index import QuranIndex

# The sign of a short silence without taking breath: the reading goes on as before.
_HELD_BREATH = "ۜ"


def breaths(index: QuranIndex, verses: Sequence[int] | None = None) -> list[tuple[int, int]]:
    """First and last word of each stretch without a pause, for some verses or all of the Quran."""
    if verses is None:
        verses = index.verses[: index.istiadha]
    pauses = index.pause_mark != 0
    pauses &= index.pause_mark != index.pause_marks.index(_HELD_BREATH)
    found = []
    for verse in verses:
        first, end = int(index.first_word[verse]), int(index.first_word[verse + 1])
        stops = np.flatnonzero(pauses[first : end - 1]) + first
        for stop in (*stops.tolist(), end - 1):
            found.append((first, stop))
            first = stop + 1
    return found


def words(index: QuranIndex, breath: tuple[int, int]) -> list[str]:
    """The Uthmani words of a stretch."""
    first, last = breath
    return [index.word_text(w) for w in range(first, last + 1)]


def phonemes(index: QuranIndex, breath: tuple[int, int]) -> list[str]:
    """The phonemes of a stretch said in one breath."""
    return [index.symbols[i] for i in index.spell(*breath).tolist()]
