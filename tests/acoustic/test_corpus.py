"""Recordings become a corpus; whole surahs are cut into verses by the shipped model."""

import gzip
import json
import shutil
from pathlib import Path

from acoustic import Encoder
from acoustic.corpus import SAMPLE_RATE, Samples, build, decode, load, read_list
from acoustic.segment import segment
from quran_index import QuranIndex

SAMPLE = Path(__file__).parents[2] / "examples" / "al-fatiha.opus"


def test_a_folder_of_verses(tmp_path: Path) -> None:
    folder = tmp_path / "A Reciter"
    folder.mkdir()
    shutil.copy(SAMPLE, folder / "001001.opus")
    (folder / "001002.mp3").write_bytes(b"no audio")
    (folder / "notes.txt").write_text("not a recording")
    dropped = build(list(read_list(folder)), tmp_path, tmp_path / "corpus")
    assert dropped == {"unreadable": 1}
    (utterance,) = load(tmp_path / "corpus")
    assert (utterance.reciter, utterance.surah, utterance.ayah) == ("A Reciter", 1, 1)
    assert (Samples()(utterance) == decode(SAMPLE)).all()


def test_a_list_cuts_verses_out_of_a_file(tmp_path: Path) -> None:
    rows = [
        {"start": 1.0, "end": 5.0, "ayah": 1},
        {"start": 5.0, "end": 5.2, "ayah": 2},
        {"start": 6.0, "end": 9.0, "ayah": 3, "letters_per_second": 50.0},
    ]
    common = {"repo": "owner", "path": SAMPLE.name, "reciter": "X", "surah": 1}
    with gzip.open(tmp_path / "list.jsonl.gz", "wt") as lines:
        lines.writelines(json.dumps(common | row) + "\n" for row in rows)
    (tmp_path / "owner").mkdir()
    shutil.copy(SAMPLE, tmp_path / "owner")
    listed = list(read_list(tmp_path / "list.jsonl.gz"))
    assert build(listed, tmp_path, tmp_path / "corpus") == {"duration": 1, "letters per second": 1}
    (utterance,) = load(tmp_path / "corpus")
    assert (utterance.ayah, utterance.samples) == (1, 4 * SAMPLE_RATE)


def test_a_surah_is_cut_into_its_verses(tmp_path: Path) -> None:
    row = {"file": str(SAMPLE.resolve()), "reciter": "Y", "surah": 1}
    build([row], tmp_path, tmp_path / "surahs")
    counts = segment(tmp_path / "surahs", tmp_path / "verses", Encoder.load(), QuranIndex.load())
    verses = load(tmp_path / "verses")
    assert counts["kept"] == len(verses) >= 5
    ayahs = [verse.ayah for verse in verses]
    assert ayahs == sorted(set(ayahs))
    assert set(ayahs) <= set(range(1, 8))
    assert sum(verse.samples for verse in verses) < 33 * SAMPLE_RATE
