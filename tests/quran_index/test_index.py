"""The shipped index against the libraries it was made from, and against itself."""

import random
import subprocess
import sys
import time
from collections import defaultdict
from unicodedata import normalize

import numpy as np
import pytest

from quran_index import QuranIndex
from quran_index.build import build, phonetic_words, surah_forms
from quran_index.phonetics import WordForms, word_forms
from quran_index.search import fold

WORDS = 77_432
VERSES = 6_236


@pytest.fixture(scope="module")
def index() -> QuranIndex:
    return QuranIndex.load()


def test_counts(index: QuranIndex) -> None:
    assert len(index.verses) == VERSES + 1
    assert index.first_word[VERSES] == WORDS
    assert index.first_word[-1] == len(index.verse_of_word) == WORDS + 5
    assert sum(index.ayah_count(surah) for surah in range(1, 115)) == VERSES
    assert (np.diff(index.first_word) > 0).all()
    assert len(index.symbols) == 37


def test_references(index: QuranIndex) -> None:
    assert index.reference(0) == (1, 1)
    assert index.reference(VERSES - 1) == (114, 6)
    assert index.reference(VERSES) == (0, 1)
    assert all(index.verse_of(*index.reference(v)) == v for v in index.verses)
    for surah, ayah in [(0, 2), (1, 8), (115, 1), (2, 0), (-1, 1)]:
        with pytest.raises(ValueError, match="no verse"):
            index.verse_of(surah, ayah)
    for verse in (-1, VERSES + 1):
        with pytest.raises(ValueError, match="no verse"):
            index.reference(verse)


def test_text(index: QuranIndex) -> None:
    # The mushaf's files do not hold marks in Unicode's order.
    def text(surah: int, ayah: int) -> str:
        return normalize("NFC", index.text(index.verse_of(surah, ayah)))

    assert text(112, 1) == normalize("NFC", "قُلۡ هُوَ ٱللَّهُ أَحَدٌ")
    assert text(15, 7).split()[0] == normalize("NFC", "لَّوۡمَا")
    assert index.text(index.istiadha).split()[0] == "أَعُوذُ"
    assert index.plain_words(index.verse_of(1, 2)) == ["الحمد", "لله", "رب", "العالمين"]
    assert index.surah_name(112) == ("الإخلَاص", "Al-Ikhlāṣ")


def test_both_libraries_write_the_same_words(index: QuranIndex) -> None:
    without_alif = str.maketrans("", "", "اء ")
    for surah in range(1, 115):
        for ayah, words in enumerate(phonetic_words(surah), start=1):
            written = index.words(index.verse_of(surah, ayah))
            letters = [
                [fold(word).translate(without_alif) for word in words] for words in (written, words)
            ]
            assert letters[0] == letters[1], (surah, ayah)


def test_text_and_pause_signs_are_the_mushafs(index: QuranIndex) -> None:
    from quran_text import Mushaf

    mushaf = Mushaf.hafs()
    assert [index.word_text(w) for w in range(WORDS)] == mushaf.words
    for surah, ayah in [(2, 2), (2, 255), (3, 7), (18, 1), (36, 52), (75, 27)]:
        first = index.first_word[index.verse_of(surah, ayah)]
        # 36:52 has two at one word; the later, a pause, counts.
        signs = [
            "".join(mark.sign for mark in word.marks if mark.kind == "waqf")[-1:]
            for word in mushaf.ayah(surah, ayah).word_list
        ]
        found = [index.pause_marks[index.pause_mark[first + i]] for i in range(len(signs))]
        assert found == signs


@pytest.mark.parametrize(
    ("surah", "ayah", "spelling"),
    [
        (1, 1, "بِسمِلاهِرَحمانِرَحۦم"),
        (112, 1, "قُلهُوَلاهُءَحَد"),
        (2, 1, "ءَلِفلامۦم"),
        (42, 2, "عَيںسۦںقاف"),
        (68, 1, "نۥنوَلقَلَمِوَمايَسطُرۥن"),
        (0, 1, "ءَعۥذُبِلاهِمِنَشَيطانِرَجۦم"),
    ],
)
def test_spelling(index: QuranIndex, surah: int, ayah: int, spelling: str) -> None:
    verse = index.verse_of(surah, ayah)
    ids = index.spell(int(index.first_word[verse]), int(index.first_word[verse + 1]) - 1)
    assert "".join(index.symbols[i] for i in ids) == spelling


def test_spelling_joins_the_forms(index: QuranIndex) -> None:
    words = range(*index.first_word[index.verse_of(2, 255) : index.verse_of(2, 255) + 2].tolist())
    expected = "".join(
        index.forms(w).spell(initial=w == words[0], pausal=w == words[-1]) for w in words
    )
    ids = index.spell(words[0], words[-1])
    assert ids.dtype == np.int32
    assert "".join(index.symbols[i] for i in ids) == expected
    for first, last in [(5, 4), (-1, 3), (0, WORDS + 5)]:
        with pytest.raises(ValueError, match="no words"):
            index.spell(first, last)


def test_last_word_of_a_surah_only_pauses(index: QuranIndex) -> None:
    last = int(index.first_word[index.verse_of(2, 1)]) - 1
    forms = index.forms(last)
    assert forms.spell(initial=False, pausal=False) == forms.spell(initial=False, pausal=True)


def test_forms_are_what_the_library_says(index: QuranIndex) -> None:
    """A sample, with the verses in which the library needs care."""
    random.seed(1)
    surahs = {surah: phonetic_words(surah) for surah in (2, 3, 15, 27, 42, 52, 68, 78)}
    places = [(3, 1), (3, 2), (15, 7), (42, 1), (42, 2), (52, 37), (68, 1)]
    short = [
        (surah, ayah)
        for surah, verses in surahs.items()
        for ayah, words in enumerate(verses, start=1)
        if ayah > 1 and len(words) <= 10
    ]
    for surah, ayah in places + random.sample(short, 15):
        verses = surahs[surah]
        before = verses[ayah - 2][-1] if ayah > 1 else "ٱلرَّحِيمِ"
        after = verses[ayah][0] if ayah < len(verses) else None
        first = int(index.first_word[index.verse_of(surah, ayah)])
        expected = word_forms(verses[ayah - 1], before, after)
        assert [index.forms(first + i) for i in range(len(expected))] == expected, (surah, ayah)


def test_isti_adha_leads_to_the_basmala(index: QuranIndex) -> None:
    first = int(index.first_word[index.istiadha])
    assert [index.forms(first + i) for i in range(5)] == surah_forms(0)[0]
    assert index.forms(first + 4).tail_joined == "ِ"


def test_build_refuses_words_cut_in_the_wrong_place() -> None:
    forms = [WordForms("", "", "ب", "", "")] * (WORDS + 5)
    build(forms)
    with pytest.raises(ValueError, match="wrong place"):
        build([WordForms("", "", "", "", "ب"), *forms[1:]])
    with pytest.raises(ValueError, match="written"):
        build(forms[1:])


def test_identical_verses(index: QuranIndex) -> None:
    """99 groups by sound: the 96 that are written with the same letters, and three that are not."""
    sounds = {index.identical(v) for v in index.verses if len(index.identical(v)) > 1}
    assert len(sounds) == 99
    assert sum(map(len, sounds)) == 282
    assert all(index.identical(v) == group for group in sounds for v in group)

    by_letters = defaultdict(list)
    for v in index.verses:
        letters = "".join(c for c in index.text(v) if c.isalpha() or c == " ")
        by_letters[letters].append(v)
    written = {tuple(group) for group in by_letters.values() if len(group) > 1}
    assert written <= sounds
    assert {tuple(map(index.reference, group)) for group in sounds - written} == {
        ((3, 182), (8, 51)),
        ((17, 48), (25, 9)),
        ((27, 81), (30, 53)),
    }

    refrain = index.identical(index.verse_of(55, 13))
    assert len(refrain) == 31
    assert {index.reference(v)[0] for v in refrain} == {55}
    assert index.identical(index.verse_of(2, 255)) == (index.verse_of(2, 255),)


def test_arrays_are_read_only(index: QuranIndex) -> None:
    with pytest.raises(ValueError, match="read-only"):
        index.first_word[0] = 1


def test_loads_quickly() -> None:
    def seconds() -> float:
        began = time.perf_counter()
        QuranIndex.load()
        return time.perf_counter() - began

    assert min(seconds() for _ in range(3)) < 0.3


def test_runtime_needs_no_text_library() -> None:
    """Nor the n-gram library nor torch, for index, graph and priors."""
    program = (
        "import sys; from quran_index import QuranIndex; from lm import Priors;"
        "index = QuranIndex.load(); index.graph; index.search('1:1'); Priors.load();"
        "print([m for m in ('quran_text', 'quran_transcript', 'pydantic', 'kenlm', 'torch')"
        " if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
