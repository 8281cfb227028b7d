"""The features of NVIDIA NeMo's recognisers, as its ``AudioToMelSpectrogramPreprocessor`` has them.

Written from NeMo's own definition: pre-emphasis, Hann windows of 25 ms every 10 ms centred on their
time in 512 samples, power spectrum, 80 mel bands of equal area (Slaney's scale), logarithm, and
every band of the recording brought to mean 0 and standard deviation 1. No dither.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from acoustic.mel import FFT, slaney_filters

SHIFT = 160

_WINDOW = 400
_PREEMPHASIS = 0.97
_GUARD = 2.0**-24  # keeps the logarithm of silence finite
_LEAST_DEVIATION = 1e-5

Float = npt.NDArray[np.float32]


_FILTERS = slaney_filters()
_HANN = np.pad(np.hanning(_WINDOW), (FFT - _WINDOW) // 2).astype(np.float32)


def log_mel(samples: Float) -> Float:
    """Normalised features [BANDS, len(samples) // SHIFT] of audio at 16 kHz in [-1, 1].

    ValueError: too short for a standard deviation (less than two frames).
    """
    frames = len(samples) // SHIFT
    if frames < 2:
        raise ValueError(f"{len(samples)} samples are less than two frames")
    emphasised = np.append(samples[:1], samples[1:] - _PREEMPHASIS * samples[:-1])
    padded = np.pad(emphasised.astype(np.float32), FFT // 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, FFT)[::SHIFT][:frames] * _HANN
    spectrum = np.fft.rfft(windows)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    logs = np.log(power @ _FILTERS.T + np.float32(_GUARD))
    centred = logs - logs.mean(axis=0)
    features: Float = (centred / (logs.std(axis=0, ddof=1) + _LEAST_DEVIATION)).astype(np.float32)
    return np.ascontiguousarray(features.T)
