"""A server that runs, the sample recitation in every form, and a client to send it."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from stream.serve import DrainingServer, Service

SAMPLE = Path(__file__).parents[2] / "examples" / "al-fatiha.opus"
FATIHA = [(1, ayah) for ayah in range(1, 8)]


@dataclass(frozen=True)
class Recitation:
    """Al-Fatiha in every form that clients send it in; mono."""

    samples: np.ndarray  # float32
    rate: int

    @property
    def s16le(self) -> bytes:
        return (self.samples * 32767).astype("<i2").tobytes()

    def first(self, seconds: float) -> bytes:
        return self.s16le[: round(seconds * self.rate) * 2]

    @property
    def f32le_stereo(self) -> bytes:
        return np.repeat(self.samples.astype("<f4"), 2).tobytes()

    @property
    def ogg(self) -> bytes:
        return SAMPLE.read_bytes()

    @property
    def webm(self) -> bytes:
        """The same packets as a browser's MediaRecorder would wrap them."""
        written = io.BytesIO()
        with av.open(str(SAMPLE)) as source, av.open(written, "w", format="webm") as target:
            track = source.streams.audio[0]
            copy = target.add_stream_from_template(track)
            for packet in source.demux(track):
                if packet.dts is not None:
                    packet.stream = copy
                    target.mux(packet)
        return written.getvalue()


@dataclass(frozen=True)
class Running:
    """A server that runs, and what it counts."""

    service: Service
    port: int
    server: DrainingServer

    def url(self, path: str = "/v1/recite", scheme: str = "ws") -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def metric(self, name: str, **labels: str) -> float:
        """The present value of a metric; 0 if there is none yet."""
        values = [
            sample.value
            for family in self.service.metrics.registry.collect()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        return sum(values)


@dataclass
class Outcome:
    """What a client saw."""

    messages: list[dict[str, Any]]
    code: int | None
    reason: str | None

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == kind]

    @property
    def verses(self) -> list[tuple[int, int]]:
        return [(final["surah"], final["ayah"]) for final in self.of("final")]


async def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Waits for something that only looking again tells."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def everything(socket: ClientConnection) -> Outcome:
    """Reads until the server closes."""
    messages = []
    try:
        while True:
            messages.append(json.loads(await socket.recv()))
    except ConnectionClosed:
        return Outcome(messages, socket.close_code, socket.close_reason)


def pieces(data: bytes, size: int) -> Iterable[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


async def recite(
    url: str, start: dict[str, Any], audio: Iterable[bytes], *, speed: float | None = None
) -> Outcome:
    """A well-behaved client of `/v1/recite`: sends at most `speed` pieces a second, to the end."""
    async with connect(url, compression=None) as socket:
        reading = asyncio.create_task(everything(socket))
        await socket.send(json.dumps({"type": "start"} | start))
        try:
            for piece in audio:
                await socket.send(piece)
                if speed is not None:
                    await asyncio.sleep(1 / speed)
            await socket.send('{"type": "end"}')
        except ConnectionClosed:
            pass  # the outcome says why
        return await reading
