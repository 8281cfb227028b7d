"""How far a batch of recordings is, and how long it will still take: a bar on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from .command import can_draw

_SPEED_SECONDS = 60.0  # over which speed is averaged: one recording is slower than another


class BatchProgress:
    """A bar on standard error while recordings are recognised; nothing where that is no terminal.

    Counted in seconds of audio, as the recordings' headers declare them.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        console = Console(stderr=True)
        shown = can_draw(console)
        self._names = [path.name for path in paths]
        self._seconds = [_declared_seconds(path) if shown else 0.0 for path in paths]
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not shown,
            transient=True,
            # Events that go to the same terminal are printed above the bar; into a file or a pipe
            # they go untouched.
            redirect_stdout=sys.stdout.isatty(),
            speed_estimate_period=_SPEED_SECONDS,
        )
        self._task = self._bar.add_task("", total=sum(self._seconds) or None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def show(self, number: int, seconds: float) -> None:
        """Recording `number` (from 0) is recognised as far as `seconds`."""
        self._bar.update(
            self._task,
            description=f"[{number + 1}/{len(self._names)}] {self._names[number]}",
            completed=sum(self._seconds[:number]) + min(seconds, self._seconds[number]),
        )


def _declared_seconds(path: Path) -> float:
    """What a recording's header says it lasts; 0 where it does not say, or is not readable."""
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            return float(container.duration or 0) / av.time_base
    except (OSError, av.error.FFmpegError):
        return 0.0
