"""The events an application receives: one frozen dataclass per type.

Times are in seconds. `audio_time` is the audio consumed when the event was decided, `wall_time`
the system clock (seconds since the epoch) at that moment. Everything except `wall_time`,
`stream_id` and the statistics of `Ended` depends on the audio alone, never on how fast it came.

Whoever decides an event fills in what it carries; the stream stamps the header (`stream_id`, `seq`,
`audio_time`, `wall_time`) as it passes. Surahs, ayahs and words are counted from 1.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, ClassVar, Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Header common to all events. `seq` counts a stream's events from 0."""

    type: ClassVar[str]

    stream_id: str = ""
    seq: int = -1
    audio_time: float = 0.0
    wall_time: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: `type` first, floats rounded to 0.1 ms / 4 decimals."""
        data: dict[str, Any] = {"type": self.type}
        data.update((f.name, _plain(getattr(self, f.name))) for f in dataclasses.fields(self))
        return data

    def to_json(self) -> str:
        """One line of JSON, Arabic left readable."""
        return json.dumps(self.to_dict(), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class VerseRef:
    """A verse by its number."""

    surah: int
    ayah: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A verse that may be the one being recited; `probability` is a calibrated posterior."""

    surah: int
    ayah: int
    probability: float


@dataclass(frozen=True, slots=True)
class WordTime:
    """When a word of a verse was recited."""

    word: int
    start: float
    end: float
    confidence: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeechStarted(Event):
    """A voice is heard since `at`."""

    type: ClassVar[str] = "speech_started"

    at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeechEnded(Event):
    """The voice was last heard at `at`. A pause for breath is an end of speech, not of a verse."""

    type: ClassVar[str] = "speech_ended"

    at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidates(Event):
    """The short list changed: up to five verses, the likeliest first."""

    type: ClassVar[str] = "candidates"

    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Provisional(Event):
    """One verse leads clearly enough to be shown.

    Sent again with the same `slot` when its verse, current word or confidence moves. A slot is one
    recited verse; exactly one `Final` or one `Retracted` closes it.
    """

    type: ClassVar[str] = "provisional"

    slot: int
    surah: int
    ayah: int
    current_word: int
    words_total: int
    confidence: float
    alternatives: tuple[Candidate, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Word(Event):
    """A word is complete. Sent once for each word of a slot."""

    type: ClassVar[str] = "word"

    slot: int
    surah: int
    ayah: int
    word: int
    start: float
    end: float
    status: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Final(Event):
    """This verse was recited, from `first_word` to `last_word`. Never withdrawn.

    `ambiguous_with` lists the verses of the same words that the context could not rule out.
    """

    type: ClassVar[str] = "final"

    slot: int
    surah: int
    ayah: int
    start: float
    end: float
    confidence: float
    words: tuple[WordTime, ...]
    first_word: int
    last_word: int
    ambiguous_with: tuple[VerseRef, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Retracted(Event):
    """The verse shown in this slot was withdrawn and none replaces it."""

    type: ClassVar[str] = "retracted"

    slot: int
    surah: int
    ayah: int
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class NotQuran(Event):
    """What is heard since `since` fits nothing in the Quran."""

    type: ClassVar[str] = "not_quran"

    since: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistake(Event):
    """A word skipped or replaced, or a verse skipped (`word` is then 0)."""

    type: ClassVar[str] = "mistake"

    slot: int
    surah: int
    ayah: int
    word: int
    expected: str
    heard: str
    confidence: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Warned(Event):
    """Something about the audio costs accuracy or was lost; recognition goes on.

    `code` is stable, `message` says what to do, `at` is where in the audio it was noticed.
    """

    type: ClassVar[str] = "warning"

    code: str
    message: str
    at: float


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a stream cost.

    `rtf` is compute seconds per second of audio; `hop_ms_*` are wall milliseconds of one hop's
    whole work (VAD, encoder, decoder, follower). `encoded_seconds` is the audio that the encoder
    heard (the VAD spares it long silences).
    """

    audio_seconds: float
    encoded_seconds: float
    compute_seconds: float
    rtf: float
    hops: int
    hop_ms_p50: float
    hop_ms_p95: float
    hop_ms_p99: float
    events_dropped: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended(Event):
    """The stream is done: always its last event, also after an error.

    `reason` is "end" (the input ended) or "error" (`error` says which; iterating then raises it).
    """

    type: ClassVar[str] = "ended"

    reason: Literal["end", "error"]
    error: str | None
    finals: tuple[Final, ...]
    warnings: tuple[Warned, ...]
    statistics: Statistics


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, Event):
        return value.to_dict()
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
