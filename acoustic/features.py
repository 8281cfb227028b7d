"""Log-mel features: the one specification, and its streaming numpy back-end.

Audio is 16 kHz mono float32 in [-1, 1]. Frame ``t`` is a Hann-windowed 25 ms stretch that ends at
sample ``160 (t + 1)`` (10 ms shift, zeros before the start), so N samples give N // 160 frames and
nothing ahead of a frame is needed. Its power spectrum (512-point FFT) goes through 80 triangular
mel filters (HTK scale, 0-8 kHz), then the natural logarithm, floored.

Recordings differ by tens of dB per band, so each band has its running mean taken away: an
exponential average with a time constant of 3 s that starts from a prior worth 0.3 s. It is causal,
and the same in training (`acoustic.features_torch`) and here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from acoustic.mel import BANDS, FFT, SAMPLE_RATE, htk_filters

WINDOW = 400
SHIFT = 160
FLOOR = 1e-6
DECAY = float(np.exp(-SHIFT / (3.0 * SAMPLE_RATE)))
PRIOR_FRAMES = 30.0
PRIOR_MEAN = -4.0
SCALE = 1 / 3.0
_BLOCK = 48  # frames taken at once; bounds the growth of DECAY**-n, and the memory

Float = npt.NDArray[np.float32]


_HANN = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
_FILTERS = htk_filters()


@dataclass(slots=True)
class FeatureState:
    """What the next frames depend on: the last samples, and the running mean of each band."""

    tail: Float = field(default_factory=lambda: np.zeros(WINDOW - SHIFT, np.float32))
    total: npt.NDArray[np.float64] = field(
        default_factory=lambda: np.full(BANDS, PRIOR_FRAMES * PRIOR_MEAN)
    )
    weight: float = PRIOR_FRAMES


def log_mel(samples: Float, state: FeatureState) -> Float:
    """Features [len(samples) // SHIFT, BANDS] of the samples that follow ``state``, which advances.

    Raises ``ValueError`` when ``samples`` is not a whole number of shifts.
    """
    if len(samples) % SHIFT:
        raise ValueError(f"{len(samples)} samples are not a multiple of the {SHIFT}-sample shift")
    joined = np.concatenate([state.tail, samples.astype(np.float32, copy=False)])
    state.tail = joined[-(WINDOW - SHIFT) :].copy()
    if not len(samples):
        return np.zeros((0, BANDS), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(joined, WINDOW)[::SHIFT]
    return np.concatenate(
        [
            _normalise(_log_power(frames[i : i + _BLOCK]), state)
            for i in range(0, len(frames), _BLOCK)
        ]
    )


def _log_power(frames: Float) -> Float:
    """The logarithms [T, BANDS] of what the filters let through of ``frames`` [T, WINDOW]."""
    spectrum = np.fft.rfft(frames * _HANN, FFT)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    logs: Float = np.log(np.maximum(power @ _FILTERS.T, FLOOR))
    return logs


def _normalise(logs: Float, state: FeatureState) -> Float:
    steps = np.arange(1, len(logs) + 1)
    growth = DECAY ** -steps.astype(np.float64)
    totals = (state.total + np.cumsum(logs * growth[:, None], axis=0)) / growth[:, None]
    weights = (state.weight + np.cumsum(growth)) / growth
    state.total, state.weight = totals[-1], float(weights[-1])
    normalised: Float = ((logs - totals / weights[:, None]) * SCALE).astype(np.float32)
    return normalised
