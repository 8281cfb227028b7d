from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream import AudioBlock, Notice, UnsupportedAudioError
from stream.audio import SAMPLE_RATE, Intake, block_from_pcm, check_sample_rate


def tone(rate: int, seconds: float = 0.5, hertz: float = 440) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(
        np.float32
    )


@pytest.mark.parametrize(
    ("pcm", "channels", "expected"),
    [
        (np.array([16384, -32768], "<i2").tobytes(), 1, [0.5, -1.0]),
        (bytearray(np.array([16384, 0], "<i2").tobytes()), 2, [0.25]),
        (memoryview(np.array([16384], "<i2").tobytes()), 1, [0.5]),
        (np.array([16384, -32768], np.int16), 1, [0.5, -1.0]),
        (np.array([2**30], np.int32), 1, [0.5]),
        (np.array([0.5, -1.0], np.float64), 1, [0.5, -1.0]),
        (np.array([[0.5, 0.1], [0.3, 0.1]], np.float32), 2, [0.3, 0.2]),
        (np.array([0.5, 0.1, 0.3, 0.1], np.float32), 2, [0.3, 0.2]),
        (b"", 1, []),
    ],
)
def test_pcm_of_any_form_becomes_mono_floats(pcm, channels, expected):
    block = block_from_pcm(pcm, 16_000, channels)
    assert block.samples.dtype == np.float32
    np.testing.assert_allclose(block.samples, expected, atol=1e-6)


def test_pushed_arrays_are_copied():
    array = np.ones(4, np.float32)
    block = block_from_pcm(array, 16_000, 1)
    array[:] = 0
    assert block.samples.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("pcm", "channels"),
    [
        (b"\0\0\0", 1),
        (b"\0\0", 2),
        (np.zeros(3, np.float32), 2),
        (np.zeros((3, 1), np.float32), 2),
        (np.zeros((1, 2, 3), np.float32), 1),
        (np.zeros(3, np.uint8), 1),
        (np.zeros(3, complex), 1),
        (np.array(0.5), 1),
    ],
)
def test_audio_of_no_meaning_is_refused_with_a_remedy(pcm, channels):
    with pytest.raises(UnsupportedAudioError, match=": push"):
        block_from_pcm(pcm, 16_000, channels)


@pytest.mark.parametrize("rate", [0, -8000, 3999, 10**6])
def test_rates_that_no_recording_has_are_refused(rate):
    with pytest.raises(UnsupportedAudioError, match="samples per second"):
        check_sample_rate(rate)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_any_rate_becomes_16_khz(rate):
    intake = Intake()
    audio, notices = intake.convert(AudioBlock(tone(rate), rate))
    audio = np.concatenate((audio, intake.drain()))
    assert len(audio) == pytest.approx(0.5 * SAMPLE_RATE, abs=2)
    inside = slice(1000, 7000)
    np.testing.assert_allclose(audio[inside], tone(SAMPLE_RATE)[inside], atol=2e-3)
    assert [notice.code for notice in notices] == (["narrow_band"] if rate < 16_000 else [])


@settings(max_examples=30, deadline=None)
@given(
    rate=st.sampled_from([16_000, 11_025, 44_100, 48_000]),
    cuts=st.lists(st.integers(0, 20_000), max_size=12),
)
def test_the_cut_into_blocks_changes_no_bit(rate, cuts):
    audio = np.random.default_rng(3).standard_normal(20_000).astype(np.float32)
    audio[7_000] = np.nan
    whole, notices = _converted(rate, [audio])
    pieces, same_notices = _converted(rate, np.split(audio, sorted(cuts)))
    np.testing.assert_array_equal(whole, pieces)
    assert notices == same_notices


def _converted(rate: int, pieces: list[np.ndarray]) -> tuple[np.ndarray, list[tuple[str, float]]]:
    intake = Intake()
    results = [intake.convert(AudioBlock(piece, rate)) for piece in pieces]
    notices = [(n.code, round(n.at, 6)) for _, noticed in results for n in noticed]
    return np.concatenate([*(audio for audio, _ in results), intake.drain()]), notices


def test_a_change_of_rate_loses_nothing():
    intake = Intake()
    pieces = [intake.convert(AudioBlock(tone(r), r))[0] for r in (44_100, 16_000, 48_000)]
    audio = np.concatenate([*pieces, intake.drain()])
    assert len(audio) == pytest.approx(1.5 * SAMPLE_RATE, abs=5)


def test_samples_that_are_no_numbers_are_silenced_and_noticed_once():
    intake = Intake()
    bad = np.array([0.1, np.nan, np.inf, -np.inf, 0.2], np.float32)
    audio, notices = intake.convert(AudioBlock(bad, 16_000))
    assert audio.tolist() == pytest.approx([0.1, 0, 0, 0, 0.2])
    assert [(n.code, n.at) for n in notices] == [("not_finite", 1 / 16_000)]
    assert intake.convert(AudioBlock(bad, 16_000))[1] == []


def test_integers_pushed_as_floats_are_noticed():
    _, notices = Intake().convert(AudioBlock(np.array([0, 12_000], np.float32), 16_000))
    assert [type(n) for n in notices] == [Notice]
    assert "divide them by 32768" in notices[0].message
