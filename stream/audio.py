"""PCM in whatever form it arrives, made the one form the engine hears: mono float32, 16 kHz."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soxr

from .errors import UnsupportedAudioError

SAMPLE_RATE = 16_000

# Recitation carries most of its consonants above 4 kHz: telephone audio is heard, but less well.
_NARROW_BAND_RATE = 16_000
_LOWEST_RATE, _HIGHEST_RATE = 4_000, 768_000
# Samples in [-1, 1] may overshoot a little after decoding or resampling; 8 means another scale.
_LOUDEST_FLOAT = 8.0

Samples = npt.NDArray[np.float32]
Pcm = bytes | bytearray | memoryview | npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class AudioBlock:
    """Mono samples, float32 [n] in [-1, 1], at `sample_rate` per second."""

    samples: Samples
    sample_rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a user should know about the audio: becomes a `warning` event.

    `at` is where, in seconds of the audio that this came with (a source's own notice: None).
    """

    code: str
    message: str
    at: float | None = None


def check_sample_rate(sample_rate: int) -> None:
    """Raises UnsupportedAudioError for a rate that no recording of a voice has."""
    if not _LOWEST_RATE <= sample_rate <= _HIGHEST_RATE:
        raise UnsupportedAudioError(
            f"a sample rate of {sample_rate} Hz",
            f"give the rate in samples per second, from {_LOWEST_RATE} to {_HIGHEST_RATE}",
        )


def block_from_pcm(pcm: Pcm, sample_rate: int, channels: int) -> AudioBlock:
    """A copy of pushed audio as a mono block.

    `pcm` is bytes of interleaved little-endian 16-bit samples, or an array of int16, int32 or
    floats in [-1, 1], of shape [n * channels] (interleaved) or [n, channels].

    Raises UnsupportedAudioError for any other type or shape.
    """
    if isinstance(pcm, bytes | bytearray | memoryview):
        if len(pcm) % (2 * channels):
            raise UnsupportedAudioError(
                f"{len(pcm)} bytes are no whole number of 16-bit frames of {channels} channel(s)",
                "push whole frames, or say how many channels there are with stream(channels=...)",
            )
        array: npt.NDArray[np.generic] = np.frombuffer(pcm, dtype="<i2")
    else:
        array = np.asarray(pcm)
    if array.ndim == 1 and len(array) % channels == 0:
        array = array.reshape(-1, channels)
    if array.ndim != 2 or array.shape[1] != channels:
        raise UnsupportedAudioError(
            f"an array of shape {array.shape} for {channels} channel(s)",
            "push shape [n] or [n, channels], or say how many with stream(channels=...)",
        )
    return AudioBlock(_scaled(array).mean(axis=1, dtype=np.float32), sample_rate)


def _scaled(array: npt.NDArray[np.generic]) -> Samples:
    if array.dtype == np.int16:
        return array.astype(np.float32) / np.float32(2**15)
    if array.dtype == np.int32:
        return (array.astype(np.float64) / 2**31).astype(np.float32)
    if np.issubdtype(array.dtype, np.floating):
        with np.errstate(over="ignore"):  # beyond float32 is infinite, and reported as such later
            return array.astype(np.float32)
    raise UnsupportedAudioError(
        f"samples of type {array.dtype}", "push int16, int32 or floats in [-1, 1]"
    )


class Intake:
    """Resamples one stream's blocks to 16 kHz and notices what is wrong with them.

    Neither the output nor the notices depend on how the audio is cut into blocks, to the bit.
    """

    def __init__(self) -> None:
        self._before = 0.0  # seconds of audio at other rates, before
        self._frames = 0  # at this rate
        self._rate: int | None = None
        self._resampler: soxr.ResampleStream | None = None
        self._noticed: set[str] = set()

    @property
    def seconds(self) -> float:
        """Audio taken so far. Counted in frames: sums of seconds would depend on the blocks."""
        return self._before + (self._frames / self._rate if self._rate else 0.0)

    def convert(self, block: AudioBlock) -> tuple[Samples, list[Notice]]:
        """Samples [m] at 16 kHz that are ready now (the resampler holds back about 30 ms)."""
        notices: list[Notice] = []
        pieces: list[Samples] = []
        if block.sample_rate != self._rate:
            pieces.append(self.drain())
            notices += self._open(block.sample_rate)
        samples = block.samples
        finite = np.isfinite(samples)
        if not finite.all():
            notices += self._notice(
                "not_finite",
                "the audio holds NaN or infinite samples, heard as silence: "
                "look for a division by zero or uninitialised memory where it was made",
                int(finite.argmin()),
            )
            samples = np.where(finite, samples, np.float32(0))
        outside = np.abs(samples) > _LOUDEST_FLOAT
        if outside.any():
            notices += self._notice(
                "out_of_scale",
                "floating-point samples far outside [-1, 1]: "
                "if they were made from 16-bit integers, divide them by 32768",
                int(outside.argmax()),
            )
        self._frames += len(samples)
        pieces.append(samples if self._resampler is None else self._resample(samples))
        return np.concatenate(pieces), notices

    def drain(self) -> Samples:
        """The samples still held back, because the audio ends or breaks here."""
        tail = np.zeros(0, np.float32)
        if self._resampler is not None:
            tail = self._resample(tail, last=True)
        self._before, self._frames = self.seconds, 0
        self._rate = self._resampler = None
        return tail

    def _open(self, rate: int) -> list[Notice]:
        self._rate = rate
        if rate != SAMPLE_RATE:
            self._resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")
        if rate >= _NARROW_BAND_RATE:
            return []
        return self._notice(
            "narrow_band",
            f"the audio has {rate} samples per second, so nothing above {rate / 2000:g} kHz: "
            "expect more errors; record at 16000 or more",
            0,
        )

    def _resample(self, samples: Samples, last: bool = False) -> Samples:
        assert self._resampler is not None
        resampled: Samples = self._resampler.resample_chunk(samples, last=last)
        return resampled

    def _notice(self, code: str, message: str, index: int) -> list[Notice]:
        """The notice, once per stream; `index` is the sample of the present block."""
        if code in self._noticed:
            return []
        self._noticed.add(code)
        assert self._rate is not None
        return [Notice(code, message, self.seconds + index / self._rate)]
