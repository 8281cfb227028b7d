"""`/vosk`: the WebSocket protocol of vosk-server, so that its clients need only another address.

https://github.com/alphacep/vosk-server, websocket/asr_server.py: after optional `config` messages,
each binary message of 16-bit mono audio is answered with one JSON message: `partial`, or `result`
and `text` once something is final; `{"eof": 1}` is answered with the last result.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from quran_index import QuranIndex

from ..events import Ended, Event, Final
from .audio import AudioFormat, AudioInput
from .connection import Connection, parse_object
from .limits import CloseCode, ConnectionEndedError, Ending
from .session import Dialect
from .transcript import Transcript, joined

if TYPE_CHECKING:
    from .service import Service

_DEFAULT_RATE = 16_000


async def vosk(service: Service, connection: Connection) -> Ending:
    """The protocol, from the first message to the last."""
    message = await service.first_message(connection)
    rate: object = _DEFAULT_RATE
    token = None
    while isinstance(message, str):
        data = parse_object(message)
        if not isinstance(config := data.get("config"), dict):
            break
        rate, token = config.get("sample_rate", rate), config.get("token", token)
        message = await service.first_message(connection)
    service.authorize(connection.websocket, token)
    if isinstance(rate, float) and rate.is_integer():
        rate = int(rate)  # clients send 16000.0
    form = AudioFormat.parse("s16le", rate, 1)
    index = service.engine.index
    return await service.converse(
        connection,
        form,
        lambda _, audio: VoskDialect(connection, audio, index),
        first=message,
        # Its clients read files as fast as they are answered: so the answers keep the pace.
        patient=True,
    )


class VoskDialect(Dialect):
    """One answer to each message; what becomes final in between waits for the next."""

    name = "vosk"

    def __init__(self, connection: Connection, audio: AudioInput, index: QuranIndex) -> None:
        self._connection = connection
        self._audio = audio
        self._transcript = Transcript(index)
        self._finals: list[Final] = []
        self._now = 0.0

    async def hear(self, message: str | bytes) -> bool:
        if isinstance(message, bytes):
            await self._audio.write(message)
            await self._connection.send(self._result() if self._finals else self._partial())
            return True
        if not parse_object(message).get("eof"):
            raise ConnectionEndedError(
                CloseCode.MALFORMED, "neither audio nor eof", 'send {"eof": 1} at the end'
            )
        return False

    def tell(self, event: Event) -> Iterable[dict[str, Any]]:
        self._now = event.audio_time
        self._transcript.update(event)
        if isinstance(event, Final):
            self._finals.append(event)
        if isinstance(event, Ended):
            yield self._result()

    def _partial(self) -> dict[str, Any]:
        return {"partial": joined(self._transcript.words(self._now))}

    def _result(self) -> dict[str, Any]:
        finals, self._finals = self._finals, []
        words = [word for final in finals for word in self._transcript.final_words(final)]
        result: dict[str, Any] = {}
        if words:
            result["result"] = [
                {"conf": word.confidence, "end": word.end, "start": word.start, "word": word.text}
                for word in words
            ]
        result["text"] = joined(words)
        # Not vosk's: which verses they are.
        result["verses"] = [{"surah": final.surah, "ayah": final.ayah} for final in finals]
        return result
