"""The runtime encoder: audio in, CTC log-probs out, one hop at a time, on ONNX Runtime."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from acoustic.features import SHIFT, FeatureState, log_mel

WEIGHTS = Path(__file__).parent / "weights" / "conformer.onnx"
CHECKSUM = ".sha256"
"""Suffix of the file beside a model that says what its SHA-256 is."""

_CACHES = ("front0", "front1", "keys", "values", "convolved")

Float = npt.NDArray[np.float32]


class ModelError(Exception):
    """The model file is missing or is not one that this encoder can run."""


@dataclass(slots=True)
class EncoderState:
    """One stream's caches: features, the network's, and how many cached frames hold audio."""

    caches: dict[str, Float]
    features: FeatureState = field(default_factory=FeatureState)
    filled: int = 0


class Encoder:
    """An immutable acoustic model, shared by every stream.

    ``hop`` is how many samples it takes at a time, and so how far it looks ahead; ``hops`` are
    those that it was trained for. Runs on one thread with bit-reproducible results.
    """

    def __init__(self, model: bytes, hop: int | None = None) -> None:
        """``model`` is what `acoustic.export` wrote, ``hop`` one of its ``hops``.

        Raises `ModelError` for anything else.
        """
        about = _metadata(model)
        self.symbols: tuple[str, ...] = tuple(about["symbols"])
        self.sample_rate: int = about["sample_rate"]
        self.frame_shift: float = about["frame_shift"]
        self.samples_per_frame = round(self.frame_shift * self.sample_rate)
        """Audio samples that one row of log-probs stands for."""
        self.hops = tuple(chunk * self.samples_per_frame for chunk in about["chunks"])
        self.hop = about["chunk"] * self.samples_per_frame if hop is None else hop
        if self.hop not in self.hops:
            raise ModelError(f"a hop of {self.hop} samples: this model takes one of {self.hops}")
        self._chunk, self._left = self.hop // self.samples_per_frame, int(about["left"])
        self._session = _session(
            model,
            chunk_features=self._chunk * about["frame_features"],
            chunk_visible=self._left + self._chunk,
            chunk_frames=self._chunk,
        )
        self._shapes = {i.name: i.shape for i in self._session.get_inputs()}

    @classmethod
    def load(cls, path: Path | None = None, hop: int | None = None) -> Encoder:
        """The shipped model, or the one at ``path``; raises `ModelError` when it cannot be used."""
        path = path or WEIGHTS
        try:
            model = path.read_bytes()
        except OSError as error:
            raise ModelError(
                f"no acoustic model at {path}: reinstall Tasmi, or name another"
            ) from error
        checksum = path.with_suffix(CHECKSUM)
        if checksum.exists() and checksum.read_text().split()[0] != sha256(model):
            raise ModelError(f"{path} is damaged: reinstall Tasmi")
        return cls(model, hop)

    def start(self) -> EncoderState:
        """A fresh stream."""
        return EncoderState({name: np.zeros(self._shapes[name], np.float32) for name in _CACHES})

    def step(self, state: EncoderState, samples: Float) -> Float:
        """Log-probs [chunk, symbols] of the next ``hop`` samples (float32 in [-1, 1])."""
        if len(samples) != self.hop:
            raise ValueError(f"a step takes {self.hop} samples, not {len(samples)}")
        return self._run(state, log_mel(samples, state.features), self._chunk)

    def flush(self, state: EncoderState, samples: Float) -> Float:
        """Log-probs [frames, symbols] of a last stretch shorter than a hop.

        Frames cover whole multiples of ``samples_per_frame``; a remainder is padded with zeros.
        """
        if len(samples) >= self.hop:
            raise ValueError(f"flush takes less than a hop of {self.hop} samples")
        frames = -(-len(samples) // self.samples_per_frame)
        if not frames:
            return np.zeros((0, len(self.symbols)), np.float32)
        padded = np.zeros(frames * self.samples_per_frame, np.float32)
        padded[: len(samples)] = samples
        features = np.zeros((self.hop // SHIFT, self._shapes["features"][2]), np.float32)
        heard = log_mel(padded, state.features)
        features[: len(heard)] = heard
        return self._run(state, features, frames)[:frames]

    def encode(self, samples: Float) -> Float:
        """Log-probs [frames, symbols] of a whole recording, as a fresh stream hears it."""
        state = self.start()
        whole = len(samples) // self.hop * self.hop
        steps = [self.step(state, hop) for hop in samples[:whole].reshape(-1, self.hop)]
        return np.concatenate([*steps, self.flush(state, samples[whole:])])

    def _run(self, state: EncoderState, features: Float, frames: int) -> Float:
        visible = np.zeros(self._left + self._chunk, bool)
        visible[self._left - state.filled : self._left + frames] = True
        inputs = {"features": features[None], "visible": visible, **state.caches}
        log_probs, *caches = self._session.run(None, inputs)
        state.caches = dict(zip(_CACHES, caches, strict=True))
        state.filled = min(self._left, state.filled + self._chunk)
        return np.asarray(log_probs[0], np.float32)


def sha256(model: bytes) -> str:
    """Fingerprint of a model file's content, in hexadecimal."""
    return hashlib.sha256(model).hexdigest()


def _session(model: bytes, **dimensions: int) -> onnxruntime.InferenceSession:
    """A session of one thread with the named dimensions fixed."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    for name, size in dimensions.items():
        options.add_free_dimension_override_by_name(name, size)
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no base of their own
        raise ModelError(f"not a readable ONNX model: {error}") from error


def _metadata(model: bytes) -> dict[str, Any]:
    properties = _session(model).get_modelmeta().custom_metadata_map
    if "tasmi" not in properties:
        raise ModelError("the model carries no Tasmi metadata: export it with acoustic.export")
    about: dict[str, Any] = json.loads(properties["tasmi"])
    return about
