from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.page.browser import Server, chromium


@pytest.fixture(autouse=True)
def _need_chromium() -> None:
    if chromium() is None:
        pytest.skip("Chromium is not installed (`make test` installs it where it may)")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One server for the tests that leave it running."""
    running = Server()
    yield running
    running.stop()
