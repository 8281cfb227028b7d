"""An application that acts on verses as they are recited.

    python -m examples.subscribe                # from the microphone
    python -m examples.subscribe FILE           # a recording, played in real time

Handlers subscribe to the types of events they care about; the recogniser knows nothing of them.
"""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from collections.abc import Callable

from quran_index import QuranIndex
from stream import (
    AudioSource,
    Event,
    FileSource,
    Final,
    MicrophoneSource,
    Provisional,
    Recognizer,
    StreamError,
)

Handler = Callable[[Event], None]


class VerseApp:
    """Passes a recitation's events to the handlers subscribed to their type."""

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        self._handlers: defaultdict[type[Event], list[Handler]] = defaultdict(list)

    def subscribe(self, kind: type[Event], handler: Handler) -> None:
        self._handlers[kind].append(handler)

    async def listen(self, source: AudioSource) -> None:
        async with self._recognizer.stream() as stream:
            async for event in stream.run(source):
                for handler in self._handlers[type(event)]:
                    handler(event)


def show_guess(event: Event) -> None:
    assert isinstance(event, Provisional)
    print(f"  {event.surah}:{event.ayah} word {event.current_word}/{event.words_total}?")


def show_verse(index: QuranIndex) -> Handler:
    def show(event: Event) -> None:
        assert isinstance(event, Final)
        text = index.text(index.verse_of(event.surah, event.ayah))
        print(f"{event.start:7.2f} s  {event.surah}:{event.ayah}  {text}")

    return show


async def run(source: AudioSource) -> None:
    recognizer = Recognizer.load()
    app = VerseApp(recognizer)
    app.subscribe(Provisional, show_guess)
    app.subscribe(Final, show_verse(recognizer.engine.index))
    await app.listen(source)


def main(arguments: list[str]) -> int:
    try:
        source = FileSource(arguments[0], "realtime") if arguments else MicrophoneSource()
        asyncio.run(run(source))
    except KeyboardInterrupt:
        return 0
    except StreamError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
