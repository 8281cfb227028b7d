"""Words are aligned to where they were said, whichever way they were said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoders import align
from decoders.align import _BLOCK
from quran_index import WordForms
from tests.texts import BLANK, Text, random_text

SHIFT = 0.06


@given(st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=60, deadline=None)
def test_words_are_where_they_were_said(seed: int, long: bool) -> None:
    """Each word is said with a random head and tail (which decide about pauses), then aligned."""
    rng = np.random.default_rng(seed)
    text = random_text(rng, "abcdefgh", surahs=1)
    graph = text.graph()
    first = int(rng.integers(0, graph.words))
    last = int(rng.integers(first, graph.words))
    labels: list[int] = [0] * int(rng.integers(0, 4))
    initial = bool(rng.integers(2))
    for word in range(first, last + 1):
        pausal = bool(rng.integers(2))
        for symbol in text.ids(text.forms[word].spell(initial=initial, pausal=pausal)):
            labels += [0] * int(labels[-1:] == [symbol] or rng.integers(0, 3) == 0)
            labels += [symbol] * int(rng.integers(1, 4))
        labels += [0] * (int(rng.integers(1, _BLOCK if long else 5)) if pausal else 0)
        initial = pausal
    log_probs = np.full((len(labels), len(text.symbols)), np.log(0.01), np.float32)
    log_probs[np.arange(len(labels)), labels] = np.log(0.9)

    times = align(log_probs, graph, first, last, SHIFT)
    assert [t.word for t in times] == list(range(first, last + 1))
    heard = [labels[round(t.start / SHIFT) : round(t.end / SHIFT)] for t in times]
    # Where a phoneme is the last of one word or the first of the next there may be two equal ways;
    # all ways hear everything.
    assert [s for part in heard for s in part if s] == [s for s in labels if s]
    assert [t.confidence for t in times] == pytest.approx([0.9] * len(times))


def test_boundaries_are_those_of_the_phonemes() -> None:
    forms = tuple(WordForms("", "", core, tail, "") for core, tail in ("ab", "cd", "ef"))
    text = Text((BLANK, *"abcdef"), forms, np.array([0, 3], np.int32), np.array([1], np.int32))
    spoken = "..aab..c....e.f.."  # the second word before a pause, so without its tail
    log_probs = np.full((len(spoken), 7), np.log(0.05), np.float32)
    log_probs[np.arange(len(spoken)), [".abcdef".index(c) for c in spoken]] = np.log(0.7)
    times = align(log_probs, text.graph(), 0, 2, 0.5)
    assert [(t.word, t.start, t.end) for t in times] == [(0, 1, 3.5), (1, 3.5, 6), (2, 6, 8.5)]
    assert [t.confidence for t in times] == pytest.approx([0.7] * 3)


def test_a_last_sound_is_held_for_a_while() -> None:
    text = Text(
        (BLANK, "a", "b"),
        (WordForms("", "", "a", "", ""), WordForms("", "", "b", "", "")),
        np.array([0, 2], np.int32),
        np.array([1], np.int32),
    )
    spoken = "..a...........bb............"
    log_probs = np.full((len(spoken), 3), np.log(0.05), np.float32)
    log_probs[np.arange(len(spoken)), [".ab".index(c) for c in spoken]] = np.log(0.7)
    times = align(log_probs, text.graph(), 0, 1, 1.0)
    assert [(t.start, t.end) for t in times] == [(2, 10), (14, 23)]


def test_more_words_than_frames_are_refused() -> None:
    text = random_text(np.random.default_rng(0))
    graph = text.graph()
    with pytest.raises(ValueError, match="cannot hold"):
        align(np.zeros((0, len(text.symbols)), np.float32), graph, 0, 0, SHIFT)
    with pytest.raises(ValueError, match="no words"):
        align(np.zeros((9, len(text.symbols)), np.float32), graph, 0, graph.words, SHIFT)
