"""The exact and the beam decoder find the best path of the path model, tie for tie."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from decoders import BeamDecoder, BeamState, exact
from quran_index.graph import Graph
from tests.decoders import naive
from tests.texts import TestPriors, random_log_probs, random_priors, random_text

seeds = st.integers(0, 2**32 - 1)


def unpruned(graph: Graph, priors: TestPriors, wide: int) -> BeamDecoder:
    return BeamDecoder(graph, priors, beam=1e9, wide=wide)


def feed(
    decoder: BeamDecoder, log_probs: NDArray[np.float32], rng: np.random.Generator
) -> BeamState:
    """Advance in chunks of any size, none among them."""
    state = decoder.start()
    at = 0
    while at < len(log_probs):
        size = int(rng.integers(0, 7))
        decoder.advance(state, log_probs[at : at + size])
        at += size
    return state


@given(
    seeds,
    st.integers(0, 20),
    st.booleans(),
    st.sampled_from(["a", "ab", "abc", "abcdefgh"]),
    st.sampled_from([0, 10, 30, 10_000]),
)
@settings(max_examples=150, deadline=None)
def test_exact_and_unpruned_beam_find_the_best_path(
    seed: int, frames: int, coarse: bool, alphabet: str, wide: int
) -> None:
    """Whether the beam passes tokens, sweeps over all states, or does now this, now that."""
    rng = np.random.default_rng(seed)
    text = random_text(rng, alphabet)
    graph = text.graph()
    priors = random_priors(rng, graph.words, coarse=coarse)
    log_probs = random_log_probs(rng, frames, len(text.symbols), coarse=coarse)
    best = naive.decode(text, priors, log_probs)
    assert exact.decode(log_probs, graph, priors) == best
    decoder = unpruned(graph, priors, wide)
    assert decoder.finish(feed(decoder, log_probs, rng)) == best


def random_case(
    rng: np.random.Generator, frames: int
) -> tuple[Graph, TestPriors, NDArray[np.float32]]:
    """A random text's graph, priors, and log-probs."""
    text = random_text(rng)
    graph = text.graph()
    priors = random_priors(rng, graph.words, coarse=False)
    return graph, priors, random_log_probs(rng, frames, len(text.symbols), coarse=False)


@given(seeds, st.floats(0, 12), st.integers(0, 20))
@settings(max_examples=150, deadline=None)
def test_what_is_settled_stays(seed: int, beam: float, wide: int) -> None:
    graph, priors, log_probs = random_case(np.random.default_rng(seed), 120)
    decoder = BeamDecoder(graph, priors, beam=beam, wide=wide)
    state = decoder.start()
    partials = []
    for at in range(0, 120, 8):
        decoder.advance(state, log_probs[at : at + 8])
        partials.append(decoder.partial(state))
    end = decoder.finish(state)
    assert [p.frames for p in partials] == list(range(8, 121, 8))
    for partial in partials:
        settled = partial.settled
        assert partial.best[:settled] == end.runs[:settled]
        if partial.settled_word >= 0:
            assert end.runs[settled].first_word == partial.best[settled].first_word
            assert end.runs[settled].last_word >= partial.settled_word


@given(seeds, st.floats(0, 12), st.integers(0, 20))
@settings(max_examples=50, deadline=None)
def test_pruning_finds_no_better_path(seed: int, beam: float, wide: int) -> None:
    rng = np.random.default_rng(seed)
    graph, priors, log_probs = random_case(rng, 60)
    # From which run a move close by starts depends on which was best to leave, and that on what
    # was pruned: with such moves the best path may be one that the exact search does not see.
    none = np.full_like(priors.near, -np.inf), np.full_like(priors.verses, -np.inf)
    priors = replace(priors, near=none[0], verses=none[1])
    decoder = BeamDecoder(graph, priors, beam=beam, wide=wide)
    found = decoder.finish(feed(decoder, log_probs, rng))
    assert found.score <= exact.decode(log_probs, graph, priors).score


@given(seeds)
@settings(max_examples=50, deadline=None)
def test_candidates_are_the_best_paths_by_verse(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph, priors, log_probs = random_case(rng, 30)
    decoder = unpruned(graph, priors, int(rng.integers(0, 50)))
    partial = decoder.partial(feed(decoder, log_probs, rng))
    scores = [score for _, score in partial.candidates]
    assert scores == sorted(scores, reverse=True)
    verses = [verse for verse, _ in partial.candidates]
    assert set(verses) == set(range(graph.verses))
    if not partial.entering:
        assert partial.candidates[0] == (
            graph.verse_of_word[partial.best[-1].last_word],
            partial.score,
        )


def test_long_streams_keep_a_short_history() -> None:
    rng = np.random.default_rng(5)
    text = random_text(rng, "abcdef", surahs=6)
    graph = text.graph()
    priors = random_priors(rng, graph.words, coarse=False)
    decoder = BeamDecoder(graph, priors, beam=8, wide=50)
    state = decoder.start()
    for _ in range(300):
        decoder.advance(state, random_log_probs(rng, 200, len(text.symbols), coarse=False))
    assert state.records.nbytes < 100_000
    partial = decoder.partial(state)
    assert partial.frames == 60_000
    assert partial.settled > 1000
    assert partial.score == pytest.approx(sum(run.score for run in partial.best), rel=0.01)


def test_streams_do_not_disturb_each_other() -> None:
    rng = np.random.default_rng(7)
    text = random_text(rng, "abcdef", surahs=6)
    graph = text.graph()
    decoder = BeamDecoder(graph, random_priors(rng, graph.words, coarse=False))
    sounds = [random_log_probs(rng, 64, len(text.symbols), coarse=False) for _ in range(2)]
    alone = []
    for log_probs in sounds:
        state = decoder.start()
        decoder.advance(state, log_probs)
        alone.append(decoder.finish(state))
    states = [decoder.start(), decoder.start()]
    for at in range(0, 64, 8):
        for state, log_probs in zip(states, sounds, strict=True):
            decoder.advance(state, log_probs[at : at + 8])
            decoder.partial(state)
    assert [decoder.finish(state) for state in states] == alone


def test_silence_has_no_runs() -> None:
    rng = np.random.default_rng(3)
    text = random_text(rng)
    graph = text.graph()
    priors = random_priors(rng, graph.words, coarse=False)
    log_probs = np.full((30, len(text.symbols)), -20, np.float32)
    log_probs[:, 0] = 0
    decoder = BeamDecoder(graph, priors)
    state = decoder.start()
    decoder.advance(state, log_probs)
    assert decoder.finish(state) == exact.decode(log_probs, graph, priors)
    assert decoder.finish(state).runs == decoder.partial(state).best == ()


@pytest.mark.parametrize("bad", [np.zeros((4, 3)), np.full((4, 4), np.nan), np.zeros(4)])
def test_bad_log_probs_are_refused(bad: NDArray[np.float64]) -> None:
    rng = np.random.default_rng(3)
    text = random_text(rng)
    graph = text.graph()
    priors = random_priors(rng, graph.words, coarse=False)
    decoder = BeamDecoder(graph, priors)
    with pytest.raises(ValueError, match="log-probs"):
        exact.decode(bad.astype(np.float32), graph, priors)
    with pytest.raises(ValueError, match="log-probs"):
        decoder.advance(decoder.start(), bad.astype(np.float32))
