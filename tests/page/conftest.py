from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from playwright.async_api import Page, expect

from tests.page.browser import Observed, ScriptedServer, Server, chromium, opened

Scripted = Callable[..., AbstractAsyncContextManager[tuple[Page, ScriptedServer]]]


@pytest.fixture(autouse=True)
def _need_chromium() -> None:
    assert chromium(), "Chromium is missing: `make test` installs it, or says what to install"
    expect.set_options(timeout=40_000)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One server for the tests that leave it running."""
    running = Server()
    yield running
    running.stop()


@pytest.fixture
def scripted(server: Server) -> Scripted:
    """Opens the page and starts a recitation whose events the test makes up.

    `async with scripted() as (page, service)`; keywords are those of `opened`. Unless it
    `complains`, the page must leave the console empty.
    """

    @asynccontextmanager
    async def start(
        *, complains: bool = False, **options
    ) -> AsyncIterator[tuple[Page, ScriptedServer]]:
        service, observed = ScriptedServer(), Observed()
        async with opened("about:blank", **options) as page:
            observed.watch(page)
            await service.replace(page)
            await page.goto(server.url)
            await page.locator("#toggle").click()
            await expect(page.locator("#toggle")).to_have_attribute("data-state", "listening")
            yield page, service
        assert complains or observed.complaints == []

    return start
