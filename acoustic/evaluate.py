"""Phoneme error rate: what a network heard against what was recited.

Greedy, micro-averaged, against the allowed pronunciation that fits what was heard best: a label
file does not say where the reader paused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rapidfuzz.distance import Levenshtein

from acoustic import corpus
from acoustic.augment import FeatureExtractor
from acoustic.lessons import FRAME
from acoustic.model import CHUNKS, ConformerCTC
from acoustic.quiet import STREAM_OPENING, WHOLE_OPENING, opening
from decoders import greedy
from decoders.align import pronunciation
from quran_index import QuranIndex

Float = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Errors:
    """Phonemes recited, and the edits between them and what was heard."""

    edits: int = 0
    phonemes: int = 0

    def __add__(self, other: Errors) -> Errors:
        return Errors(self.edits + other.edits, self.phonemes + other.phonemes)

    @property
    def rate(self) -> float:
        """Edits per phoneme."""
        return self.edits / self.phonemes


def phoneme_errors(log_probs: Float, index: QuranIndex, first_word: int, last_word: int) -> Errors:
    """Errors in log-probs [T, symbols] of words ``first_word..last_word`` of one surah.

    Where there are too few frames to say the words in, all of them count as missed.
    """
    try:
        said = pronunciation(log_probs, index.graph, first_word, last_word).tolist()
    except ValueError:
        count = len(index.spell(first_word, last_word))
        return Errors(count, count)
    return Errors(Levenshtein.distance(greedy(log_probs), said), len(said))


def hear(
    model: ConformerCTC, samples: Float, chunk: int | None = None, whole: bool = False
) -> Float:
    """Log-probs [T, symbols] of a recording (16 kHz, in [-1, 1]), all chunks at once.

    ``chunk`` overrides the look-ahead, in frames; ``whole``: as `ConformerCTC.forward`. An opening
    is heard before it, as by the exported network.
    """
    device = next(model.parameters()).device
    hop = FRAME * min(chunk or model.config.chunk, max(CHUNKS))
    quiet = opening(WHOLE_OPENING, FRAME) if whole else opening(STREAM_OPENING, hop)
    wave = torch.from_numpy(np.concatenate((quiet, samples))).to(device)
    features = FeatureExtractor(device).plain(wave)[None]
    lengths = torch.tensor([features.shape[1]], device=device)
    with torch.no_grad():
        logits, _, frames = model(features, lengths, chunk, whole)
    heard: Float = logits[0, len(quiet) // FRAME : int(frames[0])].log_softmax(-1).cpu().numpy()
    return heard


@dataclass(frozen=True)
class HeldOut:
    """Utterances of known text."""

    utterances: list[corpus.Utterance]
    index: QuranIndex

    @classmethod
    def load(
        cls, folder: Path, index: QuranIndex, count: int = 60, longest: float = 20.0
    ) -> HeldOut:
        """A fixed random choice of ``count`` verses, or runs, of at most ``longest`` seconds."""
        usable = [
            u for u in corpus.load(folder) if u.ayah and u.samples <= longest * corpus.SAMPLE_RATE
        ]
        chosen = np.random.default_rng(0).permutation(len(usable))[:count]
        return cls([usable[i] for i in chosen], index)

    def per(self, hear: Callable[[Float], Float]) -> float:
        """Phoneme error rate of what ``hear`` makes log-probs [T, symbols] of waves."""
        errors = Errors()
        for utterance in self.utterances:
            log_probs = hear(utterance.wave())
            errors += phoneme_errors(log_probs, self.index, *utterance.passage(self.index))
        return errors.rate
