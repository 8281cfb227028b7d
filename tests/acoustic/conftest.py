"""The index, and a corpus that says each phoneme as a chord."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from acoustic.corpus import Utterance
from quran_index import QuranIndex
from tests.beeper import beeps


@pytest.fixture(scope="session")
def index() -> QuranIndex:
    return QuranIndex.load()


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory, index: QuranIndex) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    offset, lines = 0, []
    with open(folder / "beeper.pcm", "wb") as pcm:
        for surah, ayah in [(112, a) for a in range(1, 5)] + [(114, a) for a in range(1, 7)]:
            first, end = index.first_word[index.verse_of(surah, ayah) :][:2].tolist()
            wave = beeps(index.spell(first, end - 1).tolist())
            pcm.write(wave.tobytes())
            lines.append(
                json.dumps(asdict(Utterance("beeper", "Beeper", surah, ayah, offset, len(wave))))
            )
            offset += len(wave)
    (folder / "beeper.jsonl").write_text("\n".join(lines) + "\n")
    return folder
