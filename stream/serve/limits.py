"""What a client may do, and how a connection ends."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import IntEnum

from ..errors import StreamError

# RFC 6455: the payload of a control frame is 125 bytes, two of which are the code.
_REASON_BYTES = 123


class CloseCode(IntEnum):
    """Why the server closes a WebSocket. docs/protocol.md explains each to clients."""

    DONE = 1000
    SHUTTING_DOWN = 1001
    TOO_BIG = 1009
    FAILED = 1011
    TRY_LATER = 1013
    MALFORMED = 4400
    WRONG_TOKEN = 4401
    WRONG_ORIGIN = 4403
    IDLE = 4408
    TOO_LONG = 4413
    BAD_AUDIO = 4415
    TOO_FAST = 4429


@dataclass(frozen=True, slots=True)
class Ending:
    """How a connection is closed: a code for programs, a reason for people."""

    code: CloseCode
    reason: str = ""

    @property
    def frame_reason(self) -> str:
        """The reason, cut to what fits into a close frame."""
        return self.reason.encode()[:_REASON_BYTES].decode(errors="ignore")


class ConnectionEndedError(StreamError):
    """The client broke a rule of the protocol or a limit: the connection is closed at once."""

    def __init__(self, code: CloseCode, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.ending = Ending(code, str(self))


class AddressError(StreamError):
    """The server cannot listen where it was told to."""


class SlowReaderError(StreamError):
    """The client does not read what it is sent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Bounds on every connection, and on all of them together. Times in seconds."""

    streams: int = field(default_factory=lambda: 12 * (os.cpu_count() or 1))
    """Streams open at once."""
    lag: float = 0.5
    """Share of a hop that recognition may be late before new streams are refused."""
    message_bytes: int = 1 << 20
    ahead: float = 30.0
    """How much audio may have come beyond what real time would have brought."""
    first_message: float = 10.0
    """Time until the first message."""
    idle: float = 30.0
    """Time without any message."""
    total: float = 4 * 3600.0
    """Length of a stream."""
    unread: float = 10.0
    """Time that a message may wait because the client does not read."""
    ping_interval: float = 20.0
    """A client that has not answered a ping by the time of the next is gone."""
    drain: float = 2.0
    """Time that open streams have to end in when the server stops."""
