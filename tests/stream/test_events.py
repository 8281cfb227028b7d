from __future__ import annotations

import dataclasses
import json

import pytest

import stream
from stream import (
    Candidate,
    Candidates,
    Ended,
    Event,
    Final,
    Mistake,
    NotQuran,
    Provisional,
    Retracted,
    SpeechEnded,
    SpeechStarted,
    Statistics,
    VerseRef,
    Warned,
    Word,
    WordTime,
)
from stream.text import Narrator

FINAL = Final(
    slot=0,
    surah=55,
    ayah=13,
    start=1.23456,
    end=5.0,
    confidence=0.9,
    words=(WordTime(1, 1.2, 2.0, 0.8),),
    first_word=1,
    last_word=4,
    ambiguous_with=(VerseRef(55, 16),),
)
WARNED = Warned(code="narrow_band", message="record at 16000 or more", at=0.0)
ONE_OF_EACH: list[Event] = [
    SpeechStarted(at=0.5),
    SpeechEnded(at=2.5),
    Candidates(candidates=(Candidate(1, 1, 0.5),)),
    Provisional(slot=0, surah=1, ayah=1, current_word=1, words_total=4, confidence=0.5),
    Word(slot=0, surah=1, ayah=1, word=1, start=0.5, end=0.9, status="recited"),
    FINAL,
    Retracted(slot=1, surah=1, ayah=2, reason="unclear"),
    NotQuran(since=3.0),
    Mistake(slot=0, surah=1, ayah=2, word=2, expected="لله", heard="", confidence=0.7),
    WARNED,
    Ended(
        reason="error",
        error="the file broke",
        finals=(FINAL,),
        warnings=(WARNED,),
        statistics=Statistics(10, 9, 1, 0.1, 20, 5, 6, 7),
    ),
]


def test_there_is_a_sample_of_every_type():
    kinds = {kind for kind in vars(stream).values() if isinstance(kind, type)}
    events = {kind for kind in kinds if issubclass(kind, Event)} - {Event}
    assert {type(event) for event in ONE_OF_EACH} == events


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: event.type)
def test_an_event_is_a_line_of_json_that_carries_all_of_it(event):
    stamped = dataclasses.replace(
        event, stream_id="s", seq=3, audio_time=1.25, wall_time=1_700_000_000.1234567
    )
    line = stamped.to_json()
    assert "\n" not in line
    data = json.loads(line)
    assert list(data)[:5] == ["type", "stream_id", "seq", "audio_time", "wall_time"]
    assert data["type"] == event.type
    assert data["wall_time"] == 1_700_000_000.1235
    assert data.keys() == {"type"} | {field.name for field in dataclasses.fields(event)}
    with pytest.raises(dataclasses.FrozenInstanceError):
        stamped.seq = 4


def test_nested_values_become_plain_and_rounded():
    data = FINAL.to_dict()
    assert data["words"] == [{"word": 1, "start": 1.2, "end": 2.0, "confidence": 0.8}]
    assert data["ambiguous_with"] == [{"surah": 55, "ayah": 16}]
    assert data["start"] == 1.2346
    ended = json.loads(ONE_OF_EACH[-1].to_json())
    assert ended["finals"][0]["type"] == "final"
    assert ended["statistics"]["hop_ms_p95"] == 6


def test_people_are_told_what_matters(index):
    narrator = Narrator(index)
    lines = [narrator.line(event) for event in ONE_OF_EACH]
    told = dict(zip([event.type for event in ONE_OF_EACH], lines, strict=True))
    assert told["word"] is None
    assert told["provisional"].endswith(f"? 1:1  {index.text(0)}")
    assert told["final"].endswith("55:13  " + index.text(index.verse_of(55, 13)) + " or 55:16")
    assert told["ended"].endswith("1 verse(s) in 10.0 s of audio, computed in 1.0 s")
    again = dataclasses.replace(ONE_OF_EACH[3], current_word=2)
    assert narrator.line(again) is None


def test_a_part_of_a_verse_is_told_as_such(index):
    part = dataclasses.replace(FINAL, surah=112, ayah=1, first_word=2, ambiguous_with=())
    assert Narrator(index).line(part).endswith("words 2-4")
