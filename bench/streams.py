"""How many live streams one server carries: what each adds to the delay, and what happens past it.

    python -m bench.streams [--most N] [--seconds S] [--json PATH]

Starts `python -m stream.serve` and plays the sample recitation to it as it would be spoken, from N
clients at once, N from 1 up, each from another place in it. For every event a client gets, the
delay is how much later it came than the audio it was decided on (`audio_time`) was spoken. Of that,
up to a tenth of a second is the wait for the piece of audio that completes a hop: compare with the
first row. Where the p95 exceeds a hop, the server does not keep up.

The clients are in this process, so that they take computing time from the server. Past the limit
of streams (the last row) more clients come than it takes: they should be refused, and the others
not be delayed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from stream import AudioBlock
from stream.files import decode_file

SAMPLE = Path(__file__).parent.parent / "examples" / "al-fatiha.opus"
_PIECE_SECONDS = 0.1  # what capturing programs send at a time
_STEPS = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64)
_TRY_LATER = 1013
_FORGET_SECONDS = 5.0  # until the server no longer minds how late it was in the round before
_BEYOND = 16  # clients more than there is room for


@dataclass
class Tally:
    """What the clients of one round saw. Delays in seconds."""

    delays: list[float] = field(default_factory=list)
    verses: int = 0
    refused: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Row:
    """One round: `clients` came, `refused` of them were sent away. Times in milliseconds."""

    clients: int
    refused: int
    failed: int
    events: int
    verses: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    server_cores: float


class Clip:
    """The sample, over and over, as 16-bit mono."""

    def __init__(self, path: Path) -> None:
        blocks = [block for block in decode_file(path) if isinstance(block, AudioBlock)]
        self.rate = blocks[0].sample_rate
        samples = np.concatenate([block.samples for block in blocks])
        size = round(_PIECE_SECONDS * self.rate)
        whole = (np.clip(samples, -1, 1) * 32767).astype("<i2")
        self._pieces = [whole[at : at + size].tobytes() for at in range(0, len(whole), size)][:-1]

    @property
    def pieces(self) -> int:
        return len(self._pieces)

    def piece(self, number: int) -> bytes:
        """The `number`-th tenth of a second; after the last comes the first."""
        return self._pieces[number % len(self._pieces)]


async def _recite(url: str, clip: Clip, seconds: float, tally: Tally, seed: int) -> None:
    """One client: speaks for so long in real time."""
    # People do not recite in step.
    chance = random.Random(seed)
    await asyncio.sleep(chance.random())
    first = chance.randrange(clip.pieces)
    listening: asyncio.Task[None] | None = None
    try:
        async with connect(url, compression=None, ping_interval=None) as socket:
            start = {"type": "start", "encoding": "s16le", "sample_rate": clip.rate}
            await socket.send(json.dumps(start))
            if json.loads(await socket.recv())["type"] != "started":
                raise ValueError("the server does not start")
            began = time.perf_counter()
            listening = asyncio.create_task(_listen(socket, began, seconds, tally))
            for number in range(round(seconds / _PIECE_SECONDS)):
                # A piece can be sent when its last sample has been spoken.
                due = began + (number + 1) * _PIECE_SECONDS
                await asyncio.sleep(due - time.perf_counter())
                await socket.send(clip.piece(first + number))
            await socket.send('{"type": "end"}')
            await listening
    except ConnectionClosed as closed:
        if closed.rcvd is not None and closed.rcvd.code == _TRY_LATER:
            tally.refused += 1
        else:
            tally.failed += 1
    except OSError:
        tally.failed += 1
    finally:
        if listening is not None:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def _listen(socket: ClientConnection, began: float, seconds: float, tally: Tally) -> None:
    async for message in socket:
        now = time.perf_counter()
        event: dict[str, Any] = json.loads(message)
        tally.verses += event["type"] == "final"
        # The last hop is cut short by the end, which comes when nothing more is waited for.
        if event["audio_time"] < seconds:
            tally.delays.append(now - began - event["audio_time"])


def _cpu_seconds(process: int) -> float:
    """Computing time that a process has used."""
    user, system = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / 100  # the kernel counts in hundredths


async def _round(url: str, process: int, clip: Clip, clients: int, seconds: float) -> Row:
    tally = Tally()
    began, used = time.perf_counter(), _cpu_seconds(process)
    await asyncio.gather(*(_recite(url, clip, seconds, tally, n) for n in range(clients)))
    cores = (_cpu_seconds(process) - used) / (time.perf_counter() - began)
    marks = statistics.quantiles(tally.delays, n=100) if len(tally.delays) > 1 else [0.0] * 99
    return Row(
        clients=clients,
        refused=tally.refused,
        failed=tally.failed,
        events=len(tally.delays),
        verses=tally.verses,
        p50_ms=1000 * marks[49],
        p95_ms=1000 * marks[94],
        p99_ms=1000 * marks[98],
        server_cores=cores,
    )


async def measure(most: int, seconds: float) -> list[Row]:
    """Rounds of 1 client and more, up to `most`, and one beyond what the server takes."""
    clip = Clip(SAMPLE)
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stream.serve", "--port", "0", "--streams", str(most)),
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert server.stderr is not None
        said = ""
        while not (found := re.search(r"http://([^/]+)/", said)):
            line = await server.stderr.readline()
            if not line:
                raise RuntimeError(f"the server does not start: {said}")
            said += line.decode()
        url = f"ws://{found[1]}/v1/recite"
        await _round(url, server.pid, clip, 1, min(seconds, 5))  # what is done once, is done
        await asyncio.sleep(_FORGET_SECONDS)
        rows = []
        for clients in (*(n for n in _STEPS if n < most), most, most + _BEYOND):
            rows.append(await _round(url, server.pid, clip, clients, seconds))
            _print(rows[-1])
            await asyncio.sleep(_FORGET_SECONDS)
        return rows
    finally:
        server.terminate()
        await server.wait()


def _print(row: Row) -> None:
    print(
        f"{row.clients:7} {row.refused:7} {row.failed:6} {row.verses:6} {row.p50_ms:8.0f} "
        f"{row.p95_ms:8.0f} {row.p99_ms:8.0f} {row.server_cores:6.2f}",
        flush=True,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="bench.streams",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--most", type=int, default=64, help="streams the server takes (64)")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of a round (30)")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the numbers here")
    args = parser.parse_args(arguments)
    print("clients refused failed verses   p50 ms   p95 ms   p99 ms  cores")
    rows = asyncio.run(measure(args.most, args.seconds))
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
