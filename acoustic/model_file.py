"""Files of acoustic models: whether they are whole, what they say of themselves, how they run."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import onnxruntime

from acoustic.onnx_properties import read_properties

CHECKSUM = ".sha256"
"""Suffix of the file beside a model that says what its SHA-256 is."""
PROPERTY = "tasmi"
"""The ONNX property that holds a model's `Metadata` as JSON."""


class ModelError(Exception):
    """The model file is missing or is not one that can be run."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a model that `acoustic.export` wrote says of itself.

    ``frame_shift``: seconds a row of log-probs; ``frame_features``: rows of features to one of
    them. In such frames: ``chunks``, the look-aheads that it was trained for, ``chunk``, the best
    of them, and ``left``, what it sees before them. ``emission_delay``: by how many seconds its
    rows are later than the sounds that they tell of (`acoustic.delay` measures it).
    """

    symbols: tuple[str, ...]
    sample_rate: int
    frame_shift: float
    frame_features: int
    chunk: int
    chunks: tuple[int, ...]
    left: int
    emission_delay: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """From JSON. ModelError: it says something else."""
        try:
            said = json.loads(text)
            tuples = {name: tuple(said[name]) for name in ("symbols", "chunks")}
            return cls(**said | tuples)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"its metadata are not of this version of Tasmi ({error!r})"
            ) from error

    @property
    def samples_per_frame(self) -> int:
        """Audio samples that one row of log-probs stands for."""
        return round(self.frame_shift * self.sample_rate)

    @property
    def hops(self) -> tuple[int, ...]:
        """``chunks`` in samples."""
        return tuple(chunk * self.samples_per_frame for chunk in self.chunks)


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file that was found whole. ``metadata`` is None where the model is not one of Tasmi's."""

    path: Path
    metadata: Metadata | None

    @classmethod
    def open(cls, path: Path) -> Self:
        """ModelError: no such file, not the one that its checksum is of, or no ONNX model."""
        if not path.is_file():
            raise ModelError(f"no acoustic model at {path}")
        checksum = path.with_suffix(CHECKSUM)
        try:
            if checksum.exists() and checksum.read_text().split()[:1] != [sha256(path)]:
                raise ModelError(f"{path} is damaged: it is not what {checksum.name} was made of")
            properties = read_properties(path)
        except (OSError, ValueError) as error:
            raise ModelError(f"not a readable ONNX model: {error}") from error
        return cls(path, Metadata.parse(properties[PROPERTY]) if PROPERTY in properties else None)

    def session(self, **dimensions: int) -> onnxruntime.InferenceSession:
        """A session of one thread with the named dimensions fixed. ModelError: it does not load."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Where every call has another shape, a plan of the memory is kept for each of them.
        options.enable_mem_pattern = bool(dimensions)
        for name, size in dimensions.items():
            options.add_free_dimension_override_by_name(name, size)
        try:
            return onnxruntime.InferenceSession(
                str(self.path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's exceptions share no base of their own
            raise ModelError(f"not a readable ONNX model: {error}") from error


def sha256(path: Path) -> str:
    """Fingerprint of a file's content, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
