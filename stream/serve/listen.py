"""`/v1/listen`: Deepgram's streaming protocol, so that its SDKs work with another address.

https://developers.deepgram.com/reference/speech-to-text/listen-streaming. Each final verse is a
final result, with the verse itself in the extra field `verse`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.datastructures import QueryParams

from quran_index import QuranIndex

from ..events import Ended, Event, Final, SpeechEnded, SpeechStarted
from ..recognizer import RecognitionStream
from .audio import AudioFormat, AudioInput
from .connection import Connection, parse_object
from .limits import CloseCode, ConnectionEndedError, Ending
from .session import Dialect
from .transcript import TextWord, Transcript, joined

if TYPE_CHECKING:
    from .service import Service

# Deepgram recognises the container by itself where no encoding is named.
_ENCODINGS = {
    None: "container",
    "ogg-opus": "container",
    "linear16": "s16le",
    "linear32": "f32le",
}
_MODEL = {"name": "tasmi", "version": "1", "arch": "fastconformer-ctc"}
_MODEL_ID = str(uuid.uuid5(uuid.NAMESPACE_URL, "tasmi"))


async def listen(service: Service, connection: Connection) -> Ending:
    """The protocol; the first message is audio already, all else is in the query."""
    service.authorize(connection.websocket)
    query = connection.websocket.query_params
    form = _audio_format(query)
    request = _flag(query, "interim_results"), _flag(query, "vad_events")
    index = service.engine.index

    def dialect(stream: RecognitionStream, audio: AudioInput) -> Dialect:
        return ListenDialect(stream, audio, index, form.channels, *request)

    return await service.converse(connection, form, dialect)


def _audio_format(query: QueryParams) -> AudioFormat:
    encoding = query.get("encoding")
    if encoding not in _ENCODINGS:
        raise ConnectionEndedError(
            CloseCode.BAD_AUDIO,
            f"encoding {encoding[:20]!r}" if encoding else "an empty encoding",
            "linear16, linear32, ogg-opus, or none for WebM or Ogg",
        )
    rate, channels = query.get("sample_rate"), query.get("channels", "1")
    return AudioFormat.parse(_ENCODINGS[encoding], _integer(rate), _integer(channels))


def _integer(text: str | None) -> object:
    # Longer ones are no rates, and Python refuses to read thousands of digits.
    return int(text) if text and len(text) < 8 and text.isascii() and text.isdigit() else text


def _flag(query: QueryParams, name: str) -> bool:
    return query.get(name, "").lower() == "true"


class ListenDialect(Dialect):
    """Binary messages are audio; text messages are Finalize, KeepAlive and CloseStream."""

    name = "listen"

    def __init__(
        self,
        stream: RecognitionStream,
        audio: AudioInput,
        index: QuranIndex,
        channels: int,
        interim_results: bool,
        vad_events: bool,
    ) -> None:
        self._stream = stream
        self._audio = audio
        self._channels = channels
        self._interim_results = interim_results
        self._vad_events = vad_events
        self._transcript = Transcript(index)
        self._request_id = str(uuid.uuid4())
        self._created = datetime.now(UTC)
        self._speaking = False
        self._finalizing = False

    async def hear(self, message: str | bytes) -> bool:
        if isinstance(message, bytes):
            if message:  # an empty one is how older SDKs keep the connection alive
                await self._audio.write(message)
            return True
        match parse_object(message).get("type"):
            case "Finalize":
                self._finalizing = True
                self._stream.flush()
            case "KeepAlive":
                pass
            case "CloseStream":
                await self._audio.end()
                return False
            case other:
                raise ConnectionEndedError(
                    CloseCode.MALFORMED,
                    f"type {str(other)[:20]!r}",
                    "send audio, Finalize, KeepAlive or CloseStream",
                )
        return True

    def tell(self, event: Event) -> Iterable[dict[str, Any]]:
        changed = self._transcript.update(event)
        match event:
            case SpeechStarted():
                self._speaking = True
                if self._vad_events:
                    yield {"type": "SpeechStarted", "channel": [0], "timestamp": event.at}
            case SpeechEnded():
                self._speaking = False
            case Final():
                yield self._final(event)
            case Ended():
                yield self._metadata(event)
            case _ if changed and self._interim_results:
                yield self._interim(event.audio_time)

    def _interim(self, now: float) -> dict[str, Any]:
        words = self._transcript.words(now)
        start = words[0].start if words else now
        confidence = words[-1].confidence if words else 0.0
        return self._result(words, start, now, confidence, is_final=False, speech_final=False)

    def _final(self, final: Final) -> dict[str, Any]:
        result = self._result(
            self._transcript.final_words(final),
            final.start,
            final.end,
            final.confidence,
            is_final=True,
            speech_final=not self._speaking,
        )
        result["from_finalize"], self._finalizing = self._finalizing, False
        data = final.to_dict()
        fields = ("surah", "ayah", "slot", "first_word", "last_word", "ambiguous_with")
        return result | {"verse": {name: data[name] for name in fields}}

    def _result(
        self,
        words: list[TextWord],
        start: float,
        end: float,
        confidence: float,
        *,
        is_final: bool,
        speech_final: bool,
    ) -> dict[str, Any]:
        alternative = {
            "transcript": joined(words),
            "confidence": confidence,
            "words": [
                {
                    "word": word.text,
                    "start": word.start,
                    "end": word.end,
                    "confidence": word.confidence,
                    "punctuated_word": word.text,
                }
                for word in words
            ],
        }
        return {
            "type": "Results",
            "channel_index": [0, 1],
            "start": start,
            "duration": round(end - start, 4),
            "is_final": is_final,
            "speech_final": speech_final,
            "from_finalize": False,
            "channel": {"alternatives": [alternative]},
            "metadata": {
                "request_id": self._request_id,
                "model_info": _MODEL,
                "model_uuid": _MODEL_ID,
            },
        }

    def _metadata(self, ended: Ended) -> dict[str, Any]:
        return {
            "type": "Metadata",
            "transaction_key": "deprecated",  # as Deepgram sends it
            "request_id": self._request_id,
            "sha256": "",  # of audio that is not kept
            "created": self._created.isoformat(timespec="milliseconds"),
            "duration": ended.statistics.audio_seconds,
            "channels": self._channels,
            "models": [_MODEL_ID],
            "model_info": {_MODEL_ID: _MODEL},
        }
