"""Mel filterbanks: 80 triangular bands from 0 to 8 kHz, for spectra of audio at 16 kHz.

``warp`` > 1 reads each band from frequencies that much lower, which moves pitch and formants up by
that factor without changing tempo (vocal tract length perturbation, Jaitly & Hinton 2013). ``fft``
is the number of points of the spectra; filters are [BANDS, fft // 2 + 1].
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000
FFT = 512
BANDS = 80

# Slaney's scale: linear below 1 kHz, logarithmic above.
_LINEAR_HZ, _KNEE_HZ, _LOG_STEP = 200 / 3, 1000.0, np.log(6.4) / 27.0

Float = npt.NDArray[np.float32]
Double = npt.NDArray[np.float64]


def hz_to_mel(hz: float) -> float:
    """HTK mel scale."""
    return float(2595.0 * np.log10(1.0 + hz / 700.0))


def htk_filters(warp: float = 1.0, fft: int = FFT) -> Float:
    """Bands as HTK has them, all of height 1."""
    mels = np.linspace(hz_to_mel(0.0), hz_to_mel(SAMPLE_RATE / 2), BANDS + 2)
    return _triangles(700.0 * (10.0 ** (mels / 2595.0) - 1.0) / warp, fft).astype(np.float32)


def slaney_filters(warp: float = 1.0, fft: int = FFT) -> Float:
    """Bands as in Slaney's Auditory Toolbox and librosa, all of the same area."""
    knee = _KNEE_HZ / _LINEAR_HZ
    mels = np.linspace(0.0, knee + np.log(SAMPLE_RATE / 2 / _KNEE_HZ) / _LOG_STEP, BANDS + 2)
    above = _KNEE_HZ * np.exp(_LOG_STEP * np.maximum(mels - knee, 0.0))
    edges = np.where(mels < knee, mels * _LINEAR_HZ, above)
    area = 2.0 / (edges[2:] - edges[:-2])
    filters: Float = (_triangles(edges / warp, fft) * area[:, None]).astype(np.float32)
    return filters


def _triangles(edges: Double, fft: int) -> Double:
    """Filters of height 1, each from one of the ``edges`` (Hz) to the next but one."""
    bins = np.arange(fft // 2 + 1) * (SAMPLE_RATE / fft)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    triangles: Double = np.maximum(0.0, np.minimum(rising, falling))
    return triangles
