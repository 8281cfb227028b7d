"""The audio that may be heard again, once it is over."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from acoustic.quiet import hiss

from .audio import SAMPLE_RATE, Samples
from .history import Float, History


class Rehearing:
    """Keeps the last ``seconds`` of what the encoder was given, by the numbers of its frames.

    ``whole`` makes log-probs of audio that is heard at once; its frames have ``shift`` seconds and
    tell of sounds ``delay`` seconds before them.
    """

    def __init__(
        self, whole: Callable[[Samples], Float], shift: float, delay: float, seconds: float
    ) -> None:
        self._whole = whole
        self._frame = round(shift * SAMPLE_RATE)
        self._before = math.ceil(delay / shift)
        self._kept = math.ceil(seconds / shift) + self._before
        self._audio = History(self._frame)  # a row holds the samples of a frame

    def open(self, frame: int) -> None:
        """What follows is another stretch of audio, whose frames count from ``frame``."""
        self._audio.cut(frame)

    def add(self, samples: Samples) -> None:
        """What the encoder takes next: whole frames, but for the last of a stretch."""
        padded = np.pad(samples, (0, -len(samples) % self._frame))
        self._audio.append(padded.reshape(-1, self._frame))
        self._audio.forget(self._audio.end - self._kept)

    def clear(self) -> None:
        """Frame numbers begin again at 0."""
        self._audio.clear()

    def hear(self, start: int, end: int, silent: float = 0.0) -> Float:
        """Log-probs [frames, symbols] of the frames ``start`` to ``end`` (exclusive), as far as
        they are kept, heard at once.

        The sounds that the first of them tell of came before them, and are heard with them. Of the
        last ``silent`` seconds nothing is heard: a room's noise would be part of the statistics.
        """
        before = self._audio.between(max(0, start - self._before), start)
        frames = self._audio.between(start, end)
        if not len(frames):
            return frames
        samples = np.concatenate([*before, *frames])
        noise = samples[len(samples) - min(round(silent * SAMPLE_RATE), len(samples)) :]
        noise[:] = hiss(len(noise))
        return self._whole(samples)[-len(frames) :]
