"""Every limit ends a connection with the code and reason that docs/protocol.md promises."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
import socket
import time
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from stream.serve import Limits
from stream.serve.limits import CloseCode
from tests.serve.clients import FATIHA, Outcome, everything, pieces, recite, until

PCM = {"encoding": "s16le", "sample_rate": 16_000}
START = json.dumps({"type": "start"} | PCM)
DOCS = Path(__file__).parents[2] / "docs" / "protocol.md"


async def exchange(url: str, *messages: str | bytes, **options: object) -> Outcome:
    """Sends messages, then reads to the end."""
    async with connect(url, **options) as client:
        try:
            for message in messages:
                await client.send(message)
        except ConnectionClosed:
            pass
        async with asyncio.timeout(60):
            return await everything(client)


def test_every_close_code_is_documented():
    documented = {int(code) for code in re.findall(r"^\| (\d{4}) \|", DOCS.read_text(), re.M)}
    assert {code.value for code in CloseCode} <= documented


MALFORMED = [
    "",
    "start",
    "[]",
    "null",
    "1e999",
    "{" * 100_000,
    '{"type": "begin"}',
    '{"type": ["start"]}',
    '{"type": "flush"}',
    b"\x00\x01" * 100,
]


async def test_malformed_first_message(serving):
    async with serving() as running:
        for message in MALFORMED:
            outcome = await exchange(running.url(), message)
            assert outcome.code == CloseCode.MALFORMED, message[:20]
            assert outcome.reason


BAD_AUDIO = [
    {"encoding": "mp3", "sample_rate": 16_000},
    {"encoding": ["s16le"], "sample_rate": 16_000},
    {"encoding": "s16le"},
    {"encoding": "s16le", "sample_rate": "16000"},
    {"encoding": "s16le", "sample_rate": True},
    {"encoding": "s16le", "sample_rate": 0},
    {"encoding": "s16le", "sample_rate": -16_000},
    {"encoding": "s16le", "sample_rate": 7_999},
    {"encoding": "s16le", "sample_rate": 10**30},
    {"encoding": "s16le", "sample_rate": 16_000, "channels": 0},
    {"encoding": "s16le", "sample_rate": 16_000, "channels": 1.5},
    {"encoding": "s16le", "sample_rate": 16_000, "channels": 9},
]


async def test_audio_that_cannot_be(serving):
    async with serving() as running:
        for form in BAD_AUDIO:
            outcome = await exchange(running.url(), json.dumps({"type": "start"} | form))
            assert outcome.code == CloseCode.BAD_AUDIO, form
            assert outcome.reason
        container = '{"type": "start", "encoding": "container"}'
        for data in (b"RIFF....WAVEfmt ", b"#EXTM3U\nhttp://localhost/", b"OggS" + bytes(5000)):
            outcome = await exchange(running.url(), container, data, '{"type": "end"}')
            assert outcome.code == CloseCode.BAD_AUDIO, data[:10]


async def test_nonsense_in_the_middle(serving):
    async with serving() as running:
        for message in ("?", "[]", '{"type": "start"}', '{"type": {}}'):
            assert (await exchange(running.url(), START, message)).code == CloseCode.MALFORMED


async def test_message_size(serving):
    async with serving(message_bytes=10_000) as running:
        assert (await exchange(running.url(), START, bytes(10_002))).code == CloseCode.TOO_BIG
        outcome = await exchange(running.url(), START, bytes(10_000), '{"type": "end"}')
        assert outcome.code == CloseCode.DONE


async def test_idle_before_the_first_message(serving):
    async with serving(first_message=0.3) as running:
        assert (await exchange(running.url())).code == CloseCode.IDLE


async def test_idle_ends_with_what_was_heard(serving, recitation):
    async with serving(idle=1.0) as running:
        start = json.dumps({"type": "start"} | PCM | {"sample_rate": recitation.rate})
        outcome = await exchange(running.url(), start, recitation.first(8.8))
    assert outcome.code == CloseCode.IDLE
    assert outcome.verses == FATIHA[:2]
    assert outcome.messages[-1]["type"] == "ended"


async def test_total_time_ends_with_what_was_heard(serving, recitation):
    async with serving(total=4.0) as running:
        form = PCM | {"sample_rate": recitation.rate}
        # Pieces of a tenth of a second, at 2.5 times real time.
        audio = pieces(recitation.s16le, recitation.rate // 5)
        outcome = await recite(running.url(), form, audio, speed=25)
    assert outcome.code == CloseCode.TOO_LONG
    assert outcome.verses == FATIHA[: len(outcome.verses)] != []
    assert outcome.messages[-1]["type"] == "ended"


async def test_connections(serving):
    async with serving(streams=2) as running:
        async with connect(running.url()) as one, connect(running.url()) as two:
            for client in (one, two):
                await client.send(START)
                await client.recv()
            for path in ("/v1/recite", "/v1/listen?encoding=linear16&sample_rate=16000", "/vosk"):
                outcome = await exchange(running.url(path))
                assert outcome.code == CloseCode.TRY_LATER
                assert "2 streams are open" in outcome.reason
        assert running.metric("tasmi_streams_refused_total", reason="full") == 3
        await until(lambda: not running.metric("tasmi_streams_open"))
        outcome = await exchange(running.url(), START, '{"type": "end"}')
        assert outcome.code == CloseCode.DONE


async def test_overload_refuses_only_new_streams(serving):
    async with serving(lag=0.5) as running:
        async with connect(running.url()) as client:
            await client.send(START)
            await client.recv()
            for _ in range(20):
                running.service.load.record(0.3)  # 0.24 s, half a hop, is the limit
            outcome = await exchange(running.url())
            assert outcome.code == CloseCode.TRY_LATER
            assert "overloaded" in outcome.reason
            await client.send('{"type": "end"}')
            assert (await everything(client)).code == CloseCode.DONE
        assert running.metric("tasmi_streams_refused_total", reason="overload") == 1


async def test_origin(serving):
    async with serving(origins=["https://friend.example"]) as running:
        own = f"http://127.0.0.1:{running.port}"
        for origin, code in (
            (None, CloseCode.DONE),
            (own, CloseCode.DONE),
            ("https://friend.example", CloseCode.DONE),
            ("https://friend.example.evil.example", CloseCode.WRONG_ORIGIN),
            ("http://localhost:1", CloseCode.WRONG_ORIGIN),
            ("null", CloseCode.WRONG_ORIGIN),
        ):
            outcome = await exchange(running.url(), START, '{"type": "end"}', origin=origin)
            assert outcome.code == code, origin


async def test_token(serving):
    async with serving(token="s3cret") as running:
        end = '{"type": "end"}'
        said = json.dumps({"type": "start", "token": "s3cret"} | PCM)
        assert (await exchange(running.url(), said, end)).code == CloseCode.DONE
        for headers in ({"Authorization": "Token s3cret"}, {"Authorization": "Bearer s3cret"}):
            outcome = await exchange(running.url(), START, end, additional_headers=headers)
            assert outcome.code == CloseCode.DONE
        outcome = await exchange(running.url(), START, end, subprotocols=["token", "s3cret"])
        assert outcome.code == CloseCode.DONE
        for wrong in (None, "", "S3cret", "s3cret ", "кот", 7):
            said = json.dumps({"type": "start", "token": wrong} | PCM)
            assert (await exchange(running.url(), said)).code == CloseCode.WRONG_TOKEN
        query = "?encoding=linear16&sample_rate=16000"
        assert (await exchange(running.url(f"/v1/listen{query}"))).code == CloseCode.WRONG_TOKEN
        assert (await exchange(running.url("/vosk"), b"\0\0")).code == CloseCode.WRONG_TOKEN


async def beside(running, recitation, misbehave):
    """Runs a misbehaving client beside a good one; the good one's outcome and the other's."""
    form = PCM | {"sample_rate": recitation.rate}
    audio = pieces(recitation.first(16), recitation.rate // 5)
    good = asyncio.create_task(recite(running.url(), form, audio, speed=25))
    bad = await misbehave
    outcome = await good
    assert outcome.verses == FATIHA[:4]
    assert outcome.code == CloseCode.DONE
    return bad


async def test_an_hour_at_once(serving, recitation):
    async def an_hour():
        data = bytes(recitation.rate * 2)
        return await recite(
            running.url(), PCM | {"sample_rate": recitation.rate}, (data for _ in range(3600))
        )

    async with serving() as running:
        outcome = await beside(running, recitation, an_hour())
        assert outcome.code == CloseCode.TOO_FAST
        assert "30 s of audio ahead of real time" in outcome.reason


async def test_an_hour_in_a_container(serving, recitation):
    """Compressed audio is measured by how long it lasts, not by its bytes."""

    async def an_hour():
        return await recite(running.url(), {"encoding": "container"}, [recitation.webm])

    async with serving(ahead=20) as running:
        assert (await beside(running, recitation, an_hour())).code == CloseCode.TOO_FAST


async def test_one_that_sends_nothing(serving, recitation):
    async with serving(idle=1.0) as running:
        outcome = await beside(running, recitation, exchange(running.url(), START))
        assert outcome.code == CloseCode.IDLE


def reluctant(port: int) -> socket.socket:
    """A connected socket that takes very little before it is read."""
    unread = socket.socket()
    unread.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    unread.connect(("127.0.0.1", port))
    return unread


async def test_one_that_never_reads_is_dropped(serving, recitation):
    """First its provisional events are dropped, then the connection; memory holds 256 events."""

    async def never_read():
        unread = reluctant(running.port)
        client = await connect(running.url(), sock=unread, max_queue=1, ping_interval=None)
        client.transport.pause_reading()
        form = PCM | {"sample_rate": recitation.rate}
        await client.send(json.dumps({"type": "start"} | form))
        began = time.monotonic()
        try:
            async with asyncio.timeout(100):
                while True:  # as fast as it is taken
                    await client.send(recitation.s16le)
        except (ConnectionClosed, ConnectionError):
            return time.monotonic() - began

    async with serving(ahead=10_000, unread=1.0) as running:
        await beside(running, recitation, never_read())
        await until(lambda: not running.metric("tasmi_streams_open"))
        await until(lambda: len(running.server.server_state.connections) == 0)
        assert running.metric("tasmi_connections_closed_total", code="1006") == 1


async def test_one_that_answers_no_ping_is_dropped(serving):
    async with serving(ping_interval=0.5) as running:
        client = await connect(running.url(), ping_interval=None)
        client.transport.pause_reading()
        await client.send(START)
        await until(lambda: running.metric("tasmi_streams_open"))
        await until(lambda: not running.metric("tasmi_streams_open"))
        client.transport.abort()


async def test_pings_are_not_answered_into_memory(serving):
    """A client that pings without reading is dropped, since each ping makes an answer."""
    async with serving() as running:
        client = await connect(running.url(), sock=reluctant(running.port), ping_interval=None)
        client.transport.pause_reading()
        await client.send(START)
        async with asyncio.timeout(60):
            while not client.transport.is_closing():
                client.protocol.send_ping(bytes(125))
                client.transport.write(b"".join(client.protocol.data_to_send()))
                await asyncio.sleep(0)


def test_limits_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Limits().ahead = 5
