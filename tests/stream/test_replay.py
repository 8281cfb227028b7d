from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from stream import AudioNotFoundError, ManifestError, Recognizer
from stream.replay import main, recordings

RATE = 16_000


@pytest.fixture
def beeping(monkeypatch: pytest.MonkeyPatch, recognizer: Recognizer) -> None:
    """The commands use the engine that hears beeps."""
    monkeypatch.setattr(Recognizer, "load", lambda hop=None: recognizer)


def save(path: Path, audio: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((audio * 32767).astype("<i2").tobytes())
    return path


def finals(output: str) -> list[tuple[str, int, int]]:
    events = [json.loads(line) for line in output.splitlines()]
    return [(e["file"], e["surah"], e["ayah"]) for e in events if e["type"] == "final"]


def test_arguments_name_files_folders_and_manifests(tmp_path):
    names = ["b.wav", "a.mp3", "inner/c.M4A", "notes.txt"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list(recordings(tmp_path / "b.wav")) == [tmp_path / "b.wav"]
    assert list(recordings(tmp_path)) == [tmp_path / n for n in ("a.mp3", "b.wav", "inner/c.M4A")]
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text('{"file": "b.wav", "id": "x"}\n\n{"file": "inner/c.M4A"}\n')
    listed = [tmp_path / "b.wav", tmp_path / "inner/c.M4A"]
    assert list(recordings(manifest)) == list(recordings(tmp_path)) == listed


def test_arguments_that_name_nothing_say_so(tmp_path):
    with pytest.raises(AudioNotFoundError, match="holds no recording"):
        list(recordings(tmp_path))
    manifest = tmp_path / "list.jsonl"
    with pytest.raises(ManifestError, match="cannot read"):
        list(recordings(manifest))
    for line in ("nonsense", "[]", '{"id": 1}', '{"file": 3}'):
        manifest.write_text('{"file": "a.wav"}\n' + line + "\n")
        with pytest.raises(ManifestError, match="line 2"):
            list(recordings(manifest))


@pytest.mark.usefixtures("beeping")
def test_json_lines_carry_their_file(tmp_path, beeps, capsys):
    first = save(tmp_path / "1.wav", beeps(4))
    second = save(tmp_path / "2.wav", beeps(6))
    assert main([str(tmp_path), "--json"]) == 0
    out, err = capsys.readouterr()
    assert finals(out) == [(str(first), 112, 1), (str(second), 112, 1), (str(second), 112, 2)]
    kinds = [json.loads(line)["type"] for line in out.splitlines()]
    assert kinds.count("ended") == 2
    assert "[1/2] 1.wav" in err
    assert "[2/2] 2.wav" in err


@pytest.mark.usefixtures("beeping")
def test_people_read_lines(tmp_path, beeps, capsys, index):
    assert main([str(save(tmp_path / "1.wav", beeps(4)))]) == 0
    out, _ = capsys.readouterr()
    assert f"✓ 112:1  {index.text(index.verse_of(112, 1))}" in out
    assert "1 verse(s)" in out


@pytest.mark.usefixtures("beeping")
def test_real_time_gives_the_same_finals(tmp_path, beeps, capsys):
    path = save(tmp_path / "1.wav", beeps(4))
    results = []
    for speed in ("realtime", "max"):
        assert main([str(path), "--json", "--speed", speed]) == 0
        results.append(finals(capsys.readouterr().out))
    assert results[0] == results[1] == [(str(path), 112, 1)]


@pytest.mark.usefixtures("beeping")
def test_bad_inputs_are_told_in_a_line_each_and_the_others_done(tmp_path, beeps, capsys):
    good = save(tmp_path / "good.wav", beeps(4))
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.mp3").write_text("not audio")
    bad = [str(tmp_path / name) for name in ("empty.wav", "text.mp3", "none.ogg", "none.jsonl")]
    assert main([*bad, str(good), "--json"]) == 1
    out, err = capsys.readouterr()
    assert finals(out) == [(str(good), 112, 1)]
    complaints = [line for line in err.splitlines() if line.startswith("replay: ")]
    assert len(complaints) == 4
    for name in bad:
        assert sum(name in line for line in complaints) == 1


def test_only_bad_inputs_need_no_models(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Recognizer, "load", lambda hop=None: pytest.fail("loaded"))
    assert main([str(tmp_path)]) == 1
    assert "holds no recording" in capsys.readouterr().err


def test_a_hop_that_the_model_cannot_do_is_refused(tmp_path, beeps, capsys):
    path = save(tmp_path / "1.wav", beeps(1))
    assert main([str(path), "--hop", "500"]) == 1
    assert "480 ms at a time" in capsys.readouterr().err


def run(*arguments: str, **options) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "stream.replay", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_the_command_for_real(tmp_path, beeps):
    """With the shipped models: beeps are no Quran, and standard output stays machine-readable."""
    good = save(tmp_path / "good.wav", beeps(2))
    (tmp_path / "bad.wav").touch()
    command = run(str(tmp_path), "--json", "--hop", "960")
    out, err = command.communicate(timeout=240)
    assert command.returncode == 1
    events = [json.loads(line) for line in out.splitlines()]
    assert events[-1]["type"] == "ended"
    assert events[-1]["file"] == str(good)
    assert f"replay: {tmp_path / 'bad.wav'} is empty" in err
    assert "Traceback" not in err


def test_ctrl_c_and_a_closed_pipe_end_quietly(tmp_path, beeps):
    path = save(tmp_path / "long.wav", beeps(60))
    interrupted = run(str(path), "--json", "--speed", "realtime")
    assert interrupted.stdout is not None
    interrupted.stdout.readline()
    os.kill(interrupted.pid, signal.SIGINT)
    _, err = interrupted.communicate(timeout=60)
    assert (interrupted.returncode, "Traceback" in err) == (130, False)

    unread = run(str(path), "--json")
    assert unread.stdout is not None
    unread.stdout.close()
    assert unread.stderr is not None
    assert "Traceback" not in unread.stderr.read()
    assert unread.wait(60) == 141
    unread.stderr.close()
