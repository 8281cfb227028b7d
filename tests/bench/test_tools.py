"""The benches run on the sample and say what they should."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import accuracy, clips, cost, decoders, realtime

SAMPLE = cost.SAMPLE
VERSES = [[1, ayah] for ayah in range(1, 8)]


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A folder of two groups of clips, one of them unreadable."""
    for group in ("a", "b"):
        (tmp_path / group).mkdir()
        (tmp_path / group / "fatiha.opus").write_bytes(SAMPLE.read_bytes())
    (tmp_path / "b" / "broken.wav").write_bytes(b"no audio")
    row = {"id": "f", "file": "fatiha.opus", "source": "espeak", "expected": VERSES}
    lost = {"id": "x", "file": "broken.wav", "source": "none", "expected": [[1, 1]]}
    (tmp_path / "a" / clips.MANIFEST).write_text(json.dumps(row))
    (tmp_path / "b" / clips.MANIFEST).write_text(json.dumps(row) + "\n" + json.dumps(lost))
    return tmp_path


def test_manifests_are_found(recordings: Path) -> None:
    found = clips.load(recordings)
    assert [(c.group, c.id, c.source) for c in found] == [
        ("a", "f", "espeak"),
        ("b", "f", "espeak"),
        ("b", "x", "none"),
    ]
    assert [c.id for c in clips.load(recordings / "a")] == ["f"]
    with pytest.raises(FileNotFoundError, match=r"no manifest\.jsonl"):
        clips.load(recordings / "a" / "none")


def test_accuracy(recordings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = recordings / "report.json"
    assert accuracy.main([str(recordings), "--json", str(report)]) == 0
    data = json.loads(report.read_text())
    assert set(data["summary"]) == {"a/espeak", "b/espeak", "b/none", "b/all"}
    assert data["summary"]["a/espeak"]["recall"] == 1.0
    assert data["summary"]["b/none"]["precision"] == 0.0
    assert data["summary"]["b/all"]["clips"] == 2
    assert data["clips"][0]["predicted"] == VERSES
    out = capsys.readouterr().out
    assert "b/x: " in out
    assert "100.0%" in out


def test_decoders_agree_on_the_sample(recordings: Path) -> None:
    report = recordings / "report.json"
    assert decoders.main([str(recordings / "a"), "--json", str(report)]) == 0
    for priors in json.loads(report.read_text()).values():
        assert priors["agreement"] == 1.0
        assert priors["beam_recall"] == 1.0


def test_cost_stays_within_its_bounds(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    subprocess.run(
        [sys.executable, "-m", "bench.cost", "--json", str(report)],
        cwd=Path(cost.__file__).parents[1],
        check=True,
        timeout=240,
    )
    numbers = json.loads(report.read_text())
    assert not numbers["torch_imported"]
    assert numbers["peak_mb"] < 500
    assert sum(numbers["data_bytes"].values()) < 80e6


def test_real_time_equals_full_speed(capsys: pytest.CaptureFixture[str]) -> None:
    assert realtime.main([str(SAMPLE)]) == 0
    said = capsys.readouterr().out
    assert "7 finals" in said
    assert "all events the same" in said
