"""Takes docs/page.png: `python -m tests.page.picture [RECORDING [SECONDS]]`.

The page hears the recording and is pictured after so many seconds of it.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import expect

from tests.page.browser import DESKTOP, Server, decode, opened, write_wav

ROOT = Path(__file__).parents[2]


async def take(recording: Path, seconds: float) -> None:
    server = Server()
    try:
        with tempfile.TemporaryDirectory() as folder:
            heard = write_wav(Path(folder) / "heard.wav", decode(recording))
            look = {"viewport": DESKTOP, "device_scale_factor": 1.5}
            async with opened(server.url, microphone=heard, **look) as page:
                await page.locator("#toggle").click()
                await expect(page.locator("#status")).not_to_have_text("Connecting…")
                await page.wait_for_timeout(seconds * 1000)
                await page.screenshot(path=ROOT / "docs" / "page.png")
    finally:
        server.stop()


if __name__ == "__main__":
    defaults = [str(ROOT / "examples" / "al-fatiha.opus"), "26"]
    chosen = [*sys.argv[1:], *defaults[len(sys.argv) - 1 :]]
    asyncio.run(take(Path(chosen[0]), float(chosen[1])))
