"""Does audio that arrives in real time give the same events as audio read at full speed?

    python -m bench.realtime FILE...

Plays each file twice through the asynchronous API. Exit status 1 where the finals differ.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stream import FileSource, Recognizer
from stream.sources import Speed

# What may differ: when it was, and which stream, not what was decided.
_RUN = ("wall_time", "stream_id", "statistics")


def _decided(event: dict[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in event.items() if key not in _RUN}
    for key in ("finals", "warnings"):
        if key in plain:
            plain[key] = [_decided(inner) for inner in plain[key]]
    return plain


async def events(recognizer: Recognizer, path: Path, speed: Speed) -> list[dict[str, Any]]:
    """Everything decided about one file, in order, without what depends on the run."""
    async with recognizer.stream() as stream:
        return [_decided(event.to_dict()) async for event in stream.run(FileSource(path, speed))]


def finals(decided: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The final events among ``decided``."""
    return [event for event in decided if event["type"] == "final"]


async def compare(recognizer: Recognizer, path: Path) -> bool:
    """Print one line about ``path``; whether its finals are the same at both speeds."""
    fast = await events(recognizer, path, "max")
    live = await events(recognizer, path, "realtime")
    same = finals(fast) == finals(live)
    verdict = "same finals" if same else "DIFFERENT FINALS"
    others = "all events the same" if fast == live else "other events differ"
    print(f"{path.name}: {len(finals(fast))} finals, {len(fast)} events: {verdict}, {others}")
    return same


async def _compare_all(paths: Sequence[Path]) -> bool:
    recognizer = await asyncio.to_thread(Recognizer.load)
    return all([await compare(recognizer, path) for path in paths])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.realtime", description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    return 0 if asyncio.run(_compare_all(parser.parse_args(arguments).files)) else 1


if __name__ == "__main__":
    sys.exit(main())
