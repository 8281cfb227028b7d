"""Phoneme error rate of a trained network on a corpus folder.

Greedy, micro-averaged, against the allowed pronunciation that fits what was heard best: a label
file does not say where the reader paused.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rapidfuzz.distance import Levenshtein

from acoustic import corpus
from acoustic.augment import FeatureExtractor
from acoustic.batches import passage
from acoustic.model import ConformerCTC
from decoders import greedy
from decoders.align import pronunciation
from quran_index import QuranIndex


@dataclass(frozen=True)
class HeldOut:
    """Utterances of known text."""

    utterances: list[corpus.Utterance]
    index: QuranIndex
    samples: corpus.Samples

    @classmethod
    def load(
        cls, folder: Path, index: QuranIndex, count: int = 60, longest: float = 20.0
    ) -> HeldOut:
        """A fixed random choice of ``count`` verses of at most ``longest`` seconds."""
        usable = [
            u for u in corpus.load(folder) if u.ayah and u.samples <= longest * corpus.SAMPLE_RATE
        ]
        chosen = np.random.default_rng(0).permutation(len(usable))[:count]
        return cls([usable[i] for i in chosen], index, corpus.Samples())

    def per(self, model: ConformerCTC) -> float:
        """Greedy phoneme error rate, micro-averaged; the model's mode is restored after."""
        device = next(model.parameters()).device
        extract = FeatureExtractor(device)
        was_training = model.training
        model.eval()
        errors = total = 0
        with torch.no_grad():
            for utterance in self.utterances:
                wave = self.samples(utterance).astype(np.float32) / 32768.0
                features = extract.plain(torch.from_numpy(wave).to(device))[None]
                lengths = torch.tensor([features.shape[1]], device=device)
                logits, _, frames = model(features, lengths)
                heard = logits[0, : int(frames[0])].log_softmax(-1).cpu().numpy()
                words = passage(self.index, utterance)
                said = pronunciation(heard, self.index.graph, *words).tolist()
                errors += Levenshtein.distance(greedy(heard), said)
                total += len(said)
        model.train(was_training)
        return errors / total
