"""Training batches: runs of verses, joined with short pauses, rendered by the augmentation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from acoustic.augment import Augmentation, FeatureExtractor
from acoustic.corpus import SAMPLE_RATE, Samples, Utterance
from acoustic.model import SUBSAMPLING
from quran_index import QuranIndex

MAX_LABEL_RATE = 0.8  # labels per frame; past this CTC has no room for its blanks
_POOL = 48  # examples sorted by length at a time, so that batches need little padding


@dataclass(frozen=True, slots=True)
class Example:
    """Consecutive verses of one reciter, the quiet before, between and after them, their labels.

    ``pauses`` (seconds) are one more than the verses.
    """

    utterances: tuple[Utterance, ...]
    pauses: tuple[float, ...]
    labels: tuple[int, ...]

    @property
    def seconds(self) -> float:
        """Length of the audio."""
        return sum(u.samples for u in self.utterances) / SAMPLE_RATE + sum(self.pauses)


class Batch(NamedTuple):
    """Features [B, T, BANDS], their lengths [B], all labels in one row, and label counts [B]."""

    features: Tensor
    lengths: Tensor
    labels: Tensor
    counts: Tensor


def labels_of(index: QuranIndex, utterance: Utterance) -> list[int]:
    """CTC labels of one utterance: each verse said in one breath."""
    surah = utterance.surah
    ayahs = [utterance.ayah] if utterance.ayah else range(1, index.ayah_count(surah) + 1)
    labels: list[int] = []
    for ayah in ayahs:
        first, end = index.first_word[index.verse_of(surah, ayah) :][:2].tolist()
        labels += index.spell(first, end - 1).tolist()
    return labels


class Sampler:
    """Draws examples; longer ones are several verses in a row, as they are recited."""

    def __init__(
        self, utterances: list[Utterance], index: QuranIndex, rng: np.random.Generator
    ) -> None:
        self._utterances = utterances
        self._index = index
        self._rng = rng
        self._following = {
            (u.corpus, u.surah, u.ayah): i for i, u in enumerate(utterances) if u.ayah
        }

    def draw(self, longest: float) -> Example:
        """A random example of at most ``longest`` seconds."""
        rng = self._rng
        while True:
            run = [self._utterances[int(rng.integers(len(self._utterances)))]]
            pauses = [self._pause() if rng.random() < 0.5 else 0.0, self._pause()]
            seconds = run[0].samples / SAMPLE_RATE
            wanted = rng.uniform(0.3, 1.0) * longest
            while seconds < wanted and rng.random() < 0.6:
                last = run[-1]
                following = self._following.get((last.corpus, last.surah, last.ayah + 1))
                if following is None:
                    break
                run.append(self._utterances[following])
                pauses.append(self._pause())
                seconds += run[-1].samples / SAMPLE_RATE
            labels = tuple(label for u in run for label in labels_of(self._index, u))
            example = Example(tuple(run), tuple(pauses), labels)
            if example.seconds <= longest:
                return example

    def _pause(self) -> float:
        """Mostly a breath; now and then long enough to learn that noise alone says nothing."""
        rng = self._rng
        return float(rng.uniform(0.8, 3.0) if rng.random() < 0.12 else rng.uniform(0, 0.5))

    def batches(self, longest: float, batch_seconds: float) -> Iterator[list[Example]]:
        """One pool of examples in random order, grouped by length."""
        pool = sorted((self.draw(longest) for _ in range(_POOL)), key=lambda e: e.seconds)
        groups: list[list[Example]] = [[]]
        for example in pool:
            if groups[-1] and (len(groups[-1]) + 1) * example.seconds > batch_seconds:
                groups.append([])
            groups[-1].append(example)
        for i in self._rng.permutation(len(groups)):
            yield groups[i]


class Collator:
    """Examples to batches."""

    def __init__(self, device: torch.device, rng: np.random.Generator) -> None:
        self._samples = Samples()
        self._extract = FeatureExtractor(device)
        self._device = device
        self._rng = rng

    def wave(self, example: Example) -> Tensor:
        """float32 waveform, its pauses filled with faint noise."""
        parts = [self._quiet(example.pauses[0])]
        for utterance, pause in zip(example.utterances, example.pauses[1:], strict=True):
            parts.append(self._samples(utterance).astype(np.float32) / 32768.0)
            parts.append(self._quiet(pause))
        return torch.from_numpy(np.concatenate(parts)).to(self._device)

    def _quiet(self, seconds: float) -> npt.NDArray[np.float32]:
        level = 10 ** self._rng.uniform(-5, -3)
        return self._rng.normal(0, level, int(seconds * SAMPLE_RATE)).astype(np.float32)

    def __call__(self, examples: list[Example], settings: Augmentation | None) -> Batch | None:
        """A batch, augmented if ``settings`` are given; None when nothing in it fits its labels."""
        waves = [self.wave(e) for e in examples]
        kept: list[tuple[Tensor, tuple[int, ...]]] = []
        for i, (wave, example) in enumerate(zip(waves, examples, strict=True)):
            if settings is None:
                features = self._extract.plain(wave)
            else:
                behind = waves[i - 1] if len(waves) > 1 else None
                features = self._extract.augmented(wave, settings, self._rng, behind)
            if _fits(features, example.labels):
                kept.append((features, example.labels))
        if not kept:
            return None
        return Batch(
            features=nn.utils.rnn.pad_sequence([f for f, _ in kept], batch_first=True),
            lengths=torch.tensor([len(f) for f, _ in kept], device=self._device),
            labels=torch.tensor([x for _, y in kept for x in y], device=self._device),
            counts=torch.tensor([len(y) for _, y in kept], device=self._device),
        )


def _fits(features: Tensor, labels: tuple[int, ...]) -> bool:
    """Whether CTC can place the labels: tempo may have left too few frames."""
    return len(labels) <= MAX_LABEL_RATE * (len(features) // SUBSAMPLING)
