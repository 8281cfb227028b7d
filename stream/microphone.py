"""The microphone, through PortAudio."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .audio import AudioBlock, Notice
from .errors import DeviceLostError, NoInputDeviceError, PortAudioMissingError
from .sources import run_blocking

_BUFFER_SECONDS = 30.0  # of audio that a busy program may leave unread before some is lost
_LOST_SECONDS = 2.0  # without any audio: the device is gone (a silent one delivers zeros)
_CLOSE_SECONDS = 3.0  # for closing a device: it takes milliseconds


@dataclass(frozen=True, slots=True)
class InputDevice:
    """A device one can record from; `number` is what `--device` and MicrophoneSource take."""

    number: int
    name: str
    channels: int
    sample_rate: int
    default: bool


def input_devices() -> list[InputDevice]:
    """All input devices. Raises PortAudioMissingError."""
    sounddevice = _portaudio()
    default = sounddevice.default.device[0]
    return [
        InputDevice(
            number=number,
            name=str(device["name"]),
            channels=int(device["max_input_channels"]),
            sample_rate=round(device["default_samplerate"]),
            default=number == default,
        )
        for number, device in enumerate(sounddevice.query_devices())
        if device["max_input_channels"] > 0
    ]


def find_device(wanted: int | str | None) -> InputDevice:
    """The default device (None), a device by number, or the first whose name contains `wanted`.

    Raises PortAudioMissingError or NoInputDeviceError.
    """
    devices = input_devices()
    if not devices:
        raise NoInputDeviceError(
            "there is no microphone",
            "plug one in, or allow this user to use it (on Linux the group `audio`, "
            "or a running PulseAudio or PipeWire with its ALSA plugin)",
        )
    if wanted is None:
        return next((device for device in devices if device.default), devices[0])
    for device in devices:
        if device.number == wanted:
            return device
        if isinstance(wanted, str) and wanted.lower() in device.name.lower():
            return device
    known = "; ".join(f"{device.number} {device.name}" for device in devices)
    raise NoInputDeviceError(f"there is no input device {wanted!r}", f"choose one of: {known}")


class MicrophoneSource:
    """A microphone as a source of audio. Ends by `stop`, or by an error; to be iterated once.

    Iterating raises PortAudioMissingError, NoInputDeviceError, or DeviceLostError once no audio
    arrives any more.
    """

    def __init__(self, device: int | str | None = None) -> None:
        self._wanted = device
        self._blocks: deque[AudioBlock] = deque()
        self._buffered = 0.0
        self._lost = 0.0
        self._arrived = asyncio.Event()
        self._stopped = self._gone = False
        self._recording: Any = None

    def stop(self) -> None:
        """Ends the recording: what was heard until now is still delivered."""
        self._stopped = True
        self._arrived.set()

    async def __aiter__(self) -> AsyncIterator[AudioBlock | Notice]:
        with ThreadPoolExecutor(1, thread_name_prefix="microphone") as executor:
            loop = asyncio.get_running_loop()
            device = await run_blocking(executor, find_device, self._wanted)
            try:
                await run_blocking(executor, self._open, device, loop)
                async for item in self._items(device):
                    yield item
            finally:
                # Opened or not: being cancelled while opening leaves a device to close as well.
                await run_blocking(executor, self._close)

    async def _items(self, device: InputDevice) -> AsyncIterator[AudioBlock | Notice]:
        while True:
            self._arrived.clear()
            while self._blocks:
                block = self._blocks.popleft()
                self._buffered -= block.seconds
                yield block
            if self._lost:
                lost, self._lost = self._lost, 0.0
                yield Notice(
                    "audio_lost",
                    f"about {lost:.1f} s from the microphone were lost because the program was "
                    "busy: close other programs, or read the events faster",
                )
            if self._stopped:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), _LOST_SECONDS)
            if self._gone or not self._arrived.is_set():
                raise DeviceLostError(
                    f"the microphone {device.name} stopped delivering audio",
                    "plug it in again (or restart the sound server) and start again",
                )

    def _open(self, device: InputDevice, loop: asyncio.AbstractEventLoop) -> None:
        sounddevice = _portaudio()

        def tell(what: Callable[..., None], *arguments: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has closed meanwhile
                loop.call_soon_threadsafe(what, *arguments)

        def callback(data: npt.NDArray[np.float32], frames: int, when: Any, status: Any) -> None:
            tell(self._take, AudioBlock(data[:, 0].copy(), device.sample_rate))
            if status.input_overflow:
                tell(self._lose, frames / device.sample_rate)

        try:
            self._recording = sounddevice.InputStream(
                device=device.number,
                samplerate=device.sample_rate,
                channels=1,
                dtype="float32",
                callback=callback,
                finished_callback=lambda: tell(self._finish),
            )
            self._recording.start()
        except sounddevice.PortAudioError as error:
            raise NoInputDeviceError(
                f"the microphone {device.name} cannot be opened ({error})",
                "close the program that uses it, or choose another device",
            ) from error

    def _close(self) -> None:
        if self._recording is not None:
            # PortAudio waits for its own thread, which a device that has gone may hold for ever.
            closing = threading.Thread(target=self._recording.close, daemon=True)
            closing.start()
            closing.join(_CLOSE_SECONDS)

    def _take(self, block: AudioBlock) -> None:
        if self._buffered > _BUFFER_SECONDS:
            self._lose(block.seconds)
        else:
            self._blocks.append(block)
            self._buffered += block.seconds
        self._arrived.set()

    def _lose(self, seconds: float) -> None:
        self._lost += seconds

    def _finish(self) -> None:
        self._gone = True
        self._arrived.set()


def _portaudio() -> Any:
    try:
        import sounddevice
    except OSError as error:
        raise PortAudioMissingError(
            "the PortAudio library is not installed",
            "install it (Debian, Ubuntu: `sudo apt-get install libportaudio2`; "
            "Fedora: `sudo dnf install portaudio`)",
        ) from error
    return sounddevice
