"""Training batches: runs of verses, joined with short pauses, rendered by the augmentation.

Who speaks matters more than what is said: the voices of a corpus are drawn by the square root of
their hours, so that a reader of the whole Quran is not heard a hundred times as often as somebody
of whom there is a minute.

`Sampler` draws what is to be heard, `Lectures` puts its audio and labels together (on a GPU in
processes of their own), and `Renderer` makes features of that where the network is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from acoustic.augment import Augmentation, FeatureExtractor, Rendered
from acoustic.corpus import SAMPLE_RATE, Utterance
from acoustic.features import SHIFT
from acoustic.lessons import DIMENSIONS, FRAME, Lesson
from acoustic.model import SUBSAMPLING

MAX_LABEL_RATE = 0.8  # labels per frame; past this CTC has no room for its blanks
TAUGHT_DELAY = 4
"""Frames that the network may take to think what its teacher thinks."""

_POOL_BATCHES = 12  # batches of examples sorted by length at a time: they need little padding
_BLOCK = 96  # features are padded to whole blocks: on CPU every new shape costs a compilation
_LOADERS = 6  # processes that feed a GPU

Lessons = Mapping[Utterance, Lesson]


@dataclass(frozen=True, slots=True)
class Example:
    """Consecutive verses of one reciter and the quiet before, between and after them.

    Words that are not of the Quran follow one another as they were drawn. ``pauses`` (samples) are
    one more than the utterances; ``shift``: samples a frame, other than `SHIFT` where the tempo is
    to change.
    """

    utterances: tuple[Utterance, ...]
    pauses: tuple[int, ...]
    shift: int = SHIFT

    @property
    def samples(self) -> int:
        """Length of the audio."""
        return sum(u.samples for u in self.utterances) + sum(self.pauses)

    @property
    def seconds(self) -> float:
        """Length of the audio."""
        return self.samples / SAMPLE_RATE

    @property
    def longer(self) -> float:
        """Length in seconds, at its own or the changed tempo: what takes more."""
        return self.seconds * max(1.0, SHIFT / self.shift)

    def starts(self) -> Iterator[tuple[int, Utterance]]:
        """The sample at which each utterance begins."""
        at = 0
        for pause, utterance in zip(self.pauses, self.utterances, strict=False):
            at += pause
            yield at, utterance
            at += utterance.samples


class Sampler:
    """Draws examples; longer ones are several verses in a row, as they are recited.

    ``corpora``: the utterances of each, and how many times as often as its voices deserve they are
    to be heard.
    """

    def __init__(
        self, corpora: Sequence[tuple[Sequence[Utterance], float]], rng: np.random.Generator
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
            pauses = [self._pause() if rng.random() < 0.5 else 0, self._pause()]
            samples = run[0].samples
            wanted = rng.uniform(0.3, 1.0) * longest * SAMPLE_RATE
            while samples < wanted and rng.random() < 0.6:
                following = self._after(run[-1])
                if following is None:
                    break
                run.append(following)
                pauses.append(self._pause())
                samples += run[-1].samples
            shift = settings.shift(rng) if settings is not None else SHIFT
            example = Example(tuple(run), tuple(pauses), shift)
            if example.seconds <= longest:
                return example

    def _after(self, utterance: Utterance) -> Utterance | None:
        """What the reciter says next, if it was recorded; nothing follows a whole surah."""
        if not utterance.surah:
            voice = self._voices[utterance.reciter]
            return self._utterances[voice[self._rng.integers(len(voice))]]
        if not utterance.ayah:
            return None
        ayah = (utterance.last_ayah or utterance.ayah) + 1
        at = self._following.get((utterance.corpus, utterance.surah, ayah))
        return None if at is None else self._utterances[at]

    def _pause(self) -> int:
        """Mostly a breath; now and then long enough to learn that noise alone says nothing."""
        rng = self._rng
        seconds = rng.uniform(0.8, 3.0) if rng.random() < 0.12 else rng.uniform(0, 0.5)
        return int(seconds * SAMPLE_RATE)

    def batches(
        self, longest: float, batch_seconds: float, settings: Augmentation | None = None
    ) -> Iterator[list[Example]]:
        """Groups of examples of similar length, without end."""
        while True:
            pool, seconds = [], 0.0
            while seconds < _POOL_BATCHES * batch_seconds:
                pool.append(self.draw(longest, settings))
                seconds += pool[-1].longer
            pool.sort(key=lambda e: e.longer)
            groups: list[list[Example]] = [[]]
            for example in pool:
                if groups[-1] and (len(groups[-1]) + 1) * example.longer > batch_seconds:
                    groups.append([])
                groups[-1].append(example)
            for i in self._rng.permutation(len(groups)):
                yield groups[i]


class Lecture(NamedTuple):
    """A batch before it is rendered.

    Waveforms [B, N] in int16, of which ``samples`` [B] are theirs; ``shifts`` [B]; all labels in
    one row, and their counts [B]; what a teacher thinks [B, N // FRAME, DIMENSIONS] and where it
    thinks anything [B, N // FRAME] (both without frames if no teacher heard them).
    """

    waves: Tensor
    samples: Tensor
    shifts: Tensor
    labels: Tensor
    counts: Tensor
    taught: Tensor
    known: Tensor


def lecture(examples: Sequence[Example], lessons: Lessons, rng: np.random.Generator) -> Lecture:
    """Audio, its pauses filled with faint noise, and all that is to be learned from it."""
    longest = max(e.samples for e in examples)
    longest += -longest % FRAME
    waves = np.zeros((len(examples), longest), np.int16)
    teaching = any(lessons[u].taught is not None for e in examples for u in e.utterances)
    frames = longest // FRAME if teaching else 0
    taught = np.zeros((len(examples), frames, DIMENSIONS), np.float16)
    known = np.zeros((len(examples), frames), bool)
    labels: list[npt.NDArray[np.int16]] = []
    counts = np.zeros(len(examples), np.int64)
    for i, example in enumerate(examples):
        level, end = 32768 * 10 ** rng.uniform(-5, -3), 0
        for at, utterance in example.starts():
            waves[i, end:at] = rng.normal(0, level, at - end)
            end = at + utterance.samples
            waves[i, at:end] = utterance.pcm()
            lesson = lessons[utterance]
            labels.append(lesson.labels)
            counts[i] += len(lesson.labels)
            if lesson.taught is not None:
                first = round(at / FRAME)
                count = min(len(lesson.taught), frames - first)
                taught[i, first : first + count] = lesson.taught[:count]
                known[i, first : first + count] = True
        waves[i, end : example.samples] = rng.normal(0, level, example.samples - end)
    return Lecture(
        torch.from_numpy(waves),
        torch.tensor([e.samples for e in examples]),
        torch.tensor([e.shift for e in examples]),
        torch.from_numpy(np.concatenate(labels).astype(np.int64)),
        torch.from_numpy(counts),
        torch.from_numpy(taught),
        torch.from_numpy(known),
    )


class Lectures(IterableDataset[Lecture]):
    """Lectures without end, of examples of at most ``longest`` seconds."""

    def __init__(
        self,
        corpora: Sequence[tuple[Lessons, float]],
        longest: float,
        batch_seconds: float,
        settings: Augmentation | None,
        seed: tuple[int, ...],
    ) -> None:
        self._corpora = corpora
        self._lessons = {u: lesson for lessons, _ in corpora for u, lesson in lessons.items()}
        self._longest, self._batch_seconds, self._settings = longest, batch_seconds, settings
        self._seed = seed

    def __iter__(self) -> Iterator[Lecture]:
        worker = get_worker_info()
        rng = np.random.default_rng((*self._seed, worker.id if worker is not None else 0))
        sampler = Sampler([(list(lessons), factor) for lessons, factor in self._corpora], rng)
        for examples in sampler.batches(self._longest, self._batch_seconds, self._settings):
            fitting = [e for e in examples if self._fits(e)]
            if fitting:
                yield lecture(fitting, self._lessons, rng)

    def _fits(self, example: Example) -> bool:
        """Whether CTC can place the labels: tempo may have left too few frames."""
        count = sum(len(self._lessons[u].labels) for u in example.utterances)
        return count <= MAX_LABEL_RATE * (example.samples // example.shift // SUBSAMPLING)


def load(lectures: Lectures, device: torch.device) -> Iterator[Lecture]:
    """The lectures; for a GPU they are made by processes, which end when the iterator does."""
    gpu = device.type == "cuda"
    return iter(
        DataLoader(lectures, batch_size=None, num_workers=_LOADERS if gpu else 0, pin_memory=gpu)
    )


class Batch(NamedTuple):
    """Features [B, T, BANDS], their lengths [B], all labels in one row and their counts [B]; what
    was thought [B, T // SUBSAMPLING, DIMENSIONS] and where [B, T // SUBSAMPLING], or None.

    ``label_frames`` [B], on the CPU: how many frames of the network there are for the labels. It is
    on its way until `ready` returns.
    """

    features: Tensor
    lengths: Tensor
    label_frames: Tensor
    labels: Tensor
    counts: Tensor
    taught: Tensor | None
    known: Tensor | None
    arrival: torch.cuda.Event | None

    def ready(self) -> None:
        """Waits for what is on its way."""
        if self.arrival is not None:
            self.arrival.synchronize()


class Renderer:
    """Batches of the features that ``extract`` makes."""

    def __init__(self, extract: FeatureExtractor, rng: np.random.Generator) -> None:
        self._extract = extract
        self._rng = rng

    def __call__(self, given: Lecture, settings: Augmentation | None) -> Batch:
        """A batch, augmented if ``settings`` are given."""
        device = self._extract.device
        there = Lecture(*(part.to(device, non_blocking=True) for part in given))
        waves = there.waves.float() / 32768
        if settings is None:
            rendered = self._extract.plain_batch(waves, there.samples)
        else:
            samples, shifts = given.samples.numpy(), given.shifts.numpy()
            rendered = self._extract.augmented(waves, samples, shifts, settings, self._rng)
        features = F.pad(rendered.features, (0, 0, 0, -rendered.features.shape[1] % _BLOCK))
        frames = rendered.lengths // SUBSAMPLING
        label_frames, arrival = frames, None
        if device.type == "cuda":
            label_frames = torch.empty(frames.shape, dtype=frames.dtype, pin_memory=True)
            label_frames.copy_(frames, non_blocking=True)
            arrival = torch.cuda.Event()  # type: ignore[no-untyped-call]
            arrival.record()
        taught, known = None, None
        if there.known.shape[1]:
            taught, known = _rendered_thoughts(there, rendered, features.shape[1] // SUBSAMPLING)
        return Batch(
            features,
            rendered.lengths,
            label_frames,
            there.labels,
            given.counts,
            taught,
            known,
            arrival,
        )


def _rendered_thoughts(given: Lecture, rendered: Rendered, frames: int) -> tuple[Tensor, Tensor]:
    """What the network is to think in each of its frames, `TAUGHT_DELAY` after its teacher."""
    device = rendered.source.device
    at = (torch.arange(frames, device=device) - TAUGHT_DELAY) * SUBSAMPLING + SUBSAMPLING // 2
    within = (at >= 0)[None] & (at[None] < rendered.lengths[:, None])
    at = at.clamp(0, rendered.source.shape[1] - 1).expand(len(rendered.source), -1)
    moment = (rendered.source.gather(1, at) // FRAME).clamp(max=given.known.shape[1] - 1)
    known = given.known.gather(1, moment) & within
    taught = given.taught.gather(1, moment[..., None].expand(-1, -1, given.taught.shape[2]))
    return taught, known
