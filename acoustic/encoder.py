"""The runtime encoder: audio in, CTC log-probs out, one hop at a time, on ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acoustic.features import SHIFT, FeatureState, log_mel
from acoustic.model_file import ModelError, ModelFile
from acoustic.quiet import STREAM_OPENING, WHOLE_OPENING, opening
from acoustic.streaming import Float, StreamingEncoder

WEIGHTS = Path(__file__).parent / "weights" / "conformer.onnx"

_CACHES = ("front0", "front1", "keys", "values", "convolved")


@dataclass(slots=True)
class EncoderState:
    """One stream's caches: features, the network's, and how many cached frames hold audio."""

    caches: dict[str, Float]
    features: FeatureState = field(default_factory=FeatureState)
    filled: int = 0


class Encoder(StreamingEncoder[EncoderState]):
    """A model that `acoustic.export` wrote.

    ``hop`` is also how far it looks ahead; ``hops`` are those that it was trained for. Runs on one
    thread with bit-reproducible results.
    """

    def __init__(self, file: ModelFile, hop: int | None = None) -> None:
        """``hop`` is one of its ``hops``; by default the best of them.

        ModelError: no such hop, or not what `acoustic.export` wrote.
        """
        about = file.metadata
        if about is None:
            raise ModelError("the model carries no Tasmi metadata: export it with acoustic.export")
        self.symbols = about.symbols
        self.sample_rate = about.sample_rate
        self.frame_shift = about.frame_shift
        self.samples_per_frame = about.samples_per_frame
        self.hops = about.hops
        self.emission_delay = about.emission_delay
        super().__init__(about.chunk * about.samples_per_frame if hop is None else hop)
        self._chunk, self._left = self.hop // self.samples_per_frame, about.left
        self._session = file.session(
            chunk_features=self._chunk * about.frame_features,
            chunk_visible=self._left + self._chunk,
            chunk_frames=self._chunk,
        )
        self._whole_session = file.session()
        self._shapes = {i.name: i.shape for i in self._session.get_inputs()}
        self._quiet = opening(WHOLE_OPENING, self.samples_per_frame)
        self._opened = self._nothing()
        for quiet in opening(STREAM_OPENING, self.hop).reshape(-1, self.hop):
            self._step(self._opened, quiet)

    @classmethod
    def load(cls, path: Path | None = None, hop: int | None = None) -> Encoder:
        """The shipped model, or the one at ``path``; raises `ModelError` when it cannot be used."""
        return cls(ModelFile.open(path or WEIGHTS), hop)

    def start(self) -> EncoderState:
        # What is in a state is replaced by each step, never written to.
        return replace(self._opened, features=replace(self._opened.features))

    def _nothing(self) -> EncoderState:
        """Before anything was heard."""
        return EncoderState({name: np.zeros(self._shapes[name], np.float32) for name in _CACHES})

    def _step(self, state: EncoderState, samples: Float) -> Float:
        return self._run(state, log_mel(samples, state.features), self._chunk)

    def _flush(self, state: EncoderState, samples: Float) -> Float:
        frames = -(-len(samples) // self.samples_per_frame)
        if not frames:
            return np.zeros((0, len(self.symbols)), np.float32)
        padded = np.zeros(frames * self.samples_per_frame, np.float32)
        padded[: len(samples)] = samples
        features = np.zeros((self.hop // SHIFT, self._shapes["features"][2]), np.float32)
        heard = log_mel(padded, state.features)
        features[: len(heard)] = heard
        return self._run(state, features, frames)[:frames]

    def _whole(self, samples: Float) -> Float:
        state, samples = self._nothing(), np.concatenate((self._quiet, samples))
        frames = len(samples) // self.samples_per_frame
        inputs = self._inputs(state, log_mel(samples, state.features), frames, frames, own=True)
        (log_probs,) = self._whole_session.run(["log_probs"], inputs)
        return np.asarray(log_probs[0, len(self._quiet) // self.samples_per_frame :], np.float32)

    def _run(self, state: EncoderState, features: Float, frames: int) -> Float:
        """Log-probs of one chunk, of which ``frames`` hold audio."""
        inputs = self._inputs(state, features, self._chunk, frames, own=False)
        log_probs, *caches = self._session.run(None, inputs)
        state.caches = dict(zip(_CACHES, caches, strict=True))
        state.filled = min(self._left, state.filled + self._chunk)
        return np.asarray(log_probs[0], np.float32)

    def _inputs(
        self, state: EncoderState, features: Float, chunk: int, frames: int, *, own: bool
    ) -> dict[str, npt.NDArray[np.generic]]:
        """What the network is given for ``chunk`` frames, of which ``frames`` hold audio; ``own``:
        they are normalised by their own statistics."""
        visible = np.zeros(self._left + chunk, bool)
        visible[self._left - state.filled : self._left + frames] = True
        return {
            "features": features[None],
            "own": np.array(own, np.float32),
            "visible": visible,
            **state.caches,
        }
