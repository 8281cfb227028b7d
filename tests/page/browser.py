"""Chromium before the page: a server to open it from, and a microphone that plays a file."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
import threading
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from playwright.async_api import (
    Browser,
    ConsoleMessage,
    Page,
    Playwright,
    WebSocketRoute,
    async_playwright,
)

from stream.events import Event

RATE = 48_000
START_SECONDS = 120  # the first start compiles
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 800}


def chromium() -> str | None:
    """The browser, where it is installed."""
    return shutil.which("chromium")


class Server:
    """`python -m stream.serve` in a process of its own."""

    def __init__(self, port: int = 0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "stream.serve", "--port", str(port)],
            stderr=subprocess.PIPE,
            text=True,
        )
        timer = threading.Timer(START_SECONDS, self._process.kill)
        timer.start()
        said = []
        assert self._process.stderr is not None
        while not said or not said[-1].startswith("serving on "):
            said.append(self._process.stderr.readline())
            assert said[-1], f"it does not start: {said}"
        timer.cancel()
        self.url = said[-1].split()[2]
        self.port = int(self.url.rstrip("/").rsplit(":", 1)[1])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        self._process.send_signal(number)
        self._process.communicate(timeout=30)


@dataclass
class Observed:
    """What a page did besides what it shows."""

    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", lambda socket: self.requests.append(socket.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._console)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


@asynccontextmanager
async def opened(
    url: str,
    *,
    microphone: Path | None = None,
    allowed: bool = True,
    before: str = "",
    **context,
) -> AsyncIterator[Page]:
    """The page in a fresh browser whose microphone plays the WAV file `microphone` once.

    `allowed`: the reader's answer when asked for the microphone. `before` is a script that runs
    before the page's own. Further keywords are Playwright's, of a context.
    """
    async with async_playwright() as playwright:
        browser = await _launch(playwright, microphone, allowed)
        made = await browser.new_context(**{"viewport": PHONE, "locale": "en"} | context)
        if before:
            await made.add_init_script(before)
        page = await made.new_page()
        await page.goto(url)
        yield page
        await browser.close()


async def _launch(playwright: Playwright, microphone: Path | None, allowed: bool) -> Browser:
    arguments = ["--use-fake-device-for-media-stream"]
    if allowed:
        arguments.append("--use-fake-ui-for-media-stream")
    if microphone is not None:
        arguments.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
    return await playwright.chromium.launch(executable_path=chromium(), args=arguments)


def write_wav(path: Path, audio: np.ndarray) -> Path:
    """Signed 16-bit samples of one channel at RATE, as Chromium's fake microphone wants them."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(audio.astype("<i2").tobytes())
    return path


def decode(path: Path) -> np.ndarray:
    """Any recording as signed 16-bit samples of one channel at RATE."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("s16", "mono", RATE)
        frames = [*container.decode(audio=0), None]  # None: what the resampler still holds
        pieces = [made.to_ndarray()[0] for frame in frames for made in resampler.resample(frame)]
    return np.concatenate(pieces)


class ScriptedServer:
    """Stands in for `/v1/recite`, to say what no recording makes the real one say on demand.

    `greets`: whether it answers the first message, as a test may want to do itself, with `greet`.
    """

    def __init__(self, *, greets: bool = True) -> None:
        self._greets = greets
        self.received: list[str | bytes] = []
        self._route: WebSocketRoute | None = None
        self._end = asyncio.Event()

    async def replace(self, page: Page) -> None:
        await page.route_web_socket("**/v1/recite", self._connected)

    def _connected(self, route: WebSocketRoute) -> None:
        self._route = route
        route.on_message(self._receive)

    def _receive(self, message: str | bytes) -> None:
        self.received.append(message)
        if message == '{"type":"end"}':
            self._end.set()
        if self._greets and isinstance(message, str) and '"start"' in message:
            self.greet()

    @property
    def _connection(self) -> WebSocketRoute:
        assert self._route is not None, "the page has not connected"
        return self._route

    def greet(self) -> None:
        self._connection.send('{"type": "started", "stream_id": "scripted"}')

    def say(self, *events: Event) -> None:
        for event in events:
            self._connection.send(event.to_json())

    async def close(self, code: int, reason: str = "") -> None:
        await self._connection.close(code=code, reason=reason)

    async def told_to_end(self) -> None:
        """Waits for the end of the audio, after which nothing may come."""
        async with asyncio.timeout(20):
            await self._end.wait()
        await asyncio.sleep(0.2)
        assert self.received[-1] == '{"type":"end"}'

    @property
    def audio(self) -> np.ndarray:
        """The samples received so far."""
        pieces = [message for message in self.received if isinstance(message, bytes)]
        return np.frombuffer(b"".join(pieces), "<i2")
