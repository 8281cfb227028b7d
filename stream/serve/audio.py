"""The bytes that clients send, as audio of a stream: PCM, or Opus in WebM or Ogg."""

from __future__ import annotations

import asyncio
import queue
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

import av
import numpy as np
import numpy.typing as npt

from ..recognizer import RecognitionStream
from .limits import CloseCode, ConnectionEndedError

Samples = npt.NDArray[np.float32]

CONTAINER_RATE = 48_000  # what Opus always decodes to
LOWEST_RATE, HIGHEST_RATE = 8_000, 96_000
MOST_CHANNELS = 8

_PCM: dict[str, np.dtype[Any]] = {"s16le": np.dtype("<i2"), "f32le": np.dtype("<f4")}
ENCODINGS = (*_PCM, "container")

# Named rather than probed: among the formats that FFmpeg would find are some that open other files.
_CONTAINERS = {b"\x1aE\xdf\xa3": "matroska", b"OggS": "ogg"}
_CODECS = {"opus", "vorbis"}
_MAGIC_BYTES = 4
_PIECE_SECONDS = 0.25


class Pace:
    """How far a client's audio has run ahead of real time.

    Time in which it sends nothing is not saved up: a client that was silent may send only as much
    at once as any other.
    """

    def __init__(self, most: float, *, patient: bool = False) -> None:
        """`most` seconds ahead are allowed; a `patient` pace waits instead of raising."""
        self._most = most
        self._patient = patient
        self._ahead = 0.0
        self._at = asyncio.get_running_loop().time()

    async def spend(self, seconds: float) -> None:
        """Counts audio. Raises ConnectionEndedError where it comes too fast."""
        now = asyncio.get_running_loop().time()
        self._ahead = max(0.0, self._ahead - (now - self._at)) + seconds
        self._at = now
        if self._ahead <= self._most:
            return
        if not self._patient:
            raise ConnectionEndedError(
                CloseCode.TOO_FAST,
                f"more than {self._most:g} s of audio ahead of real time",
                "send audio as it is spoken",
            )
        await asyncio.sleep(self._ahead - self._most)


class AudioInput(ABC):
    """Takes a client's audio for one stream."""

    @abstractmethod
    async def write(self, data: bytes) -> None:
        """Takes bytes, however they are cut; returns when there is room for more.

        Raises ConnectionEndedError if they are no audio, or come too fast.
        """

    async def end(self) -> None:
        """Takes what is still held back. Raises like `write`."""
        return

    async def aclose(self) -> None:
        """Frees everything."""
        return


class PcmInput(AudioInput):
    """Interleaved samples."""

    def __init__(self, stream: RecognitionStream, pace: Pace, form: AudioFormat) -> None:
        self._stream = stream
        self._pace = pace
        self._type = _PCM[form.encoding]
        self._frame_bytes = self._type.itemsize * form.channels
        self._rate = form.sample_rate
        self._rest = b""  # the beginning of a frame

    async def write(self, data: bytes) -> None:
        data = self._rest + data
        whole = len(data) - len(data) % self._frame_bytes
        self._rest = data[whole:]
        if not whole:
            return
        await self._pace.spend(whole / self._frame_bytes / self._rate)
        await self._stream.feed(np.frombuffer(data[:whole], self._type))


class ContainerInput(AudioInput):
    """A WebM or Ogg file as it grows, such as a browser's MediaRecorder makes.

    FFmpeg reads files only by asking for more, so that it runs in a thread, which waits in `_read`
    whenever everything written has been decoded.
    """

    def __init__(self, stream: RecognitionStream, pace: Pace) -> None:
        self._stream = stream
        self._pace = pace
        self._loop = asyncio.get_running_loop()
        self._head = b""
        self._written: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._unread = memoryview(b"")
        self._ended = False  # the thread has read the end
        self._pieces: list[Samples] = []
        self._hungry = asyncio.Event()
        self._thread: ThreadPoolExecutor | None = None
        self._decoding: asyncio.Future[None] | None = None

    async def write(self, data: bytes) -> None:
        if self._decoding is None:
            self._head += data
            if len(self._head) < _MAGIC_BYTES:
                return
            data, self._head = self._head, b""
            form = _CONTAINERS.get(data[:_MAGIC_BYTES])
            if form is None:
                raise _bad_audio("the audio is neither WebM nor Ogg")
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="container")
            self._decoding = self._loop.run_in_executor(self._thread, self._decode, form)
            await self._consumed()
        if data:
            self._hungry.clear()
            self._written.put(data)
            await self._consumed()

    async def end(self) -> None:
        if self._decoding is None:
            if self._head:
                raise _bad_audio("the audio ended before it began")
            return
        self._written.put(b"")
        await self._decoding

    async def aclose(self) -> None:
        if self._decoding is not None and self._thread is not None:
            self._written.put(b"")
            await asyncio.wait([self._decoding])
            if not self._decoding.cancelled():
                self._decoding.exception()  # seen: whoever wrote was told
            self._thread.shutdown()

    async def _consumed(self) -> None:
        """Returns when the thread asks for more."""
        assert self._decoding is not None
        hungry = asyncio.ensure_future(self._hungry.wait())
        try:
            await asyncio.wait((self._decoding, hungry), return_when=asyncio.FIRST_COMPLETED)
        finally:
            hungry.cancel()
        if self._decoding.done():
            await self._decoding  # raises, or
            raise _bad_audio("there is more audio after the end of the file")

    # In the thread

    def _decode(self, form: str) -> None:
        try:
            # The header says all there is to know: FFmpeg need not look ahead to guess.
            options = {"probesize": "32", "analyzeduration": "0"}
            file = _File(self._read)
            with av.open(file, mode="r", format=form, options=options) as container:
                self._decode_track(container)
        except av.error.FFmpegError:
            raise _bad_audio("the audio cannot be decoded") from None

    def _decode_track(self, container: av.container.InputContainer) -> None:
        track = next(iter(container.streams.audio), None)
        if track is None or track.codec_context.name.removeprefix("lib") not in _CODECS:
            raise _bad_audio("the file holds no Opus or Vorbis")
        converter = av.AudioResampler("fltp", rate=CONTAINER_RATE)
        held = 0
        for packet in container.demux(track):
            for frame in packet.decode():
                for converted in converter.resample(frame):
                    self._pieces.append(converted.to_ndarray().mean(axis=0))
                    held += converted.samples
            if held >= _PIECE_SECONDS * CONTAINER_RATE:
                self._deliver()
                held = 0
        self._deliver()

    def _read(self, size: int) -> bytes:
        if not self._unread and not self._ended:
            self._deliver()
            self._loop.call_soon_threadsafe(self._hungry.set)
            self._unread = memoryview(self._written.get())
            self._ended = not self._unread
        piece, self._unread = self._unread[:size], self._unread[size:]
        return bytes(piece)

    def _deliver(self) -> None:
        if self._pieces:
            samples = np.concatenate(self._pieces)
            self._pieces.clear()
            asyncio.run_coroutine_threadsafe(self._take(samples), self._loop).result()

    async def _take(self, samples: Samples) -> None:
        await self._pace.spend(len(samples) / CONTAINER_RATE)
        await self._stream.feed(samples)


class _File:
    """What PyAV takes for a file that cannot be sought in."""

    def __init__(self, read: object) -> None:
        self.read = read


def _bad_audio(problem: str) -> ConnectionEndedError:
    return ConnectionEndedError(
        CloseCode.BAD_AUDIO, problem, "send Opus in WebM or Ogg, from the start of the file"
    )


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """What a client says it will send."""

    encoding: str
    sample_rate: int
    channels: int

    @classmethod
    def parse(cls, encoding: object, rate: object, channels: object) -> Self:
        """Checks what was said. Raises ConnectionEndedError for what cannot be."""
        if not isinstance(encoding, str) or encoding not in ENCODINGS:
            raise _bad_format("encoding", encoding, "one of " + ", ".join(ENCODINGS))
        if encoding == "container":
            return cls("container", CONTAINER_RATE, 1)  # whatever the file says
        if type(rate) is not int or not LOWEST_RATE <= rate <= HIGHEST_RATE:
            raise _bad_format("sample_rate", rate, f"an integer {LOWEST_RATE}-{HIGHEST_RATE}")
        if type(channels) is not int or not 1 <= channels <= MOST_CHANNELS:
            raise _bad_format("channels", channels, f"an integer 1-{MOST_CHANNELS}")
        return cls(encoding, rate, channels)

    def input(self, stream: RecognitionStream, pace: Pace) -> AudioInput:
        """What turns bytes of this format into the stream's audio."""
        if self.encoding == "container":
            return ContainerInput(stream, pace)
        return PcmInput(stream, pace, self)


def _bad_format(name: str, value: object, remedy: str) -> ConnectionEndedError:
    return ConnectionEndedError(
        CloseCode.BAD_AUDIO, f"{name} {str(value)[:20]!r}", f"give {remedy}"
    )
