"""Sounds are placed where they are, not where the network tells of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acoustic import Encoder
from acoustic.corpus import SAMPLE_RATE, decode
from acoustic.delay import onset
from decoders.align import align
from quran_index import QuranIndex

SAMPLE = Path(__file__).parents[2] / "examples" / "al-fatiha.opus"


@pytest.mark.parametrize("level", [0.01, 0.5])
def test_onset_is_where_the_level_rises(level: float) -> None:
    noise = np.random.default_rng(0).standard_normal(2 * SAMPLE_RATE).astype(np.float32)
    noise[: int(0.7 * SAMPLE_RATE)] *= 1e-3
    assert onset(level * noise) == pytest.approx(0.7, abs=0.01)


def test_a_click_is_no_onset() -> None:
    noise = np.random.default_rng(0).standard_normal(2 * SAMPLE_RATE).astype(np.float32)
    noise[:SAMPLE_RATE] *= 1e-3
    noise[1600:1640] = 1.0
    assert onset(noise) == pytest.approx(1.0, abs=0.01)


def test_the_shipped_model_knows_its_delay() -> None:
    encoder, index = Encoder.load(), QuranIndex.load()
    wave = decode(SAMPLE).astype(np.float32) / 32768.0
    words = align(encoder.encode(wave), index.graph, *index.passage(1, 1, 7), encoder.frame_shift)
    begins = onset(wave)
    assert begins is not None
    assert words[0].start - encoder.emission_delay == pytest.approx(begins, abs=0.15)
