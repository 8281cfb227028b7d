"""From studio men to everybody: features in torch, with augmentation in the mel-power domain.

The plain path is `acoustic.features`, frame for frame. Augmented, every utterance of a batch is
read as another voice, at another tempo, in another room, through another microphone. Rooms work on
the waveform (`acoustic.channel`); all else is done on the power spectrum, where tempo is the frame
shift, voice is a warped filterbank, an equaliser is a product and noise is a sum, so it costs less
than computing the features does. A whole batch is rendered at once: a GPU hears ten thousand
seconds in one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from acoustic import features as spec
from acoustic.channel import reverberate, room_response
from acoustic.mel import BANDS, SAMPLE_RATE, htk_filters, hz_to_mel

_WARPS = np.linspace(0.88, 1.5, 32)
_PITCHES = (1.25, 1.5, 1.75, 2.0)
_FINE = 2048  # points of the spectra that are spread, so that bands are wider than bins
_ENVELOPE = 14  # cosines over the mel bands that hold the formants; the rest is the pitch
_ROOMS = 384  # drawn once: drawing one takes longer than being in it
_SAMPLED = 96  # frames of an utterance of which its quantiles are taken
_BLOCK = 1000  # frames normalised at once; bounds the growth of DECAY**-n
_TINY = 1e-12

Draws = npt.NDArray[np.float64]


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
    overdrive: float = 0.1
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


FULL = Augmentation()
GENTLE = Augmentation(
    tempo_probability=0.6,
    room=0.25,
    overdrive=0.05,
    band_limit=0.25,
    noise=0.4,
    babble=0.08,
    gate=0.12,
    time_masks=1,
    time_mask_frames=16,
    band_masks=1,
    band_mask_bands=8,
)
"""For the last of several trainings: voices as various as before, half the noise around them. What
a network has learned of noise it keeps, and hears better what is hard for other reasons."""


class Rendered(NamedTuple):
    """Features [B, T, BANDS], their lengths [B], and the sample [B, T] of the waveform in the
    middle of each frame."""

    features: Tensor
    lengths: Tensor
    source: Tensor


def _smoother() -> Tensor:
    """[BANDS, BANDS], keeps the first cosines of a log spectrum."""
    bands = torch.arange(BANDS) + 0.5
    basis = torch.cos(torch.pi / BANDS * torch.arange(_ENVELOPE)[:, None] * bands)
    basis = basis / basis.norm(dim=1, keepdim=True)
    projection: Tensor = basis.T @ basis
    return projection


def _rooms() -> Tensor:
    """Impulse responses [_ROOMS, samples], the same each time."""
    rng = np.random.default_rng(0)
    drawn = [room_response(rng) for _ in range(_ROOMS)]
    longest = max(map(len, drawn))
    return torch.from_numpy(np.stack([np.pad(r, (0, longest - len(r))) for r in drawn]))


class FeatureExtractor:
    """Log-mel features of waveforms in [-1, 1], plain or augmented."""

    mel_filters = staticmethod(htk_filters)

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self._window = torch.from_numpy(spec._HANN).to(self.device)
        filters = [self.mel_filters(), *(self.mel_filters(float(w)) for w in _WARPS)]
        self._filters = torch.from_numpy(np.stack(filters)).to(self.device)
        self._raised = [
            (
                torch.hann_window(round(spec.WINDOW * pitch), device=self.device),
                torch.from_numpy(self.mel_filters(pitch, _FINE)).to(self.device),
            )
            for pitch in _PITCHES
        ]
        self._smooth = _smoother().to(self.device)
        self._rooms: Tensor | None = None  # half a second's work, and only augmentation needs them

    def plain(self, wave: Tensor) -> Tensor:
        """[T, BANDS] of one waveform [N]: the specification of `acoustic.features`, to 1e-3."""
        samples = torch.tensor([len(wave)], device=self.device)
        return self.plain_batch(wave[None], samples).features[0]

    def plain_batch(self, waves: Tensor, samples: Tensor) -> Rendered:
        """The same of waveforms [B, N] of which ``samples`` [B] are theirs."""
        count = waves.shape[1] // spec.SHIFT
        shifts = torch.full((len(waves),), spec.SHIFT, device=self.device)
        power = self._mel_power(waves, shifts, count, self._filters[0])
        return Rendered(
            self._normalised_log(power), samples // spec.SHIFT, self._sources(shifts, count)
        )

    def augmented(
        self,
        waves: Tensor,
        samples: npt.NDArray[np.int64],
        shifts: npt.NDArray[np.int64],
        settings: Augmentation,
        rng: np.random.Generator,
    ) -> Rendered:
        """A random rendering of each of the waveforms [B, N].

        ``samples`` [B] of them are theirs, and zeros follow; ``shifts`` [B]: samples a frame.
        """
        count = len(waves)
        frames = samples // shifts
        lengths, shift = self._put(frames, torch.long), self._put(shifts, torch.long)
        total = int(frames.max())
        waves = self._overdriven(self._in_rooms(waves, settings, rng), settings, rng)
        warped = np.where(
            rng.random(count) < settings.warp_probability,
            rng.integers(1, len(self._filters), count),
            0,
        )
        filters = self._filters[self._put(warped, torch.long)]
        power = self._mel_power(waves, shift, total, filters)
        power = self._higher(power, waves, shift, lengths, settings, rng)
        power = power * self._mask(lengths, total)
        factors = rng.uniform(*settings.shortening, count)
        factors = np.where(rng.random(count) < settings.plain_speech, factors, 1.0)
        kept, lengths = self._shortened(power, lengths, factors, rng)
        source = self._sources(shift, total).gather(1, kept)
        power = power.gather(1, kept[..., None].expand(-1, -1, BANDS)) * self._mask(lengths, total)
        power = self._recorded(power, lengths, settings, rng)
        features = self._normalised_log(power)
        return Rendered(self._masked(features, lengths, settings, rng), lengths, source)

    def _put(self, values: npt.ArrayLike, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.as_tensor(np.asarray(values), dtype=dtype).to(self.device, non_blocking=True)

    def _chances(self, probability: float, count: int, rng: np.random.Generator) -> Tensor:
        """[B, 1, 1]: which of a batch something happens to."""
        return self._put(rng.random(count) < probability, torch.bool)[:, None, None]

    def _mask(self, lengths: Tensor, total: int) -> Tensor:
        """[B, T, 1]: 1 in the frames that are an utterance's."""
        return (torch.arange(total, device=self.device)[None] < lengths[:, None])[..., None]

    @staticmethod
    def _sources(shifts: Tensor, total: int) -> Tensor:
        """[B, T]: the sample in the middle of each frame's window."""
        ends = (torch.arange(total, device=shifts.device)[None] + 1) * shifts[:, None]
        return (ends - spec.WINDOW // 2).clamp(min=0)

    def _mel_power(
        self,
        waves: Tensor,
        shifts: Tensor,
        total: int,
        filters: Tensor,
        window: Tensor | None = None,
    ) -> Tensor:
        """[B, T, BANDS]: frame t is a window that ends where the shift after it does."""
        window = self._window if window is None else window
        width = len(window)
        padded = F.pad(waves, (width, width))
        starts = (torch.arange(total, device=self.device)[None] + 1) * shifts[:, None]
        starts = starts.clamp(max=padded.shape[1] - width)
        each = torch.arange(len(waves), device=self.device)[:, None]
        frames = padded.unfold(1, width, 1)[each, starts]
        spectrum = torch.fft.rfft(frames * window, 2 * (filters.shape[-1] - 1))
        power: Tensor = spectrum.real.square() + spectrum.imag.square()
        return power @ filters.transpose(-1, -2)

    def _in_rooms(self, waves: Tensor, s: Augmentation, rng: np.random.Generator) -> Tensor:
        inside = np.flatnonzero(rng.random(len(waves)) < s.room)
        if not len(inside):
            return waves
        if self._rooms is None:
            self._rooms = _rooms().to(self.device)
        rooms = self._rooms[self._put(rng.integers(_ROOMS, size=len(inside)), torch.long)]
        at = self._put(inside, torch.long)
        return waves.index_copy(0, at, reverberate(waves[at], rooms))

    def _overdriven(self, waves: Tensor, s: Augmentation, rng: np.random.Generator) -> Tensor:
        """Microphones that cannot take how loud it is."""
        count = len(waves)
        hard = np.where(rng.random(count) < s.overdrive, rng.uniform(2.0, 12.0, count), 0.0)
        drive = self._put(hard)[:, None]
        level = waves.abs().amax(1, keepdim=True) + 1e-6
        return torch.where(drive > 0, torch.tanh(drive * waves / level) / drive.clamp(min=1), waves)

    def _higher(
        self,
        power: Tensor,
        waves: Tensor,
        shifts: Tensor,
        lengths: Tensor,
        s: Augmentation,
        rng: np.random.Generator,
    ) -> Tensor:
        """``power`` with the pitch of some raised.

        A window so many times as long sees the harmonics so many times as sharply; spread apart
        they look like those of the higher voice. The envelope stays that of ``power``.
        """
        count, total = power.shape[:2]
        which = np.where(
            rng.random(count) < s.pitch_probability, rng.integers(len(_PITCHES), size=count), -1
        )
        for pitch, (window, filters) in enumerate(self._raised):
            at = self._put(np.flatnonzero(which == pitch), torch.long)
            if len(at):
                inside = self._mask(lengths[at], total)
                fine = self._mel_power(waves[at], shifts[at], total, filters, window)
                raised = self._logs(fine, inside)
                formants = self._logs(power[at], inside) @ self._smooth
                power = power.index_copy(0, at, (raised - raised @ self._smooth + formants).exp())
        return power

    @staticmethod
    def _level(power: Tensor, inside: Tensor) -> Tensor:
        """[B, 1, 1]: the mean over an utterance."""
        count = inside.sum((1, 2), keepdim=True).clamp(min=1) * BANDS
        return (power * inside).sum((1, 2), keepdim=True) / count

    def _logs(self, power: Tensor, inside: Tensor) -> Tensor:
        """Logarithms, with a floor at 30 dB below the mean."""
        return (power + 1e-3 * self._level(power, inside) + _TINY).log()

    def _quantile(
        self, values: Tensor, lengths: Tensor, at: Draws, rng: np.random.Generator
    ) -> Tensor:
        """Of the frames of each of [B, T, ...], from some of them."""
        count = len(values)
        frames = (self._put(rng.random((count, _SAMPLED))) * lengths[:, None]).long()
        each = torch.arange(count, device=self.device)
        drawn = values[each[:, None], frames].sort(dim=1).values
        chosen: Tensor = drawn[each, self._put(np.round(at * (_SAMPLED - 1)), torch.long)]
        return chosen

    def _shortened(
        self, power: Tensor, lengths: Tensor, factors: Draws, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """The frames [B, T] that are left without most of those in which little changes,
        ``factors`` times fewer of these, and how many there are."""
        count, total = power.shape[:2]
        logs = self._logs(power, self._mask(lengths, total))
        flux = F.pad((logs[:, 1:] - logs[:, :-1]).abs().mean(2), (1, 0))
        flux = F.avg_pool1d(flux[:, None], 5, 1, 2, count_include_pad=False)[:, 0]
        median = self._quantile(flux, lengths, np.full(count, 0.5), rng)[:, None]
        slow = 1 / self._put(factors)[:, None]
        clock = torch.where(flux < median, slow, 1.0).double().cumsum(1)
        left = (clock.gather(1, (lengths - 1).clamp(min=0)[:, None])[:, 0] + 1e-6).long()
        ticks = (torch.arange(total, device=self.device) + 0.5).double().repeat(count, 1)
        return torch.searchsorted(clock, ticks).clamp(max=total - 1), left

    def _recorded(
        self, power: Tensor, lengths: Tensor, s: Augmentation, rng: np.random.Generator
    ) -> Tensor:
        """What a microphone makes of it: its colour, other voices, noise, a gate, a level."""
        count, total = power.shape[:2]
        inside = self._mask(lengths, total)
        behind = self._babble(power, lengths, s, rng)
        power = power * self._channel(count, s, rng)[:, None] + behind
        noise = self._noise(count, total, rng)
        snr = np.where(rng.random(count) < s.noise, rng.uniform(*s.noise_snr_db, count), np.inf)
        wanted = self._put(10 ** (-snr / 10))[:, None, None] * self._level(power, inside)
        power = power + noise * (wanted / (self._level(noise, inside) + 1e-9))
        gated = self._gated(power, lengths, rng)
        power = torch.where(self._chances(s.gate, count, rng), gated, power)
        return power * self._put(10 ** (rng.uniform(*s.gain_db, count) / 10))[:, None, None]

    def _curves(self, deviations: Draws, rng: np.random.Generator) -> Tensor:
        """[B, BANDS]: smooth random curves over the bands, in dB."""
        knots = rng.normal(0.0, 1.0, (len(deviations), 6)) * deviations[:, None]
        at = np.linspace(0, 5, BANDS)
        low = np.minimum(at.astype(int), 4)
        return self._put(knots[:, low] * (1 - at + low) + knots[:, low + 1] * (at - low))

    def _channel(self, count: int, s: Augmentation, rng: np.random.Generator) -> Tensor:
        """[B, BANDS], a factor."""
        decibels = self._curves(rng.uniform(0, s.equaliser_db, count), rng)
        bands = torch.arange(BANDS, device=self.device)[None]
        top = hz_to_mel(SAMPLE_RATE / 2) / (BANDS + 1)
        high, low = (
            self._put([hz_to_mel(hz) / top for hz in rng.uniform(*limits, count)])[:, None]
            for limits in ((2800, 7500), (20, 350))
        )
        slopes = np.where(rng.random(count) < s.band_limit, rng.uniform(4, 20, count), 0.0)
        past = (bands - high).clamp(min=0) + (low - bands).clamp(min=0)
        decibels = decibels - self._put(slopes)[:, None] * past
        return 10 ** (decibels.clamp(min=-80) / 10)

    def _babble(
        self, power: Tensor, lengths: Tensor, s: Augmentation, rng: np.random.Generator
    ) -> Tensor:
        """Another utterance of the batch, over and over, behind some."""
        count, total = power.shape[:2]
        level = self._level(power, self._mask(lengths, total))
        other = lengths.roll(1)[:, None].clamp(min=1)
        at = torch.arange(total, device=self.device)[None] % other
        speech = power.roll(1, 0).gather(1, at[..., None].expand(-1, -1, BANDS))
        loud = np.where(rng.random(count) < s.babble, 10 ** rng.uniform(-2.5, -0.8, count), 0.0)
        if count == 1:  # nobody else
            loud[:] = 0.0
        return speech * (self._put(loud)[:, None, None] * level / (level.roll(1, 0) + 1e-9))

    def _noise(self, count: int, total: int, rng: np.random.Generator) -> Tensor:
        tilts = self._put(rng.uniform(-25, 5, count))[:, None]
        slope = torch.linspace(0.0, 1.0, BANDS, device=self.device)
        shape = 10 ** ((self._curves(np.full(count, 8.0), rng) + tilts * slope) / 10)
        generator = torch.Generator(self.device).manual_seed(int(rng.integers(2**31)))
        # A band's power in a frame is a mean of a few exponential variables (chi-square noise).
        draws = torch.rand(3, count, total, BANDS, device=self.device, generator=generator)
        noise = -draws.clamp(min=1e-7).log().mean(0) * shape[:, None]
        knots = self._put(rng.uniform(0.0, 1.0, (count, 1, max(2, total // 60))))
        swell = F.interpolate(knots, size=total, mode="linear", align_corners=True)[:, 0, :, None]
        return noise * torch.where(self._chances(0.3, count, rng), swell, 1.0)

    def _gated(self, power: Tensor, lengths: Tensor, rng: np.random.Generator) -> Tensor:
        """A phone's noise suppression: what is near the noise floor is taken away."""
        count = len(power)
        floor = self._quantile(power, lengths, rng.uniform(0.1, 0.4, count), rng)
        floor = floor * self._put(rng.uniform(1.0, 4.0, count))[:, None]
        residue = self._put(10 ** rng.uniform(-3, -1, count))[:, None, None]
        return torch.maximum(power - floor[:, None], power * residue)

    @staticmethod
    def _normalised_log(power: Tensor) -> Tensor:
        """[B, T, BANDS], less each band's running mean."""
        logs = power.clamp(min=spec.FLOOR).log()
        total = torch.full(
            (len(logs), 1, BANDS),
            spec.PRIOR_FRAMES * spec.PRIOR_MEAN,
            device=power.device,
            dtype=torch.float64,
        )
        weight, normalised = spec.PRIOR_FRAMES, []
        for block in torch.split(logs.double(), _BLOCK, 1):
            steps = torch.arange(1, block.shape[1] + 1, device=power.device, dtype=torch.float64)
            growth = (spec.DECAY**-steps)[:, None]
            totals = (total + (block * growth).cumsum(1)) / growth
            left = spec.DECAY**steps
            weights = (weight * left + (1 - left) / (1 - spec.DECAY))[:, None]
            normalised.append(((block - totals / weights) * spec.SCALE).float())
            fading = spec.DECAY ** block.shape[1]
            total, weight = totals[:, -1:], weight * fading + (1 - fading) / (1 - spec.DECAY)
        return torch.cat(normalised, 1) if normalised else logs

    def _masked(
        self, features: Tensor, lengths: Tensor, s: Augmentation, rng: np.random.Generator
    ) -> Tensor:
        """SpecAugment's masks (Park et al. 2019)."""
        count, total = features.shape[:2]
        frames = torch.arange(total, device=self.device)[None]
        bands = torch.arange(BANDS, device=self.device)[None]
        heard = torch.ones(count, total, dtype=torch.bool, device=self.device)
        open_ = torch.ones(count, BANDS, dtype=torch.bool, device=self.device)
        for _ in range(s.time_masks):
            width = self._put(rng.integers(0, s.time_mask_frames, count), torch.long)
            room = (lengths - width).clamp(min=1)
            at = (self._put(rng.random(count)) * room).long()[:, None]
            heard &= (frames < at) | (frames >= at + width[:, None])
        for _ in range(s.band_masks):
            width = self._put(rng.integers(0, s.band_mask_bands, count), torch.long)
            at = (self._put(rng.random(count)) * (BANDS - width)).long()[:, None]
            open_ &= (bands < at) | (bands >= at + width[:, None])
        return features * (heard[..., None] & open_[:, None])
