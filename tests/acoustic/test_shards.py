"""A corpus that was packed and unpacked is the same, but for what Opus loses."""

import json
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from acoustic import corpus, shards
from acoustic.corpus import Utterance

SAMPLE = Path(__file__).parents[2] / "examples" / "al-fatiha.opus"
PARTS = 6


@pytest.fixture
def recited(tmp_path: Path) -> Path:
    """The example's recording, cut into utterances."""
    folder = tmp_path / "recited"
    folder.mkdir()
    pcm = corpus.decode(SAMPLE)
    pcm.tofile(folder / "reader.pcm")
    edges = np.linspace(0, len(pcm), PARTS + 1).astype(int).tolist()
    rows = [
        asdict(Utterance("reader", "Reader", 1, i + 1, start, end - start))
        for i, (start, end) in enumerate(pairwise(edges))
    ]
    (folder / "reader.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_corpus_comes_back(
    recited: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = corpus.load(recited)
    seconds = sum(u.samples for u in whole) / corpus.SAMPLE_RATE
    monkeypatch.setattr(shards, "SHARD_SECONDS", int(seconds / 2) + 1)
    packed, unpacked = tmp_path / "packed", tmp_path / "unpacked"
    shards.main(["pack", str(recited), "--out", str(packed)])
    files = sorted(packed.rglob("*.opus"))
    assert len(files) == 2
    assert sum(f.stat().st_size for f in files) < 1.3 * shards.RATE / 8 * seconds

    shards.main(["unpack", str(packed), "--out", str(unpacked)])
    back = corpus.load(unpacked / recited.name)
    told = [replace(u, corpus="", start=0) for u in back]
    assert told == [replace(u, corpus="", start=0) for u in whole]
    for before, after in zip(whole, back, strict=True):
        assert np.corrcoef(before.wave(), after.wave())[0, 1] > 0.9


def test_what_is_damaged_or_missing_is_refused(recited: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no shards"):
        shards.unpack(recited, tmp_path / "unpacked")
    shards.pack([recited], tmp_path / "packed")
    (lines,) = (tmp_path / "packed").rglob("*.jsonl")
    lines.write_text("".join(lines.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(ValueError, match="pack it again"):
        shards.unpack(tmp_path / "packed", tmp_path / "unpacked")
