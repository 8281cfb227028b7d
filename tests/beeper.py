"""A voice that is easy to learn."""

import numpy as np

from acoustic.corpus import SAMPLE_RATE


def beeps(labels: list[int]) -> np.ndarray:
    """A voice that says each phoneme as its own chord, 130 ms long."""
    t = np.arange(int(0.13 * SAMPLE_RATE)) / SAMPLE_RATE
    envelope = np.hanning(len(t))
    tones = [
        sum(np.sin(2 * np.pi * f * t) for f in (200 + 90 * x, 3800 - 70 * x)) * envelope
        for x in labels
    ]
    return (np.concatenate(tones) * 6000).astype("<i2")
