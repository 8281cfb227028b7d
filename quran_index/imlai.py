"""The modern spelling with vowel signs, word by word, as Arabic speech recognisers write it.

The index has the Uthmani spelling, which bears every sign but writes many a long vowel as a small
alif, and the modern letters, which bear none (الصَّلَوٰةَ and الصلاة). Aligning the letters of the
two gives الصَّلَاةَ. Of the whole Quran, 99.7% of the words come out as Tanzil's "simple" text has
them; the others differ in a letter where modern editions differ, too (نعمة and نعمت).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

_SMALL_ALIF = "\u0670"
_TATWEEL = "\u0640"
_SHORT_A = "\u064e"
# Without U+0652, which marks letters here that are written but not said.
_SIGNS = frozenset("\u064b\u064c\u064d\u064e\u064f\u0650\u0651\u06e1\u08f0\u08f1\u08f2")
_MODERN_SIGN = str.maketrans(
    {"\u06e1": "\u0652", "\u08f0": "\u064b", "\u08f1": "\u064c", "\u08f2": "\u064d"}
)
# A small meem makes a tanwin of the vowel sign before it.
_SMALL_MEEM = "\u06e2\u06ed"
_TANWIN = str.maketrans("\u064e\u064f\u0650", "\u064b\u064c\u064d")
# Small letters, which the modern spelling writes in full or not at all.
_SMALL_LETTERS = {
    _SMALL_ALIF: "ا",
    "\u06e5": "و",
    "\u06e6": "ي",
    "\u06e7": "ي",
    "\u06e8": "ن",
    "\u0654": "ء",
    "\u0655": "ء",
}
_HAMZA_ABOVE_OR_BELOW = "\u0654\u0655"
# Letters that stand for each other in the two spellings.
_KIN = tuple(frozenset(kin) for kin in ("ٱاأإآءؤئ", "وؤ", "وا", "يئى", "اى", "تة", "سص"))
# What quran-text's modern letters write in the Uthmani way, or part in another way than usual.
_USUAL = (("سموات", "سماوات"), ("داود", "داوود"), ("أو ", "أو"))
_LONG = set("اآ")
_O, _O_UTHMANI = "يا", "يَٰ"  # of addressing somebody: a word of its own in the modern spelling

_OMIT_SMALL, _OMIT, _OMIT_SIGN = 0.05, 1.0, 0.5
_ADD, _KINDRED, _FOREIGN = 1.0, 0.4, 3.0


@dataclass(slots=True)
class _Letter:
    """A letter of the Uthmani spelling: ``written`` as what character, with which ``signs``."""

    letter: str
    written: str
    signs: str = ""

    @property
    def small(self) -> bool:
        return self.letter != self.written or self.written == _TATWEEL


def vowelled(uthmani: str, plain: str) -> str:
    """A word in modern spelling with its vowel signs.

    ``uthmani``: as `QuranIndex.words` has it; ``plain``: as `QuranIndex.plain_words` does, without
    signs (it may be two words). A small alif remains where the modern spelling has no letter for
    it (الرَّحْمَٰنِ).
    """
    for given, usual in _USUAL:
        plain = plain.replace(given, usual)
    if uthmani.startswith(_O_UTHMANI) and plain.startswith(_O) and " " not in plain:
        plain = f"{_O} {plain.removeprefix(_O)}"
    return "".join(_merge(_letters(uthmani), plain))


def _letters(uthmani: str) -> list[_Letter]:
    letters: list[_Letter] = []
    for c in uthmani:
        if c in _SIGNS:
            letters[-1].signs += c.translate(_MODERN_SIGN)
        elif c in _SMALL_MEEM and letters:
            signs = letters[-1].signs
            letters[-1].signs = signs[:-1] + signs[-1:].translate(_TANWIN)
        elif c in _HAMZA_ABOVE_OR_BELOW and letters[-1].written == _TATWEEL:
            letters[-1].letter = _SMALL_LETTERS[c]
        elif c in _SMALL_LETTERS:
            letters.append(_Letter(_SMALL_LETTERS[c], c))
        elif c == _TATWEEL or unicodedata.category(c) == "Lo":
            letters.append(_Letter(c, c))
    return letters


def _distance(uthmani: str, modern: str) -> float:
    if uthmani == modern:
        return 0.0
    return _KINDRED if any(uthmani in kin and modern in kin for kin in _KIN) else _FOREIGN


def _merge(uthmani: list[_Letter], plain: str) -> list[str]:
    """The letters of ``plain`` with the signs of those they stand for: least edit distance."""
    # best[i][j]: cost of the first i and j letters, and how many of each the last step takes.
    best = [[(0.0, 0, 0)] * (len(plain) + 1) for _ in range(len(uthmani) + 1)]
    for i in range(len(uthmani) + 1):
        for j in range(len(plain) + 1):
            steps = []
            if i and j:
                change = _distance(uthmani[i - 1].letter, plain[j - 1])
                steps.append((best[i - 1][j - 1][0] + change, 1, 1))
            if i:
                omitted = uthmani[i - 1]
                cost = _OMIT_SMALL if omitted.small else _OMIT + _OMIT_SIGN * bool(omitted.signs)
                steps.append((best[i - 1][j][0] + cost, 1, 0))
            if j:
                cost = 0.0 if plain[j - 1] == " " else _ADD
                steps.append((best[i][j - 1][0] + cost, 0, 1))
            if steps:
                best[i][j] = min(steps, key=lambda step: step[0])

    written: list[str] = []
    i, j = len(uthmani), len(plain)
    while i or j:
        _, one, other = best[i][j]
        if one and other:
            signs = uthmani[i - 1].signs
            # The sign of madda stands for the hamza's vowel, too.
            written.append(
                plain[j - 1] + (signs.replace(_SHORT_A, "") if plain[j - 1] == "آ" else signs)
            )
        elif other:
            written.append(plain[j - 1])
        elif (
            uthmani[i - 1].written == _SMALL_ALIF and not set(plain[max(j - 1, 0) : j + 1]) & _LONG
        ):
            written.append(_SMALL_ALIF)
        i, j = i - one, j - other
    return written[::-1]
