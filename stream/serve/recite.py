"""`/v1/recite`: our own protocol. Audio in, the events as they are out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ..events import Event
from ..recognizer import RecognitionStream
from .audio import AudioFormat, AudioInput
from .connection import Connection, parse_object
from .limits import CloseCode, ConnectionEndedError, Ending
from .session import Dialect

if TYPE_CHECKING:
    from .service import Service


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What the client has to keep to: bytes in a message, seconds of audio ahead of real time,
    seconds without a message, seconds in all."""

    message_bytes: int
    ahead: float
    idle: float
    total: float


@dataclass(frozen=True, slots=True)
class Started:
    """The server listens; `hop` is the seconds of audio between decisions."""

    type: ClassVar[str] = "started"

    stream_id: str
    hop: float
    limits: ServerLimits


async def recite(service: Service, connection: Connection) -> Ending:
    """The protocol, from the first message to the last."""
    start = parse_start(await service.first_message(connection))
    service.authorize(connection.websocket, start.get("token"))
    form = AudioFormat.parse(
        start.get("encoding", "s16le"), start.get("sample_rate"), start.get("channels", 1)
    )

    limits = service.limits
    bounds = ServerLimits(limits.message_bytes, limits.ahead, limits.idle, limits.total)

    def dialect(stream: RecognitionStream, audio: AudioInput) -> ReciteDialect:
        return ReciteDialect(stream, audio, Started(stream.stream_id, service.hop, bounds))

    return await service.converse(connection, form, dialect)


def parse_start(message: str | bytes) -> dict[str, Any]:
    """The first message. Raises ConnectionEndedError if it is anything but `start`."""
    data = parse_object(message) if isinstance(message, str) else {}
    if data.get("type") != "start":
        raise ConnectionEndedError(
            CloseCode.MALFORMED,
            "the first message is not a start",
            'send {"type":"start","encoding":"s16le","sample_rate":48000}',
        )
    return data


class ReciteDialect(Dialect):
    """Binary messages are audio; text messages are `flush` and `end`."""

    name = "recite"

    def __init__(self, stream: RecognitionStream, audio: AudioInput, started: Started) -> None:
        self._stream = stream
        self._audio = audio
        self._started = started

    def greet(self) -> Iterable[dict[str, Any]]:
        yield {"type": self._started.type} | asdict(self._started)

    async def hear(self, message: str | bytes) -> bool:
        if isinstance(message, bytes):
            await self._audio.write(message)
            return True
        match parse_object(message).get("type"):
            case "flush":
                self._stream.flush()
            case "end":
                await self._audio.end()
                return False
            case other:
                raise ConnectionEndedError(
                    CloseCode.MALFORMED, f"type {str(other)[:20]!r}", "send audio, flush or end"
                )
        return True

    def tell(self, event: Event) -> Iterable[dict[str, Any]]:
        yield event.to_dict()
