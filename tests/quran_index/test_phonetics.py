"""The spelling of words in context."""

import pytest

from quran_index.build import phonetic_words
from quran_index.phonetics import WordForms, _decompose, simplify, word_forms


def test_long_and_double_sounds_are_one_symbol() -> None:
    assert simplify("ءَللَااااهُ") == "ءَلاهُ"
    assert simplify("قَد ڇ") == "قَد"


@pytest.mark.parametrize(
    ("spellings", "forms"),
    [
        (("لحَمدُ", "لحَمد", "ءَلحَمدُ", "ءَلحَمد"), WordForms("ءَ", "", "لحَمد", "ُ", "")),
        (("رَحمَتِ", "رَحمَه", "رَحمَتِ", "رَحمَه"), WordForms("", "", "رَحمَ", "تِ", "ه")),
        (("مِ", "مِن", "مِ", "مِن"), WordForms("", "", "مِ", "", "ن")),
    ],
)
def test_decomposition(spellings: tuple[str, str, str, str], forms: WordForms) -> None:
    assert _decompose(*spellings) == forms
    assert forms.spell(initial=False, pausal=False) == spellings[0]
    assert forms.spell(initial=False, pausal=True) == spellings[1]
    assert forms.spell(initial=True, pausal=False) == spellings[2]
    assert forms.spell(initial=True, pausal=True) == spellings[3]


def test_decomposition_refuses_unlike_spellings() -> None:
    with pytest.raises(ValueError, match="do not share a core"):
        _decompose("بَ", "تُ", "ثِ", "ج")


def test_assimilated_consonant_belongs_to_the_second_word() -> None:
    forms = word_forms(phonetic_words(2)[4][3:5], "هُدًۭى", "وَأُو۟لَـٰٓئِكَ")
    assert [f.spell(initial=False, pausal=False) for f in forms] == ["مِ", "رَبِهِم"]
    assert forms[0].tail_pausal == "ن"


def test_final_diphthong_keeps_its_vowel_before_a_double_waw() -> None:
    forms = word_forms(phonetic_words(2)[60][-3:-1], "بِمَا", "يَعْتَدُونَ")
    assert "".join(f.spell(initial=False, pausal=False) for f in forms) == "عَصَوَكانۥ"
