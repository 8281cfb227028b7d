"""What is drawn to learn from is labelled with what is recited in it."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from acoustic.batches import Sampler
from acoustic.corpus import SAMPLE_RATE, Utterance, symbols_of
from quran_index import QuranIndex


def utterance(ayah: int, last_ayah: int = 0) -> Utterance:
    return Utterance("c", "C", 112, ayah, 0, SAMPLE_RATE, last_ayah)


def test_examples_go_on_where_their_utterances_end() -> None:
    index = QuranIndex.load()
    surah, first, run, last = utterance(0), utterance(1), utterance(2, 3), utterance(4)
    sampler = Sampler([([surah, first, run, last], 1.0)], np.random.default_rng(4))
    drawn = [sampler.draw(60.0) for _ in range(200)]
    for example in drawn:
        passages = [said.passage(index) for said in example.utterances]
        assert example.words(index) == (passages[0][0], passages[-1][1])
        assert all(before[1] + 1 == after[0] for before, after in pairwise(passages))
    assert {example.utterances for example in drawn} == {
        *((surah,), (first,), (run,), (last,)),
        *((first, run), (run, last), (first, run, last)),
    }


def word(reciter: str, phonemes: str) -> Utterance:
    return Utterance("w", reciter, 0, 0, 0, SAMPLE_RATE, phonemes=phonemes)


def test_words_that_are_no_quran_follow_others_of_the_same_voice() -> None:
    index = QuranIndex.load()
    said = [word("A", "نَعَم"), word("A", "لا"), word("B", "واحِد")]
    sampler = Sampler([(said, 1.0)], np.random.default_rng(4))
    drawn = [sampler.draw(10.0) for _ in range(100)]
    assert max(len(example.utterances) for example in drawn) > 2
    for example in drawn:
        assert example.words(index) is None
        assert len({u.reciter for u in example.utterances}) == 1
        spelled = "".join(u.phonemes for u in example.utterances)
        assert example.labels(index) == symbols_of(index, spelled)


def test_voices_are_heard_by_the_square_root_of_their_hours() -> None:
    def voice(reciter: str, seconds: int, count: int) -> list[Utterance]:
        return [Utterance(reciter, reciter, 2, 286, 0, seconds * SAMPLE_RATE)] * count

    much, little, often = voice("much", 10, 160), voice("little", 20, 5), voice("often", 20, 5)
    sampler = Sampler([([*much, *little], 1.0), (often, 3.0)], np.random.default_rng(4))
    heard = Counter[str]()
    for _ in range(6000):
        example = sampler.draw(60.0)
        heard[example.utterances[0].reciter] += example.seconds
    assert heard["much"] / heard["little"] == pytest.approx(4.0, rel=0.2)
    assert heard["often"] / heard["little"] == pytest.approx(3.0, rel=0.2)
