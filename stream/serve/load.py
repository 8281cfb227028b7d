"""How late recognition is: what decides whether there is room for another stream."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

Observer = Callable[[float, float], None]

_WINDOW = 4.0  # seconds
_SHARE = 0.9  # of the hops in the window are no later than what is reported


class Load:
    """The delay of recent hops, from when their audio was there to when they were decided."""

    def __init__(self) -> None:
        self._recent: deque[tuple[float, float]] = deque()  # when, delay

    def record(self, delay: float) -> None:
        """Takes one hop's delay, in seconds. May be called from any thread."""
        self._recent.append((time.monotonic(), delay))

    @property
    def lag(self) -> float:
        """Seconds within which nine in ten of the recent hops were decided; 0 when idle."""
        oldest = time.monotonic() - _WINDOW
        while self._recent and self._recent[0][0] < oldest:
            self._recent.popleft()
        delays = sorted(delay for _, delay in tuple(self._recent))
        return delays[int(_SHARE * (len(delays) - 1))] if delays else 0.0


class ObservedExecutor(ThreadPoolExecutor):
    """Tells of every piece of work how long it took, waiting included, and how long it ran."""

    def __init__(self, observe: Observer) -> None:
        super().__init__(os.cpu_count(), thread_name_prefix="recognizer")
        self._observe = observe

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        asked = time.perf_counter()

        def work() -> T:
            began = time.perf_counter()
            try:
                return fn(*args, **kwargs)
            finally:
                ended = time.perf_counter()
                self._observe(ended - asked, ended - began)

        return super().submit(work)
