"""Voice activity: when the encoder must run, and when somebody is reciting. Never what is heard.

Silero's network was trained on speech. Melodious recitation is often not speech to it: at its
usual threshold it stays silent through more than two seconds inside 13% of one reader's verses. So
whether to listen at all is decided by the level as well: audio well above the quietest moment of
the last seconds is listened to whatever Silero says (of the same verses none then loses as much).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from importlib import resources

import numpy as np
import numpy.typing as npt
import onnxruntime

from .audio import SAMPLE_RATE, Samples

STEP = 512  # samples per decision: 32 ms
_STEP_SECONDS = STEP / SAMPLE_RATE
_CONTEXT = 64  # samples before each step that Silero's network also takes
_HIDDEN = (1, 1, 128)

# Listening (lenient: costs only computation) and speaking (what applications are told).
_LISTEN_PROBABILITY = 0.3
_SPEECH_PROBABILITY = 0.5
_SPEECH_STEPS = 2  # a single step is a click
_ABOVE_FLOOR_DB = 12.0
_LOWEST_FLOOR_DB = -65.0  # of full scale: digital silence must not make breath look loud
_FLOOR_STEPS = round(10 / _STEP_SECONDS)
# What is held or hummed is hardly softer than what is said, whatever Silero says of it.
_BELOW_LOUDEST_DB = 15.0
_LOUD_STEPS = 4  # what is loud for a shorter time is a knock in the room, and held by nobody
# Until this much was heard nobody knows what quiet is here: take it for as quiet as possible.
_LEARNING_STEPS = round(3 / _STEP_SECONDS)

PRE_ROLL = 0.5  # seconds heard again from before the gate opened, at least
HANGOVER = 2.0  # seconds of quiet until the gate closes: a stop for breath is shorter
_BELIEF = 4.0  # seconds from the last audible moment in which the encoder's phonemes count
SPEECH_END = 0.8  # seconds of quiet until speech has ended

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


class SileroVad:
    """Silero's 16 kHz network on onnxruntime; immutable, shared by streams.

    The network is the one in which many steps take a single call; its probabilities are the same to
    the bit however steps are grouped.
    """

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        model = resources.files(__package__).joinpath("data/silero_vad_16k_sequence.onnx")
        self._session = onnxruntime.InferenceSession(
            model.read_bytes(), options, providers=["CPUExecutionProvider"]
        )

    def start(self) -> VadState:
        """State of a new stream."""
        return VadState(
            hidden=np.zeros(_HIDDEN, np.float32),
            cell=np.zeros(_HIDDEN, np.float32),
            context=np.zeros(_CONTEXT, np.float32),
        )

    def probabilities(self, state: VadState, samples: Samples) -> FloatArray:
        """Speech probability [n] of each step in `samples` [n * STEP]; advances `state`."""
        steps = len(samples) // STEP
        padded = np.concatenate((state.context, samples))
        windows = np.lib.stride_tricks.sliding_window_view(padded, _CONTEXT + STEP)[::STEP]
        outputs: tuple[FloatArray, FloatArray, FloatArray] = self._session.run(
            ("speech_probs", "hn", "cn"),
            {"input": windows[:steps], "h": state.hidden, "c": state.cell},
        )
        state.context = padded[-_CONTEXT:].copy()
        probabilities, state.hidden, state.cell = outputs
        return probabilities


@dataclass(slots=True)
class VadState:
    """What Silero remembers of one stream: LSTM state [1, 1, 128] twice, the last 64 samples."""

    hidden: FloatArray
    cell: FloatArray
    context: Samples


@dataclass(frozen=True, slots=True)
class SpeechState:
    """Whether somebody recites, at one moment.

    `since`: where the present speech or silence began (audio seconds). `silence`: seconds since a
    voice was last heard; it counts from the beginning while none was heard yet. `quiet`: seconds
    since it was last, for an eighth of a second, about as loud as in the loudest moment of the last
    ten seconds.
    """

    active: bool
    since: float
    silence: float
    quiet: float


@dataclass(frozen=True, slots=True)
class SpeechChange:
    """Speech started or ended `at` this audio second."""

    started: bool
    at: float


class SpeechGate:
    """Follows one stream's voice activity on the audio clock.

    `observe` takes the audio; `heard` takes what the encoder made of it, for its phonemes are the
    better evidence of a voice. `open` says whether the encoder must run.
    """

    def __init__(self, vad: SileroVad) -> None:
        self._vad = vad
        self._state = vad.start()
        self._rest = np.zeros(0, np.float32)
        self._steps = 0
        self._levels = np.full(_FLOOR_STEPS - 1, np.inf, np.float32)
        self._levels[:_LEARNING_STEPS] = _LOWEST_FLOOR_DB
        self._run = 0
        self._loud_run = 0
        self._last_sound = -np.inf
        self._last_loud = 0.0
        self._last_heard = -np.inf
        self._last_voice = -np.inf
        self._active = False
        self._since = 0.0
        self._changes: deque[SpeechChange] = deque()

    def observe(self, samples: Samples) -> None:
        """Takes the next samples [n] at 16 kHz; whole steps are judged, the rest waits."""
        samples = np.concatenate((self._rest, samples))
        whole = len(samples) // STEP * STEP
        self._rest = samples[whole:]
        if not whole:
            return
        samples = samples[:whole]
        probabilities = self._vad.probabilities(self._state, samples)
        above_floor, loud = self._levels_of(samples)
        sound = (probabilities >= _LISTEN_PROBABILITY) | above_floor
        voiced = probabilities >= _SPEECH_PROBABILITY
        for voice, audible, is_loud in zip(voiced, sound, loud, strict=True):
            self._steps += 1
            end = self._steps * _STEP_SECONDS
            self._loud_run = self._loud_run + 1 if is_loud else 0
            if self._loud_run >= _LOUD_STEPS:
                self._last_loud = end
            self._run = self._run + 1 if voice else 0
            if self._run >= _SPEECH_STEPS:
                self._voice(end - self._run * _STEP_SECONDS, end)
            if audible:
                self._last_sound = end

    def heard(self, start: float, end: float) -> None:
        """The encoder heard a phoneme from `start` to `end` (audio seconds).

        Believed only near something audible: what a network hears in mere noise must not keep
        itself going.
        """
        if start - self._last_sound < _BELIEF:
            self._voice(start, end)
            self._last_heard = max(self._last_heard, end)

    def open(self, now: float) -> bool:
        """Whether the audio up to `now` is to be encoded."""
        return now - max(self._last_sound, self._last_heard) < HANGOVER

    def settle(self, now: float) -> list[SpeechChange]:
        """Speech that started or ended by `now`, in order, each reported once."""
        if self._active and now - self._last_voice >= SPEECH_END:
            self._active, self._since = False, self._last_voice
            self._changes.append(SpeechChange(False, self._last_voice))
        changes = list(self._changes)
        self._changes.clear()
        return changes

    def state(self, now: float) -> SpeechState:
        """The state at `now`."""
        silence, quiet = now - max(self._last_voice, 0.0), now - self._last_loud
        if self._active and silence >= SPEECH_END:  # `settle` has yet to tell
            return SpeechState(False, self._last_voice, silence, quiet)
        return SpeechState(self._active, self._since, silence, quiet)

    def _voice(self, start: float, end: float) -> None:
        if self._active and start - self._last_voice >= SPEECH_END:
            self._active = False
            self._changes.append(SpeechChange(False, self._last_voice))
        if not self._active:
            self._active, self._since = True, start
            self._changes.append(SpeechChange(True, start))
        self._last_voice = max(self._last_voice, end)

    def _levels_of(self, samples: Samples) -> tuple[BoolArray, BoolArray]:
        """Which steps are above the floor, and which about as loud as the loudest."""
        power = np.square(samples.reshape(-1, STEP)).mean(axis=1)
        levels = (10 * np.log10(power + 1e-10)).astype(np.float32)
        history = np.concatenate((self._levels, levels))
        self._levels = history[-(_FLOOR_STEPS - 1) :]
        windows = np.lib.stride_tricks.sliding_window_view(history, _FLOOR_STEPS)
        above = levels > np.maximum(windows.min(axis=1), _LOWEST_FLOOR_DB) + _ABOVE_FLOOR_DB
        loudest = windows.max(axis=1, where=np.isfinite(windows), initial=_LOWEST_FLOOR_DB)
        return above, levels > loudest - _BELOW_LOUDEST_DB
