"""A recitation from the microphone to the screen: nothing stands in for anything."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from playwright.async_api import expect

from quran_index import QuranIndex
from tests.page.browser import RATE, Observed, decode, opened, write_wav

ROOT = Path(__file__).parents[2]
AN_NAS = ROOT.parent / "shared" / "audio" / "dev" / "long" / "114.opus"
SAMPLE = ROOT / "examples" / "al-fatiha.opus"

# Notes which words of which verse are lit, and which is the current one, whenever that changes.
RECORD_STAGE = """
    window.shown = [];
    const stage = document.getElementById("stage");
    new MutationObserver(() => {
      const words = [...stage.querySelectorAll(".word")].map((word) => word.dataset.state);
      if (stage.dataset.verse) shown.push({ verse: stage.dataset.verse, words });
    }).observe(stage, { subtree: true, childList: true, attributes: true });
"""


@dataclass(frozen=True)
class Known:
    """A recording and the words that each of its verses has."""

    path: Path
    words: dict[str, int]


@pytest.fixture
def recording() -> Known:
    """The surah of people, recited; on computers without it the synthesised sample."""
    path, surah = (AN_NAS, 114) if AN_NAS.exists() else (SAMPLE, 1)
    index = QuranIndex.load()
    ayahs = range(1, index.ayah_count(surah) + 1)
    return Known(path, {f"{surah}:{a}": len(index.words(index.verse_of(surah, a))) for a in ayahs})


async def test_the_mushaf_follows_a_recitation(server, recording, tmp_path):
    """Started and stopped with the keyboard alone."""
    audio = np.concatenate((decode(recording.path), np.zeros(3 * RATE, np.int16)))
    seconds = len(audio) / RATE
    observed = Observed()
    async with opened("about:blank", microphone=write_wav(tmp_path / "heard.wav", audio)) as page:
        observed.watch(page)
        await page.goto(server.url)
        await page.evaluate(RECORD_STAGE)
        button = page.get_by_role("button", name="Start listening")
        for _ in range(2):
            await page.keyboard.press("Tab")
        await expect(button).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Stop listening")).to_be_focused()

        finals = page.locator("#history li[data-verse]")
        await expect(finals).to_have_count(len(recording.words), timeout=(seconds + 60) * 1000)
        await page.keyboard.press("Space")
        await expect(page.locator("#status")).to_have_text("Ready", timeout=30_000)

        latest_first = await finals.evaluate_all("items => items.map(li => li.dataset.verse)")
        announced = await page.locator("#announcer").inner_text()
        shown = await page.evaluate("shown")

    assert latest_first[::-1] == list(recording.words)
    assert f"verse {len(recording.words)}" in announced
    turns = [entry["verse"] for entry in shown]
    turns = [verse for verse, before in zip(turns, [None, *turns], strict=False) if verse != before]
    # A short verse may be over before there is a picture of it, where the computer is busy.
    assert turns == [verse for verse in recording.words if verse in turns]
    assert len(turns) >= len(recording.words) - 1
    followed = 0
    for verse in turns:
        count = recording.words[verse]
        states = [entry["words"] for entry in shown if entry["verse"] == verse]
        lit = [
            {n for n, state in enumerate(each) if state in ("recited", "current")}
            for each in states
        ]
        assert set.union(*lit) == set(range(count)), verse
        followed += any("current" in each for each in states)
    # A verse that is known only when it ends is lit at once.
    assert followed >= len(turns) - 1
    assert [
        url for url in observed.requests if url.split("/")[2] != f"127.0.0.1:{server.port}"
    ] == []
    assert observed.complaints == []
