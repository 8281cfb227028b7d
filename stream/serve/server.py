"""uvicorn, made to end its streams before it stops, and not to wait for those who never read."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from asyncio.transports import BaseTransport, Transport
from collections.abc import Generator

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from .app import create_app
from .limits import AddressError
from .service import Service

# What may wait for a client to read: so much here, and about twice as much in the kernel.
_UNREAD_BYTES = 1 << 15
_REQUEST_SECONDS = 10.0
_NOT_UTF8, _RESTART = 1007, 1012
_LINGER = 2.0  # seconds that a connection which is over may take to be gone
_OTHER_CONNECTIONS = 100  # besides the streams: the page, its files, metrics


class PromptProtocol(H11Protocol):
    """uvicorn's HTTP, but a connection that brings no request does not stay."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(_REQUEST_SECONDS, self._expire)

    def _expire(self) -> None:
        if self.cycle is None and self.transport.get_protocol() is self:
            self.transport.abort()


class BoundedProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, but nobody who does not read can make it keep memory or sockets.

    uvicorn's own waits without end for such a client to take the rest, and answers every ping.
    """

    def connection_made(self, transport: BaseTransport) -> None:
        assert isinstance(transport, Transport)
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=_UNREAD_BYTES)
        connected: socket.socket | None = transport.get_extra_info("socket")
        if connected is not None:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNREAD_BYTES)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.handshake_initiated:
            # The first data is the whole request; what could not be parsed is never answered.
            self.transport.abort()

    def send_receive_event_to_app(self) -> None:
        # uvicorn's own writes a traceback for every text that is not UTF-8, and fails itself if
        # the client had said goodbye before.
        if self.curr_msg_data_type == "text":
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.conn.fail(_NOT_UTF8, "a text message is not UTF-8")
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()

    def handle_ping(self) -> None:
        super().handle_ping()
        if self.transport.get_write_buffer_size() > 2 * _UNREAD_BYTES:
            self.transport.abort()

    def shutdown(self) -> None:
        # uvicorn's own closes the connection at once. What a client sends after that resets it, and
        # takes away what was not read yet: finals, and the close frame. So its answer is awaited.
        if not self.handshake_complete:
            super().shutdown()
            return
        self.stop_keepalive()
        if self.close_sent:
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": _RESTART})
        self.conn.send_close(_RESTART)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.resume_reading()
        self.close_timer = self.loop.call_later(_LINGER, self.transport.abort)

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.loop.call_later(_LINGER, self.transport.abort)

    async def run_asgi(self) -> None:
        await super().run_asgi()
        self.loop.call_later(_LINGER, self.transport.abort)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, for `DrainingServer.serve([socket])`; port 0 is any that is free.

    Raises AddressError.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise AddressError(
            f"cannot listen on {host} port {port} ({error})", "choose another with --host, --port"
        ) from error


class DrainingServer(uvicorn.Server):
    """Ends open streams on SIGTERM and SIGINT, then stops: `serve` returns."""

    def __init__(self, service: Service) -> None:
        limits = service.limits
        super().__init__(
            uvicorn.Config(
                create_app(service),
                http=PromptProtocol,
                ws=BoundedProtocol,
                ws_max_size=limits.message_bytes,
                ws_ping_interval=limits.ping_interval,
                ws_ping_timeout=limits.ping_interval,
                ws_per_message_deflate=False,
                limit_concurrency=2 * limits.streams + _OTHER_CONNECTIONS,
                timeout_graceful_shutdown=round(_LINGER) + 1,
                lifespan="off",
                log_level="warning",
                server_header=False,
            )
        )
        self._admission = service.admission
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Unlike uvicorn's own, does not raise the signal again: stopping is a success."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)
        for number in signals:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        await self._admission.drain()
        await super().shutdown(sockets)
