"""How soon the sample is known, played in real time and not; and for a long time."""

from __future__ import annotations

import asyncio
import json
import wave
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from bench import clips, cost, endurance, latency
from bench.endurance import Course, Turn
from stream import AudioBlock, Final, Recognizer
from stream.sources import Speed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The sample, as one clip and as a recording whose verses have (made-up) times."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "fatiha.opus").write_bytes(cost.SAMPLE.read_bytes())
    times = [[ayah, float(ayah), ayah + 0.5] for ayah in range(1, 8)]
    row = {
        "id": "f",
        "file": "fatiha.opus",
        "source": "espeak",
        "expected": [[1, ayah] for ayah in range(1, 8)],
        "ayah_times": times,
    }
    (tmp_path / "a" / clips.MANIFEST).write_text(json.dumps(row))
    return tmp_path


def tone_of(level: float, hertz: float) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(1)
    time = np.arange(4800) / 16_000
    sound = level * (np.sin(2 * np.pi * hertz * time) + 0.1 * rng.standard_normal(4800))
    return np.asarray(sound, np.float32)


def test_room_tone_sounds_like_the_quiet_of_its_clip() -> None:
    quiet = tone_of(0.01, 1000.0)
    tone = latency.room_tone([quiet], 48_000)
    assert tone.shape == (48_000,)
    assert tone.std() == pytest.approx(quiet.std(), rel=0.1)
    spectrum = np.abs(np.fft.rfft(tone))
    assert np.argmax(spectrum) * 16_000 / 48_000 == pytest.approx(1000.0, abs=60.0)
    assert not latency.room_tone([], 1600).any()


@pytest.mark.parametrize("speed", ["max", "realtime"])
async def test_a_recording_goes_on_with_its_own_silence(tmp_path: Path, speed: Speed) -> None:
    path = tmp_path / "two.wav"
    rng = np.random.default_rng(0)
    loud, quiet = (3000 * rng.standard_normal(8000)), (30 * rng.standard_normal(8000))
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.concatenate([loud, quiet]).astype("<i2").tobytes())
    source, loop = latency.Recording(path, speed), asyncio.get_running_loop()
    blocks = [item async for item in source if isinstance(item, AudioBlock)]
    took = loop.time() - source.began
    heard = np.concatenate([block.samples for block in blocks])
    assert len(heard) == 16_000 * (1 + latency.ROOM_TONE)
    assert heard[16_000:].std() == pytest.approx(30 / 2**15, rel=0.2)
    assert (took > 3.9) == (speed == "realtime")


def test_latency_of_the_sample(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report, pictures = folder / "report.json", folder / "pictures"
    arguments = [str(folder), "--speed", "max", "--json", str(report), "--pictures", str(pictures)]
    assert latency.main(arguments) == 0
    data = json.loads(report.read_text())
    row = data["summary"]["a/espeak"]
    assert (row["clips"], row["verses"], data["lost"]) == (1, 7, [])
    assert row["flicker"] == 0.0
    assert 0.0 < row["first_correct"]["p50"] < 6.0
    assert 0.0 < row["finalisation"]["p50"] < 3.0
    assert 0.0 < row["word_lag"]["p50"] < 3.0
    assert row["word_start_difference"]["p50"] < 0.06
    assert "late" not in row
    (clip,) = data["clips"]
    assert [verse[:2] for verse in clip["spoken"]] == [[1, ayah] for ayah in range(1, 8)]
    assert all(before[3] <= after[2] for before, after in pairwise(clip["spoken"]))
    assert "a/espeak" in capsys.readouterr().out
    drawn = ["latency.png", "flicker.png", "clips/a_f.png"]
    assert all((pictures / name).read_bytes().startswith(b"\x89PNG") for name in drawn)


def test_a_clip_that_cannot_be_measured_is_named(folder: Path) -> None:
    (folder / "a" / "fatiha.opus").write_bytes(b"no audio")
    report = folder / "report.json"
    assert latency.main([str(folder), "--speed", "max", "--json", str(report)]) == 0
    data = json.loads(report.read_text())
    assert data["summary"] == {}
    assert data["lost"][0].startswith("a/f: ")


def test_a_minute_in_one_stream(folder: Path) -> None:
    report, picture = folder / "report.json", folder / "course.png"
    arguments = [str(folder / "a"), "--minutes", "1", "--json", str(report)]
    assert endurance.main([*arguments, "--picture", str(picture)]) == 0
    data = json.loads(report.read_text())
    assert data["minutes"] >= 1.0
    (quarter,) = data["quarters"]
    assert quarter["verses"] % 7 == 0
    assert quarter["recall"] >= 0.9  # a synthesiser is no reciter
    assert quarter["precision"] == 1.0
    assert data["hop_ratio"] > 0
    assert data["memory_growth_mb"] is None  # there were no five minutes
    assert picture.read_bytes().startswith(b"\x89PNG")


def final(slot: int, ayah: int, start: float) -> Final:
    return Final(
        slot=slot,
        surah=1,
        ayah=ayah,
        start=start,
        end=start + 1,
        confidence=1.0,
        words=(),
        first_word=1,
        last_word=1,
    )


def test_finals_are_judged_recording_by_recording(folder: Path) -> None:
    (clip,) = clips.load(folder)
    course = Course(seconds=40.0, turns=[Turn(clip, 0.0), Turn(clip, 20.0)])
    # The first time 1:3 is missed and 2 comes twice, the second time all but one are missed.
    course.finals = [final(i, a, a + 0.1) for i, a in enumerate((1, 2, 2, 4, 5, 6, 7))]
    course.finals.append(final(9, 3, 23.3))
    judged = endurance.judge(course)
    assert [hit for _, hit in judged.verses] == [
        *(True, True, False, True, True, True, True),
        *(False, False, True, False, False, False, False),
    ]
    assert [right for _, right in judged.finals] == [True, True, False, *[True] * 5]
    assert [offset for _, offset in judged.offsets] == pytest.approx([0.1] * 6 + [0.3])
    summary = endurance.summarise(
        Course(40.0, course.turns, course.finals, hops=[(1.0, 5.0), (40.0, 6.0)]), judged
    )
    assert summary["quarters"] == [
        {"from_minute": 0, "verses": 14, "recall": 0.5, "precision": 0.875}
    ]
    assert summary["hop_ratio"] == 1.2
    assert summary["start_offset_median"] == pytest.approx(0.1)


def test_age_is_neither_the_surah_nor_the_machine(folder: Path) -> None:
    (clip,) = clips.load(folder)
    other = replace(clip, id="other")
    turns = [Turn(c, 10.0 * i) for i, c in enumerate((clip, other, clip, other))]
    # The other costs three times as much, the machine becomes half as fast, and a hop half as dear
    # again: the last alone is the stream's.
    hops = [(10.0 * i + 5, ms) for i, ms in enumerate((2.0, 6.0, 6.0, 18.0))]
    yards = [(10.0 * i + 5, ms) for i, ms in enumerate((7.0, 7.0, 14.0, 14.0))]
    course = Course(40.0, turns, hops=hops, yards=yards)
    assert endurance.aged(course) == pytest.approx(1.5)
    assert endurance.aged(Course(20.0, turns[:2], hops=hops[:2], yards=yards[:2])) is None


def test_slope_does_not_mind_a_few_wild_points() -> None:
    points = [(float(x), 0.5 + 0.002 * x) for x in range(50)]
    points[7], points[30] = (7.0, 40.0), (30.0, -40.0)
    assert endurance.slope(points) == pytest.approx(0.002, rel=0.05)


def test_turns_are_whole_and_go_round(folder: Path) -> None:
    (clip,) = clips.load(folder)
    samples = np.ones(16_000, np.int16)
    played = list(endurance.turns([(clip, samples)], 7.0))
    assert [len(audio) for _, audio in played] == [16_000] * 3


async def test_an_unreadable_clip_has_its_reason(folder: Path) -> None:
    (folder / "a" / "fatiha.opus").write_bytes(b"")
    (clip,) = clips.load(folder)
    result = await latency.replay(Recognizer.load(), clip, "max")
    assert "empty" in (result.error or "")
