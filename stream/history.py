"""What came frame by frame and may still be needed: log-probs, or the audio that they are of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]


class History:
    """Rows [frames, width] of one search by frame number; old frames can be forgotten."""

    def __init__(self) -> None:
        self._blocks: list[Float] = []
        self._first = 0  # frame number of the first block's first row

    @property
    def end(self) -> int:
        """Number of the frame that comes next."""
        return self._first + sum(len(block) for block in self._blocks)

    def append(self, rows: Float) -> None:
        """The next frames."""
        if len(rows):
            self._blocks.append(rows)

    def between(self, start: int, end: int) -> Float:
        """Frames ``start`` to ``end`` (exclusive), as far as they are kept."""
        first, parts = self._first, []
        for block in self._blocks:
            low, high = max(start - first, 0), min(end - first, len(block))
            if low < high:
                parts.append(block[low:high])
            first += len(block)
        return np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)

    def forget(self, frame: int) -> None:
        """Drop whole blocks before ``frame``."""
        while self._blocks and self._first + len(self._blocks[0]) <= frame:
            self._first += len(self._blocks.pop(0))

    def cut(self, frame: int) -> None:
        """Drop the frames from number ``frame`` on; that one comes next."""
        kept = self.between(self._first, frame)
        self._first = frame - len(kept)
        self._blocks = [kept] if len(kept) else []

    def clear(self) -> None:
        """Frame numbers begin again at 0."""
        self._blocks.clear()
        self._first = 0
