"""SentencePiece units: the words of the Quran spelled in the pieces of somebody else's model.

SentencePiece cuts text into the pieces of a vocabulary, of which those that begin a word begin with
``▁``; a piece never spans two words, so cutting word by word gives what cutting a verse gives.

The vocabulary is read from one of two files beside the model: ``tokenizer.model``, with which the
sentencepiece library cuts as it did in training; else ``tokens.txt`` (a piece and its number a
line). That lacks the scores by which SentencePiece chooses, but its order says much: pieces of
byte-pair encoding (all longer ones stand before all single characters) are in the order of their
merges, which is all there is to know. Others are taken for a unigram model, whose pieces are in the
order of their probability; how probable each is follows from its rank by Zipf's law, and about one
word in two hundred is cut in another way than the library would cut it.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from acoustic.model_file import ModelError
from quran_index import QuranIndex
from quran_index.graph import Graph, Spellings
from quran_index.imlai import vowelled

TOKENIZER, TOKENS = "tokenizer.model", "tokens.txt"
BLANK = "<blank>"

_WORD = "▁"
_BLANK_NAMES = ("<blk>", "<blank>", "<pad>")
_CONTROL = ("<unk>", "<s>", "</s>")
_CORE = 2  # the column of `Spellings.lengths` that holds the part of a word that never changes
# Zipf's law: the log-probability of the n-th piece is near -log(n) less the log of their sum.
_ZIPF = 5.0
# Letters that some vocabularies write as another, or not at all.
_PLAINER = {"آ": "ا", "أ": "ا", "إ": "ا", "ؤ": "و", "ئ": "ي", "ء": "", "ى": "ي", "ة": "ه"}

Segment = Callable[[str], list[int]]


@dataclass(frozen=True)
class Vocabulary:
    """Pieces by number, without the CTC blank, and the function that cuts a word into numbers."""

    pieces: tuple[str, ...]
    segment: Segment

    @classmethod
    def read(cls, folder: Path) -> Vocabulary:
        """The vocabulary in ``folder``. ModelError: there is none, or it cannot be read."""
        if (folder / TOKENIZER).exists():
            return cls._from_tokenizer(folder / TOKENIZER)
        if (folder / TOKENS).exists():
            return cls.of(_read_tokens(folder / TOKENS))
        raise ModelError(
            f"neither {TOKENIZER} nor {TOKENS} in {folder}: put the model's vocabulary there"
        )

    @classmethod
    def of(cls, pieces: Sequence[str]) -> Vocabulary:
        """A vocabulary of which nothing but the pieces is known, in their order."""
        merged = _is_merged(pieces)
        return cls(tuple(pieces), _by_merging(pieces) if merged else _by_rank(pieces))

    @classmethod
    def _from_tokenizer(cls, path: Path) -> Vocabulary:
        try:
            from sentencepiece import SentencePieceProcessor
        except ImportError as error:
            raise ModelError(
                f"{path} needs the sentencepiece library: pip install 'tasmi[sentencepiece]', or "
                f"put a {TOKENS} there instead"
            ) from error
        processor = SentencePieceProcessor()
        try:
            processor.Load(str(path))
        except (OSError, RuntimeError) as error:
            raise ModelError(f"{path} is not a SentencePiece model: {error}") from error
        pieces = tuple(processor.IdToPiece(i) for i in range(processor.GetPieceSize()))
        return cls(pieces, processor.EncodeAsIds)


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """The symbols of a model and the Quran spelled in them.

    ``symbols``: the blank, then those pieces that may be said; ``columns`` [symbols - 1]: their
    numbers in the vocabulary. ``silent``: the numbers of punctuation, which is heard where nothing
    is said, so that a decoder takes it for the blank.
    """

    symbols: tuple[str, ...]
    graph: Graph
    columns: tuple[int, ...]
    silent: tuple[int, ...]

    @classmethod
    def of(cls, vocabulary: Vocabulary, index: QuranIndex) -> Units:
        """Spells every word of the Quran. ModelError: the pieces lack a letter for that."""
        pieces = vocabulary.pieces
        adapt = _Orthography.of(pieces)
        spelled: dict[tuple[str, str], list[int]] = {}
        words: list[list[int]] = []
        for verse in index.verses:
            for pair in zip(index.words(verse), index.plain_words(verse), strict=True):
                if pair not in spelled:
                    spelled[pair] = vocabulary.segment(adapt(vowelled(*pair)))
                words.append(spelled[pair])
        used = {piece for ids in spelled.values() for piece in ids}
        unspellable = next((p for p, ids in spelled.items() if not _is_spelled(ids, pieces)), None)
        if unspellable:
            raise ModelError(f"the model's pieces cannot spell {adapt(vowelled(*unspellable))}")
        silent = tuple(i for i, p in enumerate(pieces) if i not in used and not _says_something(p))
        columns = tuple(i for i in range(len(pieces)) if i not in silent)
        symbol = {column: number for number, column in enumerate(columns, start=1)}
        lengths = np.zeros((len(words), 5), np.uint8)
        lengths[:, _CORE] = [len(ids) for ids in words]
        codes = np.array([symbol[i] for ids in words for i in ids], np.int16)
        surah = np.array([index.reference(v)[0] for v in index.verses], np.int32)
        graph = Graph.build(Spellings(codes, lengths), len(columns) + 1, index.first_word, surah)
        return cls((BLANK, *(pieces[i] for i in columns)), graph, columns, silent)


def _is_spelled(ids: list[int], pieces: Sequence[str]) -> bool:
    return bool(ids) and not any(pieces[i] in _CONTROL for i in ids)


def _says_something(piece: str) -> bool:
    """Whether a piece holds a letter, a digit or a sign on a letter, or is no text at all."""
    return piece in _CONTROL or any(unicodedata.category(c)[0] in "LMN" for c in piece)


def _read_tokens(path: Path) -> tuple[str, ...]:
    """Pieces by number, without the blank, which must be the last or the first."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    numbers: dict[int, str] = {}
    for line in lines:
        match line.rsplit(maxsplit=1):
            case [piece, number] if number.isdecimal():
                numbers[int(number)] = piece
            case _:
                raise ModelError(f"{path}: expected a piece and its number, found {line!r}")
    pieces = [numbers.get(i) for i in range(len(numbers))]
    named = [piece for piece in pieces if piece is not None]
    if not named or len(named) < len(pieces):
        raise ModelError(f"{path}: the numbers do not count up from 0")
    if named[-1] in _BLANK_NAMES:
        named.pop()
    if any(piece in _BLANK_NAMES for piece in named):
        raise ModelError(f"{path}: the blank must be the last piece, as NeMo has it")
    return tuple(named)


@dataclass(frozen=True)
class _Orthography:
    """Writes vowelled Arabic with the characters that some pieces are made of."""

    alphabet: frozenset[str]
    composed: bool
    """Whether a vowel sign stands before the sign of doubling (Unicode's order) or after it."""

    @classmethod
    def of(cls, pieces: Sequence[str]) -> _Orthography:
        pairs = [pair for piece in pieces for pair in pairwise(piece)]
        after = sum(a == "\u0651" and unicodedata.category(b) == "Mn" for a, b in pairs)
        before = sum(b == "\u0651" and unicodedata.category(a) == "Mn" for a, b in pairs)
        return cls(frozenset("".join(pieces)), composed=before >= after)

    def __call__(self, text: str) -> str:
        if self.composed:
            text = unicodedata.normalize("NFC", text)
        return "".join(map(self._character, text))

    def _character(self, c: str) -> str:
        if c in self.alphabet or c == " ":
            return c
        return "" if unicodedata.category(c) == "Mn" else _PLAINER.get(c, c)


def _is_merged(pieces: Sequence[str]) -> bool:
    """Whether the pieces are in the order of byte-pair encoding: the single characters last."""
    single = [len(piece) == 1 for piece in pieces if piece not in _CONTROL]
    return any(single) and not all(single) and single == sorted(single)


def _by_merging(pieces: Sequence[str]) -> Segment:
    """Byte-pair encoding: again and again joins the neighbours that make the earliest piece."""
    rank = {piece: i for i, piece in enumerate(pieces)}
    last = len(pieces)

    def word(text: str) -> list[str]:
        parts = list(text)
        while len(parts) > 1:
            joined = [rank.get(a + b, last) for a, b in pairwise(parts)]
            best = min(joined)
            if best == last:
                break
            at = joined.index(best)
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        return parts

    return _numbered(word, rank)


def _by_rank(pieces: Sequence[str]) -> Segment:
    """The likeliest cut, if the n-th piece is likely as Zipf's law has it."""
    rank = {piece: i for i, piece in enumerate(pieces) if piece not in _CONTROL}
    cost = {piece: math.log(i + 1) + _ZIPF for piece, i in rank.items()}
    longest = max(map(len, cost), default=0)

    def word(text: str) -> list[str]:
        best: list[tuple[float, int]] = [(0.0, 0)]
        for end in range(1, len(text) + 1):
            best.append(
                min(
                    (best[start][0] + cost.get(text[start:end], math.inf), start)
                    for start in range(max(0, end - longest), end)
                )
            )
        parts: list[str] = []
        end = len(text)
        while end:
            start = best[end][1]
            parts.append(text[start:end])
            end = start
        return parts[::-1]

    return _numbered(word, rank)


def _numbered(cut: Callable[[str], list[str]], rank: dict[str, int]) -> Segment:
    def segment(text: str) -> list[int]:
        parts = [part for word in text.split() for part in cut(_WORD + word)]
        return [rank[part] for part in parts] if all(p in rank for p in parts) else []

    return segment
