"""A real server on a real socket, and the sample recitation to send it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import numpy as np
import pytest

from stream import AudioBlock, Engine
from stream.files import decode_file
from stream.serve import DrainingServer, Limits, Service
from stream.serve.server import listen
from tests.serve.clients import SAMPLE, Recitation, Running


@pytest.fixture(scope="session")
def shipped() -> Engine:
    return Engine.load()


@pytest.fixture(scope="session")
def recitation() -> Recitation:
    blocks = [block for block in decode_file(SAMPLE) if isinstance(block, AudioBlock)]
    return Recitation(np.concatenate([b.samples for b in blocks]), blocks[0].sample_rate)


Serving = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
def serving(shipped: Engine) -> Serving:
    """Starts a server with the shipped models: `async with serving(idle=1.0) as running`.

    Keywords are limits. Unless told otherwise it never thinks itself overloaded, so that tests do
    not depend on how busy the computer is.
    """

    @asynccontextmanager
    async def serve(
        *, token: str | None = None, origins: Collection[str] = (), **limits: Any
    ) -> AsyncIterator[Running]:
        service = Service(shipped, Limits(**({"lag": 1000.0} | limits)), token, origins)
        server = DrainingServer(service)
        with listen("127.0.0.1", 0) as listening:
            task = asyncio.create_task(server.serve([listening]))
            await server.ready.wait()
            try:
                yield Running(service, listening.getsockname()[1], server)
            finally:
                server.should_exit = True
                await task

    return serve
