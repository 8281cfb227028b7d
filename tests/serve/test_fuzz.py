"""Ten thousand clients that get everything wrong: no crash, no leak, others unharmed."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import logging
import os
import random
import resource
import struct
import threading
from pathlib import Path

from stream.recognizer import RecognitionStream
from stream.serve.connection import Connection
from stream.serve.server import BoundedProtocol
from stream.serve.session import Session
from tests.serve.clients import FATIHA, pieces, recite, until

CLIENTS = 10_000
AT_ONCE = 120
WARM_UP = 2_000  # caches and pools fill; after them memory must not grow
GROWTH_BYTES = 16e6  # 2 kB a client

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
PATHS = ("/v1/recite", "/v1/listen", "/vosk")


def frame(
    rng: random.Random, opcode: int, data: bytes, *, final: bool = True, masked: bool = True
) -> bytes:
    """A WebSocket frame from a client."""
    size = len(data)
    head = bytes([final << 7 | opcode])
    if size < 126:
        head += bytes([masked << 7 | size])
    elif size < 1 << 16:
        head += struct.pack("!BH", masked << 7 | 126, size)
    else:
        head += struct.pack("!BQ", masked << 7 | 127, size)
    if not masked:
        return head + data
    key = rng.randbytes(4)
    mask = (key * (size // 4 + 1))[:size]
    return head + key + (int.from_bytes(data) ^ int.from_bytes(mask)).to_bytes(size)


def text(rng: random.Random, data: object) -> bytes:
    return frame(rng, TEXT, (data if isinstance(data, str) else json.dumps(data)).encode())


def scalar(rng: random.Random) -> object:
    """A value that is rarely what was asked for."""
    return rng.choice(
        (
            *(None, True, False, "", "x", "s16le", "f32le", "container", "16000", [], {}, [1]),
            *(0, -1, 1, 2, 8, 9, 7_999, 8_000, 16_000, 48_000, 96_001, 1.5, 1e308, 10**40),
            rng.randrange(10**6),
            rng.random(),
            "\x00\ud7ff\U0010ffff" * rng.randrange(9),
        )
    )


def start(rng: random.Random) -> bytes:
    """A first message, of which anything may be wrong."""
    fields = {"type": "start", "encoding": "s16le", "sample_rate": 16_000, "channels": 1}
    for name in rng.sample(sorted(fields), rng.randrange(3)):
        if rng.random() < 0.3:
            del fields[name]
        else:
            fields[name] = scalar(rng)
    return text(rng, fields)


def sound_start(rng: random.Random) -> bytes:
    encoding = rng.choice(("s16le", "f32le", "container"))
    return text(rng, {"type": "start", "encoding": encoding, "sample_rate": 16_000})


def broken_text(rng: random.Random) -> bytes:
    said = rng.choice(('{"type": "start"', "[" * 5000, '"', "NaN", '{"type": "flush"}', '{"a":1}'))
    data = said.encode() + rng.randbytes(rng.randrange(3))  # seldom UTF-8
    return frame(rng, TEXT, data)


def broken_frames(rng: random.Random) -> bytes:
    """Against RFC 6455: reserved opcodes and bits, no mask, control frames in pieces, too long."""
    data = rng.randbytes(rng.randrange(200))
    return rng.choice(
        (
            frame(rng, rng.choice((3, 7, 11, 15)), data),
            frame(rng, BINARY | 0x40, data),
            frame(rng, TEXT, data, masked=False),
            frame(rng, PING, data, final=False),
            frame(rng, PING, bytes(126)),
            frame(rng, 0, data),
            frame(rng, CLOSE, b"\x03"),
            frame(rng, CLOSE, struct.pack("!H", rng.randrange(1 << 16)) + data[:100]),
            struct.pack("!BBQ", 0x82, 0xFF, rng.randrange(1 << 64)),
            rng.randbytes(rng.randrange(1, 60)),
        )
    )


def fragments(rng: random.Random) -> bytes:
    """A message in pieces, some of them empty, a ping between them, perhaps another message."""
    message = frame(rng, rng.choice((TEXT, BINARY)), rng.randbytes(rng.randrange(9)), final=False)
    for _ in range(rng.randrange(6)):
        message += frame(rng, 0, rng.randbytes(rng.randrange(9)), final=False)
    message += frame(rng, PING, b"?")
    return message + frame(rng, rng.choice((0, 0, TEXT)), b"")


def audio(rng: random.Random) -> bytes:
    """Noise, silence, or the beginning of a file that goes wrong."""
    head = rng.choice((b"", b"", b"OggS", b"\x1aE\xdf\xa3", b"RIFF"))
    size = rng.choice((0, 1, 3, 320, 6400))
    return frame(rng, BINARY, head + (rng.randbytes(size) if rng.random() < 0.5 else bytes(size)))


def command(rng: random.Random) -> bytes:
    kinds = ("flush", "end", "CloseStream", "Finalize", "KeepAlive", "Configure", "start")
    return text(
        rng,
        rng.choice(
            (
                {"type": rng.choice(kinds)},
                {"config": {"sample_rate": scalar(rng)}},
                {"config": scalar(rng)},
                {"eof": 1},
                {"type": scalar(rng)},
            )
        ),
    )


def messages(rng: random.Random) -> bytes:
    """What a client sends after the handshake."""
    first = rng.choice((start, start, sound_start, broken_text, broken_frames, fragments, audio))
    said = first(rng)
    for _ in range(rng.randrange(4)):
        said += rng.choice((audio, command, broken_text, broken_frames, fragments))(rng)
    return said[: rng.randrange(len(said) + 1)] if rng.random() < 0.2 else said


def request(rng: random.Random) -> bytes:
    """A handshake, now and then a broken one."""
    path = rng.choice(PATHS)
    if path == "/v1/listen":
        names = ("encoding", "sample_rate", "channels", "interim_results")
        given = rng.choice(("linear16", "container", "16000", "8000", "", "%00", "true", "9" * 50))
        path += f"?encoding=linear16&sample_rate=16000&{rng.choice(names)}={given}"
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: fuzz",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version: 13",
    ]
    if rng.random() < 0.1:
        index = rng.randrange(len(lines))
        lines[index] = rng.choice(
            ("", "X: \x01", lines[index][::-1], "Origin: http://[", "A" * 999)
        )
    return "\r\n".join((*lines, "", "")).encode()


async def client(port: int, rng: random.Random) -> None:
    """One client, which may leave at any moment and in any manner."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request(rng))
        if rng.random() < 0.05:
            return
        async with asyncio.timeout(60):
            answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 101"):
            return
        writer.write(messages(rng))
        manner = rng.random()
        if manner < 0.2:
            return
        if manner < 0.4:
            writer.write(frame(rng, CLOSE, b"\x03\xe8"))
        elif manner < 0.5:
            writer.write_eof()
        async with asyncio.timeout(60):  # that is, the server must end it
            await reader.read()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.transport.abort()


async def crowd(port: int, numbers: range) -> None:
    """So many clients, some at once."""
    waiting = iter(numbers)

    async def one_after_the_other() -> None:
        for number in waiting:
            await client(port, random.Random(number))

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(one_after_the_other())


def resident_bytes() -> int:
    """Memory in use. What is free is given back first: how much that is depends on the moment when
    most streams were searching at once."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def test_ten_thousand_malformed_clients(serving, recitation, caplog):
    caplog.set_level(logging.ERROR)
    failures: list[dict] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: failures.append(context))
    files = len(os.listdir("/proc/self/fd"))
    async with serving(streams=2 * AT_ONCE, first_message=2, idle=2, ahead=60) as running:
        tasks, threads = len(asyncio.all_tasks()), threading.active_count()
        form = {"encoding": "s16le", "sample_rate": recitation.rate}
        sound = list(pieces(recitation.first(8.8), recitation.rate // 10))

        async def recited_among(numbers: range) -> list[tuple[int, int]]:
            good, _ = await asyncio.gather(
                recite(running.url(), form, sound, speed=20), crowd(running.port, numbers)
            )
            return good.verses

        assert await recited_among(range(WARM_UP)) == FATIHA[:2]
        before = resident_bytes()
        assert await recited_among(range(WARM_UP, CLIENTS)) == FATIHA[:2]
        await until(lambda: not running.server.server_state.connections)
        await until(lambda: not running.metric("tasmi_streams_open"))
        await until(lambda: len(asyncio.all_tasks()) <= tasks)
        assert resident_bytes() - before < GROWTH_BYTES
        assert threading.active_count() <= threads + (os.cpu_count() or 1)  # the recogniser's own
        closed = {
            sample.labels["code"]: sample.value
            for family in running.service.metrics.registry.collect()
            for sample in family.samples
            if sample.name == "tasmi_connections_closed_total"
        }
        assert running.metric("tasmi_streams_total") > CLIENTS / 10  # many got as far as audio
        assert closed.keys() >= {"1000", "1006", "4400", "4408", "4415"}
        assert "1011" not in closed
        await asyncio.sleep(2.5)  # a connection's last timer
        gc.collect()
        kept = (Connection, Session, RecognitionStream, BoundedProtocol)
        # `isinstance` would wake proxies that other libraries keep.
        assert not [thing for thing in gc.get_objects() if issubclass(type(thing), kept)]
    assert len(os.listdir("/proc/self/fd")) <= files
    assert not failures
    assert not caplog.records
