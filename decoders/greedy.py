"""The best symbol of every frame, collapsed as CTC collapses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def greedy(log_probs: NDArray[np.float32]) -> list[int]:
    """Symbol ids of the best frame-wise path of ``log_probs`` [T, symbols], without blanks (0)."""
    best = log_probs.argmax(axis=1)
    changed = np.diff(best, prepend=-1) != 0
    return [int(i) for i in best[changed & (best > 0)]]
