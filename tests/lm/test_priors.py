"""The shipped models and priors."""

import math
import random

import numpy as np
import pytest

from lm import NGram, Priors
from lm.build import estimate_priors, pause_probabilities
from lm.priors import LEAST_PAUSE, MOST_PAUSE, VERSE_END_PAUSE, VERSE_START_MASS
from lm.sentences import breaths, phonemes, words
from quran_index import QuranIndex


@pytest.fixture(scope="module")
def index() -> QuranIndex:
    return QuranIndex.load()


@pytest.fixture(scope="module")
def word_model() -> NGram:
    return NGram.load("words")


@pytest.fixture(scope="module")
def phoneme_model() -> NGram:
    return NGram.load("phonemes")


def inside(index: QuranIndex) -> tuple[np.ndarray, np.ndarray]:
    """Which words do not begin, and which do not end a verse."""
    words = len(index.verse_of_word)
    begins, ends = np.zeros(words, bool), np.zeros(words, bool)
    begins[index.first_word[:-1]] = True
    ends[index.first_word[1:] - 1] = True
    return ~begins, ~ends


def test_breaths_cover_the_text_once(index: QuranIndex) -> None:
    found = breaths(index)
    assert [w for first, last in found for w in range(first, last + 1)] == list(range(77_432))
    assert {index.verse_of_word[a] - index.verse_of_word[b] for a, b in found} == {0}
    assert len(found) > 10_000
    # 75:27 has a silence without a breath; the reading goes on.
    verse = index.verse_of(75, 27)
    assert len(breaths(index, [verse])) == 1


def test_shipped_models_know_the_quran(
    index: QuranIndex, word_model: NGram, phoneme_model: NGram
) -> None:
    assert (word_model.order, phoneme_model.order) == (3, 6)
    stretches = random.Random(0).sample(breaths(index), 300)
    assert word_model.perplexity(words(index, s) for s in stretches) < 40
    assert phoneme_model.perplexity(phonemes(index, s) for s in stretches) < 3
    with pytest.raises(ValueError, match="no sentence"):
        word_model.perplexity([])


def test_phoneme_model_is_normalised(index: QuranIndex, phoneme_model: NGram) -> None:
    rng = random.Random(0)
    for first, last in rng.sample(breaths(index), 20):
        said = phonemes(index, (first, last))
        context = said[: rng.randint(0, len(said))]
        here = phoneme_model.score(context, end=False)
        following = [phoneme_model.score([*context, s], end=False) for s in index.symbols[1:]]
        # The unknown symbol has its share too.
        following += [phoneme_model.score(context), phoneme_model.score([*context, "?"], end=False)]
        assert np.exp(np.array(following) - here).sum() == pytest.approx(1.0, abs=1e-3)


def test_nonsense_is_unlikely(index: QuranIndex, phoneme_model: NGram) -> None:
    said = phonemes(index, breaths(index)[100])
    shuffled = random.Random(0).sample(said, len(said))
    assert phoneme_model.score(said) > phoneme_model.score(shuffled) + len(said)


@pytest.mark.parametrize("kind", ["shipped", "uniform"])
def test_priors_are_probabilities(index: QuranIndex, kind: str) -> None:
    priors = Priors.load() if kind == "shipped" else Priors.uniform(index)
    not_first, not_last = inside(index)
    for array in (priors.entry, priors.pause, priors.run_on):
        assert array.shape == index.verse_of_word.shape
        assert array.dtype == np.float32
        assert not array.flags.writeable
    assert np.exp(priors.entry).sum() == pytest.approx(1.0, abs=1e-3)
    assert np.exp(priors.pause) + np.exp(priors.run_on) == pytest.approx(1.0, abs=1e-5)
    assert priors.jump < 0

    # No verse is more likely than another; entering verses in the middle is possible everywhere.
    assert np.ptp(priors.entry[~not_first]) == 0
    assert np.exp(priors.entry[~not_first]).sum() == pytest.approx(VERSE_START_MASS, abs=1e-3)
    assert priors.entry[not_first].min() > -17
    assert priors.entry[not_first].max() < priors.entry[0]

    pause = np.exp(priors.pause)
    assert pause[~not_last] == pytest.approx(VERSE_END_PAUSE)
    assert pause[not_last].min() >= LEAST_PAUSE * 0.999
    assert pause[not_last].max() <= MOST_PAUSE * 1.001
    assert 0.05 < pause[not_last].mean() < 0.1


def test_pauses_are_expected_at_the_mushafs_signs(index: QuranIndex) -> None:
    priors = Priors.load()
    not_first, not_last = inside(index)
    marked = index.pause_mark > 0
    after_mark = np.append(False, marked[:-1])
    at, elsewhere = priors.pause[not_last & marked], priors.pause[not_last & ~marked]
    assert np.median(at) > np.median(elsewhere) + 1
    at, elsewhere = priors.entry[not_first & after_mark], priors.entry[not_first & ~after_mark]
    assert np.median(at) > np.median(elsewhere) + 0.5


def test_shipped_priors_are_those_of_the_shipped_model(
    index: QuranIndex, word_model: NGram
) -> None:
    rebuilt, shipped = estimate_priors(index, word_model), Priors.load()
    np.testing.assert_allclose(rebuilt.entry, shipped.entry, atol=1e-4)
    np.testing.assert_allclose(rebuilt.pause, shipped.pause, atol=1e-4)


def test_pause_probability_is_the_models(index: QuranIndex, word_model: NGram) -> None:
    stop = pause_probabilities(index, word_model)
    first = int(index.first_word[index.verse_of(2, 255)])
    said = words(index, (first, first + 6))
    expected = math.exp(word_model.score(said) - word_model.score(said, end=False))
    assert stop[first + 6] == pytest.approx(expected, rel=1e-3)


def test_moves_close_by_cost_less_than_jumps(index: QuranIndex) -> None:
    priors = Priors.load()
    here, verse = len(priors.near) // 2, len(priors.verses) // 2
    jump = priors.jump + priors.entry.max()
    assert priors.near[here - 3 : here + 1].min() > jump
    assert priors.near[here + 2] > priors.jump + priors.entry.mean()
    assert priors.verses[[verse - 1, verse, verse + 2]].min() > jump
    # What comes next is no move, and going back is likelier than leaving out.
    assert priors.near[here + 1] == priors.verses[verse + 1] == -np.inf
    assert priors.near[:here].max() > priors.near[here + 1 :].max()
    assert np.exp(priors.near).sum() + np.exp(priors.verses).sum() < 0.1
