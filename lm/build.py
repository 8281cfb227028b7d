"""Estimates the n-gram models and the priors: ``python -m lm.build`` (under a minute)."""

from __future__ import annotations

import argparse
import gzip
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lm.kneser_ney import estimate
from lm.ngram import DATA, NGram
from lm.priors import DATA_PATH, Priors
from lm.sentences import breaths, phonemes, words
from quran_index import QuranIndex

_MODELS: tuple[tuple[str, int, Callable[[QuranIndex, tuple[int, int]], list[str]]], ...] = (
    ("words", 3, words),
    ("phonemes", 6, phonemes),
)
_LOG10_TO_E = np.log(10.0)
# How far the model's liking for a word as the first of a breath may raise or lower an entry there.
_MOST_LIFT = 10.0


def build_models(index: QuranIndex, folder: Path) -> None:
    """Write both n-gram models of the whole Quran as gzipped ARPA files."""
    stretches = breaths(index)
    for name, order, tokens in _MODELS:
        model = estimate((tokens(index, stretch) for stretch in stretches), order)
        with tempfile.TemporaryDirectory() as scratch:
            arpa = Path(scratch) / "arpa"
            model.write_arpa(arpa)
            # No name and no time in the file: the same text gives the same bytes.
            with (
                arpa.open("rb") as plain,
                (folder / f"{name}.arpa.gz").open("wb") as out,
                gzip.GzipFile("", "wb", 9, out, mtime=0) as packed,
            ):
                shutil.copyfileobj(plain, packed)


def estimate_priors(index: QuranIndex, model: NGram) -> Priors:
    """Priors from the probabilities of pauses and of first words in a word model."""
    stop, start = pause_probabilities(index, model), np.ones(len(index.verse_of_word))
    lift = {w: _lift(model, w) for w in {index.word_text(i) for i in range(len(start))}}
    for word in range(1, len(start)):
        # The root halves the contrasts in log: reciters resume where the text does not tell, too.
        start[word] = np.sqrt(stop[word - 1] * lift[index.word_text(word)])
    return Priors.weighted(index, start, stop)


def pause_probabilities(index: QuranIndex, model: NGram) -> npt.NDArray[np.float64]:
    """Probability of a pause after each word, given the words of its verse up to it: [W]."""
    import kenlm

    found = np.empty(len(index.verse_of_word))
    for verse in index.verses:
        state, following, end = kenlm.State(), kenlm.State(), kenlm.State()
        model.kenlm.BeginSentenceWrite(state)
        for word in range(index.first_word[verse], index.first_word[verse + 1]):
            model.kenlm.BaseScore(state, index.word_text(word), following)
            found[word] = model.kenlm.BaseScore(following, "</s>", end)
            state, following = following, state
    return np.asarray(np.exp(found * _LOG10_TO_E))


def _lift(model: NGram, word: str) -> float:
    """How much likelier the word is at the start of a breath than anywhere."""
    lift = np.exp(
        model.score([word], begin=True, end=False) - model.score([word], begin=False, end=False)
    )
    return float(np.clip(lift, 1.0 / _MOST_LIFT, _MOST_LIFT))


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the n-gram models and the priors.")
    parser.parse_args()
    began = time.perf_counter()
    index = QuranIndex.load()
    DATA.mkdir(exist_ok=True)
    build_models(index, DATA)
    estimate_priors(index, NGram.load("words")).save(DATA_PATH)
    for path in sorted(DATA.iterdir()):
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
    print(f"built in {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
