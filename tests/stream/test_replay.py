from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.text import Text

from acoustic.encoder import WEIGHTS
from stream import AudioNotFoundError, ManifestError, Recognizer
from stream.arabic import Typesetter
from stream.replay import main, recordings

RATE = 16_000
SAMPLE = Path(__file__).parents[2] / "examples" / "al-fatiha.opus"


@pytest.fixture
def beeping(monkeypatch: pytest.MonkeyPatch, recognizer: Recognizer) -> None:
    """The commands use the engine that hears beeps."""
    monkeypatch.setattr(Recognizer, "load", lambda hop=None, model=None: recognizer)


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
    assert err == ""


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
    monkeypatch.setattr(Recognizer, "load", lambda hop=None, model=None: pytest.fail("loaded"))
    assert main([str(tmp_path)]) == 1
    assert "holds no recording" in capsys.readouterr().err


def test_a_hop_that_the_model_cannot_do_is_refused(tmp_path, beeps, capsys):
    path = save(tmp_path / "1.wav", beeps(1))
    assert main([str(path), "--hop", "500"]) == 1
    assert re.search("a hop of 500 ms: .*multiple", capsys.readouterr().err)


def test_a_file_that_is_no_model_is_refused(tmp_path, beeps, capsys):
    path = save(tmp_path / "1.wav", beeps(1))
    for model, why in ((path, "not a readable ONNX model"), (tmp_path / "none", "no acoustic")):
        assert main([str(path), "--model", str(model)]) == 1
        (told,) = capsys.readouterr().err.splitlines()
        assert told.startswith(f"replay: {model} cannot be used as an acoustic model ({why}")
        assert told.endswith(": name another model, or none for Tasmi's own")


def test_a_model_may_be_named(tmp_path, capsys):
    assert main([str(SAMPLE), "--json", "--model", str(WEIGHTS)]) == 0
    assert [verse[1:] for verse in finals(capsys.readouterr().out)] == [(1, a) for a in range(1, 8)]


@pytest.mark.usefixtures("beeping")
def test_a_file_for_each_recording(tmp_path, beeps, capsys):
    """Recordings of a folder keep their places below it."""
    audio = tmp_path / "audio"
    save(audio / "1.wav", beeps(4))
    save(audio / "juz.30" / "112.wav", beeps(6))
    (audio / "manifest.jsonl").write_text('{"file": "1.wav"}\n{"file": "../other/3.wav"}\n')
    save(tmp_path / "other" / "3.wav", beeps(4))
    out = tmp_path / "out"
    assert main([str(audio / "juz.30"), str(audio), "--srt", "--out", str(out)]) == 0
    assert main([str(audio / "juz.30"), "--out", str(out)]) == 0
    assert capsys.readouterr().out == ""
    assert {str(p.relative_to(out)) for p in out.rglob("*")} == {
        *("1.srt", "3.srt", "112.srt", "112.txt"),
    }
    assert (out / "112.srt").read_text().count(" --> ") == 2
    (audio / "manifest.jsonl").unlink()
    assert main([str(audio), "--csv", "--out", str(out)]) == 0
    assert (out / "juz.30" / "112.csv").read_text().count("\n") == 3
    assert (out / "1.csv").exists()


@pytest.mark.usefixtures("beeping")
def test_one_table_of_many_recordings(tmp_path, beeps, capsys):
    names = [str(save(tmp_path / f"{n}.wav", beeps(4))) for n in (1, 2)]
    assert main([*names, "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["file"], row["surah"], row["ayah"]) for row in rows] == [
        (names[0], "112", "1"),
        (names[1], "112", "1"),
    ]


@pytest.mark.usefixtures("beeping")
def test_what_cannot_be_written_is_told(tmp_path, beeps, capsys):
    path = save(tmp_path / "1.wav", beeps(4))
    (tmp_path / "taken").touch()
    assert main([str(path), "--vtt", "--out", str(tmp_path / "taken")]) == 1
    assert "replay: cannot write" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["a/1.wav", "b/1.wav", "--srt"], "--srt of 2 recordings goes into files: add --out DIR"),
        (["a/1.wav", "b/1.mp3", "--csv", "--out", "o"], "would both be written to o/1.csv"),
        (["1.wav", "--words"], "--words goes with"),
        (["1.wav", "--srt", "--json"], "not allowed with"),
    ],
)
def test_command_lines_that_contradict_themselves(arguments, reason, capsys):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert reason in capsys.readouterr().err


def test_help_teaches(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    told = capsys.readouterr().out
    assert "\n  python -m stream.replay --srt recitation.mp3 > recitation.srt\n" in told
    assert "exit status: 0 " in told


def run(*arguments: str, **options) -> subprocess.Popen[str]:
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(
        [sys.executable, "-m", "stream.replay", *arguments], text=True, **options
    )


def test_progress_and_arabic_on_a_terminal(index, tmp_path):
    """A bar below the verses, which come joined and turned where the terminal does not do that."""
    ours, theirs = pty.openpty()
    plain = {k: v for k, v in os.environ.items() if k not in ("VTE_VERSION", "KONSOLE_VERSION")}
    terminal = {**plain, "TERM": "xterm", "COLUMNS": "70", "NO_COLOR": "1"}
    with run(str(SAMPLE), stdout=theirs, stderr=theirs, env=terminal) as command:
        os.close(theirs)
        screen = read_all(ours)
        assert command.wait(240) == 0
    verse = index.text(index.verse_of(1, 2))
    shown = Typesetter(Console(), reorder=True).line(Text(verse)).plain
    assert f"✓ 1:2  {shown}" in screen
    assert verse not in screen
    assert re.search(r"\[1/1\] al-fatiha.opus .*\d+% \d:\d\d:\d\d", screen)
    assert not re.search(r"\x1b\[[\d;]*3\d[;m]", screen), "colours in spite of NO_COLOR"


def read_all(terminal: int) -> str:
    """What is written to a terminal until nobody has it open any more."""
    read = bytearray()
    with contextlib.suppress(OSError):
        while data := os.read(terminal, 65536):
            read += data
    os.close(terminal)
    return read.decode()


def test_the_command_for_real(tmp_path, beeps):
    """With the shipped models: beeps are no Quran, and standard output stays machine-readable."""
    good = save(tmp_path / "good.wav", beeps(2))
    (tmp_path / "bad.wav").touch()
    coloured = {**os.environ, "FORCE_COLOR": "1"}  # which makes no terminal of a pipe
    command = run(str(tmp_path), "--json", "--hop", "960", env=coloured)
    out, err = command.communicate(timeout=240)
    assert command.returncode == 1
    events = [json.loads(line) for line in out.splitlines()]
    assert events[-1]["type"] == "ended"
    assert events[-1]["file"] == str(good)
    assert err.startswith(f"replay: {tmp_path / 'bad.wav'} is empty")
    assert err.count("\n") == 1


def test_ctrl_c_and_a_closed_pipe_end_quietly():
    interrupted = run(str(SAMPLE), "--json", "--speed", "realtime")
    assert interrupted.stdout is not None
    interrupted.stdout.readline()
    os.kill(interrupted.pid, signal.SIGINT)
    _, err = interrupted.communicate(timeout=60)
    assert (interrupted.returncode, "Traceback" in err) == (130, False)

    unread = run(str(SAMPLE), "--json")
    assert unread.stdout is not None
    unread.stdout.close()
    assert unread.stderr is not None
    assert "Traceback" not in unread.stderr.read()
    assert unread.wait(60) == 141
    unread.stderr.close()
