"""The features of NVIDIA NeMo's recognisers, as its ``AudioToMelSpectrogramPreprocessor`` has them.

Written from NeMo's own definition: pre-emphasis, Hann windows of 25 ms every 10 ms centred on their
time in 512 samples, power spectrum, 80 mel bands of equal area (Slaney's scale), logarithm, and
every band of the recording brought to mean 0 and standard deviation 1. No dither.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000
SHIFT = 160
BANDS = 80

_WINDOW, _FFT = 400, 512
_PREEMPHASIS = 0.97
_GUARD = 2.0**-24  # keeps the logarithm of silence finite
_LEAST_DEVIATION = 1e-5
# Slaney's scale: linear below 1 kHz, logarithmic above.
_LINEAR_HZ, _KNEE_HZ, _LOG_STEP = 200 / 3, 1000.0, np.log(6.4) / 27.0

Float = npt.NDArray[np.float32]


def _mel_to_hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    knee = _KNEE_HZ / _LINEAR_HZ
    above = _KNEE_HZ * np.exp(_LOG_STEP * np.maximum(mel - knee, 0.0))
    return np.where(mel < knee, mel * _LINEAR_HZ, above)


def mel_filters() -> Float:
    """Triangular filters [BANDS, 257] of equal area, from 0 to 8 kHz."""
    top = _KNEE_HZ / _LINEAR_HZ + np.log(SAMPLE_RATE / 2 / _KNEE_HZ) / _LOG_STEP
    edges = _mel_to_hz(np.linspace(0.0, top, BANDS + 2))
    bins = np.arange(_FFT // 2 + 1) * (SAMPLE_RATE / _FFT)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    area = 2.0 / (edges[2:] - edges[:-2])
    filters: Float = (np.maximum(0.0, np.minimum(rising, falling)) * area[:, None]).astype(
        np.float32
    )
    return filters


_FILTERS = mel_filters()
_HANN = np.pad(np.hanning(_WINDOW), (_FFT - _WINDOW) // 2).astype(np.float32)


def log_mel(samples: Float) -> Float:
    """Normalised features [BANDS, len(samples) // SHIFT] of audio at 16 kHz in [-1, 1].

    ValueError: too short for a standard deviation (less than two frames).
    """
    frames = len(samples) // SHIFT
    if frames < 2:
        raise ValueError(f"{len(samples)} samples are less than two frames")
    emphasised = np.append(samples[:1], samples[1:] - _PREEMPHASIS * samples[:-1])
    padded = np.pad(emphasised.astype(np.float32), _FFT // 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::SHIFT][:frames] * _HANN
    spectrum = np.fft.rfft(windows)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    logs = np.log(power @ _FILTERS.T + np.float32(_GUARD))
    centred = logs - logs.mean(axis=0)
    features: Float = (centred / (logs.std(axis=0, ddof=1) + _LEAST_DEVIATION)).astype(np.float32)
    return np.ascontiguousarray(features.T)
