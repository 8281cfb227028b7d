"""NVIDIA's Arabic FastConformer, as others exported it to ONNX, behind the interface of `Encoder`.

Meant for ``stt_ar_fastconformer_hybrid_large_pcd_v1.0`` and its kin: a CTC model of SentencePiece
pieces that hears a recording as a whole, 80 ms a frame. Two kinds of exports are about:

- the waveform goes in: ``audio_signal`` float32 [1, samples] at 16 kHz, ``length`` int64 [1];
- NeMo's features go in: ``audio_signal`` float32 [1, 80, frames], ``length`` int64 [1];

and out come ``logprobs`` (or ``log_probs``) [1, frames, pieces + 1], the blank the last.

Such a model knows no streaming. It is run again for every hop on a stretch of audio that overlaps
with the last: `LEFT` seconds that were heard before, the hop, and `RIGHT` seconds that follow it,
of which only the hop's frames are kept. What a hop gives is therefore `RIGHT` seconds late.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnxruntime

from acoustic.mel import BANDS, SAMPLE_RATE
from acoustic.model_file import ModelError, ModelFile
from acoustic.nemo_features import log_mel
from acoustic.pieces import Units, Vocabulary
from acoustic.streaming import Float, StreamingEncoder
from quran_index import QuranIndex

FRAME = 1280
"""Samples a frame: the network halves the features' rate three times."""
LEFT, RIGHT = 64, 6
"""Frames heard before and after the ones that are kept (5.1 and 0.48 s)."""
HOPS = tuple(frames * FRAME for frames in (6, 12, 24))
DEFAULT_HOP = HOPS[1]

_SIGNAL, _LENGTH = "audio_signal", "length"
_OUTPUTS = ("logprobs", "log_probs")
_SUPPORTED = (
    f"supported are what acoustic.export writes, and NeMo's CTC exports: inputs {_SIGNAL} "
    f"float32 [1, samples] or [1, {BANDS}, frames] and {_LENGTH} int64 [1], "
    f"output {' or '.join(_OUTPUTS)} [1, frames, pieces + 1]"
)


@dataclass(slots=True)
class NemoState:
    """One stream: the audio from frame ``first`` on; frames before ``given`` were returned."""

    audio: Float = field(default_factory=lambda: np.zeros(0, np.float32))
    first: int = 0
    given: int = 0


class NemoEncoder(StreamingEncoder[NemoState]):
    """A model of NeMo's. What a step gives was heard up to `RIGHT` frames ago.

    The first step of a stream so gives fewer frames than the others. ``symbols`` and ``graph`` are
    its units: the blank and its pieces, and the Quran in them.
    """

    sample_rate = SAMPLE_RATE
    samples_per_frame = FRAME
    frame_shift = FRAME / SAMPLE_RATE
    hops = HOPS

    def __init__(self, file: ModelFile, index: QuranIndex, hop: int | None = None) -> None:
        """The vocabulary (see `acoustic.pieces`) is beside the file, ``hop`` is one of ``hops``.

        ModelError: no such hop, not such a model, or not its vocabulary.
        """
        super().__init__(DEFAULT_HOP if hop is None else hop)
        self._session = file.session()
        self._features, self._output = _contract(self._session)
        vocabulary = Vocabulary.read(file.path.parent)
        self._check(len(vocabulary.pieces) + 1)
        units = Units.of(vocabulary, index)
        self.symbols, self.graph = units.symbols, units.graph
        self._columns = np.array(units.columns)
        self._silent = np.array([*units.silent, len(vocabulary.pieces)])

    def start(self) -> NemoState:
        return NemoState()

    def _step(self, state: NemoState, samples: Float) -> Float:
        state.audio = np.append(state.audio, samples)
        return self._hear(state, state.first + len(state.audio) // FRAME - RIGHT)

    def _flush(self, state: NemoState, samples: Float) -> Float:
        state.audio = np.append(state.audio, samples)
        state.audio = np.pad(state.audio, (0, -len(state.audio) % FRAME))
        return self._hear(state, state.first + len(state.audio) // FRAME)

    def _hear(self, state: NemoState, until: int) -> Float:
        """The frames up to ``until``; afterwards only what later ones need is remembered."""
        if until <= state.given:
            return np.zeros((0, len(self.symbols)), np.float32)
        heard = self._log_probs(state.audio)[state.given - state.first : until - state.first]
        state.given = until
        forgotten = max(0, until - LEFT - state.first)
        state.audio = state.audio[forgotten * FRAME :].copy()
        state.first += forgotten
        return heard

    def _whole(self, samples: Float) -> Float:
        return self._log_probs(samples)[: len(samples) // FRAME]

    def _log_probs(self, samples: Float) -> Float:
        """Log-probs [frames or more, symbols] of whole frames of audio."""
        outputs = self._run(samples)
        silence = np.logaddexp.reduce(outputs[:, self._silent], axis=1)
        return np.column_stack((silence, outputs[:, self._columns]))

    def _run(self, samples: Float) -> Float:
        """What the model gives for whole frames of audio: [frames or more, pieces + 1]."""
        signal = log_mel(samples) if self._features else samples
        length = np.array([signal.shape[-1]], np.int64)
        (outputs,) = self._session.run([self._output], {_SIGNAL: signal[None], _LENGTH: length})
        return np.asarray(outputs[0], np.float32)

    def _check(self, columns: int) -> None:
        """Tries the model on two seconds of silence."""
        frames = 2 * SAMPLE_RATE // FRAME
        try:
            outputs = self._run(np.zeros(frames * FRAME, np.float32))
        except Exception as error:  # onnxruntime's exceptions share no base of their own
            raise ModelError(f"the model does not run: {error}") from error
        if outputs.ndim != 2 or outputs.shape[1] != columns:
            raise ModelError(
                f"the model gives {list(outputs.shape)} for {frames} frames, but its vocabulary "
                f"has {columns - 1} pieces: put the vocabulary that it was trained with beside it"
            )
        if not frames <= len(outputs) <= frames + 1:
            raise ModelError(
                f"the model gives {len(outputs)} frames for {frames * FRAME} samples; "
                f"only models of {FRAME * 1000 // SAMPLE_RATE} ms a frame are supported"
            )


def _contract(session: onnxruntime.InferenceSession) -> tuple[bool, str]:
    """Whether the model takes features, and the name of its output."""
    inputs = {i.name: i for i in session.get_inputs()}
    outputs = [o.name for o in session.get_outputs() if o.name in _OUTPUTS]
    known = (
        set(inputs) == {_SIGNAL, _LENGTH}
        and inputs[_SIGNAL].type == "tensor(float)"
        and inputs[_LENGTH].type == "tensor(int64)"
        and len(outputs) == 1
    )
    rank = len(inputs[_SIGNAL].shape) if known else 0
    bands = inputs[_SIGNAL].shape[1] if rank == 3 else None
    if rank == 2 or (rank == 3 and (bands == BANDS or not isinstance(bands, int))):
        return rank == 3, outputs[0]
    found = "; ".join(
        f"{kind} " + ", ".join(f"{a.name} {a.type[7:-1]} {a.shape}" for a in arguments)
        for kind, arguments in (
            ("inputs", session.get_inputs()),
            ("outputs", session.get_outputs()),
        )
    )
    raise ModelError(f"an unknown kind of model with {found}: {_SUPPORTED}")
