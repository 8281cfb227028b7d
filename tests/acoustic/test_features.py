import numpy as np
import pytest
import torch

from acoustic.augment import FeatureExtractor
from acoustic.features import SHIFT, FeatureState, log_mel
from acoustic.mel import BANDS


@pytest.fixture
def wave() -> np.ndarray:
    rng = np.random.default_rng(7)
    loudness = np.repeat(10 ** rng.uniform(-4, -0.5, 70), 1600)
    return (rng.standard_normal(len(loudness)) * loudness).astype(np.float32)


def test_streaming_equals_offline(wave: np.ndarray) -> None:
    offline = log_mel(wave, FeatureState())
    state, parts, at = FeatureState(), [], 0
    for frames in [1, 7, 48, 48, 3, 100, 0, 493]:
        parts.append(log_mel(wave[at : at + frames * SHIFT], state))
        at += frames * SHIFT
    streamed = np.concatenate(parts)
    assert streamed.shape == offline.shape == (700, BANDS)
    np.testing.assert_allclose(streamed, offline, atol=1e-5)


def test_training_features_are_the_runtime_features(wave: np.ndarray) -> None:
    trained = FeatureExtractor().plain(torch.from_numpy(wave)).numpy()
    np.testing.assert_allclose(trained, log_mel(wave, FeatureState()), atol=1e-3)


def test_gain_is_forgotten(wave: np.ndarray) -> None:
    """A recording 20 dB quieter gives the same features once the running mean has settled."""
    loud = log_mel(wave, FeatureState())[600:]
    quiet = log_mel(wave * 0.1, FeatureState())[600:]
    assert np.median(np.abs(loud - quiet)) < 0.15 * np.median(np.abs(loud))


def test_partial_shift_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of the 160-sample shift"):
        log_mel(np.zeros(161, np.float32), FeatureState())
