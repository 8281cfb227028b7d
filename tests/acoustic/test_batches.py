"""What is drawn to learn from is labelled with what is recited in it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from acoustic.batches import Sampler, passage
from acoustic.corpus import SAMPLE_RATE, Utterance
from quran_index import QuranIndex


def utterance(ayah: int, last_ayah: int = 0) -> Utterance:
    return Utterance("c", "C", 112, ayah, 0, SAMPLE_RATE, last_ayah)


def test_examples_go_on_where_their_utterances_end() -> None:
    index = QuranIndex.load()
    surah, first, run, last = utterance(0), utterance(1), utterance(2, 3), utterance(4)
    sampler = Sampler([surah, first, run, last], index, np.random.default_rng(4))
    drawn = [sampler.draw(60.0) for _ in range(200)]
    for example in drawn:
        passages = [passage(index, said) for said in example.utterances]
        assert example.words == (passages[0][0], passages[-1][1])
        assert all(before[1] + 1 == after[0] for before, after in pairwise(passages))
    assert {example.utterances for example in drawn} == {
        *((surah,), (first,), (run,), (last,)),
        *((first, run), (run, last), (first, run, last)),
    }
