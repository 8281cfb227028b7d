"""What augmentation changes, and what it leaves alone."""

import numpy as np
import pytest
import torch

from acoustic.augment import _PITCHES, Augmentation, FeatureExtractor
from acoustic.channel import _CODECS, reverberate, transcode
from acoustic.features import SHIFT
from acoustic.mel import BANDS, SAMPLE_RATE, hz_to_mel


def bursts(seconds: float = 3.0) -> torch.Tensor:
    """Noise that swells four times a second; no two moments of it are alike."""
    rng = np.random.default_rng(3)
    t = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    wave = rng.standard_normal(len(t)) * np.where(np.sin(2 * np.pi * 4 * t) > 0, 0.1, 1e-4)
    return torch.from_numpy(wave.astype(np.float32))


def envelope(wave: torch.Tensor) -> np.ndarray:
    """Level in steps of 10 ms."""
    frames = wave[: len(wave) // SHIFT * SHIFT].reshape(-1, SHIFT)
    return frames.square().mean(1).sqrt().numpy()


def test_a_room_smears_but_neither_delays_nor_amplifies() -> None:
    click = torch.zeros(SAMPLE_RATE)
    click[1000] = 0.5
    for seed in range(20):
        heard = reverberate(click, np.random.default_rng(seed))
        assert len(heard) == len(click)
        assert float(heard.norm()) == pytest.approx(float(click.norm()), rel=1e-4)
        assert heard[:1000].abs().max() < 1e-5
        assert heard[1000] > 0.1
        assert heard[1001 + SAMPLE_RATE // 50 :].abs().sum() > 0.1


@pytest.mark.parametrize("codec", range(len(_CODECS)))
def test_codecs_keep_what_is_said_and_when(codec: int) -> None:
    class Chosen(np.random.Generator):
        def integers(self, *_: object, **__: object) -> int:  # type: ignore[override]
            return codec

    wave = bursts()
    heard = transcode(wave, Chosen(np.random.PCG64(1)))
    assert heard.shape == wave.shape
    assert not torch.equal(heard, wave)
    before, after = envelope(wave), envelope(heard)
    # Codecs delay by up to some 60 ms.
    best = max(np.corrcoef(before[: len(before) - d], after[d:])[0, 1] for d in range(10))
    assert best > 0.7


def test_what_does_not_change_is_shortened() -> None:
    extract = FeatureExtractor()
    held = torch.sin(torch.arange(2 * SAMPLE_RATE) * 0.2) * 0.2
    wave = torch.cat([bursts(2.0), held, bursts(2.0).flip(0)])
    power = extract._mel_power(wave, SHIFT, extract._filters)
    short = extract._shortened(power, 4.0)
    assert len(short) == pytest.approx(len(power) * 0.625, rel=0.02)
    # Every frame left is one of those that were, in their order, and the held tone lost the most.
    kept = [int((power == frame).all(1).nonzero()[0]) for frame in short]
    assert kept == sorted(kept)
    assert sum(210 <= k < 390 for k in kept) < 0.35 * 180


def test_any_rendering_is_finite_and_as_long_as_its_tempo_says() -> None:
    rng, extract = np.random.default_rng(0), FeatureExtractor()
    settings = Augmentation(plain_speech=0.0)
    wave = bursts(1.5)
    for _ in range(30):
        shift = settings.shift(rng)
        features = extract.augmented(wave, shift, settings, rng, wave)
        assert features.shape == (len(wave) // shift, BANDS)
        assert torch.isfinite(features).all()


def test_a_voice_is_raised_with_its_formants_where_they_are() -> None:
    """A buzz of 150 Hz through one resonance: an octave higher, every second harmonic is gone."""
    t = torch.arange(SAMPLE_RATE) / SAMPLE_RATE
    harmonics = [150.0 * n for n in range(1, 40)]
    level = [1 / (1 + ((f - 1500) / 300) ** 2) for f in harmonics]
    wave = 0.05 * sum(
        a * torch.sin(2 * torch.pi * f * t) for a, f in zip(level, harmonics, strict=True)
    )
    extract = FeatureExtractor()
    power = extract._mel_power(wave, SHIFT, extract._filters)
    raised = extract._higher(wave, SHIFT, power, len(_PITCHES) - 1)
    assert raised.shape == power.shape
    before, after = power[40:60].mean(0), raised[40:60].mean(0)
    mel = torch.linspace(0, hz_to_mel(SAMPLE_RATE / 2), BANDS + 2)[1:-1]
    hertz = 700 * (10 ** (mel / 2595) - 1)
    resonance = (hertz > 1000) & (hertz < 2000)
    for spectrum in (before, after):
        assert (spectrum * hertz).sum() / spectrum.sum() == pytest.approx(1500, rel=0.05)
        assert spectrum[resonance].sum() > 0.7 * spectrum.sum()

    def at(spectrum: torch.Tensor, hz: float) -> float:
        return float(spectrum[(hertz - hz).abs().argmin()])

    for harmonic in (300.0, 600.0, 900.0):
        assert at(after, harmonic) > 3 * at(after, harmonic + 150.0)
