"""The modern spelling made of two others, against one that people wrote."""

from __future__ import annotations

import unicodedata

import pytest

from quran_index import QuranIndex
from quran_index.imlai import vowelled


@pytest.fixture(scope="module")
def index() -> QuranIndex:
    return QuranIndex.load()


def spelled(index: QuranIndex, surah: int, ayah: int) -> str:
    verse = index.verse_of(surah, ayah)
    words = zip(index.words(verse), index.plain_words(verse), strict=True)
    return " ".join(vowelled(*word) for word in words)


def ordered(text: str) -> str:
    """The signs of each letter in one order."""
    return unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    ("surah", "ayah", "text"),
    [
        (1, 1, "بِسْمِ اللَّهِ الرَّحْمَٰنِ الرَّحِيمِ"),
        (2, 1, "الم"),
        (2, 3, "الَّذِينَ يُؤْمِنُونَ بِالْغَيْبِ وَيُقِيمُونَ الصَّلَاةَ وَمِمَّا رَزَقْنَاهُمْ يُنفِقُونَ"),
        (112, 1, "قُلْ هُوَ اللَّهُ أَحَدٌ"),
        (112, 4, "وَلَمْ يَكُن لَّهُ كُفُوًا أَحَدٌ"),
        (0, 1, "أَعُوذُ بِاللَّهِ مِنَ الشَّيْطَانِ الرَّجِيمِ"),
    ],
)
def test_verses(index: QuranIndex, surah: int, ayah: int, text: str) -> None:
    assert ordered(spelled(index, surah, ayah)) == ordered(text)


def test_nearly_every_verse_is_as_tanzil_has_it(index: QuranIndex) -> None:
    from quran_transcript import Aya

    library = Aya(1, 1).quran_dict
    differing = verses = 0
    for surah in (2, 12, 36, 55, 78, 112):
        for ayah in range(1, index.ayah_count(surah) + 1):
            expected = Aya(surah, ayah, quran_dict=library).get().imlaey
            verses += 1
            differing += ordered(spelled(index, surah, ayah)) != ordered(expected)
    assert verses == 286 + 111 + 83 + 78 + 40 + 4
    assert differing < 0.05 * verses
