"""What came frame by frame and may still be needed: log-probs, or the audio that they are of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]

_SPARE = 1.5  # what is kept moves when an array is full that has room for so many times as much


class History:
    """Rows [frames, width] of one search by frame number; old frames can be forgotten.

    All are in one array. Block by block as they came they would lie among what is asked of the
    allocator for a moment, and a long stream's memory would grow by the holes that they leave.
    """

    def __init__(self, width: int) -> None:
        self._array = np.empty((0, width), np.float32)
        self._first = 0  # frame number of the first row that is kept
        self._from = self._to = 0  # where those that are kept lie

    @property
    def end(self) -> int:
        """Number of the frame that comes next."""
        return self._first + self._to - self._from

    def append(self, rows: Float) -> None:
        """The next frames."""
        if self._to + len(rows) > len(self._array):
            self._make_room(len(rows))
        self._array[self._to : self._to + len(rows)] = rows
        self._to += len(rows)

    def _make_room(self, count: int) -> None:
        """Moves what is kept to the front, of a larger array if this would soon be full again."""
        kept = self._array[self._from : self._to]
        needed = len(kept) + count
        if _SPARE * needed > len(self._array):
            self._array = np.empty((int(_SPARE**2 * needed), kept.shape[1]), np.float32)
        self._array[: len(kept)] = kept
        self._from, self._to = 0, len(kept)

    def between(self, start: int, end: int) -> Float:
        """A copy of frames ``start`` to ``end`` (exclusive), as far as they are kept."""
        return self._array[self._at(start) : self._at(end)].copy()

    def forget(self, frame: int) -> None:
        """Drop the frames before number ``frame``."""
        at = self._at(frame)
        self._first += at - self._from
        self._from = at

    def cut(self, frame: int) -> None:
        """Drop the frames from number ``frame`` on; that one comes next."""
        self._to = self._at(frame)
        self._first = frame - (self._to - self._from)

    def clear(self) -> None:
        """Frame numbers begin again at 0."""
        self._first = self._from = self._to = 0

    def _at(self, frame: int) -> int:
        """Where in the array a frame lies, or else the nearest end of what is kept."""
        return self._from + min(max(frame - self._first, 0), self._to - self._from)
