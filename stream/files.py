"""Decoding of audio files: any container and codec that FFmpeg (through PyAV) reads."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import av
import numpy as np

from .audio import AudioBlock, Notice, Samples
from .errors import AudioNotFoundError, EmptyAudioError, UnreadableAudioError

# Decoders hand out 20-60 ms at a time; blocks of a tenth of a second cost less to pass on.
_BLOCK_SECONDS = 0.1
# How much less than its header declares a file may hold before we call it cut. Durations of
# compressed files are estimates and include the codec's padding.
_SHORTFALL_SECONDS, _SHORTFALL_FRACTION = 0.5, 0.02


def decode_file(path: Path) -> Generator[AudioBlock | Notice, None, None]:
    """Decodes a file's first audio track from beginning to end, holding little of it in memory.

    Channels are averaged to mono, all but those for low effects; the file's sample rate stays.
    Damage inside the file is skipped and noticed.

    Raises AudioNotFoundError, EmptyAudioError or UnreadableAudioError.
    """
    _check_is_file(path)
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            yield from _decode(path, container)
    except OSError as error:
        raise AudioNotFoundError(
            f"cannot read {path} ({error.strerror})", "check that the disk and the rights allow it"
        ) from error
    except av.error.FFmpegError as error:
        raise UnreadableAudioError(
            f"{path} holds no audio that can be decoded",
            "check that it is a recording and complete (an m4a or mp4 that was cut short cannot "
            "be read at all); `ffprobe` tells more",
        ) from error


def _check_is_file(path: Path) -> None:
    if not path.exists():
        raise AudioNotFoundError(f"there is no file {path}", "check the path")
    if not path.is_file():
        raise AudioNotFoundError(f"{path} is not a file", "give the path of a recording")
    if path.stat().st_size == 0:
        raise EmptyAudioError(f"{path} is empty (0 bytes)", "record or copy it again")


def _decode(path: Path, container: av.container.InputContainer) -> Iterator[AudioBlock | Notice]:
    if not container.streams.audio:
        raise UnreadableAudioError(f"{path} has no audio track", "give a file that has one")
    stream = container.streams.audio[0]
    blocks = _Blocks()
    damaged = 0
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            damaged += 1
            continue
        for frame in frames:
            yield from blocks.add(frame)
    yield from blocks.rest()
    if blocks.seconds == 0:
        raise EmptyAudioError(f"{path} holds no samples", "record or copy it again")
    if damaged:
        yield Notice(
            "damaged", f"{damaged} damaged packet(s) of {path.name} were skipped: copy it again"
        )
    declared = _declared_seconds(path, container, stream)
    if blocks.seconds < declared * (1 - _SHORTFALL_FRACTION) - _SHORTFALL_SECONDS:
        yield Notice(
            "cut_short",
            f"{path.name} declares {declared:.1f} s but ends after {blocks.seconds:.1f} s: "
            "it was cut; copy it again to recognise the rest",
        )


class _Blocks:
    """Collects decoded frames into mono blocks; a change of rate or layout inside is followed."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._converter: av.AudioResampler | None = None
        self._full_range: list[int] = []
        self._format: tuple[int, str, str] | None = None
        self._rate = 0
        self._pieces: list[Samples] = []
        self._held = 0

    def add(self, frame: av.AudioFrame) -> Iterator[AudioBlock]:
        form = (frame.sample_rate, frame.layout.name, frame.format.name)
        if form != self._format:
            yield from self.rest()
            self._format, self._rate = form, frame.sample_rate
            # Converts the samples' type only: FFmpeg's own mixing to mono adds gain.
            self._converter = av.AudioResampler("fltp", frame.layout, frame.sample_rate)
            names = [channel.name for channel in frame.layout.channels]
            self._full_range = [i for i, name in enumerate(names) if "LFE" not in name]
        assert self._converter is not None
        self._take(self._converter.resample(frame))
        if self._held >= _BLOCK_SECONDS * self._rate:
            yield self._block()

    def rest(self) -> Iterator[AudioBlock]:
        if self._converter is not None:
            self._take(self._converter.resample(None))
        if self._held:
            yield self._block()

    def _take(self, frames: list[av.AudioFrame]) -> None:
        for frame in frames:
            self._pieces.append(frame.to_ndarray()[self._full_range].mean(axis=0))
            self._held += frame.samples

    def _block(self) -> AudioBlock:
        block = AudioBlock(np.concatenate(self._pieces), self._rate)
        self._pieces, self._held = [], 0
        self.seconds += block.seconds
        return block


def _declared_seconds(
    path: Path, container: av.container.InputContainer, stream: av.AudioStream
) -> float:
    """What the file's header says it lasts; 0 where it does not say."""
    declared = float(container.duration or 0) / av.time_base
    if container.format.name == "wav" and declared:
        # FFmpeg trims a WAV's duration to what is there, so ask the header itself.
        with path.open("rb") as file:
            head = file.read(8)
        size, actual = int.from_bytes(head[4:8], "little") + 8, path.stat().st_size
        if head[:4] == b"RIFF" and size < 2**32 - 1:
            declared *= max(1.0, size / actual)
    return declared
