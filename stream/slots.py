"""What an application is shown: verses in numbered slots, and the words told in them.

A slot opens when a verse is shown, may change its verse while it is open, and is closed by its
final or withdrawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from decoders.align import WordTime as Aligned
from quran_index import QuranIndex

from .clock import FrameClock
from .events import Candidate, Event, Final, Provisional, Retracted, VerseRef, Word, WordTime
from .passages import Passage

_LISTED, _LEAST = 5, 0.02  # how many verses are listed, and the least probability worth listing

Posteriors = Mapping[int, float]
"""Probability of each verse, likeliest first."""


@dataclass(slots=True)
class Slot:
    """An open slot: what it shows, and the last word (global number) told in it."""

    number: int
    verse: int
    shown: Provisional | None = None
    told: int = -1


def listed(posteriors: Posteriors, but: int = -1) -> list[tuple[int, float]]:
    """The verses worth listing, without the verse ``but``."""
    return [(v, p) for v, p in posteriors.items() if v != but and p >= _LEAST][:_LISTED]


class Slots:
    """The open slots of one recitation; ``clock`` maps the frames of words to audio seconds."""

    def __init__(self, index: QuranIndex, clock: FrameClock) -> None:
        self._index = index
        self._clock = clock
        self._taken = 0
        self.open: list[Slot] = []

    def of(self, pending: Sequence[Passage], which: int) -> tuple[Slot | None, list[Slot]]:
        """The slot of one pending passage, and the slots that show none of them."""
        strays = list(self.open)
        found = None
        for i, passage in enumerate(pending):
            slot = next((s for s in strays if s.verse == passage.verse), None)
            if slot is not None:
                strays.remove(slot)
            if i == which:
                found = slot
        return found, strays

    def take(self, strays: list[Slot], verse: int) -> Slot:
        """A slot for a verse that has none: a stray one changes its verse, else a new one opens."""
        if strays:
            slot = strays.pop(0)
            slot.verse, slot.told = verse, -1
        else:
            slot = Slot(self._taken, verse)
            self._taken += 1
            self.open.append(slot)
        return slot

    def close(self, slot: Slot) -> None:
        """Its verse is final."""
        self.open.remove(slot)

    def withdraw(self, slot: Slot, reason: str) -> Event:
        """`retracted`; the slot is closed."""
        self.open.remove(slot)
        surah, ayah = self._index.reference(slot.verse)
        return Retracted(slot=slot.number, surah=surah, ayah=ayah, reason=reason)

    def provisional(
        self, slot: Slot, passage: Passage, confidence: float, posteriors: Posteriors
    ) -> Provisional:
        """What a slot is to show of a passage."""
        index = self._index
        surah, ayah = index.reference(passage.verse)
        opens, end = index.first_word[passage.verse : passage.verse + 2].tolist()
        return Provisional(
            slot=slot.number,
            surah=surah,
            ayah=ayah,
            current_word=passage.stretches[-1].last_word - opens + 1,
            words_total=end - opens,
            confidence=confidence,
            alternatives=tuple(
                Candidate(*index.reference(v), p) for v, p in listed(posteriors, passage.verse)
            ),
        )

    def words(self, slot: Slot, words: Sequence[Aligned]) -> list[Event]:
        """`word` for each of ``words`` that was not told before."""
        surah, ayah = self._index.reference(slot.verse)
        opens = int(self._index.first_word[slot.verse])
        told = [w for w in words if w.word > slot.told]
        if told:
            slot.told = told[-1].word
        return [
            Word(
                slot=slot.number,
                surah=surah,
                ayah=ayah,
                word=w.word - opens + 1,
                start=self._clock.at(w.start),
                end=self._clock.at(w.end),
                status="recited",
            )
            for w in told
        ]

    def final(
        self,
        slot: Slot,
        passage: Passage,
        words: Sequence[Aligned],
        probability: float,
        posteriors: Posteriors,
    ) -> Final:
        """A passage as a slot's last word on it."""
        index, clock, verse = self._index, self._clock, passage.verse
        surah, ayah = index.reference(verse)
        opens = int(index.first_word[verse])
        rivals = [v for v in index.identical(verse) if v != verse]
        mine = posteriors.get(verse, 1.0)
        return Final(
            slot=slot.number,
            surah=surah,
            ayah=ayah,
            start=clock.at(words[0].start),
            end=clock.at(words[-1].end),
            confidence=probability,
            words=tuple(
                WordTime(w.word - opens + 1, clock.at(w.start), clock.at(w.end), w.confidence)
                for w in words
            ),
            first_word=passage.first_word - opens + 1,
            last_word=passage.last_word - opens + 1,
            ambiguous_with=tuple(
                VerseRef(*index.reference(v)) for v in rivals if posteriors.get(v, 0.0) >= mine / 2
            ),
        )
