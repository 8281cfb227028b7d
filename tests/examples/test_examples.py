"""The examples and the sample recording, run as a reader of the README would run them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from examples import subtitles

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "examples" / "al-fatiha.opus"
VERSES = [[1, ayah] for ayah in range(1, 8)]
MOST_WORDS = 26  # of 29: the synthesiser swallows some


def run(module: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", f"examples.{module}", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_subscribe_prints_every_verse_in_order() -> None:
    out = run("subscribe", str(SAMPLE))
    finals = re.findall(r"^ *[\d.]+ s  (\d+):(\d+)  \S", out, re.MULTILINE)
    assert [[int(s), int(a)] for s, a in finals] == VERSES
    assert re.search(r"^  1:2 word \d/4\?", out, re.MULTILINE)


def test_subscribe_says_why_it_cannot() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "examples.subscribe", "missing.wav"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "missing.wav" in done.stderr
    assert "Traceback" not in done.stderr


def test_subtitles() -> None:
    verses = run("subtitles", str(SAMPLE)).strip().split("\n\n")
    assert [block.splitlines()[0] for block in verses] == [str(n) for n in range(1, 8)]
    assert verses[1].endswith("(1:2)")
    data = json.loads(run("subtitles", str(SAMPLE), "--json"))
    assert [[verse["surah"], verse["ayah"]] for verse in data] == VERSES
    words = [word for verse in data for word in verse["words"]]
    assert MOST_WORDS <= len(words) <= 29
    assert all(word["start"] < word["end"] for word in words)
    starts = [word["start"] for word in words]
    assert starts == sorted(starts)


def test_subtitle_per_word() -> None:
    blocks = run("subtitles", str(SAMPLE), "--words").strip().split("\n\n")
    assert MOST_WORDS <= len(blocks) <= 29


def test_latency_over_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.opus").write_bytes(SAMPLE.read_bytes())
    (tmp_path / "notes.txt").write_text("not a recording")
    out = run("latency", str(tmp_path), "--speed", "max")
    assert out.count("a.opus") == 7
    assert re.search(r"^shown: median [\d.-]+ s", out, re.MULTILINE)
    assert re.search(r"^final: median [\d.-]+ s", out, re.MULTILINE)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "00:00:00,000"), (59.9996, "00:01:00,000"), (3661.5, "01:01:01,500")],
)
def test_timestamp(seconds: float, text: str) -> None:
    assert subtitles.timestamp(seconds) == text
