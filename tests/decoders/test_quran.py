"""What is spelled into noise over the whole Quran is found."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from decoders import BeamDecoder, BeamState, Partial, exact, greedy
from lm import Priors
from quran_index import QuranIndex
from tests.texts import spoken

FRAMES = 8  # in a hop

# Breaths, each the first and last (surah, ayah, word from 1; 0: the last) said in it.
Place = tuple[int, int, int]
RECITATIONS: dict[str, list[tuple[Place, Place]]] = {
    "a verse": [((18, 10, 1), (18, 10, 0))],
    "a short surah, a breath a verse": [((112, a, 1), (112, a, 0)) for a in range(1, 5)],
    "two verses in one breath": [((36, 1, 1), (36, 3, 0))],
    "a verse in three breaths": [
        ((2, 255, 1), (2, 255, 7)),
        ((2, 255, 8), (2, 255, 23)),
        ((2, 255, 24), (2, 255, 0)),
    ],
    "from within a verse into the next": [((24, 35, 9), (24, 36, 5))],
    "a jump to another surah": [((67, 1, 1), (67, 2, 0)), ((12, 4, 1), (12, 4, 0))],
    "the same verse twice": [((113, 1, 1), (113, 1, 0))] * 2,
    "isti'adha, basmala, surah": [
        ((0, 1, 1), (0, 1, 0)),
        ((1, 1, 1), (1, 1, 0)),
        ((78, 1, 1), (78, 3, 0)),
    ],
}
RUNS = {"a jump to another surah": 2, "the same verse twice": 2, "isti'adha, basmala, surah": 3}


@pytest.fixture(scope="module")
def index() -> QuranIndex:
    return QuranIndex.load()


@pytest.fixture(scope="module")
def priors() -> Priors:
    return Priors.load()


@pytest.fixture(scope="module")
def decoder(index: QuranIndex, priors: Priors) -> BeamDecoder:
    return BeamDecoder(index.graph, priors)


def word(index: QuranIndex, place: Place) -> int:
    surah, ayah, number = place
    verse = index.verse_of(surah, ayah)
    return int(index.first_word[verse] + number - 1 if number else index.first_word[verse + 1] - 1)


def recite(index: QuranIndex, breaths: list[tuple[int, int]], seed: int = 0) -> NDArray[np.float32]:
    spelled = [index.spell(first, last).tolist() for first, last in breaths]
    return spoken(np.random.default_rng(seed), spelled, len(index.symbols))


def listen(decoder: BeamDecoder, log_probs: NDArray[np.float32]) -> tuple[BeamState, list[Partial]]:
    state = decoder.start()
    partials = []
    for at in range(0, len(log_probs), FRAMES):
        decoder.advance(state, log_probs[at : at + FRAMES])
        partials.append(decoder.partial(state))
    return state, partials


@pytest.mark.parametrize("name", RECITATIONS)
def test_what_is_recited_is_found(
    name: str, index: QuranIndex, priors: Priors, decoder: BeamDecoder
) -> None:
    breaths = [(word(index, a), word(index, b)) for a, b in RECITATIONS[name]]
    log_probs = recite(index, breaths)
    state, partials = listen(decoder, log_probs)
    found = decoder.finish(state)
    expected = breaths if name in RUNS else [(breaths[0][0], breaths[-1][1])]
    assert len(expected) == RUNS.get(name, 1)
    assert [(run.first_word, run.last_word) for run in found.runs] == expected
    assert found.score == pytest.approx(sum(r.score for r in found.runs) + found.background)

    # Live, it is mostly on the right verse, ends in a pause, and has settled the runs it left.
    last = partials[-1]
    assert last.best[-1].last_word == breaths[-1][1]
    assert 4 <= last.pause <= 6
    assert last.settled == len(expected) - 1
    said = {index.verse_of_word[w] for first, last in breaths for w in range(first, last + 1)}
    leading = [p.candidates[0][0] in said for p in partials if p.candidates]
    assert np.mean(leading) > 0.7


def test_random_verses_are_found(index: QuranIndex, decoder: BeamDecoder) -> None:
    rng = np.random.default_rng(1)
    for verse in rng.integers(0, index.istiadha, 20).tolist():
        first, last = int(index.first_word[verse]), int(index.first_word[verse + 1]) - 1
        state, _ = listen(decoder, recite(index, [(first, last)], seed=verse))
        (run,) = decoder.finish(state).runs
        assert index.verse_of_word[run.first_word] in index.identical(verse)
        assert run.last_word - run.first_word == last - first


def test_exact_agrees(index: QuranIndex, priors: Priors, decoder: BeamDecoder) -> None:
    breaths = [(word(index, (94, 1, 1)), word(index, (94, 2, 0))), (word(index, (108, 1, 1)),) * 2]
    log_probs = recite(index, breaths)
    state, _ = listen(decoder, log_probs)
    assert exact.decode(log_probs, index.graph, priors) == decoder.finish(state)


@pytest.mark.parametrize("wide", [0, 10**9])
def test_exact_is_the_beam_with_nothing_pruned(
    index: QuranIndex, priors: Priors, wide: int
) -> None:
    first = word(index, (97, 1, 1))
    log_probs = recite(index, [(first, first + 2)])[:24]
    everything = BeamDecoder(index.graph, priors, beam=1e9, wide=wide)
    state = everything.start()
    everything.advance(state, log_probs)
    assert everything.finish(state) == exact.decode(log_probs, index.graph, priors)


def test_greedy_reads_clean_speech(index: QuranIndex) -> None:
    spelled = index.spell(0, 28).tolist()
    log_probs = spoken(np.random.default_rng(0), [spelled], len(index.symbols), noise=0.1)
    assert greedy(log_probs) == spelled
    assert greedy(log_probs[:0]) == []
