"""Phoneme error rate of a trained network on a corpus folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rapidfuzz.distance import Levenshtein

from acoustic import corpus
from acoustic.augment import FeatureExtractor
from acoustic.batches import labels_of
from acoustic.model import ConformerCTC
from decoders import greedy
from quran_index import QuranIndex


@dataclass(frozen=True)
class HeldOut:
    """Utterances and their reference labels."""

    items: list[tuple[corpus.Utterance, list[int]]]
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
        items = []
        for i in chosen:
            items.append((usable[i], labels_of(index, usable[i])))
        return cls(items, corpus.Samples())

    def per(self, model: ConformerCTC) -> float:
        """Greedy phoneme error rate, micro-averaged; the model's mode is restored after."""
        device = next(model.parameters()).device
        extract = FeatureExtractor(device)
        was_training = model.training
        model.eval()
        errors = total = 0
        with torch.no_grad():
            for utterance, labels in self.items:
                wave = self.samples(utterance).astype(np.float32) / 32768.0
                features = extract.plain(torch.from_numpy(wave).to(device))[None]
                lengths = torch.tensor([features.shape[1]], device=device)
                logits, _, frames = model(features, lengths)
                best = greedy(logits[0, : int(frames[0])].cpu().numpy())
                errors += Levenshtein.distance(best, labels)
                total += len(labels)
        model.train(was_training)
        return errors / total
