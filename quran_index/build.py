"""Makes the data file of the index: ``python -m quran_index.build`` (some minutes on two cores).

The text, its order, its modern spelling and its pause signs come from quran-text; the sound of each
word from quran-transcript, whose words are the same but for the start of 15:7, which it writes as
two. Both libraries are needed here and nowhere else.
"""

from __future__ import annotations

import argparse
import os
import unicodedata
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from quran_index.index import DATA_PATH, SURAHS
from quran_index.phonetics import WordForms, word_forms

_T = TypeVar("_T")

ISTIADHA_DISPLAY = "أَعُوذُ بِٱللَّهِ مِنَ ٱلشَّيۡطَٰنِ ٱلرَّجِيمِ"
ISTIADHA_PLAIN = "أعوذ بالله من الشيطان الرجيم"


def phonetic_words(surah: int) -> list[list[str]]:
    """The words of each verse of a surah as quran-transcript spells them, divided as here."""
    from quran_transcript import Aya

    # Every Aya reads the library's whole text again unless it is handed on.
    text = _library_text()
    ayahs = Aya(surah, 1, quran_dict=text).get().num_ayat_in_sura
    verses = [
        list(Aya(surah, ayah, quran_dict=text).get().uthmani_words) for ayah in range(1, ayahs + 1)
    ]
    if surah == 15:
        # The mushaf writes the first two words of 15:7 as one.
        verses[6] = [" ".join(verses[6][:2]), *verses[6][2:]]
    return verses


@cache
def _library_text() -> Any:
    from quran_transcript import Aya

    return Aya(1, 1).quran_dict


def surah_forms(surah: int) -> list[list[WordForms]]:
    """Forms of every word of a surah; surah 0 is the isti'adha.

    A surah's first word is given the basmala's last as its neighbour, since reciters join them; so
    is the basmala's first given the isti'adha's.
    """
    from quran_transcript import Aya

    istiadha = Aya(1, 1).get().istiaatha_uthmani.split()
    basmala = phonetic_words(1)[0]
    if surah == 0:
        return [word_forms(istiadha, None, basmala[0])]
    verses = phonetic_words(surah)
    opening = istiadha[-1] if surah in (1, 9) else basmala[-1]
    neighbours = [opening, *(verse[-1] for verse in verses[:-1])]
    followers: list[str | None] = [*(verse[0] for verse in verses[1:]), None]
    return [word_forms(*context) for context in zip(verses, neighbours, followers, strict=True)]


def all_forms() -> list[WordForms]:
    """Forms of every word in the order of the index, the isti'adha last."""
    surahs = [*range(1, SURAHS + 1), 0]
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        return [
            forms for verses in pool.map(surah_forms, surahs) for verse in verses for forms in verse
        ]


def plain_spelling(uthmani: str) -> str:
    """Modern spelling guessed from the Uthmani one, where quran-text has none."""
    spelled_out = uthmani.replace("\u0670", "ا").replace("ٱ", "ا")
    return "".join(c for c in spelled_out if unicodedata.category(c) == "Lo")


def build(forms: Sequence[WordForms]) -> dict[str, npt.NDArray[np.generic]]:
    """The arrays of the data file."""
    from quran_text import Mushaf

    mushaf = Mushaf.hafs()
    document = mushaf._doc
    words = [*mushaf.words, *ISTIADHA_DISPLAY.split()]
    first_word = [*document["ayah_starts"], len(mushaf.words), len(words)]
    plain = [
        modern or plain_spelling(word)
        for word, modern in zip(mushaf.words, document["rasm_imlai"], strict=True)
    ] + ISTIADHA_PLAIN.split()
    if len(forms) != len(words):
        raise ValueError(f"{len(forms)} words have a sound but {len(words)} are written")
    for word, form in zip(words, forms, strict=True):
        if not _plausible(form):
            raise ValueError(f"{word} was cut in the wrong place: {form}")

    marks = [""]
    pause_mark = np.zeros(len(words), np.uint8)
    for word, kind in document["marks"]:
        mark = document["mark_types"][kind]
        if mark["kind"] == "waqf":
            if mark["sign"] not in marks:
                marks.append(mark["sign"])
            pause_mark[word] = marks.index(mark["sign"])

    alphabet = "".join(sorted({c for form in set(forms) for part in astuple(form) for c in part}))
    number = {c: i for i, c in enumerate(alphabet, start=1)}
    kinds, word_form = _distinct(forms)
    parts = [part for form in kinds for part in astuple(form)]
    vocabulary, word_text = _distinct(words)
    plain_vocabulary, word_plain = _distinct(plain)
    surahs = document["surahs"]
    return {
        "alphabet": _blob(alphabet),
        "first_word": np.array(first_word, np.uint32),
        "surah_sizes": np.array([s["ayah_count"] for s in surahs], np.uint16),
        "surah_names": _blob("\n".join(f"{s['name_ar']}\t{s['name_en']}" for s in surahs)),
        "vocabulary": _blob("\n".join(vocabulary)),
        "word_text": word_text,
        "plain_vocabulary": _blob("\n".join(plain_vocabulary)),
        "word_plain": word_plain,
        "form_lengths": np.array([len(part) for part in parts], np.uint8),
        "form_phonemes": np.array([number[c] for part in parts for c in part], np.uint8),
        "word_form": word_form,
        "pause_mark": pause_mark,
        "pause_marks": _blob("\n".join(marks)),
    }


def _plausible(form: WordForms) -> bool:
    """Whether neighbours change no more of a word than Arabic lets them."""
    return (
        form.core != ""
        and len(form.head_initial) <= 2
        and len(form.head_joined) <= 1
        and len(form.tail_joined) <= 4
        and len(form.tail_pausal) <= 2
    )


def _distinct(items: Sequence[_T]) -> tuple[list[_T], npt.NDArray[np.uint16]]:
    """The distinct items in order of appearance, and which of them each item is."""
    number: dict[_T, int] = {}
    which = [number.setdefault(item, len(number)) for item in items]
    if len(number) > np.iinfo(np.uint16).max:
        raise ValueError("too many distinct items for 16 bits")
    return list(number), np.array(which, np.uint16)


def _blob(text: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(text.encode("utf-8"), np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the data file of the Quran index.")
    parser.add_argument("--out", type=Path, default=DATA_PATH, help="default: the shipped file")
    out: Path = parser.parse_args().out
    data = build(all_forms())
    np.savez_compressed(out, **data)
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB, {len(data['word_form'])} words")


if __name__ == "__main__":
    main()
