"""What the commands can write: events told in lines, as JSON, as subtitles, as a table."""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Iterable
from typing import Literal, Protocol

from quran_index import QuranIndex

from .events import Event, Final
from .subtitles import VTT_HEAD, srt, verse_cues, vtt, word_cues
from .text import Narrator

FormatName = Literal["text", "json", "srt", "vtt", "csv"]


SUFFIXES: dict[FormatName, str] = {
    "text": ".txt",
    "json": ".jsonl",
    "srt": ".srt",
    "vtt": ".vtt",
    "csv": ".csv",
}
"""Of files that hold a format."""


class Format(Protocol):
    """How one stream's events are written. Texts bring their line ends."""

    head: str
    """What comes before anything else."""

    def write(self, event: Event) -> str:
        """What the event adds; nothing, if it does not matter here."""
        ...


def make_format(
    name: FormatName, index: QuranIndex, *, source: str | None = None, words: bool = False
) -> Format:
    """A format for one stream.

    `source` names the recording in those formats that hold several (None: there is but one);
    `words` makes subtitles and tables of words instead of verses.
    """
    match name:
        case "text":
            return _Lines(index)
        case "json":
            return _JsonLines(source)
        case "srt":
            return _Srt(index, words)
        case "vtt":
            return _Vtt(index, words)
        case "csv":
            return _Csv(index, words, source)


def add_format_options(parser: argparse.ArgumentParser) -> None:
    """Options that set `format` and `words`."""
    group = parser.add_argument_group("what to write (default: lines for people)")
    either = group.add_mutually_exclusive_group()
    for name, told in {
        "json": "every event as it comes, one JSON object a line",
        "srt": "subtitles (SubRip), a verse at a time",
        "vtt": "subtitles (WebVTT), a verse at a time",
        "csv": "a table of the verses recited",
    }.items():
        either.add_argument(
            f"--{name}", dest="format", action="store_const", const=name, default="text", help=told
        )
    group.add_argument(
        "--words", action="store_true", help="--srt, --vtt and --csv of words instead of verses"
    )


def check_format_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Ends the program if the options of `add_format_options` contradict each other."""
    if options.words and options.format not in ("srt", "vtt", "csv"):
        parser.error("--words goes with --srt, --vtt or --csv")


class _Lines:
    head = ""

    def __init__(self, index: QuranIndex) -> None:
        self._narrator = Narrator(index)

    def write(self, event: Event) -> str:
        line = self._narrator.line(event)
        return "" if line is None else line + "\n"


class _JsonLines:
    head = ""

    def __init__(self, source: str | None) -> None:
        self._source = {} if source is None else {"file": source}

    def write(self, event: Event) -> str:
        data = event.to_dict()
        data = {"type": data.pop("type"), **self._source, **data}
        return json.dumps(data, ensure_ascii=False) + "\n"


class _Srt:
    head = ""

    def __init__(self, index: QuranIndex, words: bool) -> None:
        self._index = index
        self._cues = word_cues if words else verse_cues
        self._next = 1

    def write(self, event: Event) -> str:
        if not isinstance(event, Final):
            return ""
        cues = self._cues(event, self._index)
        first, self._next = self._next, self._next + len(cues)
        return srt(cues, first=first)


class _Vtt:
    head = VTT_HEAD

    def __init__(self, index: QuranIndex, words: bool) -> None:
        self._index = index
        self._cues = word_cues if words else verse_cues

    def write(self, event: Event) -> str:
        return vtt(self._cues(event, self._index)) if isinstance(event, Final) else ""


class _Csv:
    """Words and verses are numbered from 1, times are seconds."""

    _VERSE = ("surah", "ayah", "start", "end", "confidence")
    _OF_VERSES = (*_VERSE, "first_word", "last_word", "ambiguous_with", "text")
    _OF_WORDS = (*_VERSE, "word", "text")

    def __init__(self, index: QuranIndex, words: bool, source: str | None) -> None:
        self._index = index
        self._words = words
        self._source = [] if source is None else [source]
        named = [] if source is None else ["file"]
        self.head = _row([*named, *(self._OF_WORDS if words else self._OF_VERSES)])

    def write(self, event: Event) -> str:
        if not isinstance(event, Final):
            return ""
        rows = self._word_rows(event) if self._words else [self._verse_row(event)]
        return "".join(_row([*self._source, event.surah, event.ayah, *row]) for row in rows)

    def _verse_row(self, final: Final) -> list[object]:
        return [
            *_rounded(final.start, final.end, final.confidence),
            final.first_word,
            final.last_word,
            " ".join(f"{verse.surah}:{verse.ayah}" for verse in final.ambiguous_with),
            self._index.text(self._index.verse_of(final.surah, final.ayah)),
        ]

    def _word_rows(self, final: Final) -> Iterable[list[object]]:
        for time, cue in zip(final.words, word_cues(final, self._index), strict=True):
            yield [*_rounded(time.start, time.end, time.confidence), time.word, cue.text]


def _rounded(*values: float) -> list[float]:
    return [round(value, 3) for value in values]


def _row(values: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()
