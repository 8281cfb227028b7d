"""One recitation over one connection, whatever the protocol."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

from ..events import Ended, Event
from ..recognizer import RecognitionStream
from .audio import AudioInput
from .connection import Connection
from .limits import CloseCode, Ending, Limits
from .metrics import Metrics


class Dialect(ABC):
    """A protocol: what clients' messages mean, and how events are put to them."""

    name: ClassVar[str]

    def greet(self) -> Iterable[dict[str, Any]]:
        """What is said before anything is heard: nothing, in most protocols."""
        return ()

    @abstractmethod
    async def hear(self, message: str | bytes) -> bool:
        """Acts on a message; False if it is the last, after which `ended` is to follow.

        Raises ConnectionEndedError if it makes no sense.
        """

    @abstractmethod
    def tell(self, event: Event) -> Iterable[dict[str, Any]]:
        """The messages that an event makes."""


class Session:
    """Listens to a client and tells it what is recognised, until either ends."""

    def __init__(
        self,
        connection: Connection,
        stream: RecognitionStream,
        audio: AudioInput,
        dialect: Dialect,
        limits: Limits,
        metrics: Metrics,
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._audio = audio
        self._dialect = dialect
        self._limits = limits
        self._metrics = metrics
        self._ending = Ending(CloseCode.DONE)
        self._listening: asyncio.Task[None] | None = None

    def finish(self, ending: Ending) -> None:
        """Stops listening. What was heard is still decided on and told, then `run` returns."""
        if self._listening is not None and not self._listening.done():
            self._ending = ending
            self._listening.cancel()

    async def run(self, first: str | bytes | None = None) -> Ending:
        """The whole conversation, of which `first` was received already.

        Raises what `Connection` and the dialect raise.
        """
        self._listening = asyncio.create_task(self._listen(first))
        telling = asyncio.create_task(self._tell())
        too_long = Ending(
            CloseCode.TOO_LONG, f"a stream lasts at most {self._limits.total:g} s: open another"
        )
        timer = asyncio.get_running_loop().call_later(self._limits.total, self.finish, too_long)
        try:
            await asyncio.wait((self._listening, telling), return_when=asyncio.FIRST_COMPLETED)
            if self._listening.done():
                if not self._listening.cancelled():
                    self._listening.result()
                self._stream.end()
            await telling
        finally:
            timer.cancel()
            self._listening.cancel()
            telling.cancel()
            await self._stream.aclose()
            # Whatever went wrong first has been raised; what went wrong because of that is dropped.
            await asyncio.gather(self._listening, telling, return_exceptions=True)
            await self._audio.aclose()
        return self._ending

    async def _listen(self, message: str | bytes | None) -> None:
        for greeting in self._dialect.greet():
            await self._connection.send(greeting)
        try:
            if message is None:
                message = await self._connection.receive(self._limits.idle)
            while await self._dialect.hear(message):
                message = await self._connection.receive(self._limits.idle)
        except TimeoutError:
            self._ending = Ending(
                CloseCode.IDLE, f"nothing came for {self._limits.idle:g} s: end the stream, or send"
            )

    async def _tell(self) -> None:
        async for event in self._stream:
            for message in self._dialect.tell(event):
                await self._connection.send(message)
            if isinstance(event, Ended):
                self._metrics.ended(event.statistics)
