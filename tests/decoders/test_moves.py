"""Moves close by: which words they lead to, and that recitations which make them are heard."""

from __future__ import annotations

import numpy as np
import pytest

from decoders import BeamDecoder
from decoders.moves import Moves, close_by
from decoders.path import Weights
from lm import Priors
from quran_index import QuranIndex
from tests.texts import spoken


@pytest.fixture(scope="module")
def index() -> QuranIndex:
    return QuranIndex.load()


@pytest.fixture(scope="module")
def decoder(index: QuranIndex) -> BeamDecoder:
    return BeamDecoder(index.graph, Priors.load())


def test_they_stay_in_the_verse_and_in_the_quran(index: QuranIndex) -> None:
    moves = Moves.of(index.graph, Weights.of(index.graph, Priors.load()))
    words, costs = np.empty(64, np.int64), np.empty(64, np.int64)

    def found(word: int) -> set[int]:
        return set(words[: close_by(moves, word, words, costs)].tolist())

    first, end = (index.passage(1, 2, 3)[0], index.passage(1, 2, 2)[1] + 1)
    starts = index.first_word
    # 1:2 has four words; from the second: itself and the first, the last, and verses around.
    verse = index.verse_of(1, 2)
    around = {int(starts[v]) for v in (verse - 1, verse, verse + 2, verse + 3)}
    assert end - first == 4
    assert found(first + 1) == around | {first, first + 1, first + 3}
    assert min(found(0)) == 0
    last = index.graph.words - 1
    assert max(found(last)) == last


@pytest.mark.parametrize(
    "breaths",
    [
        [(0, 5), (3, 9)],  # back three words
        [(0, 9), (0, 9), (0, 9)],  # the verse three times
        [(0, 3), (6, 9)],  # two words left out
    ],
)
def test_a_recitation_that_moves_is_followed(
    index: QuranIndex, decoder: BeamDecoder, breaths: list[tuple[int, int]]
) -> None:
    opens, last = index.passage(2, 286, 286)
    assert last - opens >= 10
    said = [(opens + first, opens + last) for first, last in breaths]
    symbols = [index.spell(first, last).tolist() for first, last in said]
    log_probs = spoken(np.random.default_rng(1), symbols, len(index.symbols))
    state = decoder.start()
    decoder.advance(state, log_probs)
    runs = decoder.finish(state).runs
    assert [(run.first_word, run.last_word) for run in runs] == said
