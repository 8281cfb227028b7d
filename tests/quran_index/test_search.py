"""Text search."""

import pytest

from quran_index import QuranIndex, SearchHit
from quran_index.search import fold


@pytest.fixture(scope="module")
def index() -> QuranIndex:
    return QuranIndex.load()


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("قل هو الله", (112, 1)),
        ("قُلْ هُوَ اللَّهُ أَحَدٌ", (112, 1)),
        ("ٱلۡحَمۡدُ لِلَّهِ رَبِّ ٱلۡعَٰلَمِينَ", (1, 2)),
        ("الرحمان علم القران", (55, 1)),  # one alif too many, and over the end of a verse
        ("الله نور السموات والارض", (24, 35)),
        ("ان الله علا كل شي قدير", (2, 20)),  # misspelled
        ("2:255", (2, 255)),
        ("٢:٢٥٥", (2, 255)),
        ("2 255", (2, 255)),
        ("112", (112, 1)),
        ("Al-Ikhlas", (112, 1)),
        ("ikhlas 3", (112, 3)),
        ("Al-Ikhlāṣ", (112, 1)),
        ("surah yaseen", (36, 1)),
        ("Baqara 255", (2, 255)),
        ("al imran 7", (3, 7)),
        ("kawthar", (108, 1)),
        ("zariyat", (51, 1)),
        ("al-lahab", (111, 1)),
        ("البقرة 255", (2, 255)),
        ("سورة الإخلاص", (112, 1)),
    ],
)
def test_finds(index: QuranIndex, query: str, first: tuple[int, int]) -> None:
    hit = index.search(query)[0]
    assert (hit.surah, hit.ayah) == first


@pytest.mark.parametrize("query", ["", "   ", "2:300", "115:1", "115", "ikhlas 9", "qwerty", "؟!"])
def test_finds_nothing(index: QuranIndex, query: str) -> None:
    assert index.search(query) == []


def test_whole_verses_come_before_parts(index: QuranIndex) -> None:
    hits = index.search("الحمد لله رب العالمين", limit=5)
    assert hits[0] == SearchHit(1, 2, 100.0)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert all(hit.score < 100.0 for hit in hits[1:])


def test_all_repetitions_are_found_in_order(index: QuranIndex) -> None:
    hits = index.search("فبأي آلاء ربكما تكذبان", limit=40)
    assert [(hit.surah, hit.ayah) for hit in hits[:31]] == [
        index.reference(v) for v in index.identical(index.verse_of(55, 13))
    ]


def test_limit(index: QuranIndex) -> None:
    assert len(index.search("الله", limit=3)) == 3


def test_every_verse_finds_itself(index: QuranIndex) -> None:
    for verse in range(0, 6236, 97):
        hits = index.search(index.text(verse), limit=40)
        assert hits[0].score == 100.0
        assert index.reference(verse) in [(hit.surah, hit.ayah) for hit in hits]


def test_fold_unifies_what_people_type() -> None:
    assert fold("إِنَّآ أَعۡطَيۡنَٰكَ") == "انا اعطينك"
    assert fold("رحمة الهدى") == "رحمه الهدي"
