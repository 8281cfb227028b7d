"""What a recorder hears of silence, for before and after speech that has none of its own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from acoustic.mel import SAMPLE_RATE

_LEVEL = 1e-4

STREAM_OPENING = 0.48
"""Seconds of quiet that a stream has heard before its first sample. Many a recording begins with
speech at once, of which training has little."""
WHOLE_OPENING = 1.0
"""The same before what is heard at once: longer, since the network is surer of it then."""


def hiss(samples: int) -> npt.NDArray[np.float32]:
    """So much of it, at 16 kHz. Digital silence is no recording's, and costs words."""
    return np.random.default_rng(0).normal(0, _LEVEL, samples).astype(np.float32)


def opening(seconds: float, unit: int) -> npt.NDArray[np.float32]:
    """At least so many ``seconds`` of it, in whole units of so many samples."""
    return hiss(-(-round(seconds * SAMPLE_RATE) // unit) * unit)
