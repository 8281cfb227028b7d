"""What there is to learn from each utterance of a corpus, beside its audio.

Its labels are the pronunciation that `acoustic.pronounce` heard in it (``NAME.said.npz`` beside the
corpus's ``NAME.jsonl``); where that was never asked, each verse said in one breath. What a teacher
thinks while it hears the utterance (``NAME.taught.npy``, by `acoustic.teacher listen`) is a vector
for every frame of 60 ms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acoustic import corpus
from acoustic.corpus import SAMPLE_RATE, Utterance, symbols_of
from acoustic.features import SHIFT
from acoustic.model import SUBSAMPLING
from quran_index import QuranIndex

FRAME = SUBSAMPLING * SHIFT
"""Samples of a frame of the network."""

DIMENSIONS = 128
"""Of what is taught."""

Labels = npt.NDArray[np.int16]
Thoughts = npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Lesson:
    """CTC labels, and a teacher's thoughts [samples // FRAME, DIMENSIONS] if there are any."""

    labels: Labels
    taught: Thoughts | None


def one_breath(index: QuranIndex, first_word: int, last_word: int) -> list[int]:
    """CTC labels of a passage, each verse said in one breath."""
    first, last = index.verse_of_word[[first_word, last_word]].tolist()
    labels: list[int] = []
    for verse in range(first, last + 1):
        begin, end = index.first_word[verse : verse + 2].tolist()
        labels += index.spell(begin, end - 1).tolist()
    return labels


def load(folder: Path, index: QuranIndex) -> dict[Utterance, Lesson]:
    """Lessons of a corpus, but for utterances whose words are not known, or not those of the label.

    ValueError: what lies beside the corpus is of another state of it.
    """
    return {
        utterance: lesson
        for _, utterances in by_file(corpus.load(folder))
        for utterance, lesson in _of_file(utterances, index)
    }


def by_file(utterances: Sequence[Utterance]) -> Iterator[tuple[str, list[Utterance]]]:
    """The corpus files (without suffix) and their utterances, in order."""
    files: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        files.setdefault(utterance.corpus, []).append(utterance)
    yield from files.items()


def by_length(utterances: Sequence[Utterance], seconds: float) -> Iterator[list[Utterance]]:
    """Batches of up to so many seconds with their padding, the longest first."""
    left = sorted(utterances, key=lambda u: u.samples)
    while left:
        several = max(1, int(seconds * SAMPLE_RATE) // left[-1].samples)
        yield left[-several:]
        del left[-several:]


def save_said(file: str, labels: Sequence[Labels]) -> None:
    """Write how a corpus file's utterances were pronounced; nothing: not as their label says."""
    np.savez(
        f"{file}.said.npz",
        counts=np.array([len(said) for said in labels]),
        symbols=np.concatenate(labels) if labels else np.zeros(0, np.int16),
    )


def taught_file(file: str) -> Path:
    """Where the teacher's thoughts of a corpus file's utterances are kept, one after another."""
    return Path(f"{file}.taught.npy")


def _of_file(utterances: list[Utterance], index: QuranIndex) -> Iterator[tuple[Utterance, Lesson]]:
    file = utterances[0].corpus
    said = _said(file, len(utterances))
    taught = np.load(taught_file(file), mmap_mode="r") if taught_file(file).exists() else None
    frames = np.cumsum([0] + [u.samples // FRAME for u in utterances])
    for i, utterance in enumerate(utterances):
        labels = _spelled(utterance, index) if said is None else said[i]
        thoughts = None if taught is None else taught[frames[i] : frames[i + 1]]
        if len(labels):
            yield utterance, Lesson(labels, thoughts)


def _said(file: str, count: int) -> list[Labels] | None:
    path = Path(f"{file}.said.npz")
    if not path.exists():
        return None
    with np.load(path) as kept:
        counts, symbols = kept["counts"], kept["symbols"]
    if len(counts) != count:
        raise ValueError(f"{path} is of another state of the corpus: run acoustic.pronounce again")
    return np.split(symbols, np.cumsum(counts)[:-1])


def _spelled(utterance: Utterance, index: QuranIndex) -> Labels:
    """Empty where nobody wrote the words down."""
    if not utterance.worded:
        return np.zeros(0, np.int16)
    if utterance.phonemes:
        return np.array(symbols_of(index, utterance.phonemes), np.int16)
    return np.array(one_breath(index, *utterance.passage(index)), np.int16)
