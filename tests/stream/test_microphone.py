"""The microphone for real: PulseAudio plays into a sink whose monitor is the microphone."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes.util
import json
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.text import Text

from stream import (
    AudioBlock,
    DeviceLostError,
    Ended,
    Final,
    MicrophoneSource,
    NoInputDeviceError,
    PortAudioMissingError,
    input_devices,
)
from stream.arabic import Typesetter
from stream.audio import Intake
from stream.files import decode_file
from stream.mic import main

SAMPLE = Path(__file__).parents[2] / "examples" / "al-fatiha.opus"
FATIHA = [(1, ayah) for ayah in range(1, 8)]


@dataclass(frozen=True)
class VirtualMicrophone:
    """A PulseAudio server of our own, with one null sink."""

    environment: dict[str, str]

    def control(self, *arguments: str) -> str:
        return subprocess.run(
            ["pactl", *arguments],
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=20,
        ).stdout

    def wait_until_recorded(self) -> None:
        """Until some program records from it."""
        while not self.control("list", "short", "source-outputs"):
            time.sleep(0.1)

    def play(self, audio: np.ndarray, rate: int = 16_000) -> None:
        """Plays to the end."""
        with tempfile.NamedTemporaryFile(suffix=".wav") as named:
            with wave.open(named.name, "wb") as file:
                file.setparams((1, 2, rate, 0, "NONE", ""))
                file.writeframes((audio * 32767).astype("<i2").tobytes())
            subprocess.run(
                ["paplay", named.name],
                env=self.environment,
                check=True,
                timeout=len(audio) / rate + 20,
            )

    @contextlib.contextmanager
    def demo(self, *arguments: str, **options) -> Iterator[subprocess.Popen[str]]:
        """The demonstration, once it listens; it does not outlive the block."""
        options = {"stdout": subprocess.PIPE, **options}
        with subprocess.Popen(
            [sys.executable, "-m", "stream.mic", "--device", "pulse", *arguments],
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        ) as demo:
            try:
                assert demo.stderr is not None
                said = []
                while said[-1:] != ["mic: listening to pulse\n"]:
                    said.append(demo.stderr.readline())
                    assert said[-1], f"it ended: {said}"
                yield demo
            finally:
                demo.kill()


@pytest.fixture
def microphone(monkeypatch: pytest.MonkeyPatch) -> Iterator[VirtualMicrophone]:
    with tempfile.TemporaryDirectory(prefix="pulse") as name:  # socket paths must be short
        folder = Path(name)
        socket = folder / "native"
        environment = {
            **os.environ,
            "HOME": name,
            "XDG_RUNTIME_DIR": name,
            "PULSE_RUNTIME_PATH": name,
            "PULSE_SERVER": f"unix:{socket}",
        }
        (folder / "setup.pa").write_text(
            f"load-module module-native-protocol-unix auth-anonymous=1 socket={socket}\n"
            "load-module module-null-sink sink_name=room rate=48000\n"
            "set-default-sink room\nset-default-source room.monitor\n"
        )
        server = subprocess.Popen(
            ["pulseaudio", "-n", "-F", str(folder / "setup.pa"), "--daemonize=no"]
            + ["--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm=yes"],
            env={k: v for k, v in environment.items() if k != "PULSE_SERVER"},
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_for(socket, server)
            for variable in ("HOME", "XDG_RUNTIME_DIR", "PULSE_RUNTIME_PATH", "PULSE_SERVER"):
                monkeypatch.setenv(variable, environment[variable])
            yield VirtualMicrophone(environment)
        finally:
            server.terminate()
            server.wait(20)


def _wait_for(socket: Path, server: subprocess.Popen) -> None:
    for _ in range(200):
        if socket.exists():
            return
        assert server.poll() is None, "PulseAudio does not start"
        time.sleep(0.05)
    pytest.fail("PulseAudio does not answer")


def sample() -> np.ndarray:
    intake = Intake()
    blocks = [item for item in decode_file(SAMPLE) if isinstance(item, AudioBlock)]
    audio = np.concatenate([intake.convert(block)[0] for block in blocks] + [intake.drain()])
    return np.concatenate((audio, np.zeros(16_000, np.float32)))


def verses(events: list[dict]) -> list[tuple[int, int]]:
    return [(event["surah"], event["ayah"]) for event in events if event["type"] == "final"]


async def test_audio_arrives_as_it_was_played(microphone, beeps):
    played = beeps(3, gap=0.5)
    source = MicrophoneSource("pulse")
    items = aiter(source)
    blocks = [await anext(items)]  # it records
    playing = asyncio.create_task(asyncio.to_thread(microphone.play, played))
    playing.add_done_callback(lambda _: source.stop())
    blocks += [item async for item in items]
    assert all(isinstance(block, AudioBlock) for block in blocks)
    intake = Intake()
    heard = np.concatenate([intake.convert(block)[0] for block in blocks])
    loud = np.abs(heard[: len(heard) // 160 * 160]).reshape(-1, 160).max(axis=1) > 0.1
    starts = np.flatnonzero(np.diff(loud.astype(int)) == 1) / 100
    assert np.diff(starts) == pytest.approx([0.8, 0.8], abs=0.03)


async def test_a_device_that_vanishes_ends_the_recitation_with_what_was_heard(
    microphone, recognizer, beeps
):
    events = []
    source = MicrophoneSource("pulse")

    async def listen() -> None:
        async with recognizer.stream() as stream:
            async for event in stream.run(source):
                events.append(event)

    listening = asyncio.create_task(listen())
    await asyncio.to_thread(microphone.play, np.concatenate((np.zeros(8000), beeps(4, after=1))))
    await asyncio.to_thread(microphone.control, "unload-module", "module-null-sink")
    with pytest.raises(DeviceLostError, match="plug it in again"):
        await asyncio.wait_for(listening, 20)
    assert [(e.surah, e.ayah) for e in events if isinstance(e, Final)] == [(112, 1)]
    assert isinstance(events[-1], Ended)
    assert events[-1].reason == "error"


async def test_audio_that_nobody_reads_is_lost_with_a_notice(microphone, monkeypatch):
    monkeypatch.setattr("stream.microphone._BUFFER_SECONDS", 0.2)
    source = MicrophoneSource("pulse")
    items = aiter(source)
    await anext(items)
    await asyncio.sleep(1.0)
    kept = 0.0
    while isinstance(item := await anext(items), AudioBlock):
        kept += item.seconds
    await items.aclose()
    assert item.code == "audio_lost"
    assert kept < 0.8


async def test_cancelling_closes_the_device(microphone):
    source = MicrophoneSource("pulse")

    async def listen() -> None:
        async for _ in source:
            pass

    for patience in (0.0, 0.05, 1.0):  # before, while and after it opens
        listening = asyncio.create_task(listen())
        await asyncio.sleep(patience)
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening
        assert source._recording is None or source._recording.closed


def test_devices_are_listed(microphone, capsys):
    names = [device.name for device in input_devices()]
    assert "pulse" in names
    assert main(["--list-devices"]) == 0
    assert "pulse" in capsys.readouterr().out


def test_a_device_that_does_not_exist_is_refused(microphone, capsys):
    assert main(["--device", "trumpet"]) == 1
    error = capsys.readouterr().err
    assert "no input device 'trumpet'" in error
    assert "pulse" in error
    assert main(["--device", "99"]) == 1


@pytest.mark.usefixtures("microphone")
def test_a_file_that_is_no_model_is_refused(tmp_path, capsys):
    assert main(["--model", str(tmp_path)]) == 1
    assert re.search(r"^mic: .* cannot be used .*: name another model", capsys.readouterr().err)


def test_the_demo_recognises_a_recitation(microphone):
    """From the microphone to verses with the shipped model; Ctrl-C ends it properly."""
    with microphone.demo("--json") as demo:
        microphone.play(sample())
        time.sleep(2)
        demo.send_signal(signal.SIGINT)
        out, err = demo.communicate(timeout=60)
    assert demo.returncode == 0, err
    events = [json.loads(line) for line in out.splitlines()]
    assert events[0]["type"] == "speech_started"
    assert events[-1]["type"] == "ended"
    assert verses(events) == FATIHA


def test_the_demo_draws_what_it_hears(microphone, index):
    ours, theirs = pty.openpty()
    with _Reader(ours) as reader:
        with microphone.demo("--bidi", "on", stdout=theirs, stdin=theirs) as demo:
            os.close(theirs)
            microphone.play(sample()[: 13 * 16_000])
            time.sleep(2)
            demo.send_signal(signal.SIGINT)
            assert demo.wait(60) == 0
        screen = reader.text()
    assert "▮▮" in screen
    assert "dB" in screen
    assert f"{index.surah_name(1)[1]} 1:2" in screen
    joined = Typesetter(Console(), reorder=True).line(Text(index.words(1)[0]))
    assert joined.plain in screen
    assert "✓" in screen


def test_the_demo_ends_when_nobody_reads_it(microphone):
    with microphone.demo("--json") as demo:
        assert demo.stdout is not None
        demo.stdout.close()
        microphone.wait_until_recorded()
        microphone.play(sample()[: 4 * 16_000])
        assert demo.wait(60) == 141
        assert demo.stderr is not None
        assert "Traceback" not in demo.stderr.read()


def test_the_demo_says_when_its_device_vanishes(microphone):
    with microphone.demo("--json") as demo:
        microphone.wait_until_recorded()
        microphone.control("unload-module", "module-null-sink")
        out, err = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert json.loads(out.splitlines()[-1])["type"] == "ended"
    assert "mic: the microphone pulse stopped delivering audio" in err
    assert "Traceback" not in err


def test_without_a_device_it_says_what_to_plug_in(monkeypatch, capsys):
    monkeypatch.setattr("stream.microphone.input_devices", list)
    assert main([]) == 1
    assert "plug one in" in capsys.readouterr().err
    with pytest.raises(NoInputDeviceError):
        asyncio.run(_first(MicrophoneSource()))


def test_without_portaudio_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    assert main(["--list-devices"]) == 1
    assert "apt-get install libportaudio2" in capsys.readouterr().err
    with pytest.raises(PortAudioMissingError):
        input_devices()


async def _first(source: MicrophoneSource) -> object:
    return await anext(aiter(source))


class _Reader(threading.Thread):
    """Reads what a program writes to its terminal, so that it never has to wait."""

    def __init__(self, file: int) -> None:
        super().__init__()
        self._file = file
        self._output = bytearray()

    def __enter__(self) -> _Reader:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.join(20)
        os.close(self._file)

    def run(self) -> None:
        with contextlib.suppress(OSError):  # the terminal's other end is closed
            while data := os.read(self._file, 65536):
                self._output += data

    def text(self) -> str:
        self.join(20)
        return self._output.decode()
