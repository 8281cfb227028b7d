"""Training batches: runs of verses, joined with short pauses, rendered by the augmentation.

Who speaks matters more than what is said: the voices of a corpus are drawn by the square root of
their hours, so that a reader of the whole Quran is not heard a hundred times as often as somebody
of whom there is a minute.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from acoustic.augment import Augmentation, FeatureExtractor
from acoustic.corpus import SAMPLE_RATE, Utterance, symbols_of
from acoustic.features import SHIFT
from acoustic.model import SUBSAMPLING
from quran_index import QuranIndex

MAX_LABEL_RATE = 0.8  # labels per frame; past this CTC has no room for its blanks
_POOL = 192  # examples sorted by length at a time, so that batches need little padding
_BLOCK = 96  # features are padded to whole blocks: on CPU every new shape costs a compilation


@dataclass(frozen=True, slots=True)
class Example:
    """Consecutive verses of one reciter and the quiet before, between and after them.

    Words that are not of the Quran follow one another as they were drawn. ``pauses`` (seconds) are
    one more than the utterances; ``shift``: samples a frame, other than `SHIFT` where the tempo is
    to change.
    """

    utterances: tuple[Utterance, ...]
    pauses: tuple[float, ...]
    shift: int = SHIFT

    @property
    def seconds(self) -> float:
        """Length of the audio."""
        return sum(u.samples for u in self.utterances) / SAMPLE_RATE + sum(self.pauses)

    @property
    def rendered(self) -> float:
        """Length in seconds at the changed tempo."""
        return self.seconds * SHIFT / self.shift

    def words(self, index: QuranIndex) -> tuple[int, int] | None:
        """The first and the last word; None: it is no passage of the Quran."""
        first, last = self.utterances[0], self.utterances[-1]
        return None if first.phonemes else (first.passage(index)[0], last.passage(index)[1])

    def labels(self, index: QuranIndex) -> list[int]:
        """CTC labels, each verse said in one breath."""
        words = self.words(index)
        if words is not None:
            return one_breath(index, *words)
        return [label for u in self.utterances for label in symbols_of(index, u.phonemes)]


class Batch(NamedTuple):
    """Features [B, T, BANDS], their lengths [B], the B examples' first and last words (None: not of
    the Quran), all labels in one row, and label counts [B]."""

    features: Tensor
    lengths: Tensor
    words: list[tuple[int, int] | None]
    labels: Tensor
    counts: Tensor


def one_breath(index: QuranIndex, first_word: int, last_word: int) -> list[int]:
    """CTC labels of a passage, each verse said in one breath."""
    first, last = index.verse_of_word[[first_word, last_word]].tolist()
    labels: list[int] = []
    for verse in range(first, last + 1):
        begin, end = index.first_word[verse : verse + 2].tolist()
        labels += index.spell(begin, end - 1).tolist()
    return labels


class Sampler:
    """Draws examples; longer ones are several verses in a row, as they are recited.

    ``corpora``: the utterances of each, and how many times as often as its voices deserve they are
    to be heard.
    """

    def __init__(
        self, corpora: Sequence[tuple[list[Utterance], float]], rng: np.random.Generator
    ) -> None:
        self._utterances = utterances = [u for members, _ in corpora for u in members]
        self._rng = rng
        self._voices: dict[str, list[int]] = defaultdict(list)
        for i, u in enumerate(utterances):
            self._voices[u.reciter].append(i)
        factors = [factor for members, factor in corpora for _ in members]
        shares = np.zeros(len(utterances))
        for voice in self._voices.values():
            samples = sum(utterances[i].samples for i in voice)
            # Of the time that is heard, so that of longer utterances fewer are drawn.
            shares[voice] = np.sqrt(samples) / samples * np.array([factors[i] for i in voice])
        self._drawn = np.cumsum(shares)
        self._following = {
            (u.corpus, u.surah, u.ayah): i for i, u in enumerate(utterances) if u.ayah
        }

    def draw(self, longest: float, settings: Augmentation | None = None) -> Example:
        """A random example of at most ``longest`` seconds, at the tempo of ``settings``."""
        rng = self._rng
        while True:
            at = np.searchsorted(self._drawn, rng.uniform(0.0, self._drawn[-1]), side="right")
            run = [self._utterances[int(at)]]
            pauses = [self._pause() if rng.random() < 0.5 else 0.0, self._pause()]
            seconds = run[0].samples / SAMPLE_RATE
            wanted = rng.uniform(0.3, 1.0) * longest
            while seconds < wanted and rng.random() < 0.6:
                following = self._after(run[-1])
                if following is None:
                    break
                run.append(following)
                pauses.append(self._pause())
                seconds += run[-1].samples / SAMPLE_RATE
            shift = settings.shift(rng) if settings is not None else SHIFT
            example = Example(tuple(run), tuple(pauses), shift)
            if example.seconds <= longest:
                return example

    def _after(self, utterance: Utterance) -> Utterance | None:
        """What the reciter says next, if it was recorded; nothing follows a whole surah."""
        if utterance.phonemes:
            voice = self._voices[utterance.reciter]
            return self._utterances[voice[self._rng.integers(len(voice))]]
        if not utterance.ayah:
            return None
        ayah = (utterance.last_ayah or utterance.ayah) + 1
        at = self._following.get((utterance.corpus, utterance.surah, ayah))
        return None if at is None else self._utterances[at]

    def _pause(self) -> float:
        """Mostly a breath; now and then long enough to learn that noise alone says nothing."""
        rng = self._rng
        return float(rng.uniform(0.8, 3.0) if rng.random() < 0.12 else rng.uniform(0, 0.5))

    def batches(
        self, longest: float, batch_seconds: float, settings: Augmentation | None = None
    ) -> Iterator[list[Example]]:
        """One pool of examples in random order, grouped by length."""
        pool = sorted(
            (self.draw(longest, settings) for _ in range(_POOL)), key=lambda e: e.rendered
        )
        groups: list[list[Example]] = [[]]
        for example in pool:
            if groups[-1] and (len(groups[-1]) + 1) * example.rendered > batch_seconds:
                groups.append([])
            groups[-1].append(example)
        for i in self._rng.permutation(len(groups)):
            yield groups[i]


class Collator:
    """Examples to batches, of the features that ``extract`` makes."""

    def __init__(
        self,
        device: torch.device,
        index: QuranIndex,
        rng: np.random.Generator,
        extract: FeatureExtractor,
    ) -> None:
        self._index = index
        self._extract = extract
        self._device = device
        self._rng = rng

    def wave(self, example: Example) -> Tensor:
        """float32 waveform, its pauses filled with faint noise."""
        parts = [self._quiet(example.pauses[0])]
        for utterance, pause in zip(example.utterances, example.pauses[1:], strict=True):
            parts.append(utterance.wave())
            parts.append(self._quiet(pause))
        return torch.from_numpy(np.concatenate(parts)).to(self._device)

    def _quiet(self, seconds: float) -> npt.NDArray[np.float32]:
        level = 10 ** self._rng.uniform(-5, -3)
        return self._rng.normal(0, level, int(seconds * SAMPLE_RATE)).astype(np.float32)

    def __call__(self, examples: list[Example], settings: Augmentation | None) -> Batch | None:
        """A batch, augmented if ``settings`` are given; None when nothing in it fits its labels."""
        waves = [self.wave(e) for e in examples]
        kept: list[tuple[Tensor, tuple[int, int] | None, list[int]]] = []
        for i, (wave, example) in enumerate(zip(waves, examples, strict=True)):
            if settings is None:
                features = self._extract.plain(wave)
            else:
                behind = waves[i - 1] if len(waves) > 1 else None
                features = self._extract.augmented(wave, example.shift, settings, self._rng, behind)
            labels = example.labels(self._index)
            if _fits(features, labels):
                kept.append((features, example.words(self._index), labels))
        if not kept:
            return None
        features = nn.utils.rnn.pad_sequence([f for f, _, _ in kept], batch_first=True)
        return Batch(
            features=F.pad(features, (0, 0, 0, -features.shape[1] % _BLOCK)),
            lengths=torch.tensor([len(f) for f, _, _ in kept], device=self._device),
            words=[w for _, w, _ in kept],
            labels=torch.tensor([x for _, _, y in kept for x in y], device=self._device),
            counts=torch.tensor([len(y) for _, _, y in kept], device=self._device),
        )


def _fits(features: Tensor, labels: list[int]) -> bool:
    """Whether CTC can place the labels: tempo may have left too few frames."""
    return len(labels) <= MAX_LABEL_RATE * (len(features) // SUBSAMPLING)
