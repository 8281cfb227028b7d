"""Every verse's score as a whole is that of its best way of being said."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from decoders import BeamDecoder
from decoders.path import BLANK, SCALE, relative, scaled
from lm import Priors
from quran_index import QuranIndex
from tests.texts import TestPriors, Text, random_log_probs, random_priors, random_text, spoken


def best_path(scores: NDArray[np.int32], labels: list[int], parted: list[bool]) -> float:
    """The best path that emits ``labels``, with a blank before those that are ``parted``."""
    dead = -(10**12)
    in_label, in_blank = [dead] * len(labels), [dead] * len(labels)
    silence = 0
    for frame in scores.tolist():
        before = list(zip(in_label, in_blank, strict=True))
        for i, label in enumerate(labels):
            came = silence if i == 0 else before[i - 1][1]
            if i and not parted[i] and labels[i - 1] != label:
                came = max(came, before[i - 1][0])
            in_label[i] = max(before[i][0], came) + frame[label]
            in_blank[i] = max(before[i]) + frame[0]
        silence += frame[0]
    best = max(in_label[-1], in_blank[-1])
    return best / SCALE if best > dead / 2 else -np.inf


def best_way(
    text: Text, priors: TestPriors, scores: NDArray[np.int32], verse: int
) -> tuple[float, float]:
    """The best of all ways to say a verse, to its end and as far as it goes: paused or not after
    each word, at the verse's end in any case."""
    words = range(*text.first_word[verse : verse + 2].tolist())
    pause, run_on = scaled(priors.pause), scaled(priors.run_on)
    whole = begun = -np.inf
    for stops in product((False, True), repeat=len(words)):
        labels, parted, price = [], [], 0
        for i, word in enumerate(words):
            spelled = text.forms[word].spell(initial=i == 0 or stops[i - 1], pausal=stops[i])
            if i:
                price += int((pause if stops[i - 1] else run_on)[words[i - 1]])
            parted += [i > 0 and stops[i - 1], *[False] * (len(spelled) - 1)]
            labels += text.ids(spelled)
            for said in range(len(labels) - len(spelled) + 1, len(labels) + 1):
                path = best_path(scores, labels[:said], parted[:said]) + price / SCALE
                begun = max(begun, path)
        if stops[-1]:
            whole = max(whole, path)
    return whole, begun


@given(st.integers(0, 2**32 - 1), st.integers(0, 16), st.sampled_from(["a", "ab", "abcd"]))
@settings(max_examples=60, deadline=None)
def test_a_verse_scores_as_its_best_way_of_being_said(seed, frames, alphabet):
    rng = np.random.default_rng(seed)
    text = random_text(rng, alphabet)
    graph = text.graph()
    priors = random_priors(rng, graph.words, coarse=False)
    log_probs = random_log_probs(rng, frames, len(text.symbols), coarse=False)
    scores, _ = relative(log_probs, len(text.symbols), BLANK)
    expected = [best_way(text, priors, scores, verse) for verse in range(graph.verses)]
    found = BeamDecoder(graph, priors).whole_verses(log_probs)
    assert found.whole.tolist() == pytest.approx([whole for whole, _ in expected])
    assert found.begun.tolist() == pytest.approx([begun for _, begun in expected])


def test_the_verse_that_is_all_there_is_stands_out():
    index = QuranIndex.load()
    decoder = BeamDecoder(index.graph, Priors.load())
    rng = np.random.default_rng(3)
    for surah, ayah in ((55, 64), (1, 7), (103, 2), (2, 282)):
        verse = index.verse_of(surah, ayah)
        first, last = index.first_word[verse], index.first_word[verse + 1] - 1
        log_probs = spoken(rng, [index.spell(first, last).tolist()], len(index.symbols))
        scores = decoder.whole_verses(log_probs)
        assert scores.whole.argmax() == verse
        assert scores.whole[verse] - np.delete(scores.begun, verse).max() > 5
    half = decoder.whole_verses(log_probs[: len(log_probs) // 2])
    assert half.whole[verse] < half.whole.max()
    assert half.begun.argmax() == verse
