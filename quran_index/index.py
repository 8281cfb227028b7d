"""The words and verses of the Quran as arrays, loaded from one small file.

Words are numbered through the whole text, 1:1 to 114:6, and verses likewise. After the last verse
stands one pseudo-verse, the isti'adha ("I seek refuge in God from Satan the accursed"), which is
recited before the Quran and belongs to none of it: surah 0, ayah 1. The basmala is verse 1:1 and no
part of any other verse; reciters say it before the surahs all the same.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from quran_index.graph import Graph, Spellings
from quran_index.phonetics import WordForms
from quran_index.search import Searcher, SearchHit

DATA_PATH = Path(__file__).with_name("data") / "quran.npz"
SURAHS = 114
BLANK = "<blank>"

Words = npt.NDArray[np.intp]
Parts = npt.NDArray[np.intp]
"""Parts of spellings, numbered as ``form_offsets`` has them."""
Mask = npt.NDArray[np.bool_]

_PARTS = 5
_HEAD_INITIAL, _HEAD_JOINED, _CORE, _TAIL_JOINED, _TAIL_PAUSAL = range(_PARTS)


class QuranIndex:
    """Text, sound and order of 6,236 verses and the isti'adha; immutable, shared by all streams.

    Attributes (V = 6,237 verses with the isti'adha, W = 77,437 words with its five):
        symbols: phoneme symbols, one character each; ``symbols[0]`` is the CTC blank.
        first_word: int32 [V + 1]; verse ``v`` is words ``first_word[v]`` to ``first_word[v + 1]``.
        verse_of_word: int32 [W].
        form_of_word: int32 [W], which spelling of ``form_offsets`` a word has.
        form_offsets: int32 [5 F + 1]; part ``p`` of spelling ``f`` (the fields of `WordForms` in
            order) is ``form_phonemes[form_offsets[5 f + p] : form_offsets[5 f + p + 1]]``.
        form_phonemes: int32, symbol numbers.
        pause_mark: the mushaf's sign after each word, as an index into ``pause_marks``
            (uint8 [W]; 0 where there is none).
        pause_marks: the signs, ``pause_marks[0]`` being empty.
    """

    def __init__(self, data: dict[str, npt.NDArray[Any]]) -> None:
        self.symbols: tuple[str, ...] = (BLANK, *_text(data["alphabet"]))
        self.first_word: npt.NDArray[np.int32] = data["first_word"].astype(np.int32)
        self.verse_of_word: npt.NDArray[np.int32] = np.repeat(
            np.arange(len(self.first_word) - 1, dtype=np.int32), np.diff(self.first_word)
        )
        self.form_of_word: npt.NDArray[np.int32] = data["word_form"].astype(np.int32)
        self.form_offsets: npt.NDArray[np.int32] = np.concatenate(
            ([0], np.cumsum(data["form_lengths"], dtype=np.int32))
        ).astype(np.int32)
        self.form_phonemes: npt.NDArray[np.int32] = data["form_phonemes"].astype(np.int32)
        self.pause_mark: npt.NDArray[np.uint8] = data["pause_mark"]
        self.pause_marks: tuple[str, ...] = tuple(_text(data["pause_marks"]).split("\n"))
        self._word_text: npt.NDArray[np.uint16] = data["word_text"]
        self._vocabulary = _text(data["vocabulary"]).split("\n")
        self._word_plain: npt.NDArray[np.uint16] = data["word_plain"]
        self._plain_vocabulary: npt.NDArray[np.uint8] = data["plain_vocabulary"]
        self._surah_names = [
            (arabic, latin)
            for arabic, latin in (
                line.split("\t") for line in _text(data["surah_names"]).split("\n")
            )
        ]
        sizes = data["surah_sizes"].astype(np.int64)
        # First verse of surahs 1..114, then of the isti'adha.
        self._surah_start: list[int] = [0, *np.cumsum(sizes).tolist()]
        self._forms: dict[int, WordForms] = {}
        for array in (
            self.first_word,
            self.verse_of_word,
            self.form_of_word,
            self.form_offsets,
            self.form_phonemes,
            self.pause_mark,
        ):
            array.flags.writeable = False

    @classmethod
    def load(cls, path: Path = DATA_PATH) -> QuranIndex:
        """Read the index shipped with the package.

        Raises:
            FileNotFoundError: the data file is missing (``python -m quran_index.build`` makes it).
        """
        with np.load(path) as archive:
            return cls({name: archive[name] for name in archive.files})

    # Verses

    @property
    def verses(self) -> range:
        """All verse numbers in mushaf order; the last is the isti'adha."""
        return range(len(self.first_word) - 1)

    @property
    def istiadha(self) -> int:
        """Verse number of the isti'adha."""
        return len(self.first_word) - 2

    def verse_of(self, surah: int, ayah: int) -> int:
        """Verse number of ``surah:ayah`` (``0:1`` is the isti'adha).

        Raises:
            ValueError: there is no such verse.
        """
        if surah == 0 and ayah == 1:
            return self.istiadha
        if not (1 <= surah <= SURAHS and 1 <= ayah <= self.ayah_count(surah)):
            raise ValueError(f"there is no verse {surah}:{ayah}")
        return self._surah_start[surah - 1] + ayah - 1

    def reference(self, verse: int) -> tuple[int, int]:
        """Surah and ayah of a verse number."""
        if verse not in self.verses:
            raise ValueError(f"there is no verse number {verse}")
        surah = bisect_right(self._surah_start, verse)
        if surah > SURAHS:
            return 0, 1
        return surah, verse - self._surah_start[surah - 1] + 1

    def ayah_count(self, surah: int) -> int:
        """How many verses a surah (1..114) has."""
        if not 1 <= surah <= SURAHS:
            raise ValueError(f"there is no surah {surah}")
        return self._surah_start[surah] - self._surah_start[surah - 1]

    def passage(self, surah: int, first_ayah: int, last_ayah: int) -> tuple[int, int]:
        """The first and the last word of some verses of a surah.

        Raises:
            ValueError: there is no such verse.
        """
        first, last = self.verse_of(surah, first_ayah), self.verse_of(surah, last_ayah)
        return int(self.first_word[first]), int(self.first_word[last + 1]) - 1

    def surah_name(self, surah: int) -> tuple[str, str]:
        """Arabic and romanised name of a surah (1..114)."""
        if not 1 <= surah <= SURAHS:
            raise ValueError(f"there is no surah {surah}")
        return self._surah_names[surah - 1]

    # Text

    def word_text(self, word: int) -> str:
        """One word as the Uthmani mushaf writes it, without pause signs."""
        return self._vocabulary[int(self._word_text[word])]

    def words(self, verse: int) -> list[str]:
        """The words of a verse as the Uthmani mushaf writes them."""
        first, end = self.first_word[verse], self.first_word[verse + 1]
        return [self._vocabulary[i] for i in self._word_text[first:end].tolist()]

    def text(self, verse: int) -> str:
        """A verse as the Uthmani mushaf writes it, without pause signs."""
        return " ".join(self.words(verse))

    def plain_words(self, verse: int) -> list[str]:
        """The words of a verse in modern spelling, without marks (as people type them)."""
        first, end = self.first_word[verse], self.first_word[verse + 1]
        return [self._plain[i] for i in self._word_plain[first:end].tolist()]

    @cached_property
    def _plain(self) -> list[str]:
        return _text(self._plain_vocabulary).split("\n")

    # Sound

    def forms(self, word: int) -> WordForms:
        """How a word sounds in its contexts."""
        form = int(self.form_of_word[word])
        found = self._forms.get(form)
        if found is None:
            ends = self.form_offsets[_PARTS * form : _PARTS * (form + 1) + 1].tolist()
            parts = (
                "".join(self.symbols[i] for i in self.form_phonemes[start:end])
                for start, end in pairwise(ends)
            )
            found = self._forms[form] = WordForms(*parts)
        return found

    def spell(self, first_word: int, last_word: int) -> npt.NDArray[np.int32]:
        """Symbol numbers of the words from ``first_word`` to ``last_word`` (included).

        As said in one breath: the first word after a pause, the last one before a pause.

        Raises:
            ValueError: the words are out of range or out of order.
        """
        if not 0 <= first_word <= last_word < len(self.form_of_word):
            raise ValueError(f"no words {first_word}..{last_word}")
        words = np.arange(first_word, last_word + 1)
        return self._phonemes(self._said(words, words == first_word, words == last_word))

    def _said(self, words: Words, opens: Mask, closes: Mask) -> Parts:
        """The parts [words, 3] of their forms, where some open a breath and some close one."""
        head = np.where(opens, _HEAD_INITIAL, _HEAD_JOINED)
        tail = np.where(closes, _TAIL_PAUSAL, _TAIL_JOINED)
        of_form = np.stack([head, np.full(len(words), _CORE), tail], axis=1)
        parts: Parts = self._first_part(words) + of_form
        return parts

    def _first_part(self, words: Words) -> Parts:
        """[words, 1]: where the parts of their forms begin."""
        first: Parts = _PARTS * self.form_of_word[words, None].astype(np.intp)
        return first

    def _lengths(self, parts: Parts) -> npt.NDArray[np.int64]:
        """How many phonemes each part has."""
        return np.diff(self.form_offsets)[parts].astype(np.int64)

    def _phonemes(self, parts: Parts) -> npt.NDArray[np.int32]:
        """The phonemes of parts, one after another."""
        size = self._lengths(parts).ravel()
        # Where each part stands among the spellings less where it goes, repeated for its phonemes.
        shift = self.form_offsets[parts.ravel()] - np.cumsum(size) + size
        phonemes: npt.NDArray[np.int32] = self.form_phonemes[
            np.arange(size.sum()) + np.repeat(shift, size)
        ]
        return phonemes

    @cached_property
    def graph(self) -> Graph:
        """Everything that can be recited, as a graph of phoneme states; built on first use."""
        # Parts of each spelling in the order in which the graph lays out its states.
        order = [_HEAD_JOINED, _HEAD_INITIAL, _CORE, _TAIL_JOINED, _TAIL_PAUSAL]
        parts = self._first_part(np.arange(len(self.form_of_word))) + order
        codes, word_lengths = self._phonemes(parts), self._lengths(parts)
        surah = np.repeat(np.arange(1, SURAHS + 1, dtype=np.int32), np.diff(self._surah_start))
        return Graph.build(
            Spellings(codes.astype(np.int16), word_lengths.astype(np.uint8)),
            len(self.symbols),
            self.first_word,
            np.append(surah, np.int32(0)),
        )

    # Relations

    def identical(self, verse: int) -> tuple[int, ...]:
        """The verses that sound the same as this one when recited alone, itself included.

        They need not be spelled the same: 17:48 and 25:9 differ by an alif that is written in one.
        """
        return self._identical.get(verse, (verse,))

    @cached_property
    def _identical(self) -> dict[int, tuple[int, ...]]:
        words = np.arange(len(self.form_of_word))
        last = self.first_word[1:] - 1
        parts = self._said(words, np.isin(words, self.first_word), np.isin(words, last))
        ends = np.cumsum(self._lengths(parts).sum(axis=1))[last]
        groups: dict[bytes, list[int]] = {}
        for verse, sound in enumerate(np.split(self._phonemes(parts), ends[:-1])):
            groups.setdefault(sound.tobytes(), []).append(verse)
        return {v: tuple(group) for group in groups.values() if len(group) > 1 for v in group}

    def search(self, query: str, limit: int = 10) -> list[SearchHit]:
        """Verses that answer a query, best first.

        A query is Arabic text with or without marks, a surah's name with or without a verse
        number ("Al-Ikhlas", "ikhlas 3", "البقرة 255"), or a reference ("2:255").
        """
        return self._searcher.search(query, limit)

    @cached_property
    def _searcher(self) -> Searcher:
        verses = self.verses[: self.istiadha]
        return Searcher(
            references=[self.reference(v) for v in verses],
            plain=[" ".join(self.plain_words(v)) for v in verses],
            uthmani=[self.text(v) for v in verses],
            surah_names=self._surah_names,
        )


def _text(blob: npt.NDArray[np.uint8]) -> str:
    return blob.tobytes().decode("utf-8")
