"""`python -m stream.serve` as a process."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from stream.serve.limits import CloseCode
from tests.serve.clients import FATIHA, everything

COMMAND = (sys.executable, "-m", "stream.serve")


@asynccontextmanager
async def command(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """The server in a process of its own, and its port."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "--port", "0", *arguments, stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(120):
            seen = ""
            while not (found := re.search(r"http://127\.0\.0\.1:(\d+)/", seen)):
                line = await process.stderr.readline()
                assert line, seen
                seen += line.decode()
        yield process, int(found[1])
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def heard(port: int, hops: int) -> None:
    """Waits until the server has decided on so many hops: sent at once, they take it a while."""
    async with httpx.AsyncClient() as client:
        counted = 0.0
        while counted < hops:
            await asyncio.sleep(0.1)
            metrics = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
            found = re.search(r"^tasmi_hop_latency_seconds_count (\S+)", metrics, re.MULTILINE)
            assert found
            counted = float(found[1])


async def test_sigterm_ends_open_streams_with_their_finals(recitation):
    """Eight streams in the middle of a recitation."""
    async with command() as (process, port), asyncio.timeout(120):
        url = f"ws://127.0.0.1:{port}/v1/recite"
        clients = [await connect(url, ping_interval=None) for _ in range(8)]
        start = {"type": "start", "encoding": "s16le", "sample_rate": recitation.rate}
        for client in clients:
            await client.send(json.dumps(start))
            await client.send(recitation.first(8.8))
        reading = [asyncio.create_task(everything(client)) for client in clients]
        await heard(port, 8 * 18)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        outcomes = await asyncio.gather(*reading)
        took = time.monotonic() - began
        for outcome in outcomes:
            assert outcome.verses == FATIHA[:2]
            assert outcome.messages[-1]["type"] == "ended"
            assert outcome.code == CloseCode.SHUTTING_DOWN
        assert await process.wait() == 0
    print(f"all had ended {took:.2f} s after the signal")
    assert took < 2.5


async def test_who_goes_on_talking_hears_the_end(recitation):
    """A busy client, which reads late: what it sends meanwhile must not cost it the finals."""

    async def talk(client: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            while True:
                await client.send(bytes(2 * recitation.rate // 100))
                await asyncio.sleep(0.01)

    async with command() as (process, port), asyncio.timeout(60):
        clients = [await connect(f"ws://127.0.0.1:{port}/v1/recite") for _ in range(8)]
        start = {"type": "start", "encoding": "s16le", "sample_rate": recitation.rate}
        for client in clients:
            await client.send(json.dumps(start))
            await client.recv()
        talking = [asyncio.create_task(talk(client)) for client in clients]
        await heard(port, 8)
        for client in clients:
            client.transport.pause_reading()
        process.send_signal(signal.SIGTERM)
        await asyncio.sleep(1)
        for client in clients:
            client.transport.resume_reading()
        for outcome in await asyncio.gather(*map(everything, clients)):
            assert outcome.messages[-1]["type"] == "ended"
            assert outcome.code == CloseCode.SHUTTING_DOWN
        await asyncio.gather(*talking)
        assert await process.wait() == 0


async def test_stopping_is_told_to_all():
    """To a stream without audio, to a connection that has said nothing, and to who comes later."""
    async with command() as (process, port):
        url = f"ws://127.0.0.1:{port}/v1/recite"
        async with connect(url) as client, connect(url) as silent:
            await client.send('{"type": "start", "encoding": "s16le", "sample_rate": 16000}')
            await client.recv()
            process.send_signal(signal.SIGINT)
            assert (await everything(client)).messages[-1]["type"] == "ended"
            assert (await everything(silent)).code == 1012
        with pytest.raises(OSError, match="Connect call failed"):
            await connect(url)
        assert await process.wait() == 0


async def run(*arguments: str) -> tuple[int, str]:
    """Runs the command to its end; exit status and what it said."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"COLUMNS": "100"},
    )
    async with asyncio.timeout(120):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_help_teaches():
    status, told = await run("--help")
    assert status == 0
    for word in ("127.0.0.1", "/v1/recite", "/vosk", "TASMI_TOKEN", "--allow-origin", "SIGTERM"):
        assert word in told


async def test_a_file_that_is_no_model_is_said_in_one_line(tmp_path):
    (tmp_path / "model.onnx").write_text("no model")
    status, told = await run("--model", str(tmp_path / "model.onnx"))
    assert status == 1
    assert re.fullmatch(r"serve: .*model\.onnx cannot be used .*: name another model, .*\n", told)


async def test_a_taken_port_is_said_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, told = await run("--port", str(taken.getsockname()[1]))
    assert status == 1
    assert re.fullmatch(r"serve: cannot listen on .*: choose another .*\n", told)
