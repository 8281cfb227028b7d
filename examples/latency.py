"""How soon are verses known? Plays every recording of a folder in real time, and compares.

    python -m examples.latency FOLDER_OR_FILE... [--speed max]

Per verse: *shown* is the time from the verse's first sound to the first provisional event that
named it, *final* the time from its last sound to its final event. Both include the time the
computation took; with ``--speed max`` they are on the audio's clock alone.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stream import FileSource, Final, Provisional, Recognizer, StreamError
from stream.replay import recordings
from stream.sources import Speed


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds; ``shown`` is None for a verse that was final without being shown before."""

    surah: int
    ayah: int
    shown: float | None
    final: float


async def latencies(recognizer: Recognizer, path: Path, speed: Speed) -> AsyncIterator[Latency]:
    """The latency of every final verse of a recording, as it comes."""
    shown: dict[tuple[int, int, int], float] = {}
    async with recognizer.stream() as stream:
        begin = time.time()
        async for event in stream.run(FileSource(path, speed)):
            now = event.wall_time - begin if speed == "realtime" else event.audio_time
            if isinstance(event, Provisional):
                shown.setdefault((event.slot, event.surah, event.ayah), now)
            elif isinstance(event, Final):
                first = shown.get((event.slot, event.surah, event.ayah))
                yield Latency(
                    event.surah,
                    event.ayah,
                    None if first is None else first - event.start,
                    now - event.end,
                )


def summary(name: str, values: Sequence[float]) -> str:
    if not values:
        return f"{name}: none"
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return f"{name}: median {statistics.median(values):.2f} s, 95% within {p95:.2f} s"


async def run(paths: Sequence[Path], speed: Speed) -> int:
    recognizer = Recognizer.load()
    collected: list[Latency] = []
    failures = 0
    for path in [recording for named in paths for recording in recordings(named)]:
        try:
            async for verse in latencies(recognizer, path, speed):
                collected.append(verse)
                shown = "   -  " if verse.shown is None else f"{verse.shown:5.2f}s"
                name = f"{verse.surah}:{verse.ayah}"
                print(f"{path.name}  {name:8} shown {shown}  final {verse.final:5.2f}s", flush=True)
        except StreamError as error:
            failures += 1
            print(f"{path.name}: {error}", file=sys.stderr)
    print(summary("shown", [v.shown for v in collected if v.shown is not None]))
    print(summary("final", [v.final for v in collected]))
    return 1 if failures else 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="latency", description="How soon are verses known?")
    parser.add_argument("paths", type=Path, nargs="+", help="recordings, or folders of them")
    parser.add_argument("--speed", choices=("realtime", "max"), default="realtime")
    args = parser.parse_args(arguments)
    return asyncio.run(run(args.paths, args.speed))


if __name__ == "__main__":
    sys.exit(main())
