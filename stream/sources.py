"""Where audio comes from: anything that yields blocks, and files among them.

A source is an asynchronous iterable of `AudioBlock`s (and `Notice`s about them). An error that it
raises ends the recitation: what was recognised before is still delivered, then the error is raised.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from .audio import AudioBlock, Notice
from .files import decode_file

Speed = Literal["realtime", "max"]

T = TypeVar("T")


class AudioSource(Protocol):
    """What `RecognitionStream.run` takes."""

    def __aiter__(self) -> AsyncIterator[AudioBlock | Notice]: ...


@asynccontextmanager
async def closing(source: AudioSource) -> AsyncIterator[AsyncIterator[AudioBlock | Notice]]:
    """Iterates a source such that whatever it holds open is closed when the block is left."""
    items = aiter(source)
    try:
        yield items
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()


class FileSource:
    """An audio file, as fast as it is heard or as fast as it can be read.

    At real-time speed a block arrives when its last sample would have been spoken. Raises what
    `files.decode_file` raises, when iterated.
    """

    def __init__(self, path: str | os.PathLike[str], speed: Speed = "max") -> None:
        self._path = Path(path)
        self._speed = speed

    async def __aiter__(self) -> AsyncIterator[AudioBlock | Notice]:
        blocks = decode_file(self._path)
        loop = asyncio.get_running_loop()
        due = loop.time()
        # One thread of its own: decoding waits on the disk and must not keep a recogniser waiting.
        with ThreadPoolExecutor(1, thread_name_prefix="decode") as executor:
            try:
                while (item := await run_blocking(executor, _next, blocks)) is not None:
                    if isinstance(item, AudioBlock) and self._speed == "realtime":
                        due += item.seconds
                        await asyncio.sleep(due - loop.time())
                    yield item
            finally:
                blocks.close()


def _next(blocks: Generator[AudioBlock | Notice, None, None]) -> AudioBlock | Notice | None:
    return next(blocks, None)


async def run_blocking(executor: Executor, work: Callable[..., T], *arguments: object) -> T:
    """Runs `work` in the executor. When cancelled, returns only once it no longer runs.

    The work owns what it was given (an encoder's caches, an open file) until it returns, so whoever
    cancels may free those as soon as this has raised CancelledError.
    """
    future = asyncio.wrap_future(submitted := executor.submit(work, *arguments))
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        if not submitted.cancel():
            while not future.done():
                try:
                    await asyncio.wait([future])
                except asyncio.CancelledError:
                    continue
            if not future.cancelled():
                future.exception()  # seen: the cancellation is what counts
        raise
