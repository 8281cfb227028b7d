"""The microphone: what reaches the server, and what happens when there is none."""

from __future__ import annotations

import json

import numpy as np
import pytest
from playwright.async_api import expect

from tests.page.browser import RATE, Observed, ScriptedServer, opened, write_wav

KEEP_CONTEXT = """
    window.AudioContext = class extends AudioContext {
      constructor(...options) { super(...options); window.context = this; }
    };
"""
KEEP_REQUEST = """
    const devices = navigator.mediaDevices;
    const ask = devices.getUserMedia.bind(devices);
    devices.getUserMedia = async (wanted) => {
      const stream = await ask(wanted);
      window.settings = stream.getAudioTracks()[0].getSettings();
      window.track = stream.getAudioTracks()[0];
      return stream;
    };
"""


async def test_sound_arrives_as_it_was_played(scripted, tmp_path):
    """Unprocessed and without a gap, in the format that was announced."""
    noise = np.random.default_rng(3).normal(0, 3000, 4 * RATE)
    spectrum = np.fft.rfft(noise)
    spectrum[6000 * 4 :] = 0  # nothing above 6 kHz: whatever resamples on the way, keeps it
    played = np.fft.irfft(spectrum).astype(np.int16)
    wav = write_wav(tmp_path / "noise.wav", played)
    async with scripted(microphone=wav, before=KEEP_REQUEST) as (page, service):
        settings = await page.evaluate("settings")
        for _ in range(200):
            if len(service.audio) >= 4 * RATE:
                break
            await page.wait_for_timeout(100)
    start = json.loads(service.received[0])
    assert start == {
        "type": "start",
        "encoding": "s16le",
        "sample_rate": start["sample_rate"],
        "channels": 1,
    }
    processing = ("echoCancellation", "noiseSuppression", "autoGainControl")
    assert [settings[each] for each in processing] == [False] * 3
    rate = start["sample_rate"]
    heard = service.audio.astype(float)
    assert len(heard) >= 4 * rate
    pieces = np.interp(np.arange(rate, 3 * rate) / rate, np.arange(len(played)) / RATE, played)
    found = [where(heard, piece) for piece in np.split(pieces, 20)]
    # A busy computer makes Chromium's own microphone stutter: a few pieces may be torn.
    whole = [at for at in found if at is not None]
    assert len(whole) >= 12
    assert whole == sorted(whole)


def where(heard: np.ndarray, piece: np.ndarray) -> int | None:
    """The index at which `piece` is heard, as loud as it is; None if nowhere."""
    size = len(heard) + len(piece)
    products = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(piece, size)), size)
    at = int(products[: len(heard) - len(piece) + 1].argmax())
    there = heard[at : at + len(piece)]
    alike = np.corrcoef(there, piece)[0, 1] > 0.97
    return at if alike and 0.9 < there.std() / piece.std() < 1.1 else None


async def test_what_is_said_while_connecting_is_not_lost(server):
    """Recording begins when the reader allows it; the server may take a moment longer."""
    service = ScriptedServer(greets=False)
    async with opened("about:blank") as page:
        await service.replace(page)
        await page.goto(server.url)
        await page.locator("#toggle").click()
        await expect(page.locator("#status")).to_have_text("Connecting…")
        await page.wait_for_timeout(2000)
        (start,) = service.received
        service.greet()
        await expect(page.locator("#status")).to_have_text("Listening")
        await page.wait_for_timeout(500)
        assert len(service.audio) >= 1.5 * json.loads(start)["sample_rate"]


async def test_suspended_sound_is_resumed(scripted):
    async with scripted(before=KEEP_CONTEXT) as (page, service):
        await page.evaluate(
            """new Promise((resumed) => {
              const states = [];
              context.addEventListener("statechange", () => {
                states.push(context.state);
                if (states.join() === "suspended,running") resumed();
              });
              context.suspend();
            })"""
        )
        before = len(service.audio)
        await page.wait_for_timeout(1000)
        assert len(service.audio) > before
        await expect(page.locator("#status")).to_have_text("Listening")


async def test_stopping_gives_the_microphone_back(scripted):
    async with scripted(before=KEEP_CONTEXT + KEEP_REQUEST) as (page, service):
        await page.locator("#toggle").click()
        await expect(page.locator("#status")).to_have_text("Finishing…")
        assert await page.evaluate("[track.readyState, context.state]") == ["ended", "closed"]
        await service.told_to_end()
        await service.close(1000)
        await expect(page.locator("#status")).to_have_text("Ready")
        await expect(page.locator("#problem")).to_be_hidden()


async def test_a_microphone_that_is_unplugged_ends_the_recitation(scripted):
    async with scripted(before=KEEP_REQUEST) as (page, service):
        await page.evaluate("track.dispatchEvent(new Event('ended'))")
        await expect(page.get_by_role("alert")).to_contain_text("Plug it in again")
        await service.told_to_end()
        await service.close(1000)
        await expect(page.get_by_role("button", name="Start listening")).to_be_enabled()
        await expect(page.get_by_role("alert")).to_contain_text("The microphone stopped.")


async def test_a_blocked_microphone_is_told_with_a_remedy(server):
    observed = Observed()
    async with opened("about:blank", allowed=False) as page:
        observed.watch(page)
        await page.goto(server.url)
        await page.locator("#toggle").click()
        await expect(page.get_by_role("alert")).to_contain_text("The microphone is blocked.")
        await expect(page.get_by_role("alert")).to_contain_text("address bar")
        await expect(page.get_by_role("button", name="Start listening")).to_be_enabled()
        assert not any(url.startswith("ws") for url in observed.requests)


@pytest.mark.parametrize(
    ("error", "remedy"),
    [("NotFoundError", "Plug one in"), ("NotReadableError", "Close other programs")],
)
async def test_a_missing_microphone_is_told_with_a_remedy(server, error, remedy):
    refuse = f"""
        navigator.mediaDevices.getUserMedia =
          () => Promise.reject(new DOMException("no", "{error}"));
    """
    async with opened(server.url, before=refuse) as page:
        await page.locator("#toggle").click()
        await expect(page.get_by_role("alert")).to_contain_text(remedy)


async def test_pages_that_are_not_secure_say_how_to_open_them(server):
    insecure = "Object.defineProperty(window, 'isSecureContext', { value: false });"
    async with opened(server.url, before=insecure) as page:
        await page.locator("#toggle").click()
        await expect(page.get_by_role("alert")).to_contain_text("https")
