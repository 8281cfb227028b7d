"""Follows a recording and writes subtitles beside it, verse by verse, as they are recognised.

    python -m examples.subtitles recitation.mp3             # writes recitation.srt
    python -m examples.subtitles recitation.mp3 --words     # a subtitle for each word

(For whole folders, and WebVTT, there is `python -m stream.replay --srt --out DIR FOLDER`.)
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from stream import FileSource, Final, Recognizer, StreamError
from stream.subtitles import srt, verse_cues, word_cues


async def follow(recording: Path, subtitles: Path, words: bool) -> None:
    recognizer = Recognizer.load()
    index = recognizer.engine.index
    cues_of = word_cues if words else verse_cues
    written = 0
    with subtitles.open("w", encoding="utf-8") as file:
        async with recognizer.stream() as stream:
            async for event in stream.run(FileSource(recording)):
                if isinstance(event, Final):
                    cues = cues_of(event, index)
                    file.write(srt(cues, first=written + 1))
                    written += len(cues)
    print(f"{written} subtitles in {subtitles}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="subtitles", description="Subtitles of a recitation.")
    parser.add_argument("recording", type=Path)
    parser.add_argument("--words", action="store_true", help="a subtitle for each word")
    options = parser.parse_args(arguments)
    subtitles = options.recording.with_suffix(".srt")
    try:
        asyncio.run(follow(options.recording, subtitles, options.words))
    except StreamError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
