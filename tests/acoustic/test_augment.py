"""What augmentation changes, and what it leaves alone."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence

from acoustic.augment import _PITCHES, Augmentation, FeatureExtractor
from acoustic.channel import _CODECS, reverberate, room_response, transcode
from acoustic.features import SHIFT, WINDOW
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
    click = torch.zeros(20, SAMPLE_RATE)
    click[:, 1000] = 0.5
    responses = [torch.from_numpy(room_response(np.random.default_rng(seed))) for seed in range(20)]
    heard = reverberate(click, pad_sequence(responses, batch_first=True))
    assert heard.shape == click.shape
    np.testing.assert_allclose(heard.norm(dim=1), click.norm(dim=1), rtol=1e-4)
    assert heard[:, :1000].abs().max() < 1e-5
    assert (heard[:, 1000] > 0.1).all()
    assert (heard[:, 1001 + SAMPLE_RATE // 50 :].abs().sum(1) > 0.1).all()


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
    settings = Augmentation(
        tempo_probability=0.0,
        plain_speech=1.0,
        shortening=(4.0, 4.0),
        warp_probability=0.0,
        pitch_probability=0.0,
        room=0.0,
    )
    held = torch.sin(torch.arange(2 * SAMPLE_RATE) * 0.2) * 0.2
    wave = torch.cat([bursts(2.0), held, bursts(2.0).flip(0)])
    _, lengths, source = FeatureExtractor().augmented(
        wave[None], np.array([len(wave)]), np.array([SHIFT]), settings, np.random.default_rng(0)
    )
    assert int(lengths) == pytest.approx(600 * 0.625, rel=0.05)
    # What is left stands in its order, and the held tone lost the most.
    kept = source[0, : int(lengths)] / SHIFT
    assert (kept.diff() > 0).all()
    assert ((kept > 210) & (kept < 390)).sum() < 0.35 * 180


def test_any_rendering_is_finite_and_as_long_as_its_tempo_says() -> None:
    rng, extract = np.random.default_rng(0), FeatureExtractor()
    settings = Augmentation(plain_speech=0.0)
    waves = torch.stack([bursts(1.5), F.pad(bursts(1.0), (0, SAMPLE_RATE // 2))])
    samples = np.array([24_000, 16_000])
    for _ in range(20):
        shifts = np.array([settings.shift(rng), settings.shift(rng)])
        features, lengths, source = extract.augmented(waves, samples, shifts, settings, rng)
        assert lengths.tolist() == (samples // shifts).tolist()
        assert features.shape == (2, max(lengths), BANDS)
        assert torch.isfinite(features).all()
        # A frame is a window that ends where the shift after it does.
        np.testing.assert_allclose(source[:, 5], 6 * shifts - WINDOW // 2)


def test_nothing_changes_where_nothing_is_to_change() -> None:
    """Of each in a batch, whatever the others' lengths are."""
    none = Augmentation(
        tempo_probability=0.0,
        plain_speech=0.0,
        warp_probability=0.0,
        pitch_probability=0.0,
        room=0.0,
        overdrive=0.0,
        equaliser_db=0.0,
        band_limit=0.0,
        noise=0.0,
        babble=0.0,
        gate=0.0,
        gain_db=(0.0, 0.0),
        time_masks=0,
        band_masks=0,
    )
    extract, waves = FeatureExtractor(), [bursts(1.5), bursts(1.0)]
    samples = np.array([len(wave) for wave in waves])
    features, lengths, _ = extract.augmented(
        pad_sequence(waves, batch_first=True),
        samples,
        np.full(2, SHIFT),
        none,
        np.random.default_rng(0),
    )
    for wave, rendered, length in zip(waves, features, lengths, strict=True):
        np.testing.assert_allclose(rendered[:length], extract.plain(wave), atol=1e-4)


def test_a_voice_is_raised_with_its_formants_where_they_are() -> None:
    """A buzz of 150 Hz through one resonance: an octave higher, every second harmonic is gone."""
    t = torch.arange(SAMPLE_RATE) / SAMPLE_RATE
    harmonics = [150.0 * n for n in range(1, 40)]
    level = [1 / (1 + ((f - 1500) / 300) ** 2) for f in harmonics]
    wave = 0.05 * sum(
        a * torch.sin(2 * torch.pi * f * t) for a, f in zip(level, harmonics, strict=True)
    )
    extract = FeatureExtractor()
    shifts, lengths = torch.tensor([SHIFT]), torch.tensor([100])
    power = extract._mel_power(wave[None], shifts, 100, extract._filters[0])

    class Highest(np.random.Generator):
        def integers(self, *_: object, **__: object) -> np.ndarray:  # type: ignore[override]
            return np.array([len(_PITCHES) - 1])

    always, rng = Augmentation(pitch_probability=1.0), Highest(np.random.PCG64(1))
    raised = extract._higher(power, wave[None], shifts, lengths, always, rng)
    assert raised.shape == power.shape
    before, after = power[0, 40:60].mean(0), raised[0, 40:60].mean(0)
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
