"""Text search over the verses: Arabic text, surah names and references.

Arabic is compared without marks and with the letters unified that people type in different ways.
Each verse is known in modern spelling, as it is typed, and in Uthmani spelling, as it is copied.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from rapidfuzz import fuzz, process

_MARKS = {"Mn", "Me", "Lm", "Sk", "So", "Cf"}
_LETTERS = str.maketrans("ٱأإآىئؤة", "ااااييوه")
_NOT_LOOSE = str.maketrans("", "", "اء")

_REFERENCE = re.compile(r"(\d+)\s*[:./،,\-\s]\s*(\d+)")
_NAME_AND_NUMBER = re.compile(r"(.*?)[\s:،,]*(\d*)")
_ARABIC_SURAH = re.compile(r"^سوره ")
_LATIN_SURAH = re.compile(r"^(?:surah|surat|sura|suratul)\s+")
# The article, also where its l has become the sun letter that follows.
_LATIN_ARTICLE = re.compile(r"^(?:a[lnrstdz]|adh|ash|ath)[\s\-]+")
# Romanisations differ in how they write long vowels, diphthongs and doubled or emphatic letters.
_LATIN_SPELLINGS = (
    ("aa", "a"), ("ee", "i"), ("oo", "u"), ("ou", "u"), ("ai", "ay"), ("au", "aw"),
    ("dh", "d"), ("th", "t"),
)  # fmt: skip
_OTHER_NAMES = {
    9: ("Baraah",),
    17: ("Bani Israil",),
    40: ("Al-Mumin",),
    41: ("Ha Mim Sajdah",),
    76: ("Ad-Dahr",),
    94: ("Al-Inshirah",),
    96: ("Iqra",),
    99: ("Az-Zilzal",),
    111: ("Al-Lahab",),
}

_NAME_CUTOFF = 80.0
_FUZZY_CUTOFF = 70.0
# What a verse scores that holds the query to the letter, or but for alifs, however long the verse;
# approximate finds stay below.
_EXACT_FLOOR = 90.0
_LOOSE_FLOOR = 85.0
# A query looks for verses hardly shorter than itself; else every one-word verse fits every query.
_LEAST_LENGTH = 0.7


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A verse found; ``score`` is 0..100, and 100 for a reference, a name or a verse in full."""

    surah: int
    ayah: int
    score: float


class Searcher:
    """Searches verses given in mushaf order."""

    def __init__(
        self,
        references: Sequence[tuple[int, int]],
        plain: Sequence[str],
        uthmani: Sequence[str],
        surah_names: Sequence[tuple[str, str]],
    ) -> None:
        """``plain`` and ``uthmani`` spell the same verses; names are (Arabic, Latin)."""
        self._references = references
        self._verses = set(references)
        typed, copied = ([fold(text) for text in texts] for texts in (plain, uthmani))
        self._loose = [_loose(text) for text in typed]
        self._exact_corpora = [_Corpus(typed), _Corpus(copied)]
        self._loose_corpus = _Corpus(self._loose)
        self._arabic_names: list[tuple[str, int]] = []
        self._latin_names: list[tuple[str, int]] = []
        for surah, (arabic, latin) in enumerate(surah_names, start=1):
            name = fold(arabic)
            self._arabic_names += [(name, surah), (name.removeprefix("ال"), surah)]
            for known in (latin, *_OTHER_NAMES.get(surah, ())):
                self._latin_names += [
                    (_latin_key(known, drop_article=drop), surah) for drop in (True, False)
                ]

    def search(self, query: str, limit: int) -> list[SearchHit]:
        """The best ``limit`` verses for ``query``, best first; equal ones in mushaf order."""
        query = fold(query)
        reference = _REFERENCE.fullmatch(query)
        if reference:
            return self._found({(int(reference[1]), int(reference[2])): 100.0}, limit)
        if query.isdigit():
            return self._found({(int(query), 1): 100.0}, limit)
        scores = self._by_name(query)
        if any("\u0621" <= c <= "\u064a" for c in query):
            for verse, score in self._by_text(query, limit).items():
                key = self._references[verse]
                scores[key] = max(scores.get(key, 0.0), score)
        return self._found(scores, limit)

    def _found(self, scores: dict[tuple[int, int], float], limit: int) -> list[SearchHit]:
        ranked = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
        return [
            SearchHit(surah, ayah, score)
            for (surah, ayah), score in ranked
            if (surah, ayah) in self._verses
        ][:limit]

    def _by_name(self, query: str) -> dict[tuple[int, int], float]:
        """Verses named by surah and number; without a number, the surah's first."""
        parts = _NAME_AND_NUMBER.fullmatch(query)
        assert parts is not None
        ayah = int(parts[2] or 1)
        arabic = _ARABIC_SURAH.sub("", parts[1])
        found = {(surah, ayah): 100.0 for name, surah in self._arabic_names if name == arabic}
        keys = {_latin_key(parts[1], drop_article=drop) for drop in (True, False)} - {""}
        for name, surah in self._latin_names:
            score = max((fuzz.ratio(key, name) for key in keys), default=0.0)
            if score >= max(_NAME_CUTOFF, found.get((surah, ayah), 0.0)):
                found[surah, ayah] = score
        # A name spelled right is meant, whatever others resemble it.
        if 100.0 in found.values():
            return {verse: score for verse, score in found.items() if score == 100.0}
        return found

    def _by_text(self, query: str, limit: int) -> dict[int, float]:
        """Score by verse number of the verses that hold ``query`` or something like it."""
        loose = _loose(query)
        scores: dict[int, float] = {}
        for corpus, wanted, floor in [
            *((exact, query, _EXACT_FLOOR) for exact in self._exact_corpora),
            (self._loose_corpus, loose, _LOOSE_FLOOR),
        ]:
            for verse, share in corpus.find(wanted):
                score = floor + (100.0 - _EXACT_FLOOR) * share
                scores[verse] = max(scores.get(verse, 0.0), score)
        if len(scores) >= limit or not loose:
            return scores
        long_enough = [
            text if len(text) >= _LEAST_LENGTH * len(loose) else None for text in self._loose
        ]
        alike = process.extract(
            loose,
            long_enough,
            scorer=fuzz.partial_ratio,
            processor=None,
            limit=limit,
            score_cutoff=_FUZZY_CUTOFF,
        )
        for _, score, verse in alike:
            scores.setdefault(verse, score * _LOOSE_FLOOR / 100.0)
        return scores


class _Corpus:
    """All verses in one string, so that a query may run over the end of a verse."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._text = "".join(f" {text}" for text in texts) + " "
        self._starts = [0, *accumulate(len(text) + 1 for text in texts)]

    def find(self, query: str) -> Iterator[tuple[int, float]]:
        """Verses in which the query stands (its last word may be unfinished; it is not empty).

        With each, the share of the verse that the query covers.
        """
        wanted = " " + query
        at = self._text.find(wanted)
        while at >= 0:
            # The verse that the space before the query belongs to.
            verse = bisect_right(self._starts, at) - 1
            end = at + len(wanted)
            while verse < len(self._starts) - 1 and self._starts[verse] < end:
                start, stop = self._starts[verse], self._starts[verse + 1]
                yield verse, (min(end, stop) - max(at, start)) / (stop - start)
                verse += 1
            at = self._text.find(wanted, at + 1)


def fold(text: str) -> str:
    """Text in small letters, without what typing leaves out or varies in Arabic."""
    # The compatibility form turns digits of other scripts and joined letters into the usual ones.
    text = unicodedata.normalize("NFKC", text).lower()
    kept = (c for c in text if unicodedata.category(c) not in _MARKS)
    digits = (str(unicodedata.decimal(c)) if c.isdecimal() else c for c in kept)
    return " ".join("".join(digits).translate(_LETTERS).split())


def _loose(folded: str) -> str:
    """Folded text without alif and hamza, which the two spellings set differently."""
    return " ".join(folded.translate(_NOT_LOOSE).split())


def _latin_key(name: str, *, drop_article: bool) -> str:
    """A romanised name reduced to what most romanisations share."""
    plain = unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()
    plain = _LATIN_SURAH.sub("", plain.strip())
    if drop_article:
        plain = _LATIN_ARTICLE.sub("", plain)
    letters = "".join(c for c in plain if c.isalpha())
    for written, common in _LATIN_SPELLINGS:
        letters = letters.replace(written, common)
    letters = re.sub(r"(.)\1+", r"\1", letters)
    return letters.removesuffix("h")
