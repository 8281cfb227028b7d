"""The measures of time, on events made by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bench import timing
from bench.timing import Prefixes, Shown, Spoken
from quran_index import QuranIndex
from stream import Event, Final, Provisional, Retracted, Word, WordTime


def provisional(slot: int, surah: int, ayah: int, at: float) -> Event:
    return Provisional(
        slot=slot,
        surah=surah,
        ayah=ayah,
        current_word=1,
        words_total=4,
        confidence=0.9,
        audio_time=at,
    )


def final(slot: int, surah: int, ayah: int, at: float, *starts: float) -> Final:
    words = tuple(WordTime(i, start, start + 0.5, 1.0) for i, start in enumerate(starts, 1))
    return Final(
        slot=slot,
        surah=surah,
        ayah=ayah,
        start=0.0,
        end=1.0,
        confidence=0.9,
        words=words,
        first_word=1,
        last_word=len(words),
        audio_time=at,
    )


def word(slot: int, surah: int, ayah: int, number: int, at: float) -> Event:
    times: dict[str, Any] = {"start": 0.0, "end": 0.0, "status": "recited", "audio_time": at}
    return Word(slot=slot, surah=surah, ayah=ayah, word=number, **times)


def retracted(slot: int, surah: int, ayah: int, at: float) -> Event:
    return Retracted(slot=slot, surah=surah, ayah=ayah, reason="unclear", audio_time=at)


@pytest.fixture(scope="module")
def prefixes() -> Prefixes:
    return Prefixes(QuranIndex.load())


def test_a_verse_is_shown_until_it_is_final() -> None:
    events = [provisional(0, 2, 5, 1.0), provisional(0, 2, 5, 2.0), final(0, 2, 5, 4.0)]
    assert timing.shown(events) == [Shown((2, 5), 0, 1.0, 4.0, kept=True)]


def test_another_verse_in_its_slot_withdraws_it() -> None:
    events = [
        provisional(0, 3, 1, 1.0),
        provisional(1, 4, 1, 1.5),
        provisional(0, 2, 5, 2.0),
        retracted(1, 4, 1, 3.0),
        final(0, 2, 5, 4.0),
    ]
    seen = timing.shown(events)
    assert seen == [
        Shown((3, 1), 0, 1.0, 2.0, kept=False),
        Shown((4, 1), 1, 1.5, 3.0, kept=False),
        Shown((2, 5), 0, 2.0, 4.0, kept=True),
    ]
    assert timing.withdrawn(seen) == 2


def test_a_final_of_another_verse_withdraws_what_was_shown() -> None:
    seen = timing.shown([provisional(0, 3, 1, 1.0), final(0, 2, 5, 4.0)])
    assert seen == [Shown((3, 1), 0, 1.0, 4.0, kept=False)]


def test_first_correct_counts_only_what_was_kept() -> None:
    right = frozenset({(2, 5)})
    withdrawn_then_back = [
        provisional(0, 2, 5, 1.0),
        provisional(0, 3, 1, 2.0),
        provisional(0, 2, 5, 3.0),
        final(0, 2, 5, 4.0),
    ]
    assert timing.first_correct(timing.shown(withdrawn_then_back), right) == 3.0
    never = [provisional(0, 2, 5, 1.0), retracted(0, 2, 5, 2.0)]
    assert timing.first_correct(timing.shown(never), right) == math.inf
    other = [provisional(0, 3, 1, 1.0), final(0, 3, 1, 2.0)]
    assert timing.first_correct(timing.shown(other), right) == math.inf


@pytest.mark.parametrize(
    ("verse", "unique"),
    [
        ((2, 255), 7),  # 3:2 is its first seven words
        ((112, 1), 2),
        ((55, 13), 2),  # stands 31 times, which count as one
        ((68, 1), 0),
    ],
)
def test_unique_prefix(prefixes: Prefixes, verse: tuple[int, int], unique: int) -> None:
    assert prefixes.unique_word(verse) == unique


def test_a_verse_that_begins_another_is_unique_at_its_end(prefixes: Prefixes) -> None:
    # "Allah, there is no god but He, the Living, the Sustainer" begins the verse of the Throne.
    index = QuranIndex.load()
    assert prefixes.unique_word((3, 2)) == len(index.words(index.verse_of(3, 2))) - 1


def test_unique_prefixes_of_the_whole_text(prefixes: Prefixes) -> None:
    """Against comparing every verse's words with all others."""
    index = QuranIndex.load()
    sounds = {
        v: tuple(
            index.forms(w).spell(initial=True, pausal=True)
            for w in range(index.first_word[v], index.first_word[v + 1])
        )
        for v in index.verses[: index.istiadha]
    }
    for v in range(0, index.istiadha, 97):
        words, same = sounds[v], index.identical(v)
        expected = next(
            (
                n
                for n in range(len(words))
                if not any(
                    other not in same and said[: n + 1] == words[: n + 1]
                    for other, said in sounds.items()
                )
            ),
            len(words) - 1,
        )
        assert prefixes.unique_word(index.reference(v)) == expected


def test_sounding_like(prefixes: Prefixes) -> None:
    assert len(prefixes.sounding_like([(55, 13)])) == 31
    assert prefixes.sounding_like([(1, 2)]) == {(1, 2)}


def test_finals_are_matched_in_order() -> None:
    spoken = [Spoken((1, a), (a,), (a + 0.5,)) for a in (1, 2, 1, 3)]
    finals = [final(0, 1, 1, 2), final(1, 9, 9, 3), final(2, 1, 1, 4), final(3, 1, 3, 5)]
    found = [(i, f.slot) for i, f in timing.matched(spoken, finals)]
    assert found == [(0, 0), (2, 2), (3, 3)]


def test_words_are_timed_against_the_reference() -> None:
    spoken = Spoken((1, 2), (1.0, 2.0, 3.0), (2.0, 3.0, 4.5))
    done = final(7, 1, 2, 6.0, 1.1, 2.2, 2.9)
    events = [
        word(7, 1, 2, 1, 2.4),
        word(6, 1, 2, 2, 2.5),  # another slot
        word(7, 1, 3, 2, 2.6),  # another verse in the slot
        word(7, 1, 2, 2, 3.5),
        word(7, 1, 2, 2, 9.0),  # told again
        done,
    ]
    assert timing.word_lags(spoken, done, events) == pytest.approx([0.4, 0.5])
    assert timing.word_offsets(spoken, done) == pytest.approx([0.1, 0.2, -0.1])


def test_percentiles_are_values_and_infinity_is_kept() -> None:
    values = [math.inf, 1.0, 2.0, 3.0]
    assert timing.percentiles(values, (50, 75, 95)) == {"p50": 2.0, "p75": 3.0, "p95": math.inf}
    assert timing.percentiles([], (50,)) == {"p50": None}
    assert timing.plain({"a": math.inf, "b": 1.23456, "c": None}) == {
        "a": "never",
        "b": 1.235,
        "c": None,
    }
