"""Recordings become a corpus; whole surahs are cut into verses by the shipped model."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from acoustic import Encoder
from acoustic.corpus import SAMPLE_RATE, build, decode, load, read_list
from acoustic.segment import segment
from quran_index import QuranIndex
from tests.wav import write_wav

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "examples" / "al-fatiha.opus"
LAST = '"last_ayah": 2'


def write_list(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_folder_of_verses(tmp_path: Path, index: QuranIndex) -> None:
    folder = tmp_path / "A Reciter"
    folder.mkdir()
    write_wav(folder / "001001.wav", decode(SAMPLE)[: 5 * SAMPLE_RATE])
    (folder / "001002.mp3").write_bytes(b"no audio")
    shutil.copy(SAMPLE, folder / "001008.opus")
    (folder / "notes.txt").write_text("not a recording")
    report = build(list(read_list(folder)), tmp_path / "corpus", index)
    assert report.dropped() == {"unreadable": 1, "no such verse": 1}
    (utterance,) = load(tmp_path / "corpus")
    assert (utterance.reciter, utterance.surah, utterance.ayah) == ("A Reciter", 1, 1)
    assert (utterance.pcm() == decode(SAMPLE)[: 5 * SAMPLE_RATE]).all()


def test_a_list_cuts_verses_out_of_a_file(tmp_path: Path, index: QuranIndex) -> None:
    rows = [
        {"start": 1.0, "end": 5.0, "ayah": 1},
        {"start": 5.0, "end": 5.2, "ayah": 2},
        {"start": 6.0, "end": 7.0, "ayah": 7},
        {"start": 600.0, "end": 603.0, "ayah": 4},
    ]
    common = {"repo": "owner", "path": SAMPLE.name, "reciter": "X", "surah": 1}
    with gzip.open(tmp_path / "list.jsonl.gz", "wt") as lines:
        lines.writelines(json.dumps(common | row) + "\n" for row in rows)
    (tmp_path / "root" / "owner").mkdir(parents=True)
    shutil.copy(SAMPLE, tmp_path / "root" / "owner")
    listed = list(read_list(tmp_path / "list.jsonl.gz", tmp_path / "root"))
    report = build(listed, tmp_path / "corpus", index)
    assert report.dropped() == {"duration": 1, "too short for its text": 1, "empty": 1}
    (utterance,) = load(tmp_path / "corpus")
    assert (utterance.ayah, utterance.samples) == (1, 4 * SAMPLE_RATE)


def test_a_manifest_of_an_apps_own_recordings(tmp_path: Path) -> None:
    """By the command, from another folder: files are found beside the manifest."""
    (tmp_path / "takes").mkdir()
    shutil.copy(SAMPLE, tmp_path / "takes")
    manifest = write_list(
        tmp_path / "manifest.jsonl",
        {"file": f"takes/{SAMPLE.name}", "surah": 1, "ayah": 1, "end": 5},
        {"file": f"takes/{SAMPLE.name}", "surah": 1, "ayah": 2, "start": 5.5, "end": 9.5},
        {"file": f"takes/{SAMPLE.name}", "surah": 1, "reciter": "قارئ"},
        {"file": f"takes/{SAMPLE.name}", "surah": 2, "ayah": 282, "reciter": "قارئ"},
        {"file": f"takes/{SAMPLE.name}", "surah": 1, "ayah": 1, "end": 5, "reciter": "unwanted"},
    )
    command = ["-m", "acoustic.corpus", str(manifest), "--out", str(tmp_path / "corpus")]
    done = subprocess.run(
        [sys.executable, *command, "--exclude", "unwanted"],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = [(u.reciter, u.surah, u.ayah, u.samples) for u in load(tmp_path / "corpus")]
    assert found == [
        ("unknown", 1, 1, 5 * SAMPLE_RATE),
        ("unknown", 1, 2, 4 * SAMPLE_RATE),
        ("قارئ", 1, 0, len(decode(SAMPLE))),
    ]
    report = json.loads((tmp_path / "corpus" / "report.json").read_text(encoding="utf-8"))
    assert report["total"]["kept"] == 3
    assert report["reciters"]["قارئ"]["dropped"] == {"too short for its text": 1}
    assert [(row["surah"], row["ayah"]) for row in report["dropped"]] == [(2, 282)]
    assert (tmp_path / "corpus" / "report.png").read_bytes().startswith(b"\x89PNG")


def test_a_recording_may_hold_a_run_of_verses(tmp_path: Path, index: QuranIndex) -> None:
    """Judged by the text of the run; a verse or a run that is not there is told."""
    shutil.copy(SAMPLE, tmp_path)
    runs = [(1, 7), (2, 2), (1, 8)]
    rows = [{"file": SAMPLE.name, "surah": 1, "ayah": a, "last_ayah": b} for a, b in runs]
    rows += [{"file": SAMPLE.name, "surah": 2, "ayah": 281, "last_ayah": 283}]
    rows[1] |= {"start": 5.5, "end": 9.5}
    listed = list(read_list(write_list(tmp_path / "list.jsonl", *rows)))
    report = build(listed, tmp_path / "corpus", index)
    assert report.dropped() == {"no such verse": 1, "too short for its text": 1}
    dropped = [(row["ayah"], row["last_ayah"]) for row in report.to_dict()["dropped"]]
    assert dropped == [(1, 8), (281, 283)]
    run, verse = load(tmp_path / "corpus")
    assert (run.ayah, run.last_ayah, run.several_verses) == (1, 7, True)
    assert run.passage(index) == index.passage(1, 1, 7)
    assert (verse.ayah, verse.last_ayah, verse.several_verses) == (2, 0, False)
    assert verse.passage(index) == index.passage(1, 2, 2)


def test_a_recording_may_hold_words_that_are_no_quran(tmp_path: Path, index: QuranIndex) -> None:
    shutil.copy(SAMPLE, tmp_path)
    common = {"file": SAMPLE.name, "end": 1.0}
    listed = list(
        read_list(
            write_list(
                tmp_path / "list.jsonl",
                common | {"phonemes": "سَبعَ"},
                common | {"phonemes": "سبعة"},
                common | {"phonemes": "سَبعَ" * 5},
            )
        )
    )
    report = build(listed, tmp_path / "corpus", index)
    assert report.dropped() == {"no such phoneme": 1, "too short for its text": 1}
    (word,) = load(tmp_path / "corpus")
    assert (word.phonemes, word.surah, word.several_verses) == ("سَبعَ", 0, False)
    with pytest.raises(ValueError, match="surah 0"):
        word.passage(index)


def test_speech_that_nobody_wrote_down_is_kept_in_pieces(tmp_path: Path, index: QuranIndex) -> None:
    shutil.copy(SAMPLE, tmp_path)
    write_wav(tmp_path / "silence.wav", np.zeros(2 * SAMPLE_RATE, "<i2"))
    rows = [{"file": SAMPLE.name}, {"file": "silence.wav"}]
    listed = list(read_list(write_list(tmp_path / "list.jsonl", *rows)))
    report = build(listed, tmp_path / "corpus", index)
    assert report.dropped() == {"silence": 1}
    pieces = load(tmp_path / "corpus")
    length = len(decode(SAMPLE))
    assert len(pieces) == -(-length // (20 * SAMPLE_RATE)) > 1
    assert sum(piece.samples for piece in pieces) == length
    assert not any(piece.worded for piece in pieces)


def test_a_share_of_a_corpus_goes_through_codecs(tmp_path: Path, index: QuranIndex) -> None:
    shutil.copy(SAMPLE, tmp_path)
    row = {"file": SAMPLE.name, "surah": 1, "ayah": 1, "end": 4.0}
    listed = list(read_list(write_list(tmp_path / "list.jsonl", *[row] * 20)))
    build(listed, tmp_path / "corpus", index, codecs=0.5)
    plain = decode(SAMPLE)[: 4 * SAMPLE_RATE]
    heard = [utterance.pcm() for utterance in load(tmp_path / "corpus")]
    assert all(len(pcm) == len(plain) for pcm in heard)
    assert 3 <= sum(not np.array_equal(pcm, plain) for pcm in heard) <= 17


def test_a_corpus_without_runs_is_still_read(tmp_path: Path, index: QuranIndex) -> None:
    common = {"corpus": "x", "reciter": "X", "surah": 1, "start": 0, "samples": 9}
    write_list(tmp_path / "x.jsonl", common | {"ayah": 0}, common | {"ayah": 3})
    surah, verse = load(tmp_path)
    assert (surah.passage(index), surah.several_verses) == (index.passage(1, 1, 7), True)
    assert (verse.passage(index), verse.several_verses) == (index.passage(1, 3, 3), False)


@pytest.mark.parametrize(
    "line",
    [
        *('{"file": "a", "ayah": 1}', '{"surah": 1}', "[]", "{", '{"file": "a", "surah": "x"}'),
        '{"file": "a", "surah": 1, "phonemes": "x"}',
        *(f'{{"file": "a", "surah": 1, {run}}}' for run in ('"ayah": 3, "last_ayah": 2', LAST)),
    ],
)
def test_a_line_that_is_no_row_is_named(tmp_path: Path, line: str) -> None:
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text('{"file": "a.wav", "surah": 1, "ayah": 1}\n\n' + line + "\n")
    with pytest.raises(ValueError, match=r"manifest\.jsonl, line 3: expected an object with file"):
        list(read_list(manifest))


def test_junk_after_the_audio_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    with av.open(str(path), "w", format="mp3") as output:
        stream = output.add_stream("libmp3lame", rate=SAMPLE_RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(decode(SAMPLE)[None, : 2 * SAMPLE_RATE], "s16", "mono")
        frame.sample_rate = SAMPLE_RATE
        for part in (frame, None):
            output.mux(stream.encode(part))
    whole = decode(path)
    path.write_bytes(path.read_bytes() + bytes(400))
    assert np.array_equal(decode(path), whole)
    path.write_bytes(bytes(4000))
    with pytest.raises(av.FFmpegError):
        decode(path)


def test_reciters_whose_names_make_one_file_name(tmp_path: Path, index: QuranIndex) -> None:
    rows = [{"file": str(SAMPLE), "surah": 1, "reciter": name} for name in ("A B", "a-b", "?!")]
    assert not build(rows, tmp_path, index).dropped()
    found = [(Path(u.corpus).name, u.reciter, u.start) for u in load(tmp_path)]
    assert found == [
        ("a-b", "A B", 0),
        ("a-b", "a-b", len(decode(SAMPLE))),
        ("unnamed", "?!", 0),
    ]
    assert np.array_equal(load(tmp_path)[1].pcm(), decode(SAMPLE))


def test_several_verses_are_cut(tmp_path: Path, index: QuranIndex) -> None:
    """A whole surah, and a recording that is said to be of some of its verses only."""
    common = {"file": str(SAMPLE.resolve()), "surah": 1}
    rows = [
        common | {"reciter": "whole"},
        common | {"reciter": "run", "ayah": 1, "last_ayah": 5},
        common | {"reciter": "verse", "ayah": 7, "start": 20.0},
    ]
    assert not build(rows, tmp_path / "recordings", index).dropped()
    counts = segment(tmp_path / "recordings", tmp_path / "verses", Encoder.load(), index)
    verses = load(tmp_path / "verses")
    assert counts["kept"] == len(verses)
    assert all(not verse.several_verses for verse in verses)
    ayahs = {
        name: [verse.ayah for verse in verses if verse.reciter == name]
        for name in ("whole", "run", "verse")
    }
    assert len(ayahs["whole"]) >= 5
    assert ayahs["whole"] == sorted(set(ayahs["whole"]))
    assert set(ayahs["whole"]) <= set(range(1, 8))
    assert ayahs["run"] == [ayah for ayah in ayahs["whole"] if ayah <= 5]
    assert ayahs["verse"] == []
    assert counts["another text"] >= len(ayahs["whole"]) - len(ayahs["run"]) > 0
    assert sum(verse.samples for verse in verses) < 2 * 33 * SAMPLE_RATE
