"""Subtitles of a recitation: SubRip (.srt) and WebVTT (.vtt)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from quran_index import QuranIndex

from .events import Final


@dataclass(frozen=True, slots=True)
class Cue:
    """A text shown from `start` to `end`, in seconds of the audio."""

    start: float
    end: float
    text: str


def verse_cues(final: Final, index: QuranIndex) -> list[Cue]:
    """One cue: the words that were recited, with the verse's number."""
    words = index.words(index.verse_of(final.surah, final.ayah))
    text = " ".join(words[final.first_word - 1 : final.last_word])
    number = f" ({final.surah}:{final.ayah})" if final.surah else ""
    return [Cue(final.start, final.end, text + number)]


def word_cues(final: Final, index: QuranIndex) -> list[Cue]:
    """A cue for each word that was recited."""
    words = index.words(index.verse_of(final.surah, final.ayah))
    return [Cue(word.start, word.end, words[word.word - 1]) for word in final.words]


def srt(cues: Iterable[Cue], *, first: int = 1) -> str:
    """The cues as SubRip blocks, numbered from `first`."""
    return "".join(
        f"{number}\n{_time(cue.start, ',')} --> {_time(cue.end, ',')}\n{cue.text}\n\n"
        for number, cue in enumerate(cues, first)
    )


VTT_HEAD = "WEBVTT\n\n"
"""What a WebVTT file begins with."""


def vtt(cues: Iterable[Cue]) -> str:
    """The cues as WebVTT blocks, to stand after `VTT_HEAD`."""
    return "".join(
        f"{_time(cue.start, '.')} --> {_time(cue.end, '.')}\n{cue.text}\n\n" for cue in cues
    )


def _time(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"
