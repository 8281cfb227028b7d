"""What is fit to learn from, and what the report says of the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acoustic.corpus import decode
from acoustic.quality import SAMPLE_RATE, Int16, Judgement, Measures, Report
from quran_index import QuranIndex

SAMPLE = Path(__file__).parents[2] / "examples" / "al-fatiha.opus"


def tone(seconds: float, amplitude: float = 0.1) -> Int16:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pcm: Int16 = np.round(32767 * amplitude * np.sin(2 * np.pi * 300 * time)).astype(np.int16)
    return pcm


def silence(seconds: float) -> Int16:
    return np.zeros(round(seconds * SAMPLE_RATE), np.int16)


def rejection(pcm: Int16, phonemes: int, *, one_verse: bool = True) -> str | None:
    return Measures.of(pcm, phonemes).rejection(one_verse=one_verse)


def test_measures() -> None:
    pcm = np.concatenate((silence(2), tone(3, 0.5), silence(1)))
    measures = Measures.of(pcm, 12)
    assert measures.seconds == 6.0
    assert measures.sounding == pytest.approx(3.0, abs=0.02)
    assert measures.level == pytest.approx(20 * np.log10(0.5 / 2), abs=0.1)  # half a sine, half 0
    assert measures.clipped == 0.0
    assert measures.pace == pytest.approx(2.0)
    assert measures.rate == pytest.approx(4.0, rel=0.01)


def test_clipping_is_counted() -> None:
    loud = np.clip(tone(2, 0.9).astype(np.int32) * 2, -32768, 32767).astype(np.int16)
    assert Measures.of(loud, 8).clipped == pytest.approx(0.625, abs=0.02)  # 1 - 2/pi asin(1/1.8)
    assert rejection(loud, 8) == "clipping"
    assert rejection(tone(2, 0.99), 8) is None


@pytest.mark.parametrize(
    ("pcm", "phonemes", "reason"),
    [
        (tone(4), 20, None),
        (tone(0.5), 4, "duration"),
        (tone(601), 2000, "duration"),
        (silence(4), 20, "silence"),
        (tone(4, 5e-4), 20, "silence"),
        (tone(4), 70, "too short for its text"),
        (np.concatenate((tone(4), silence(60))), 20, "too long for its text"),
        (np.concatenate((tone(1), silence(4))), 40, "speech rate"),
        (tone(4), 2, "speech rate"),
        (np.concatenate((silence(3), tone(4), silence(3))), 20, None),
    ],
)
def test_gates(pcm: Int16, phonemes: int, reason: str | None) -> None:
    assert rejection(pcm, phonemes) == reason


def test_several_verses_may_be_long() -> None:
    assert rejection(tone(601), 2000, one_verse=False) is None


def test_recitation_passes_under_its_own_text_only() -> None:
    index, pcm = QuranIndex.load(), decode(SAMPLE)

    def phonemes(surah: int) -> int:
        return len(index.spell(*index.passage(surah, 1, index.ayah_count(surah))))

    assert rejection(pcm, phonemes(1), one_verse=False) is None
    assert rejection(pcm, phonemes(2), one_verse=False) == "too short for its text"


def test_report(tmp_path: Path) -> None:
    good, short = Measures.of(tone(36), 180), Measures.of(tone(4), 70)
    report = Report(
        [
            Judgement("a.mp3", "A", 1, 1, None, good),
            Judgement("b.mp3", "A", 1, 2, "too short for its text", short),
            Judgement("c.mp3", "B", 1, 1, "unreadable", None),
        ]
    )
    assert report.dropped() == {"too short for its text": 1, "unreadable": 1}
    assert report.dropped("A") == {"too short for its text": 1}
    told = report.to_dict()
    assert told["total"]["kept"] == 1
    assert told["reciters"]["A"]["hours"] == 0.01
    assert told["reciters"]["A"]["rate"]["p50"] == pytest.approx(5.0, rel=0.01)
    assert told["reciters"]["B"] == {"kept": 0, "hours": 0.0, "dropped": {"unreadable": 1}}
    assert [row["file"] for row in told["dropped"]] == ["b.mp3", "c.mp3"]


@pytest.mark.parametrize("pcm", [None, tone(4), silence(4)])
def test_any_report_can_be_drawn(tmp_path: Path, pcm: Int16 | None) -> None:
    report = Report()
    if pcm is not None:
        report.judgements.append(Judgement("a", "A", 1, 1, None, Measures.of(pcm, 20)))
    report.save(tmp_path)
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")
