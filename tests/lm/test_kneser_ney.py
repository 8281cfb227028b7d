"""The estimator: a proper distribution, the textbook's numbers, and better than what is simpler."""

import gzip
import math
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm import NGram
from lm.kneser_ney import BEGIN, END, UNKNOWN, Model, estimate
from lm.sentences import breaths, phonemes, words
from quran_index import QuranIndex

LETTERS = "abcde"

Spell = Callable[[QuranIndex, tuple[int, int]], list[str]]


def table(model: Model) -> dict[tuple[str, ...], tuple[float, float]]:
    """Natural log-probability and backoff of every n-gram."""
    return {
        tuple(model.vocabulary[i] for i in tokens): (log10 * math.log(10), back * math.log(10))
        for order in model.orders
        for tokens, log10, back in zip(
            order.tokens.tolist(), order.log10.tolist(), order.backoff.tolist(), strict=True
        )
    }


def conditional(
    grams: dict[tuple[str, ...], tuple[float, float]], context: tuple[str, ...], token: str
) -> float:
    """Natural log-probability of a token, backing off as ARPA says."""
    found = grams.get((*context, token))
    if found is not None:
        return found[0]
    return grams.get(context, (0.0, 0.0))[1] + conditional(grams, context[1:], token)


def shipped(model: Model, folder: Path) -> NGram:
    plain, packed = folder / "m.arpa", folder / "m.arpa.gz"
    model.write_arpa(plain)
    packed.write_bytes(gzip.compress(plain.read_bytes(), 1))
    return NGram(packed)


sentences = st.lists(st.text(LETTERS, max_size=8).map(list), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(sentences, st.integers(2, 4))
def test_probabilities_sum_to_one(text: list[list[str]], order: int) -> None:
    model = estimate(text, order)
    grams = table(model)
    contexts = {gram[:-1] for gram in grams} | {("a", "b"), (BEGIN, "e")}
    following = [token for token in model.vocabulary if token != BEGIN]
    for context in contexts:
        total = sum(math.exp(conditional(grams, context, token)) for token in following)
        assert total == pytest.approx(1.0, abs=1e-9), context


def test_bigrams_by_the_textbook() -> None:
    """Against the formulas of Chen and Goodman written out for bigrams."""
    rng = random.Random(5)
    text = [[rng.choice("aabbcdefghijk") for _ in range(rng.randint(1, 6))] for _ in range(60)]
    model = estimate(text, 2)
    grams = table(model)
    bigrams = Counter(pair for s in text for pair in zip([BEGIN, *s], [*s, END], strict=True))

    def discounts(counts: list[int]) -> list[float]:
        n = [counts.count(i) for i in range(5)]
        if min(n[1], n[2], n[3]) == 0:
            return [0.0, 0.5, 1.0, 1.5]
        y = n[1] / (n[1] + 2 * n[2])
        return [0.0, *(k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3))]

    continuations = Counter(second for _, second in bigrams)
    below, above = discounts(list(continuations.values())), discounts(list(bigrams.values()))
    total = sum(continuations.values())
    spread = sum(below[min(c, 3)] for c in continuations.values()) / total
    for (first, second), count in bigrams.items():
        c = continuations[second]
        unigram = (c - below[min(c, 3)]) / total + spread / (len(model.vocabulary) - 1)
        same = {pair: n for pair, n in bigrams.items() if pair[0] == first}
        freed = sum(above[min(n, 3)] for n in same.values()) / sum(same.values())
        expected = (count - above[min(count, 3)]) / sum(same.values()) + freed * unigram
        assert math.exp(grams[first, second][0]) == pytest.approx(expected)
        assert math.exp(grams[(first,)][1]) == pytest.approx(freed)
    assert math.exp(grams[(UNKNOWN,)][0]) == pytest.approx(spread / (len(model.vocabulary) - 1))


def test_kenlm_reads_what_is_written(tmp_path: Path) -> None:
    text = [list("abcab"), list("abd"), [], list("bca")]
    model = estimate(text, 3)
    grams, ngram = table(model), shipped(model, tmp_path)
    assert ngram.order == 3
    for sentence in ("abcab", "dda", "", "xa"):
        tokens = [*sentence, END]
        known = [t if t in model.vocabulary else UNKNOWN for t in tokens]
        history = [BEGIN, *known]
        expected = [
            conditional(grams, tuple(history[max(0, i - 1) : i + 1]), known[i])
            for i in range(len(known))
        ]
        assert ngram.token_scores(list(sentence)) == pytest.approx(expected, abs=1e-3)
        assert ngram.score(list(sentence)) == pytest.approx(sum(expected), abs=1e-3)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="no sentence"):
        estimate([], 3)
    with pytest.raises(ValueError, match="order"):
        estimate([["a"]], 1)
    with pytest.raises(ValueError, match="own tokens"):
        estimate([["a", "</s>"]], 2)


def test_longer_contexts_help_on_verses_never_seen(tmp_path: Path) -> None:
    """Every tenth verse is held out (all of its group where verses sound alike)."""
    index = QuranIndex.load()
    verses = index.verses[: index.istiadha]
    held = [v for v in verses if index.identical(v)[0] % 10 == 3]
    kept = [v for v in verses if index.identical(v)[0] % 10 != 3]

    def perplexities(spell: Spell, orders: tuple[int, ...]) -> list[float]:
        seen = [spell(index, breath) for breath in breaths(index, kept)]
        unseen = [spell(index, breath) for breath in breaths(index, held)]
        models = [shipped(estimate(seen, order), tmp_path) for order in orders]
        return [model.perplexity(unseen) for model in models]

    by_words = perplexities(words, (2, 3))
    assert by_words[1] < by_words[0] < 3_000
    by_phonemes = perplexities(phonemes, (2, 3, 6))
    assert by_phonemes == sorted(by_phonemes, reverse=True)
    assert by_phonemes[-1] < 6.0 < len(index.symbols) - 1


def test_discounting_beats_plain_interpolation_weights() -> None:
    """Modified Kneser-Ney against Witten-Bell trigrams on held-out words."""
    index = QuranIndex.load()
    verses = range(0, 3000)
    seen = [words(index, b) for b in breaths(index, [v for v in verses if v % 10])]
    unseen = [words(index, b) for b in breaths(index, [v for v in verses if v % 10 == 0])]
    model = estimate(seen, 3)
    grams = table(model)

    followers: dict[tuple[str, ...], Counter[str]] = {}
    for sentence in seen:
        history = [BEGIN, BEGIN, *sentence, END]
        for i in range(2, len(history)):
            for n in range(3):
                followers.setdefault(tuple(history[i - n : i]), Counter())[history[i]] += 1

    def witten_bell(context: tuple[str, ...], token: str) -> float:
        lower = witten_bell(context[1:], token) if context else 1 / (len(model.vocabulary) - 1)
        after = followers.get(context)
        if after is None:
            return lower
        kinds, total = len(after), sum(after.values())
        return (after[token] + kinds * lower) / (total + kinds)

    ours = theirs = 0.0
    for sentence in unseen:
        tokens = [t if t in model.vocabulary else UNKNOWN for t in [*sentence, END]]
        for i, token in enumerate(tokens):
            history = [BEGIN, *tokens[:i]]
            ours += conditional(grams, tuple(history[-2:]), token)
            theirs += np.log(witten_bell(tuple([BEGIN, *history][-2:]), token))
    assert ours > theirs
