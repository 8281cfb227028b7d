"""Helps to memorise a surah: waits for its next verse, and helps when it does not come.

    python -m examples.memorise 112                     # recite to the microphone, verse by verse
    python -m examples.memorise 112 recitation.mp3      # or check a recording

The words are not shown before they are recited; only after a wrong verse, or one broken off, it
tells the next. The exit status is 0 once the whole surah was recited.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from quran_index import QuranIndex
from stream import (
    AudioSource,
    Event,
    FileSource,
    Final,
    MicrophoneSource,
    Mistake,
    Recognizer,
    StreamError,
    VerseRef,
)

BASMALA = VerseRef(1, 1)
ISTIADHA = VerseRef(0, 1)


class Lesson:
    """Where in the surah the pupil is, and what to say about what was recited."""

    def __init__(self, index: QuranIndex, surah: int) -> None:
        self._index = index
        self._surah = surah
        self.ayah = 1  # the one that is awaited
        self.last = index.ayah_count(surah)

    @property
    def done(self) -> bool:
        return self.ayah > self.last

    def hear(self, event: Event) -> str | None:
        """What to say to the pupil, if anything."""
        if isinstance(event, Mistake):
            return f"  {event.surah}:{event.ayah}: not {event.heard!r} but {event.expected!r}"
        if not isinstance(event, Final):
            return None
        awaited = VerseRef(self._surah, self.ayah)
        recited = VerseRef(event.surah, event.ayah)
        words = self._index.words(self._index.verse_of(recited.surah, recited.ayah))
        if awaited not in (recited, *event.ambiguous_with):
            if recited in (BASMALA, ISTIADHA):  # said before any surah
                return None
            return f"  that was {recited.surah}:{recited.ayah}; {self.hint()}"
        if event.last_word < len(words):
            return f"  {self._surah}:{self.ayah} goes on: …{words[event.last_word]}…"
        self.ayah += 1
        return f"✓ {awaited.surah}:{awaited.ayah}  {' '.join(words)}"

    def hint(self) -> str:
        word = self._index.words(self._index.verse_of(self._surah, self.ayah))[0]
        return f"{self._surah}:{self.ayah} begins: {word}…"


async def teach(surah: int, source: AudioSource) -> bool:
    recognizer = Recognizer.load()
    lesson = Lesson(recognizer.engine.index, surah)
    name = recognizer.engine.index.surah_name(surah)[1]
    print(f"{name}, {lesson.last} verses: recite, please", flush=True)
    async with recognizer.stream() as stream:
        async for event in stream.run(source):
            if said := lesson.hear(event):
                print(said, flush=True)
            if lesson.done:
                print("the whole surah, well done")
                return True
    print(f"  as far as here; {lesson.hint()}")
    return False


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="memorise", description="Waits for the next verse.")
    parser.add_argument("surah", type=int, choices=range(1, 115), metavar="SURAH")
    parser.add_argument("recording", nargs="?", help="instead of the microphone")
    options = parser.parse_args(arguments)
    source = FileSource(options.recording) if options.recording else MicrophoneSource()
    try:
        return 0 if asyncio.run(teach(options.surah, source)) else 1
    except KeyboardInterrupt:
        return 1
    except StreamError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
