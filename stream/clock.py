"""From the decoder's frames to the seconds of the audio."""

from __future__ import annotations

from bisect import bisect_right


class FrameClock:
    """Maps frame numbers to audio seconds.

    Silence that the encoder skipped has no frames, so a frame's time is not its number times the
    frame shift: the clock keeps, for each unbroken stretch of frames, the second it began at. Nor
    is it the time of the sound that the frame tells of, which is `delay` seconds before it, though
    not before the stretch.
    """

    def __init__(self, frame_shift: float, delay: float = 0.0) -> None:
        self._shift = frame_shift
        self._delay = delay
        self._frames = 0
        self._stretches: list[int] = []  # first frame of each
        self._times: list[float] = []  # second it begins at

    @property
    def shift(self) -> float:
        """Seconds from frame to frame."""
        return self._shift

    @property
    def frames(self) -> int:
        """Frames mapped so far."""
        return self._frames

    def reset(self) -> None:
        """Frame numbers begin again at 0."""
        self._frames = 0
        self._stretches.clear()
        self._times.clear()

    def add(self, frames: int, start: float) -> None:
        """The next `frames` frames cover the audio from second `start` on."""
        if not self._frames or abs(self._heard(self._frames) - start) > self._shift / 2:
            self._stretches.append(self._frames)
            self._times.append(start)
        self._frames += frames

    def start(self, frame: int) -> float:
        """The second at which the sound begins that frame number `frame` tells of."""
        stretch = self._stretch(frame)
        since = (frame - self._stretches[stretch]) * self._shift
        return self._times[stretch] + max(since - self._delay, 0.0)

    def end(self, frame: int) -> float:
        """The second at which the sound of the frame before number `frame` ends (exclusive)."""
        return self.start(frame - 1) + self._shift

    def at(self, frame: float) -> float:
        """The second of a place between the beginnings of two frames, or after the last one's."""
        whole = min(int(frame), self._frames - 1)
        return self.start(whole) + (frame - whole) * self._shift

    def _stretch(self, frame: int) -> int:
        return max(bisect_right(self._stretches, frame) - 1, 0)

    def _heard(self, frame: int) -> float:
        """The second until which the frames before number `frame` hold audio."""
        stretch = self._stretch(frame - 1)
        return self._times[stretch] + (frame - self._stretches[stretch]) * self._shift
