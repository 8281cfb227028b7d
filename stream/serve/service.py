"""What all connections share, and the course that each of them takes."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Awaitable, Callable, Collection
from urllib.parse import urlsplit

from starlette.websockets import WebSocket, WebSocketDisconnect

from ..audio import SAMPLE_RATE
from ..engine import Engine
from ..recognizer import RecognitionStream, Recognizer
from .admission import Admission
from .audio import AudioFormat, AudioInput, Pace
from .connection import Connection
from .limits import CloseCode, ConnectionEndedError, Ending, Limits, SlowReaderError
from .load import Load, ObservedExecutor
from .metrics import Metrics
from .session import Dialect, Session

_log = logging.getLogger(__name__)
_GONE = 1006  # what RFC 6455 calls a connection that was not closed properly
_BUFFER_SECONDS = 4.0  # of audio per stream; more of it waits in the network

MakeDialect = Callable[[RecognitionStream, AudioInput], Dialect]


class Service:
    """One recogniser and those who may use it.

    `token` is asked of every client, where there is one. `origins` are the web sites, besides the
    server's own page, whose scripts may connect ("https://example.org").
    """

    def __init__(
        self,
        engine: Engine,
        limits: Limits,
        token: str | None = None,
        origins: Collection[str] = (),
    ) -> None:
        self.engine = engine
        self.hop = engine.hop / SAMPLE_RATE
        self.limits = limits
        self.metrics = Metrics()
        self.load = Load()
        self.admission = Admission(limits, self.load, self.hop, self.metrics)
        self._recognizer = Recognizer(engine, ObservedExecutor(self._observe))
        self._token = token
        self._origins = frozenset(origins)

    def authorize(self, websocket: WebSocket, token: object = None) -> None:
        """Accepts the token if it is right, from a message or the handshake.

        In the handshake it is `Authorization: Token ...` (or Bearer), or, for browsers, which
        cannot set headers, the subprotocols `token, ...`. Raises ConnectionEndedError.
        """
        if self._token is None:
            return
        given = token if isinstance(token, str) else _handshake_token(websocket)
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            raise ConnectionEndedError(
                CloseCode.WRONG_TOKEN, "the token is missing or wrong", "ask who runs the server"
            )

    async def serve(
        self, websocket: WebSocket, name: str, converse: Callable[[Connection], Awaitable[Ending]]
    ) -> None:
        """One connection from handshake to close."""
        protocols = websocket.scope["subprotocols"]
        await websocket.accept("token" if "token" in protocols else None)
        connection = Connection(websocket, self.limits)
        code = _GONE
        try:
            ending = await self._admitted(connection, converse)
            code = ending.code
            await connection.close(ending)
        except WebSocketDisconnect:
            pass
        except SlowReaderError as error:
            _log.info("dropped a client of %s: %s", name, error)
        finally:
            self.metrics.closed.labels(name, code).inc()

    async def _admitted(
        self, connection: Connection, converse: Callable[[Connection], Awaitable[Ending]]
    ) -> Ending:
        try:
            self._check_origin(connection.websocket)
            with self.admission.connection():
                return await converse(connection)
        except ConnectionEndedError as error:
            return error.ending
        except (WebSocketDisconnect, SlowReaderError):
            raise
        except Exception:
            _log.exception("a stream failed")
            return Ending(CloseCode.FAILED, "recognition failed: please report this")

    async def first_message(self, connection: Connection) -> str | bytes:
        """What a client begins with. Raises ConnectionEndedError if it takes too long."""
        try:
            return await connection.receive(self.limits.first_message)
        except TimeoutError:
            raise ConnectionEndedError(
                CloseCode.IDLE,
                f"nothing came in the first {self.limits.first_message:g} s",
                "send the first message at once",
            ) from None

    async def converse(
        self,
        connection: Connection,
        form: AudioFormat,
        make_dialect: MakeDialect,
        *,
        first: str | bytes | None = None,
        patient: bool = False,
    ) -> Ending:
        """A whole stream of audio in format `form`.

        `first` is the first message, where it was received already; with `patient`, audio that
        comes too fast is kept waiting instead of refused.
        """
        stream = self._recognizer.stream(
            sample_rate=form.sample_rate,
            channels=form.channels,
            buffer_seconds=_BUFFER_SECONDS,
            slow_consumer="skip",
        )
        audio = form.input(stream, Pace(self.limits.ahead, patient=patient))
        dialect = make_dialect(stream, audio)
        session = Session(connection, stream, audio, dialect, self.limits, self.metrics)
        with self.admission.session(session, dialect.name):
            return await session.run(first)

    def _check_origin(self, websocket: WebSocket) -> None:
        """Only browsers send an origin; without the check, any site could use the server."""
        origin = websocket.headers.get("origin")
        own = websocket.headers.get("host", "")
        if origin is not None and origin not in self._origins and urlsplit(origin).netloc != own:
            raise ConnectionEndedError(
                CloseCode.WRONG_ORIGIN, "this site may not connect", "start with --allow-origin"
            )

    def _observe(self, delay: float, computing: float) -> None:
        self.load.record(delay)
        self.metrics.hop_delay.observe(delay)
        self.metrics.compute.inc(computing)


def _handshake_token(websocket: WebSocket) -> str:
    scheme, _, token = websocket.headers.get("authorization", "").partition(" ")
    if scheme.lower() in ("token", "bearer"):
        return token.strip()
    protocols: list[str] = websocket.scope["subprotocols"]
    return protocols[1] if len(protocols) == 2 and protocols[0] == "token" else ""
