"""Open decoding: what was said, not which verse it must have been.

pyctcdecode searches over phoneme sequences with KenLM's phoneme n-gram, so that anything can come
out, but what sounds like the Quran more easily. For closed segments of speech: a second of audio
takes some milliseconds of Python, and nothing comes out before the end.

This module stands apart from the package's front because it imports pyctcdecode.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyctcdecode.alphabet import BPE_TOKEN, Alphabet
from pyctcdecode.decoder import BeamSearchDecoderCTC
from pyctcdecode.language_model import LanguageModel

from lm import NGram

# It warns that some forty "words" are few; for phonemes they are all there are.
logging.getLogger("pyctcdecode").setLevel(logging.ERROR)

LM_WEIGHT = 0.5
"""Weight of the n-gram's log-probabilities beside the acoustic model's."""

PHONEME_BONUS = 0.5
"""Nats added per phoneme, against the n-gram's taste for short answers."""

BEAM_WIDTH = 32


@dataclass(frozen=True, slots=True)
class Phoneme:
    """A symbol heard in frames ``[start_frame, end_frame)``."""

    symbol: str
    start_frame: int
    end_frame: int


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was heard, and its log score (acoustic and weighted n-gram together)."""

    phonemes: tuple[Phoneme, ...]
    score: float

    @property
    def text(self) -> str:
        """The phonemes' symbols as one string."""
        return "".join(phoneme.symbol for phoneme in self.phonemes)


class NGramDecoder:
    """pyctcdecode with the phonemes as words, so that KenLM scores each of them in its context."""

    def __init__(self, symbols: Sequence[str], ngram: NGram) -> None:
        """``symbols``: of the log-probs, the blank first; ``ngram``: of phonemes."""
        phonemes = list(symbols[1:])
        self._symbols = len(symbols)
        # A leading boundary sign is how pyctcdecode knows that a token begins a word.
        alphabet = Alphabet(["", *(BPE_TOKEN + phoneme for phoneme in phonemes)], True)
        model = LanguageModel(ngram.kenlm, phonemes, alpha=LM_WEIGHT, beta=PHONEME_BONUS)
        self._decoder = BeamSearchDecoderCTC(alphabet, model)

    def decode(self, log_probs: NDArray[np.float32]) -> Transcript:
        """The best phoneme sequence of ``log_probs`` [T, symbols]. ValueError: the wrong shape."""
        if log_probs.ndim != 2 or log_probs.shape[1] != self._symbols:
            shape = list(log_probs.shape)
            raise ValueError(f"log-probs must be [frames, {self._symbols}], not {shape}")
        if not len(log_probs):
            return Transcript((), 0.0)
        logits: Any = log_probs  # its annotation names numpy's abstract float
        best = self._decoder.decode_beams(logits, beam_width=BEAM_WIDTH, prune_history=True)[0]
        _, _, frames, _, score = best
        phonemes = tuple(Phoneme(symbol, start, end) for symbol, (start, end) in frames)
        return Transcript(phonemes, float(score))
