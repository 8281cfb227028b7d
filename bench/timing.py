"""What a listener waits for: the measures of time, as functions of events and of a reference.

All times are seconds of audio, which is what decisions are taken on. A `Shown` may carry a wall
clock instead: the functions do not mind which.

- *First correct*: from the first sound of the recitation to the first time that a verse is shown
  which was recited (or sounds like one that was) and which stays shown until it is final. Infinite
  where there is none. Its *excess* is over the unique-prefix time (`unique_word`): nobody can be
  earlier without guessing.
- *Finalisation*: from the end of a verse's last word to its final event.
- *Flicker*: verses shown and withdrawn, per recited verse.
- *Word lag*: from the end of a word to its event.
- *Word starts*: those told, less those of the reference.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from quran_index import QuranIndex
from stream import Event, Final, Provisional, Retracted, Word

from .scoring import Verse, hits


@dataclass(frozen=True, slots=True)
class Spoken:
    """A verse as it was recited: when each of its words began and ended."""

    verse: Verse
    starts: tuple[float, ...]
    ends: tuple[float, ...]

    @property
    def start(self) -> float:
        return self.starts[0]

    @property
    def end(self) -> float:
        return self.ends[-1]


@dataclass(frozen=True, slots=True)
class Shown:
    """A verse that stood in a slot from ``start`` to ``end``; ``kept`` if it then became final."""

    verse: Verse
    slot: int
    start: float
    end: float
    kept: bool


def shown(events: Iterable[Event]) -> list[Shown]:
    """Every verse that was shown, in the order in which they appeared.

    A verse that was final without being shown before is not among them.
    """
    slots: dict[int, tuple[Verse, float]] = {}
    seen: list[Shown] = []

    def close(slot: int, verse: Verse | None, at: float) -> None:
        """What the slot showed ends, unless it is ``verse`` and goes on."""
        if slot in slots:
            before, since = slots.pop(slot)
            seen.append(Shown(before, slot, since, at, kept=before == verse))

    for event in events:
        at = event.audio_time
        if isinstance(event, Provisional):
            verse = (event.surah, event.ayah)
            if event.slot not in slots or slots[event.slot][0] != verse:
                close(event.slot, None, at)
                slots[event.slot] = verse, at
        elif isinstance(event, Final):
            close(event.slot, (event.surah, event.ayah), at)
        elif isinstance(event, Retracted):
            close(event.slot, None, at)
    return sorted(seen, key=lambda s: s.start)


def first_correct(seen: Iterable[Shown], accepted: frozenset[Verse]) -> float:
    """When the first verse of ``accepted`` appeared that was kept; infinity if none did."""
    return min((s.start for s in seen if s.kept and s.verse in accepted), default=math.inf)


def withdrawn(seen: Iterable[Shown]) -> int:
    """How many verses were shown and taken back."""
    return sum(not s.kept for s in seen)


class Prefixes:
    """Which verses begin with given words. Words count as they sound said alone."""

    def __init__(self, index: QuranIndex) -> None:
        self._index = index
        self._sounds: dict[int, str] = {}
        self._beginning: dict[str, list[int]] = {}  # verses by the sound of their first word
        for verse in index.verses[: index.istiadha]:
            first = int(index.first_word[verse])
            self._beginning.setdefault(self._sound(first), []).append(verse)

    def sounding_like(self, verses: Iterable[Verse]) -> frozenset[Verse]:
        """The verses, and those that sound the same as one of them."""
        index = self._index
        return frozenset(
            index.reference(same)
            for verse in verses
            for same in index.identical(index.verse_of(*verse))
        )

    def unique_word(self, verse: Verse) -> int:
        """The word (from 0) after which no other verse begins like this one.

        Verses that sound the same count as one. The verse's last word where another verse, a
        longer one, still begins like it.
        """
        index = self._index
        number = index.verse_of(*verse)
        first, end = (int(word) for word in index.first_word[number : number + 2])
        same = index.identical(number)
        rivals = [v for v in self._beginning[self._sound(first)] if v not in same]
        for word in range(first, end):
            rivals = [v for v in rivals if self._says(v, word - first, self._sound(word))]
            if not rivals:
                return word - first
        return end - first - 1

    def _says(self, verse: int, position: int, sound: str) -> bool:
        word = int(self._index.first_word[verse]) + position
        return word < self._index.first_word[verse + 1] and self._sound(word) == sound

    def _sound(self, word: int) -> str:
        form = int(self._index.form_of_word[word])
        if form not in self._sounds:
            self._sounds[form] = self._index.forms(word).spell(initial=True, pausal=True)
        return self._sounds[form]


def matched(spoken: Sequence[Spoken], finals: Sequence[Final]) -> Iterator[tuple[int, Final]]:
    """The verses (by position) that were found, as recall counts them, and their finals."""
    predicted = [(f.surah, f.ayah) for f in finals]
    pointer = 0
    for i, hit in enumerate(hits([s.verse for s in spoken], predicted)):
        if hit:
            at = predicted.index(spoken[i].verse, pointer)
            pointer = at + 1
            yield i, finals[at]


def word_lags(spoken: Spoken, final: Final, events: Iterable[Event]) -> list[float]:
    """From the end of each word of a verse to its ``word`` event.

    Words told more than once (the verse was withdrawn from the slot and came back) count as told
    first.
    """
    told: dict[int, float] = {}
    for event in events:
        if (
            isinstance(event, Word)
            and event.slot == final.slot
            and (event.surah, event.ayah) == spoken.verse
        ):
            told.setdefault(event.word, event.audio_time)
    return [at - spoken.ends[word - 1] for word, at in told.items() if word <= len(spoken.ends)]


def word_offsets(spoken: Spoken, final: Final) -> list[float]:
    """Starts of the words of a final verse, less those of the reference."""
    return [w.start - spoken.starts[w.word - 1] for w in final.words]


def percentiles(values: Sequence[float], at: Sequence[int]) -> dict[str, float | None]:
    """The smallest value that is not below so many percent of all; None of nothing.

    No interpolation, so that infinities stay what they are.
    """
    ordered = sorted(values)
    return {
        f"p{p}": ordered[max(0, math.ceil(len(ordered) * p / 100) - 1)] if ordered else None
        for p in at
    }


def plain(numbers: Mapping[str, float | None]) -> dict[str, float | str | None]:
    """For JSON, which has no infinity: rounded to milliseconds, or "never"."""
    return {
        name: value if value is None else "never" if math.isinf(value) else round(value, 3)
        for name, value in numbers.items()
    }
