"""What the commands write, read back: subtitles by FFmpeg, tables by the csv module."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import av
import pytest

from stream import Candidates, Ended, Event, Final, Statistics, VerseRef, WordTime
from stream.formats import SUFFIXES, make_format

WORDS = (
    WordTime(word=2, start=3599.5, end=3600.25, confidence=0.91),
    WordTime(word=3, start=3600.25, end=3601.0, confidence=0.5),
)
EVENTS: list[Event] = [
    Candidates(candidates=()),
    Final(
        **{"slot": 0, "surah": 112, "ayah": 1, "start": 0.0, "end": 1.2345, "confidence": 1.0},
        **{"words": (), "first_word": 1, "last_word": 4},
    ),
    Final(
        **{"slot": 1, "surah": 55, "ayah": 13, "start": 3599.5, "end": 3601.0},
        **{"confidence": 0.75, "words": WORDS, "first_word": 2, "last_word": 3},
        ambiguous_with=(VerseRef(55, 16), VerseRef(55, 18)),
    ),
    Ended(
        **{"reason": "end", "error": None, "finals": (), "warnings": ()},
        statistics=Statistics(0, 0, 0, 0, 0, 0, 0, 0),
    ),
]


def written(name, index, **options) -> str:
    form = make_format(name, index, **options)
    return form.head + "".join(form.write(event) for event in EVENTS)


def read_by_ffmpeg(path: Path) -> list[tuple[float, float, str]]:
    with av.open(str(path)) as container:
        (stream,) = container.streams
        base = float(stream.time_base)
        return [
            (p.pts * base, (p.pts + p.duration) * base, bytes(p).decode())
            for p in container.demux(stream)
            if p.size
        ]


@pytest.mark.parametrize("name", ["srt", "vtt"])
def test_subtitles_of_verses_and_words(name, index, tmp_path):
    verse, later = (index.words(index.verse_of(*v)) for v in ((112, 1), (55, 13)))
    path = tmp_path / f"a{SUFFIXES[name]}"
    path.write_text(written(name, index))
    assert read_by_ffmpeg(path) == [
        (0.0, 1.234, f"{' '.join(verse)} (112:1)"),
        (3599.5, 3601.0, f"{later[1]} {later[2]} (55:13)"),
    ]
    path.write_text(written(name, index, words=True))
    assert read_by_ffmpeg(path) == [(3599.5, 3600.25, later[1]), (3600.25, 3601.0, later[2])]


def test_subrip_is_numbered_through(index):
    lines = written("srt", index).splitlines()
    assert lines[0] == "1"
    assert lines[1] == "00:00:00,000 --> 00:00:01,234"
    assert lines[4] == "2"
    assert lines[5] == "00:59:59,500 --> 01:00:01,000"


def test_table_of_verses(index):
    first, second = csv.DictReader(io.StringIO(written("csv", index, source="a,b.mp3")))
    assert (first["file"], first["surah"], first["ayah"]) == ("a,b.mp3", "112", "1")
    assert (second["start"], second["end"], second["confidence"]) == ("3599.5", "3601.0", "0.75")
    assert (second["first_word"], second["last_word"]) == ("2", "3")
    assert second["ambiguous_with"] == "55:16 55:18"
    assert second["text"] == index.text(index.verse_of(55, 13))


def test_table_of_words(index):
    rows = list(csv.DictReader(io.StringIO(written("csv", index, words=True))))
    assert [(row["surah"], row["ayah"], row["word"]) for row in rows] == [
        ("55", "13", "2"),
        ("55", "13", "3"),
    ]
    assert rows[1]["start"] == "3600.25"
    assert rows[1]["text"] == index.words(index.verse_of(55, 13))[2]
    assert "file" not in rows[0]


def test_json_is_every_event(index):
    lines = [json.loads(line) for line in written("json", index, source="a.mp3").splitlines()]
    assert [line["type"] for line in lines] == ["candidates", "final", "final", "ended"]
    assert {line["file"] for line in lines} == {"a.mp3"}
    assert all("file" not in json.loads(line) for line in written("json", index).splitlines())
