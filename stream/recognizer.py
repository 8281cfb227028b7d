"""The two objects an application holds: a `Recognizer`, a `RecognitionStream` per recitation."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from .audio import (
    SAMPLE_RATE,
    AudioBlock,
    Notice,
    Pcm,
    block_from_pcm,
    check_sample_rate,
)
from .engine import Engine
from .errors import (
    AudioOverflowError,
    RecognitionError,
    StreamClosedError,
    StreamError,
    UnsupportedAudioError,
)
from .events import Candidates, Ended, Event, Provisional
from .files import decode_file
from .pipeline import Pipeline
from .policy import BALANCED, Policy
from .sources import AudioSource, closing, run_blocking

SlowConsumer = Literal["wait", "skip"]

# Pushed audio is cut to pieces of this length, so that one call into the executor stays short.
_PIECE_SECONDS = 0.24
_ROUNDING = 1e-6  # seconds
# What another such event soon replaces.
_TRANSIENT = (Candidates, Provisional)


class Recognizer:
    """Models, text and search, loaded once. Immutable: share it between streams, tasks, threads."""

    def __init__(self, engine: Engine, executor: ThreadPoolExecutor | None = None) -> None:
        """`executor` does the streams' computing; by default one of the recogniser's own."""
        self.engine = engine
        # Sized to the cores: more threads than that would only make each stream's hops slower.
        self._executor = executor or ThreadPoolExecutor(
            os.cpu_count(), thread_name_prefix="recognizer"
        )

    @classmethod
    def load(
        cls,
        hop_ms: int | None = None,
        model: str | os.PathLike[str] | None = None,
        policy: Policy = BALANCED,
    ) -> Self:
        """Loads what ships with the packages. No network, no accelerator.

        `hop_ms` is the time between decisions, a multiple of the model's own (the default).
        `model` is the file of another acoustic model. `policy` says when to speak: `QUICK`,
        `BALANCED`, `CAREFUL` or one's own. Raises UnsupportedHopError, UnsupportedModelError.
        """
        return cls(Engine.load(hop_ms, model, policy))

    def stream(
        self,
        *,
        sample_rate: int = SAMPLE_RATE,
        channels: int = 1,
        buffer_seconds: float = 60.0,
        max_events: int = 256,
        slow_consumer: SlowConsumer = "wait",
        stream_id: str | None = None,
    ) -> RecognitionStream:
        """A new recitation. Use it as `async with recognizer.stream() as stream`.

        `sample_rate` and `channels` describe what `push` and `feed` will be given.

        Memory is bounded at both ends. Once `buffer_seconds` of audio wait to be recognised, `push`
        raises and `feed` waits. At most `max_events` wait to be read. Then, with `slow_consumer`
        "wait", recognition pauses (and so the audio backs up); with "skip", candidates and
        provisional verses are dropped, the oldest first, and only when none is left to drop does
        recognition pause.
        """
        check_sample_rate(sample_rate)
        if channels < 1:
            raise UnsupportedAudioError(f"{channels} channels", "give the number of channels")
        return RecognitionStream(
            self.engine,
            self._executor,
            sample_rate=sample_rate,
            channels=channels,
            buffer_seconds=buffer_seconds,
            max_events=max_events,
            slow_consumer=slow_consumer,
            stream_id=stream_id or uuid.uuid4().hex[:12],
        )

    def recognize(self, path: str | os.PathLike[str]) -> Ended:
        """Recognises a whole file in the calling thread, as fast as it goes.

        Returns the stream's last event: its `finals`, `warnings` and statistics; `reason` is
        "error" if the file became unreadable on the way. Raises AudioError if there is nothing to
        hear in it.
        """
        pipeline = Pipeline(self.engine, uuid.uuid4().hex[:12])
        error: StreamError | None = None
        try:
            for item in decode_file(Path(path)):
                if isinstance(item, Notice):
                    pipeline.notice(item)
                else:
                    pipeline.advance((item,))
        except StreamError as raised:
            if not pipeline.now:
                raise
            error = raised
        ended = pipeline.finish(error)[-1]
        assert isinstance(ended, Ended)
        return ended


class _Flush:
    """Marks a place in the audio: decide on everything before it."""


class _End:
    """Marks the end of the audio, and why where it is an error."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error


class RecognitionStream:
    """One recitation: push audio in, iterate over events. Made by `Recognizer.stream`.

    Belongs to the event loop in which it is first used; all methods are to be called there. Its
    tasks end with `aclose`, at the latest, which `async with` calls.
    """

    def __init__(
        self,
        engine: Engine,
        executor: ThreadPoolExecutor,
        *,
        sample_rate: int,
        channels: int,
        buffer_seconds: float,
        max_events: int,
        slow_consumer: SlowConsumer,
        stream_id: str,
    ) -> None:
        self.stream_id = stream_id
        self._pipeline: Pipeline | None = Pipeline(engine, stream_id)
        self._executor = executor
        self._sample_rate, self._channels = sample_rate, channels
        # Never less than the worker waits for, else both would wait.
        self._buffer_seconds = max(buffer_seconds, 2 * engine.hop / SAMPLE_RATE)
        self._max_events = max_events
        self._slow_consumer = slow_consumer
        self._input: deque[AudioBlock | Notice | _Flush | _End] = deque()
        self._buffered = 0.0  # seconds of audio in it
        self._input_ended = False
        self._output: deque[Event] = deque()
        self._dropped = 0
        self._done = False  # the worker will put out no more
        self._error: Exception | None = None
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._worker: asyncio.Task[None] | None = None

    # Input

    def push(self, pcm: Pcm) -> None:
        """Takes audio without waiting: 16-bit bytes, or an array of int16, int32 or floats.

        Raises AudioOverflowError if the buffer is full (nothing of `pcm` is taken then),
        UnsupportedAudioError, or StreamClosedError after the end.
        """
        block = self._block(pcm)
        if self._buffered >= self._buffer_seconds:
            raise AudioOverflowError(
                f"{self._buffered:.1f} s of audio are waiting to be recognised already",
                "push no faster than that, or `await feed(...)`, which waits; and read the events",
            )
        self._put(block)

    async def feed(self, pcm: Pcm) -> None:
        """Takes audio like `push`, but waits until there is room for it."""
        await self._feed(self._block(pcm))

    def flush(self) -> None:
        """Asks to decide on everything pushed so far; more audio may follow."""
        self._check_open()
        self._put(_Flush())

    def end(self) -> None:
        """Says that no more audio comes. The events that remain follow, `ended` the last."""
        self._end(None)

    async def run(self, source: AudioSource) -> AsyncIterator[Event]:
        """Feeds a source to its end and yields the events meanwhile.

        If the source raises, what was recognised is yielded, `ended` too, and then that is raised.
        """
        pump = self._spawn(self._pump(source))
        try:
            async for event in self:
                yield event
        finally:
            await _cancel(pump)

    async def _pump(self, source: AudioSource) -> None:
        try:
            async with closing(source) as items:
                async for item in items:
                    if isinstance(item, Notice):
                        self._put(item)
                    else:
                        await self._feed(item)
        except Exception as error:
            self._end(error)
        else:
            self._end(None)

    def _block(self, pcm: Pcm) -> AudioBlock:
        self._check_open()
        return block_from_pcm(pcm, self._sample_rate, self._channels)

    def _check_open(self) -> None:
        if self._input_ended or self._pipeline is None:
            raise StreamClosedError(
                "the stream takes no more audio", "open another with recognizer.stream()"
            )

    async def _feed(self, block: AudioBlock) -> None:
        while self._buffered >= self._buffer_seconds and not self._input_ended:
            await self._change()
        self._check_open()
        self._put(block)

    def _end(self, error: Exception | None) -> None:
        if not self._input_ended:
            self._put(_End(error))
            self._input_ended = True

    def _put(self, item: AudioBlock | Notice | _Flush | _End) -> None:
        if isinstance(item, AudioBlock):
            self._buffered += item.seconds
            size = max(1, round(_PIECE_SECONDS * item.sample_rate))
            for at in range(0, len(item.samples), size):
                self._input.append(replace(item, samples=item.samples[at : at + size]))
        else:
            self._input.append(item)
        self._start()
        self._signal()

    # Output

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        if self._pipeline is not None:
            self._start()
        while not self._output:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self._done:
                raise StopAsyncIteration
            await self._change()
        event = self._output.popleft()
        self._signal()
        return event

    # Life

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stops at once and frees everything; events not read are gone. May be called twice."""
        self._input_ended = True
        try:
            await _cancel(*self._tasks)
        finally:
            self._input.clear()
            self._output.clear()
            self._buffered = 0.0
            self._error = self._pipeline = None
            self._done = True
            self._signal()

    def _start(self) -> None:
        if self._worker is None:
            asyncio.get_running_loop()  # fails here rather than with a coroutine never awaited
            self._worker = self._spawn(self._work())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=f"recognition {self.stream_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _change(self) -> None:
        """Waits until anything about the queues has changed."""
        await self._changed.wait()

    def _signal(self) -> None:
        # Wakes every waiter, each of which looks again at what it waits for.
        self._changed.set()
        self._changed = asyncio.Event()

    # Work

    async def _work(self) -> None:
        assert self._pipeline is not None
        pipeline = self._pipeline
        try:
            while not isinstance(item := await self._next_input(pipeline), _End):
                if isinstance(item, list):
                    await self._run(pipeline.advance, item)
                elif isinstance(item, Notice):
                    await self._run(pipeline.notice, item)
                else:
                    await self._run(pipeline.flush)
            self._error = item.error
            await self._run(pipeline.finish, item.error)
        except Exception as cause:
            failure = RecognitionError(f"recognition failed ({cause!r})", "please report this")
            failure.__cause__ = cause
            self._error = failure
            self._input_ended = True
            await self._run(pipeline.give_up, failure)
        finally:
            self._done = True
            self._signal()

    async def _next_input(self, pipeline: Pipeline) -> list[AudioBlock] | Notice | _Flush | _End:
        """The next mark; or the blocks before it, once they complete a hop or a mark follows."""
        while True:
            blocks: list[AudioBlock] = []
            missing = pipeline.missing
            for item in self._input:
                if not isinstance(item, AudioBlock):
                    if not blocks:
                        self._input.popleft()
                        return item
                    return self._take(blocks)
                blocks.append(item)
                missing -= item.seconds
                if missing < _ROUNDING:
                    return self._take(blocks)
            await self._change()

    def _take(self, blocks: list[AudioBlock]) -> list[AudioBlock]:
        for block in blocks:
            self._input.popleft()
            self._buffered -= block.seconds
        self._signal()
        return blocks

    async def _run(self, work: Callable[..., list[Event]], *arguments: object) -> None:
        for event in await run_blocking(self._executor, work, *arguments):
            while len(self._output) >= self._max_events and not self._make_room():
                await self._change()
            if isinstance(event, Ended) and self._dropped:
                statistics = replace(event.statistics, events_dropped=self._dropped)
                event = replace(event, statistics=statistics)
            self._output.append(event)
            self._signal()

    def _make_room(self) -> bool:
        if self._slow_consumer == "skip":
            for at, event in enumerate(self._output):
                if isinstance(event, _TRANSIENT):
                    del self._output[at]
                    self._dropped += 1
                    return True
        return False


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    """Cancels tasks and returns when all have ended, even if cancelled itself meanwhile."""
    cancelled = False
    for task in tasks:
        task.cancel()
    while any(not task.done() for task in tasks):
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
