"""A web application that subscribes to verse events.

    pip install fastapi uvicorn
    python -m examples.fastapi_app                    # listens to the microphone
    python -m examples.fastapi_app recitation.mp3     # a recording, played in real time

    curl    http://127.0.0.1:8000/verses              # the verses recited so far
    curl -N http://127.0.0.1:8000/verses/live         # then each as it is recited (EventSource)

(For audio from browsers and other clients there is `python -m stream.serve`.)
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from stream import AudioSource, FileSource, Final, MicrophoneSource, Recognizer, StreamError


class Recitation:
    """The verses recited so far; whoever waits for the next one is woken."""

    def __init__(self) -> None:
        self.verses: list[Final] = []
        self.error: str | None = None
        self._over = False
        self._changed = asyncio.Condition()

    async def follow(self, source: AudioSource) -> None:
        try:
            recognizer = await asyncio.to_thread(Recognizer.load)  # the server answers meanwhile
            async with recognizer.stream() as stream:
                async for event in stream.run(source):
                    if isinstance(event, Final):
                        self.verses.append(event)
                        await self._wake()
        except StreamError as error:
            self.error = str(error)
        self._over = True
        await self._wake()

    async def live(self) -> AsyncIterator[Final]:
        """All verses, those to come as well, until the recitation is over."""
        sent = 0
        while True:
            async with self._changed:
                while sent == len(self.verses) and not self._over:
                    await self._changed.wait()
            if sent == len(self.verses):
                return
            yield self.verses[sent]
            sent += 1

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def create_app(source: AudioSource) -> FastAPI:
    recitation = Recitation()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        following = asyncio.create_task(recitation.follow(source))
        yield
        following.cancel()
        await asyncio.wait([following])

    app = FastAPI(title="Verses", lifespan=lifespan)

    @app.get("/verses")
    async def verses() -> dict[str, Any]:
        return {
            "verses": [verse.to_dict() for verse in recitation.verses],
            "error": recitation.error,
        }

    @app.get("/verses/live")
    async def live() -> StreamingResponse:
        lines = (f"data: {verse.to_json()}\n\n" async for verse in recitation.live())
        return StreamingResponse(lines, media_type="text/event-stream")

    return app


def main(arguments: list[str]) -> None:
    source = FileSource(arguments[0], "realtime") if arguments else MicrophoneSource()
    # Live listeners stay as long as they may: a second is enough for them to finish.
    uvicorn.run(create_app(source), timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main(sys.argv[1:])
