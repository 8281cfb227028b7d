"""A WebSocket whose every wait is bounded."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from .limits import CloseCode, ConnectionEndedError, Ending, Limits, SlowReaderError

_GONE = 1006  # what RFC 6455 calls a connection that was not closed properly


class Connection:
    """Sends and receives whole messages within the limits."""

    def __init__(self, websocket: WebSocket, limits: Limits) -> None:
        self.websocket = websocket
        self._limits = limits

    async def receive(self, seconds: float) -> str | bytes:
        """The next message: text or binary.

        Raises TimeoutError after `seconds`, WebSocketDisconnect when the client has gone.
        """
        async with asyncio.timeout(seconds):
            message = await self.websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message["code"], message.get("reason"))
        text: str | None = message.get("text")
        if text is not None:
            return text
        data: bytes = message["bytes"]
        return data

    async def send(self, message: dict[str, Any]) -> None:
        """Sends JSON. Raises SlowReaderError, or WebSocketDisconnect when the client has gone."""
        text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
        try:
            async with asyncio.timeout(self._limits.unread):
                await self.websocket.send_text(text)
        except TimeoutError:
            raise SlowReaderError(
                f"a message could not be sent for {self._limits.unread:g} s",
                "read what the server sends, as it comes",
            ) from None
        except RuntimeError:  # the server closed it meanwhile, for breaking RFC 6455
            raise WebSocketDisconnect(_GONE) from None

    async def close(self, ending: Ending) -> None:
        """Says goodbye, unless the client has gone or does not read."""
        try:
            async with asyncio.timeout(self._limits.unread):
                await self.websocket.close(ending.code, ending.frame_reason)
        except (TimeoutError, WebSocketDisconnect, RuntimeError):
            pass  # the server drops the connection when the application has returned


def parse_object(text: str) -> dict[str, Any]:
    """A JSON object. Raises ConnectionEndedError for anything else."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise ConnectionEndedError(
            CloseCode.MALFORMED, "a text message is no JSON object", "see docs/protocol.md"
        )
    return data
