from __future__ import annotations

import hashlib
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from stream.audio import Intake
from stream.files import decode_file
from stream.vad import HANGOVER, STEP, SileroVad, SpeechGate


@pytest.fixture(scope="module")
def vad() -> SileroVad:
    return SileroVad()


def noise(seconds: float, level: float) -> np.ndarray:
    return (np.random.default_rng(1).standard_normal(round(seconds * 16_000)) * level).astype(
        np.float32
    )


def test_the_shipped_network_is_the_one_of_the_published_package():
    spec = find_spec("silero_vad")
    assert spec is not None
    assert spec.origin is not None
    name = "silero_vad_16k_sequence.onnx"
    published = Path(spec.origin).parent / "data" / name
    shipped = resources.files("stream").joinpath("data", name)
    assert _digest(published.read_bytes()) == _digest(shipped.read_bytes())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_probabilities_do_not_depend_on_how_steps_are_grouped(vad):
    audio = noise(2, 0.1)[: 60 * STEP]
    whole = vad.probabilities(vad.start(), audio)
    state = vad.start()
    parts = [vad.probabilities(state, part) for part in np.split(audio, (STEP, 16 * STEP))]
    assert whole.shape == (60,)
    np.testing.assert_array_equal(whole, np.concatenate(parts))


def observe(vad: SileroVad, audio: np.ndarray, size: int = 7680) -> list[tuple[float, bool]]:
    """Whether the gate is open at the end of each hop."""
    gate, result = SpeechGate(vad), []
    for at in range(0, len(audio), size):
        gate.observe(audio[at : at + size])
        now = (at + size) / 16_000
        result.append((now, gate.open(now)))
    return result


def test_steady_noise_closes_the_gate_once_it_is_known(vad):
    for level in (1e-4, 1e-2, 0.05):
        states = observe(vad, noise(20, level))
        assert not any(is_open for now, is_open in states if now > 3 + HANGOVER + 0.5), level


def test_digital_silence_never_opens_the_gate(vad):
    assert not any(is_open for _, is_open in observe(vad, np.zeros(160_000, np.float32)))


def test_a_loud_sound_in_noise_opens_the_gate_and_quiet_closes_it_after_the_hangover(vad):
    audio = noise(24, 1e-3)
    audio[16_000 * 12 : 16_000 * 13] += 0.3 * np.sin(np.arange(16_000) * 0.2, dtype=np.float32)
    states = observe(vad, audio)
    opened = [now for now, is_open in states if is_open and now > 8]
    assert opened[0] == pytest.approx(12.48, abs=0.01)
    assert 13 + HANGOVER - 0.5 < opened[-1] < 13 + HANGOVER + 0.5


def test_speech_is_what_silero_or_the_encoder_hears(vad):
    gate = SpeechGate(vad)
    gate.observe(np.zeros(16_000, np.float32))
    gate.heard(0.4, 0.46)
    assert gate.settle(1.0) == []  # in digital silence there is nothing to hear
    assert gate.state(1.0).silence == 1.0
    gate.observe(np.full(STEP, 0.1, np.float32))
    gate.heard(1.0, 1.06)
    (started,) = gate.settle(1.1)
    assert (started.started, started.at) == (True, 1.0)
    (ended,) = gate.settle(1.9)
    assert (ended.started, ended.at) == (False, 1.06)
    state = gate.state(2.6)
    assert (state.active, state.since) == (False, 1.06)
    assert state.silence == pytest.approx(1.54)


def test_what_the_encoder_hears_in_silence_does_not_keep_the_gate_open(vad):
    gate = SpeechGate(vad)
    gate.observe(np.full(STEP, 0.1, np.float32))
    times = np.arange(0.0, 20.0, 0.1)
    for time in times:
        gate.heard(time, time + 0.06)
    assert [t for t in times if gate.open(t)][-1] == pytest.approx(6.0, abs=0.2)
    assert gate.state(20.0).silence == pytest.approx(16.0, abs=0.2)


def test_a_gap_within_one_hop_is_told(vad):
    gate = SpeechGate(vad)
    gate.observe(np.full(STEP, 0.1, np.float32))
    gate.heard(0.0, 0.1)
    gate.heard(1.5, 1.6)
    assert [(c.started, c.at) for c in gate.settle(1.7)] == [(True, 0.0), (False, 0.1), (True, 1.5)]


def test_recitation_keeps_the_gate_open_from_beginning_to_end(vad, dev_audio):
    """Chant that Silero calls silence for seventeen seconds (114) is listened to all the same."""
    if dev_audio is None:
        return
    for name in ("v1/multi_114_001_006.wav", "v1/retasy_001.wav", "long/001.opus"):
        intake = Intake()
        audio = np.concatenate(
            [intake.convert(block)[0] for block in decode_file(dev_audio / name)]
        )
        audio = np.concatenate((audio, intake.drain()))
        audio = audio[: len(audio) // 7680 * 7680]
        assert all(is_open for _, is_open in observe(vad, audio)), name


@pytest.mark.parametrize("size", [480, 7680])
def test_it_is_quiet_from_when_it_is_much_softer_than_before(vad, size):
    """A hum as loud as what was said is not quiet, though no voice to the network."""
    t = np.arange(4 * 16_000) / 16_000
    hum = (0.05 * np.sin(2 * np.pi * 120 * t)).astype(np.float32)
    gate, audio = SpeechGate(vad), np.concatenate([noise(2, 0.1), hum, noise(2, 0.002)])
    for at in range(0, len(audio), size):
        gate.observe(audio[at : at + size])
        state = gate.state((at + size) / 16_000)
        if (at + size) / 16_000 < 6:
            assert state.quiet < 0.15
    assert state.quiet == pytest.approx(2.0, abs=0.2)  # to the end of the last hop
    assert state.silence > 4.0


def test_knocks_in_a_quiet_room_do_not_make_it_loud(vad):
    knock = np.zeros(16_000, np.float32)
    knock[5000:5800] = noise(0.05, 0.2)
    gate = SpeechGate(vad)
    gate.observe(np.concatenate((noise(2, 0.1), *[noise(1, 0.002) + knock] * 3)))
    assert gate.state(5.0).quiet == pytest.approx(3.0, abs=0.2)
