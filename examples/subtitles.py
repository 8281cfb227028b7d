"""Subtitles of a recitation: every verse, or every word, with its times.

python -m examples.subtitles FILE                   # SRT, a subtitle per verse
python -m examples.subtitles FILE --words           # SRT, a subtitle per word
python -m examples.subtitles FILE --json            # verses and their words, as JSON
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from quran_index import QuranIndex
from stream import Final, Recognizer, StreamError

Subtitle = tuple[float, float, str]  # start and end in seconds, text


def timestamp(seconds: float) -> str:
    """``HH:MM:SS,mmm``"""
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02},{milliseconds % 1000:03}"


def srt(subtitles: Iterable[Subtitle]) -> str:
    return "\n".join(
        f"{number}\n{timestamp(start)} --> {timestamp(end)}\n{text}\n"
        for number, (start, end, text) in enumerate(subtitles, 1)
    )


def verse_subtitle(final: Final, index: QuranIndex) -> Subtitle:
    text = index.text(index.verse_of(final.surah, final.ayah))
    return final.start, final.end, f"{text} ({final.surah}:{final.ayah})"


def word_subtitles(final: Final, index: QuranIndex) -> list[Subtitle]:
    texts = index.words(index.verse_of(final.surah, final.ayah))
    return [(word.start, word.end, texts[word.word - 1]) for word in final.words]


def as_data(final: Final, index: QuranIndex) -> dict[str, Any]:
    start, end, _ = verse_subtitle(final, index)
    words = [
        {"start": round(start, 3), "end": round(end, 3), "text": text}
        for start, end, text in word_subtitles(final, index)
    ]
    reference = {"surah": final.surah, "ayah": final.ayah}
    return reference | {"start": round(start, 3), "end": round(end, 3), "words": words}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="subtitles", description="Subtitles of a recitation.")
    parser.add_argument("file")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--words", action="store_true", help="a subtitle per word")
    form.add_argument("--json", action="store_true", help="JSON instead of SRT")
    args = parser.parse_args(arguments)
    recognizer = Recognizer.load()
    index = recognizer.engine.index
    try:
        ended = recognizer.recognize(args.file)
    except StreamError as error:
        print(error, file=sys.stderr)
        return 1
    for warning in ended.warnings:
        print(f"{warning.at:.1f} s: {warning.message}", file=sys.stderr)
    if args.json:
        data = [as_data(final, index) for final in ended.finals]
        print(json.dumps(data, ensure_ascii=False, indent=1))
    elif args.words:
        print(srt(s for final in ended.finals for s in word_subtitles(final, index)))
    else:
        print(srt(verse_subtitle(final, index) for final in ended.finals))
    return 1 if ended.error else 0


if __name__ == "__main__":
    sys.exit(main())
