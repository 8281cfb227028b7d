"""Events as the recogniser would send them, for situations that no recording brings about."""

from __future__ import annotations

from quran_index import QuranIndex
from stream.events import (
    Candidate,
    Final,
    Mistake,
    Provisional,
    VerseRef,
    Word,
    WordTime,
)

INDEX = QuranIndex.load()


def words_of(surah: int, ayah: int) -> list[str]:
    return INDEX.words(INDEX.verse_of(surah, ayah))


def provisional(
    slot: int, surah: int, ayah: int, current: int, *alternatives: Candidate
) -> Provisional:
    return Provisional(
        slot=slot,
        surah=surah,
        ayah=ayah,
        current_word=current,
        words_total=len(words_of(surah, ayah)),
        confidence=0.9,
        alternatives=alternatives,
    )


def word(slot: int, surah: int, ayah: int, number: int) -> Word:
    return Word(
        slot=slot,
        surah=surah,
        ayah=ayah,
        word=number,
        start=number - 1.0,
        end=float(number),
        status="recited",
    )


def final(
    slot: int,
    surah: int,
    ayah: int,
    first: int = 1,
    last: int | None = None,
    *,
    start: float = 0.0,
    ambiguous_with: tuple[VerseRef, ...] = (),
) -> Final:
    """A verse recited with a second for each word."""
    last = len(words_of(surah, ayah)) if last is None else last
    times = [
        WordTime(word=number, start=start + i, end=start + i + 1, confidence=0.9)
        for i, number in enumerate(range(first, last + 1))
    ]
    return Final(
        slot=slot,
        surah=surah,
        ayah=ayah,
        start=start,
        end=times[-1].end,
        confidence=0.93,
        words=tuple(times),
        first_word=first,
        last_word=last,
        ambiguous_with=ambiguous_with,
    )


def mistake(slot: int, surah: int, ayah: int, number: int, heard: str = "") -> Mistake:
    """`number` 0: the verse was skipped; without `heard` the word was."""
    expected = words_of(surah, ayah)[number - 1] if number else " ".join(words_of(surah, ayah))
    return Mistake(
        slot=slot,
        surah=surah,
        ayah=ayah,
        word=number,
        expected=expected,
        heard=heard,
        confidence=0.8,
    )
