"""What every acoustic model is to the pipeline: audio in, log-probs out, one hop at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from acoustic.model_file import ModelError

Float = npt.NDArray[np.float32]
State = TypeVar("State")


class HopError(ModelError):
    """The model cannot work in hops of this length; ``step``: of which it takes multiples."""

    def __init__(self, hop: int, hops: tuple[int, ...]) -> None:
        super().__init__(f"a hop of {hop} samples: this model takes one of {hops}")
        self.step = min(hops)


class StreamingEncoder(ABC, Generic[State]):
    """An immutable acoustic model, shared by every stream; what changes is in a stream's ``State``.

    ``hop`` is how many samples it takes at a time, one of ``hops``; ``samples_per_frame`` of them
    make a row of log-probs, which is ``frame_shift`` seconds. The columns are ``symbols``, the
    blank of CTC the first. A row tells of a sound ``emission_delay`` seconds before it.
    """

    symbols: tuple[str, ...]
    sample_rate: int
    frame_shift: float
    samples_per_frame: int
    hops: tuple[int, ...]
    emission_delay: float = 0.0

    def __init__(self, hop: int) -> None:
        """HopError: ``hop`` is none of ``hops``, which are to be set before."""
        if hop not in self.hops:
            raise HopError(hop, self.hops)
        self.hop = hop

    @abstractmethod
    def start(self) -> State:
        """A fresh stream."""

    def step(self, state: State, samples: Float) -> Float:
        """Log-probs [frames, symbols] that the next ``hop`` samples (in [-1, 1]) bring."""
        if len(samples) != self.hop:
            raise ValueError(f"a step takes {self.hop} samples, not {len(samples)}")
        return self._step(state, samples)

    def flush(self, state: State, samples: Float) -> Float:
        """Log-probs [frames, symbols] of a last stretch shorter than a hop, and of all before.

        A frame that is not full is padded with zeros.
        """
        if len(samples) >= self.hop:
            raise ValueError(f"flush takes less than a hop of {self.hop} samples")
        return self._flush(state, samples)

    def encode(self, samples: Float) -> Float:
        """Log-probs [frames, symbols] of a whole recording, as a fresh stream hears it."""
        state = self.start()
        whole = len(samples) // self.hop * self.hop
        steps = [self.step(state, hop) for hop in samples[:whole].reshape(-1, self.hop)]
        return np.concatenate([*steps, self.flush(state, samples[whole:])])

    def whole(self, samples: Float) -> Float:
        """Log-probs [frames, symbols] of an utterance that is over, heard at once.

        Better than as it came: every frame sees all others. A frame that is not full is padded with
        zeros.
        """
        if not len(samples):
            return np.zeros((0, len(self.symbols)), np.float32)
        return self._whole(np.pad(samples, (0, -len(samples) % self.samples_per_frame)))

    @abstractmethod
    def _step(self, state: State, samples: Float) -> Float: ...

    @abstractmethod
    def _flush(self, state: State, samples: Float) -> Float: ...

    @abstractmethod
    def _whole(self, samples: Float) -> Float: ...
