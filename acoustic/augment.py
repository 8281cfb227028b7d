"""From studio men to everybody: features in torch, with augmentation in the mel-power domain.

The plain path is `acoustic.features`, frame for frame. Augmented, one utterance is read as another
voice, at another tempo, in another room, through another microphone. Rooms and codecs work on the
waveform (`acoustic.channel`); all else is done on the power spectrum, where tempo is the frame
shift, voice is a warped filterbank, an equaliser is a product and noise is a sum, so it costs less
than computing the features does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from acoustic import features as spec
from acoustic.channel import reverberate, transcode
from acoustic.mel import BANDS, SAMPLE_RATE, htk_filters, hz_to_mel

_WARPS = np.linspace(0.88, 1.5, 32)
_PITCHES = (1.25, 1.5, 1.75, 2.0)
_FINE = 2048  # points of the spectra that are spread, so that bands are wider than bins
_ENVELOPE = 14  # cosines over the mel bands that hold the formants; the rest is the pitch


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Probabilities and ranges; ranges are sampled uniformly, tempo in log units."""

    tempo: tuple[float, float] = (0.6, 1.6)
    tempo_probability: float = 0.7
    plain_speech: float = 0.35
    """Elongations shortened: readers hold vowels for seconds, people who just read do not."""
    shortening: tuple[float, float] = (1.5, 4.0)
    warp_probability: float = 0.6
    pitch_probability: float = 0.3
    """Raised up to an octave with the formants where they are: women's and children's voices."""
    room: float = 0.5
    codec: float = 0.25
    equaliser_db: float = 7.0
    band_limit: float = 0.45
    noise: float = 0.75
    noise_snr_db: tuple[float, float] = (3.0, 35.0)
    babble: float = 0.2
    gate: float = 0.3
    gain_db: tuple[float, float] = (-35.0, 10.0)
    time_masks: int = 3
    time_mask_frames: int = 24
    band_masks: int = 2
    band_mask_bands: int = 12

    def shift(self, rng: np.random.Generator) -> int:
        """Samples from one frame to the next, which is how the tempo changes."""
        if rng.random() >= self.tempo_probability:
            return spec.SHIFT
        low, high = np.log(self.tempo)
        return round(spec.SHIFT * math.exp(rng.uniform(low, high)))


def _smoother() -> Tensor:
    """[BANDS, BANDS], keeps the first cosines of a log spectrum."""
    bands = torch.arange(BANDS) + 0.5
    basis = torch.cos(torch.pi / BANDS * torch.arange(_ENVELOPE)[:, None] * bands)
    basis = basis / basis.norm(dim=1, keepdim=True)
    projection: Tensor = basis.T @ basis
    return projection


class FeatureExtractor:
    """Log-mel features [T, BANDS] of a waveform [N] in [-1, 1], plain or augmented."""

    mel_filters = staticmethod(htk_filters)

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self._window = torch.from_numpy(spec._HANN).to(self.device)
        self._filters = torch.from_numpy(self.mel_filters()).to(self.device)
        self._warped = torch.from_numpy(np.stack([self.mel_filters(float(w)) for w in _WARPS])).to(
            self.device
        )
        self._raised = [
            (
                torch.hann_window(round(spec.WINDOW * pitch), device=self.device),
                torch.from_numpy(self.mel_filters(pitch, _FINE)).to(self.device),
            )
            for pitch in _PITCHES
        ]
        self._smooth = _smoother().to(self.device)

    def plain(self, wave: Tensor) -> Tensor:
        """The specification of `acoustic.features`, to 1e-3."""
        return self._normalised_log(self._mel_power(wave, spec.SHIFT, self._filters))

    def augmented(
        self,
        wave: Tensor,
        shift: int,
        settings: Augmentation,
        rng: np.random.Generator,
        babble: Tensor | None,
    ) -> Tensor:
        """One random rendering of ``wave``, ``shift`` samples a frame; ``babble`` is other speech
        to put behind it."""
        filters = self._filters
        if rng.random() < settings.warp_probability:
            filters = self._warped[rng.integers(len(_WARPS))]
        if rng.random() < settings.room:
            wave = reverberate(wave, rng)
        if rng.random() < 0.1:
            drive = rng.uniform(2.0, 12.0)
            wave = torch.tanh(drive * wave / (wave.abs().max() + 1e-6)) / drive
        if rng.random() < settings.codec:
            wave = transcode(wave, rng)
        power = self._mel_power(wave, shift, filters)
        if rng.random() < settings.pitch_probability:
            power = self._higher(wave, shift, power, int(rng.integers(len(_PITCHES))))
        if rng.random() < settings.plain_speech:
            power = self._shortened(power, rng.uniform(*settings.shortening))
        level = power.mean()
        power = power * self._channel(settings, rng)
        if babble is not None and rng.random() < settings.babble:
            other = self._mel_power(babble, spec.SHIFT, self._filters)
            other = other.repeat(len(power) // max(1, len(other)) + 1, 1)[: len(power)]
            power = power + other * (level / (other.mean() + 1e-9)) * 10 ** rng.uniform(-2.5, -0.8)
        if rng.random() < settings.noise:
            power = power + self._noise(power, settings, rng)
        if rng.random() < settings.gate:
            power = self._gate(power, rng)
        power = power * 10 ** (rng.uniform(*settings.gain_db) / 10)
        features = self._normalised_log(power)
        for _ in range(settings.time_masks):
            width = int(rng.integers(0, settings.time_mask_frames))
            at = int(rng.integers(0, max(1, len(features) - width)))
            features[at : at + width] = 0.0
        for _ in range(settings.band_masks):
            width = int(rng.integers(0, settings.band_mask_bands))
            at = int(rng.integers(0, BANDS - width))
            features[:, at : at + width] = 0.0
        return features

    def _mel_power(
        self, wave: Tensor, shift: int, filters: Tensor, window: Tensor | None = None
    ) -> Tensor:
        window = self._window if window is None else window
        wave = wave[: len(wave) // shift * shift]
        frames = F.pad(wave, (len(window) - shift, 0)).unfold(0, len(window), shift)
        spectrum = torch.fft.rfft(frames * window, 2 * (filters.shape[1] - 1))
        power: Tensor = spectrum.real.square() + spectrum.imag.square()
        return power @ filters.T

    def _higher(self, wave: Tensor, shift: int, power: Tensor, which: int) -> Tensor:
        """``power`` with the pitch raised.

        A window so many times as long sees the harmonics so many times as sharply; spread apart
        they look like those of the higher voice. The envelope stays that of ``power``.
        """
        window, filters = self._raised[which]
        raised = self._mel_power(wave, shift, filters, window)
        raised = (raised + 1e-3 * raised.mean()).log()
        formants = (power + 1e-3 * power.mean()).log() @ self._smooth
        return (raised - raised @ self._smooth + formants).exp()

    @staticmethod
    def _normalised_log(power: Tensor) -> Tensor:
        logs = power.clamp(min=spec.FLOOR).log().double()
        total = torch.full((BANDS,), spec.PRIOR_FRAMES * spec.PRIOR_MEAN, device=power.device)
        total = total.double()
        weight, normalised = spec.PRIOR_FRAMES, []
        for block in torch.split(logs, 1000):
            steps = torch.arange(1, len(block) + 1, device=power.device, dtype=torch.float64)
            growth = spec.DECAY**-steps
            totals = (total + (block * growth[:, None]).cumsum(0)) / growth[:, None]
            weights = (weight + growth.cumsum(0)) / growth
            normalised.append((block - totals / weights[:, None]) * spec.SCALE)
            total, weight = totals[-1], float(weights[-1])
        return torch.cat(normalised).float() if normalised else logs.float()

    @staticmethod
    def _shortened(power: Tensor, factor: float) -> Tensor:
        """Without most of the frames in which little changes: ``factor`` times fewer of those."""
        logs = (power + 1e-3 * power.mean()).log()
        flux = F.pad((logs[1:] - logs[:-1]).abs().mean(1), (1, 0))
        flux = F.avg_pool1d(flux[None], 5, 1, 2, count_include_pad=False)[0]
        clock = torch.where(flux < flux.median(), 1 / factor, 1.0).cumsum(0)
        ticks = torch.arange(int(clock[-1]), device=power.device) + 0.5
        return power[torch.searchsorted(clock, ticks).clamp(max=len(power) - 1)]

    def _curve(self, deviation: float, rng: np.random.Generator) -> Tensor:
        """A smooth random curve over the bands, in dB."""
        knots = rng.normal(0.0, deviation, 6)
        curve = np.interp(np.linspace(0, 5, BANDS), np.arange(6), knots)
        return torch.from_numpy(curve.astype(np.float32)).to(self.device)

    def _channel(self, s: Augmentation, rng: np.random.Generator) -> Tensor:
        decibels = self._curve(rng.uniform(0, s.equaliser_db), rng)
        if rng.random() < s.band_limit:
            bands = torch.arange(BANDS, device=self.device)
            top = hz_to_mel(SAMPLE_RATE / 2) / (BANDS + 1)
            high = hz_to_mel(rng.uniform(2800, 7500)) / top
            low = hz_to_mel(rng.uniform(20, 350)) / top
            slope = rng.uniform(4, 20)
            decibels = decibels - slope * ((bands - high).clamp(min=0) + (low - bands).clamp(min=0))
        return 10 ** (decibels.clamp(min=-80) / 10)

    def _noise(self, power: Tensor, s: Augmentation, rng: np.random.Generator) -> Tensor:
        shape = 10 ** (
            (
                self._curve(8.0, rng)
                + torch.linspace(0.0, float(rng.uniform(-25, 5)), BANDS, device=self.device)
            )
            / 10
        )
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        # A band's power in a frame is a mean of a few exponential variables (chi-square noise).
        draws = torch.rand(3, *power.shape, generator=generator).to(self.device)
        noise = -draws.clamp(min=1e-7).log().mean(0) * shape
        if rng.random() < 0.3:
            knots = rng.uniform(0.0, 1.0, max(2, len(power) // 60))
            at = np.linspace(0, len(knots) - 1, len(power))
            envelope = np.interp(at, np.arange(len(knots)), knots).astype(np.float32)
            noise = noise * torch.from_numpy(envelope).to(self.device)[:, None]
        snr = rng.uniform(*s.noise_snr_db)
        return noise * (power.mean() / (noise.mean() + 1e-9) * 10 ** (-snr / 10))

    def _gate(self, power: Tensor, rng: np.random.Generator) -> Tensor:
        """A phone's noise suppression: what is near the noise floor is taken away."""
        floor = power.quantile(rng.uniform(0.1, 0.4), dim=0) * rng.uniform(1.0, 4.0)
        return torch.maximum(power - floor, power * 10 ** rng.uniform(-3, -1))
