"""Small random texts, priors and log-probs for the tests of graph and decoders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quran_index import WordForms
from quran_index.graph import Graph, pack

BLANK = "<blank>"


@dataclass(frozen=True)
class Text:
    """``surah`` [V] numbers the verses' surahs; ``first_word`` [V + 1]."""

    symbols: tuple[str, ...]
    forms: tuple[WordForms, ...]
    first_word: NDArray[np.int32]
    surah: NDArray[np.int32]

    def graph(self) -> Graph:
        spellings = pack(self.forms, self.symbols)
        return Graph.build(spellings, len(self.symbols), self.first_word, self.surah)

    def ids(self, phonemes: str) -> list[int]:
        return [self.symbols.index(p) for p in phonemes]


@dataclass(frozen=True)
class TestPriors:
    __test__ = False

    entry: NDArray[np.float32]
    pause: NDArray[np.float32]
    run_on: NDArray[np.float32]
    jump: float
    near: NDArray[np.float32]
    verses: NDArray[np.float32]


def random_text(rng: np.random.Generator, alphabet: str = "abc", surahs: int = 3) -> Text:
    """A text of a few words over few phonemes, so that spellings often coincide."""

    def part(most: int) -> str:
        return "".join(rng.choice(list(alphabet), rng.integers(0, most + 1)))

    forms: list[WordForms] = []
    sizes: list[int] = []
    surah: list[int] = []
    for number in range(rng.integers(1, surahs + 1)):
        for _ in range(rng.integers(1, 4)):
            sizes.append(int(rng.integers(1, 4)))
            surah.append(number)
            while len(forms) < sum(sizes):
                form = WordForms(part(1), part(1), part(3), part(2), part(1))
                if all(
                    form.spell(initial=i, pausal=p) for i in (False, True) for p in (False, True)
                ):
                    forms.append(form)
    first_word = np.cumsum([0, *sizes]).astype(np.int32)
    return Text((BLANK, *alphabet), tuple(forms), first_word, np.array(surah, np.int32))


def random_priors(rng: np.random.Generator, words: int, *, coarse: bool) -> TestPriors:
    """Priors of any size; ``coarse`` ones are few different numbers, which makes ties."""

    def logs(count: int) -> NDArray[np.float32]:
        values = -rng.integers(0, 3, count) if coarse else -rng.exponential(2, count)
        return values.astype(np.float32)

    def moves() -> NDArray[np.float32]:
        allowed = logs(2 * int(rng.integers(0, 3)) + 1)
        allowed[rng.random(len(allowed)) < 0.3] = -np.inf
        return allowed

    jump = float(-rng.integers(0, 4))
    return TestPriors(logs(words), logs(words), logs(words), jump, moves(), moves())


def random_log_probs(
    rng: np.random.Generator, frames: int, symbols: int, *, coarse: bool
) -> NDArray[np.float32]:
    """Noise [frames, symbols]; coarse as for `random_priors`."""
    if coarse:
        return -rng.integers(0, 3, (frames, symbols)).astype(np.float32)
    return rng.normal(0, 3, (frames, symbols)).astype(np.float32)


def spoken(
    rng: np.random.Generator, breaths: list[list[int]], symbols: int, noise: float = 1.5
) -> NDArray[np.float32]:
    """Noisy log-probs [T, symbols] of breaths (symbol ids each) with pauses around them.

    Phonemes last one or two frames and mostly peak, as CTC's do, 5 nats above the noise; silence is
    heard more surely, 8 nats above it.
    """
    labels: list[int] = []
    for breath in breaths:
        labels += [0] * int(rng.integers(3, 8))
        for i, symbol in enumerate(breath):
            again = i > 0 and breath[i - 1] == symbol
            labels += [0] * max(int(rng.integers(0, 2)), int(again))
            labels += [symbol] * int(rng.integers(1, 3))
    labels += [0] * 6
    logits = rng.normal(0, noise, (len(labels), symbols))
    logits[np.arange(len(labels)), labels] += np.where(np.array(labels) > 0, 5, 8)
    logits -= np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return logits.astype(np.float32)
