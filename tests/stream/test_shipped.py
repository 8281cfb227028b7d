"""The pipeline with the models that ship, on recitation, without a network."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stream import AudioBlock, Ended, Event, Recognizer
from stream.files import decode_file
from stream.pipeline import Pipeline

SAMPLE = Path(__file__).parents[2] / "examples" / "al-fatiha.opus"


@pytest.fixture(scope="module")
def shipped() -> Recognizer:
    return Recognizer.load()


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def comparable(events: list[Event]) -> list[dict]:
    """Events without what the computer's speed decides; `ended` repeats the others."""
    result = [event.to_dict() for event in events if not isinstance(event, Ended)]
    for data in result:
        del data["wall_time"], data["stream_id"]
    return result


def recited(shipped: Recognizer, recording: Path) -> list[tuple[int, int]]:
    return [(final.surah, final.ayah) for final in shipped.recognize(recording).finals]


def test_recitation_is_recognised(shipped, dev_audio):
    """On readers that the model never heard, and on the synthesised sample."""
    assert recited(shipped, SAMPLE) == [(1, ayah) for ayah in range(1, 8)]
    if dev_audio is not None:
        for name, surah, ayahs in (
            ("v1/multi_036_001_005.wav", 36, range(1, 6)),
            ("v1/multi_114_001_006.wav", 114, range(1, 7)),
            ("v1/long_059_023.wav", 59, (23,)),
            ("long/093.opus", 93, range(1, 12)),
        ):
            assert recited(shipped, dev_audio / name) == [(surah, ayah) for ayah in ayahs]


def test_events_do_not_depend_on_how_audio_is_pushed(shipped, dev_audio):
    recordings = [SAMPLE]
    if dev_audio is not None:
        recordings += [dev_audio / "v1/retasy_017.wav", dev_audio / "v1/multi_036_001_005.wav"]
    for recording in recordings:
        blocks = [item for item in decode_file(recording) if isinstance(item, AudioBlock)]
        audio, rate = np.concatenate([block.samples for block in blocks]), blocks[0].sample_rate
        runs = []
        for size in (441, 100_003):
            pipeline = Pipeline(shipped.engine, "test")
            pieces = [audio[at : at + size] for at in range(0, len(audio), size)]
            events = [e for piece in pieces for e in pipeline.advance([AudioBlock(piece, rate)])]
            runs.append(comparable(events + pipeline.finish()))
        assert runs[0] == runs[1]


def test_running_needs_no_torch():
    program = (
        "import sys\n"
        "from stream import Recognizer\n"
        f"Recognizer.load().recognize({str(SAMPLE)!r})\n"
        "assert 'torch' not in sys.modules and 'silero_vad' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=240)
