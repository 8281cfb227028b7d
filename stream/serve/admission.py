"""Who may stream: as many as can be heard in real time, and nobody once the server is stopping."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from .limits import CloseCode, ConnectionEndedError, Ending, Limits
from .load import Load
from .metrics import Metrics


class Endable(Protocol):
    """A stream as the server's end concerns it."""

    def finish(self, ending: Ending) -> None: ...


class Admission:
    """Counts connections, refuses those beyond the limits, and ends all when the server stops."""

    def __init__(self, limits: Limits, load: Load, hop: float, metrics: Metrics) -> None:
        self._limits = limits
        self._load = load
        self._most_lag = limits.lag * hop
        self._metrics = metrics
        self._connections = 0
        self._sessions: set[Endable] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self.draining = False

    @contextmanager
    def connection(self) -> Iterator[None]:
        """Room for one connection. Raises ConnectionEndedError where there is none.

        An overloaded server refuses: to take one more would delay everybody's verses.
        """
        if self.draining:
            raise self._refusal("stopping", "the server is stopping", "connect to another")
        if self._connections >= self._limits.streams:
            raise self._refusal("full", f"{self._connections} streams are open", "try again later")
        if (lag := self._load.lag) > self._most_lag:
            problem = f"overloaded: recognition is {lag:.2f} s late"
            raise self._refusal("overload", problem, "try again later")
        self._connections += 1
        try:
            yield
        finally:
            self._connections -= 1

    @contextmanager
    def session(self, session: Endable, protocol: str) -> Iterator[None]:
        """Marks a stream as open, so that it is given the time to end when the server stops."""
        self._sessions.add(session)
        self._empty.clear()
        self._metrics.started.labels(protocol).inc()
        with self._metrics.open.labels(protocol).track_inprogress():
            try:
                yield
            finally:
                self._sessions.discard(session)
                if not self._sessions:
                    self._empty.set()

    async def drain(self) -> None:
        """Ends every stream; returns when all have ended, or their time is up."""
        self.draining = True
        for session in tuple(self._sessions):
            session.finish(Ending(CloseCode.SHUTTING_DOWN, "the server is stopping"))
        try:
            async with asyncio.timeout(self._limits.drain):
                await self._empty.wait()
        except TimeoutError:
            pass

    def _refusal(self, reason: str, problem: str, remedy: str) -> ConnectionEndedError:
        self._metrics.refused.labels(reason).inc()
        return ConnectionEndedError(CloseCode.TRY_LATER, problem, remedy)
