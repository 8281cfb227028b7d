"""What a recorder hears of silence: for before and after speech that has none of its own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_LEVEL = 1e-4
_OPENING = 7680  # samples at 16 kHz


def hiss(samples: int) -> npt.NDArray[np.float32]:
    """So much of it, at 16 kHz. Digital silence is no recording's, and costs words."""
    return np.random.default_rng(0).normal(0, _LEVEL, samples).astype(np.float32)


def opening(hop: int) -> npt.NDArray[np.float32]:
    """What is heard before anything else, streaming or at once: half a second, in whole hops.

    Many a recording begins with speech at once, of which the network has heard little in training
    and takes some for something else.
    """
    return hiss(-(-_OPENING // hop) * hop)
