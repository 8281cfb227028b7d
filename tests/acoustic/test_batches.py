"""What is drawn to learn from is labelled with what is recited in it."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from acoustic import lessons
from acoustic.augment import Augmentation, FeatureExtractor
from acoustic.batches import TAUGHT_DELAY, Example, Lectures, Renderer, Sampler, lecture, load
from acoustic.corpus import SAMPLE_RATE, Utterance
from acoustic.features import SHIFT
from acoustic.lessons import DIMENSIONS, FRAME
from acoustic.model import SUBSAMPLING
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
        assert all(before[1] + 1 == after[0] for before, after in pairwise(passages))
    assert {example.utterances for example in drawn} == {
        *((surah,), (first,), (run,), (last,)),
        *((first, run), (run, last), (first, run, last)),
    }


def word(reciter: str, phonemes: str) -> Utterance:
    return Utterance("w", reciter, 0, 0, 0, SAMPLE_RATE, phonemes=phonemes)


def test_words_that_are_no_quran_follow_others_of_the_same_voice() -> None:
    said = [word("A", "نَعَم"), word("A", "لا"), word("B", "واحِد"), word("B", "")]
    sampler = Sampler([(said, 1.0)], np.random.default_rng(4))
    drawn = [sampler.draw(10.0) for _ in range(100)]
    assert max(len(example.utterances) for example in drawn) > 2
    for example in drawn:
        assert len({u.reciter for u in example.utterances}) == 1


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


def taught(corpus_folder: Path, index: QuranIndex) -> dict[Utterance, lessons.Lesson]:
    """Lessons of which the thoughts count an utterance's frames, from a hundred per utterance."""
    return {
        u: lessons.Lesson(
            lesson.labels,
            (100 * i + np.arange(u.samples // FRAME, dtype=np.float16))[:, None].repeat(
                DIMENSIONS, 1
            ),
        )
        for i, (u, lesson) in enumerate(lessons.load(corpus_folder, index).items())
    }


def test_a_lecture_says_what_is_heard_when(corpus_folder: Path, index: QuranIndex) -> None:
    known = taught(corpus_folder, index)
    first, second, third, *_ = known
    pause = 5 * FRAME
    examples = [Example((first, second), (pause, pause, 0)), Example((third,), (0, 0))]
    given = lecture(examples, known, np.random.default_rng(0))
    assert given.samples.tolist() == [e.samples for e in examples]
    at = pause + first.samples + pause
    np.testing.assert_array_equal(given.waves[0, pause : pause + first.samples], first.pcm())
    np.testing.assert_array_equal(given.waves[0, at : at + second.samples], second.pcm())
    assert 0 < given.waves[0, :pause].abs().max() < 200
    labels = [known[u].labels for u in (first, second, third)]
    assert given.labels.tolist() == np.concatenate(labels).tolist()
    assert given.counts.tolist() == [len(labels[0]) + len(labels[1]), len(labels[2])]

    batch = Renderer(FeatureExtractor(), np.random.default_rng(0))(given, None)
    assert batch.taught is not None
    assert batch.known is not None
    assert batch.features.shape[1] == batch.known.shape[1] * SUBSAMPLING
    # Five frames of silence, and the network may take four to think.
    heard = batch.known[0].nonzero()[:, 0]
    assert int(heard[0]) == 5 + TAUGHT_DELAY
    assert batch.taught[0, heard[0] : heard[0] + 3, 0].tolist() == [0, 1, 2]
    assert not batch.known[0, : int(heard[0])].any()
    assert batch.taught[1, TAUGHT_DELAY, 0] == 200


def test_what_is_thought_keeps_the_tempo(corpus_folder: Path, index: QuranIndex) -> None:
    known = taught(corpus_folder, index)
    first, *_ = known
    twice = Example((first,), (0, 0), 2 * SHIFT)
    given = lecture([twice], known, np.random.default_rng(0))
    silent = Augmentation(plain_speech=0.0)
    batch = Renderer(FeatureExtractor(), np.random.default_rng(0))(given, silent)
    assert batch.taught is not None
    thoughts = batch.taught[0, TAUGHT_DELAY : TAUGHT_DELAY + 10, 0]
    np.testing.assert_allclose(thoughts.diff(), 2.0, atol=1.01)
    assert float(thoughts[-1]) == pytest.approx(18, abs=1.5)


def test_examples_have_room_for_their_labels(corpus_folder: Path, index: QuranIndex) -> None:
    corpora = [(lessons.load(corpus_folder, index), 1.0)]
    lectures = load(Lectures(corpora, 10.0, 30.0, None, (1,)), torch.device("cpu"))
    for given, _ in zip(lectures, range(20), strict=False):
        assert (given.counts <= 0.8 * (given.samples // FRAME)).all()
        assert given.waves.shape[1] <= 10 * SAMPLE_RATE + FRAME
