"""What the pipeline needs of the encoder and the decoder, and the engine that holds them.

The engine is immutable and shared; everything that changes lives in the states, one set per stream.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

import acoustic
from acoustic.quiet import hiss
from decoders import BeamDecoder, Decoding, Partial, align
from decoders.whole import VerseScores
from lm import Priors
from quran_index import QuranIndex
from quran_index.graph import Graph

from .asking import LONGEST_WHOLE
from .audio import SAMPLE_RATE
from .clock import FrameClock
from .errors import (
    InstallationError,
    StreamError,
    UnsupportedHopError,
    UnsupportedModelError,
)
from .follower import Follower
from .passages import PassageFinder
from .policy import BALANCED, Policy
from .rehearing import Rehearing
from .vad import SileroVad

_log = logging.getLogger(__name__)
_LONG_LOAD_SECONDS = 4.0

LogProbs = npt.NDArray[np.float32]


class Encoder(Protocol):
    """Acoustic model: `acoustic.Encoder`, or another of the same contract.

    A step takes `hop` samples at 16 kHz and returns log-probabilities [frames, symbols], symbol 0
    being the CTC blank. Rows follow one another from the first sample on, `frame_shift` seconds
    each; they may lag behind the audio taken, until `flush` takes the rest, shorter than a hop. A
    row tells of a sound `emission_delay` seconds before it. `whole` hears an utterance that is over
    at once, which may be better than as it came.
    """

    @property
    def hop(self) -> int: ...
    @property
    def frame_shift(self) -> float: ...
    @property
    def emission_delay(self) -> float: ...
    @property
    def symbols(self) -> tuple[str, ...]: ...
    def start(self) -> Any: ...
    def step(self, state: Any, samples: npt.NDArray[np.float32]) -> LogProbs: ...
    def flush(self, state: Any, tail: npt.NDArray[np.float32]) -> LogProbs: ...
    def whole(self, samples: npt.NDArray[np.float32]) -> LogProbs: ...


class Decoder(Protocol):
    """Incremental search: `decoders.BeamDecoder`, or another of the same contract."""

    def start(self) -> Any: ...
    def advance(self, state: Any, log_probs: LogProbs) -> None: ...
    def partial(self, state: Any) -> Partial: ...
    def finish(self, state: Any) -> Decoding: ...
    def whole_verses(self, log_probs: LogProbs) -> VerseScores: ...


@contextmanager
def _shipped(what: str) -> Iterator[None]:
    """Says of whatever fails in the block that the installation is damaged.

    A damaged file makes its reader raise anything: zipfile, zlib, numpy and onnxruntime have errors
    of their own, and what they do not notice fails later as a missing key or a wrong shape.
    """
    try:
        yield
    except StreamError:
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise InstallationError(
            f"{what} cannot be loaded ({reason})", "install Tasmi again"
        ) from error


@contextmanager
def _named(model: Path) -> Iterator[None]:
    """Says of an error in the block that the model that the user named is at fault."""
    try:
        yield
    except acoustic.ModelError as error:
        raise UnsupportedModelError(
            f"{model} cannot be used as an acoustic model ({error})",
            "name another model, or none for Tasmi's own",
        ) from error


@dataclass(frozen=True, slots=True)
class Engine:
    """All that streams share."""

    index: QuranIndex
    encoder: Encoder
    graph: Graph
    """The Quran in the encoder's symbols."""
    decoder: Decoder
    vad: SileroVad
    passages: PassageFinder
    hop: int
    """Samples between decisions: the encoder's hop, or a multiple of it."""
    policy: Policy = BALANCED

    @classmethod
    def load(
        cls,
        hop_ms: int | None = None,
        model: str | os.PathLike[str] | None = None,
        policy: Policy = BALANCED,
    ) -> Self:
        """Loads what ships with the packages; `hop_ms` is the time between decisions.

        `model` is another acoustic model's file (docs/acoustic.md says which can be used).
        `policy` says when to speak.

        The encoder takes the longest of its own hops that fit into that a whole number of times:
        a shorter hop is sooner, a longer one hears more of what follows. Raises
        UnsupportedHopError if none fits, UnsupportedModelError if `model` cannot be used,
        InstallationError if a file is missing or damaged.
        """
        with _shipped("the index of the Quran"):
            index = QuranIndex.load()
        path = None if model is None else Path(model)
        hop = None if hop_ms is None else hop_ms * SAMPLE_RATE // 1000
        with _shipped("the acoustic model") if path is None else _named(path):
            try:
                encoder, graph = acoustic.load_model(path, index, hop)
            except acoustic.HopError as error:
                step = error.step * 1000 // SAMPLE_RATE
                raise UnsupportedHopError(
                    f"a hop of {hop_ms} ms", f"give a multiple of {step} ms"
                ) from error
        with _shipped("the search"):
            decoder = BeamDecoder(graph, Priors.load())
        with _shipped("the voice activity model"):
            vad = SileroVad()
        engine = cls(
            index=index,
            encoder=encoder,
            graph=graph,
            decoder=decoder,
            vad=vad,
            passages=PassageFinder(index),
            hop=encoder.hop if hop is None else hop,
            policy=policy,
        )
        engine._warm_up()
        return engine

    def _warm_up(self) -> None:
        """Runs what numba compiles and what is made when first used: no stream is to wait for it.

        Compiling takes a while, once per machine; then numba reads its own cache.
        """
        compiling = threading.Timer(
            _LONG_LOAD_SECONDS,
            _log.warning,
            ("compiling the search for this computer: half a minute or so, this once",),
        )
        compiling.daemon = True
        compiling.start()
        self.index.identical(0)
        # As much as is ever heard at once: it takes the most memory, which is kept.
        again = self.rehearing()
        again.add(hiss(round(LONGEST_WHOLE * SAMPLE_RATE)))
        again.hear(0, round(LONGEST_WHOLE / self.encoder.frame_shift))
        symbols = self.graph.symbols
        log_probs = np.full((16, symbols), -np.log(symbols), np.float32)
        state = self.decoder.start()
        self.decoder.advance(state, log_probs)
        self.decoder.partial(state)
        self.decoder.finish(state)
        self.decoder.whole_verses(log_probs)
        align(log_probs, self.graph, 0, 0, self.encoder.frame_shift)
        compiling.cancel()

    def rehearing(self) -> Rehearing:
        """What one recitation may have to hear again."""
        encoder = self.encoder
        return Rehearing(encoder.whole, encoder.frame_shift, encoder.emission_delay, LONGEST_WHOLE)

    def follower(self, clock: FrameClock, rehearing: Rehearing) -> Follower:
        """A follower for one recitation, whose frames `clock` maps to audio seconds."""
        symbols = self.encoder.symbols
        return Follower(
            self.index,
            self.graph,
            symbols,
            self.passages,
            self.decoder.whole_verses,
            rehearing.hear,
            clock,
            self.policy,
        )
