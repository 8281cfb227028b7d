"""One way to any acoustic model: the shipped one, another of its kind, or somebody else's."""

from __future__ import annotations

from pathlib import Path

from acoustic.encoder import WEIGHTS, Encoder
from acoustic.model_file import ModelError, ModelFile
from acoustic.nemo import HOPS, NemoEncoder
from acoustic.streaming import HopError
from quran_index import QuranIndex
from quran_index.graph import Graph


def load_model(
    path: Path | None, index: QuranIndex, hop: int | None = None
) -> tuple[Encoder | NemoEncoder, Graph]:
    """The model at ``path`` (None: the shipped one) and the Quran as a graph of its symbols.

    ``hop``: samples between decisions. The model takes the longest of its own hops that fit into
    that a whole number of times: a shorter one is sooner, a longer one hears more of what follows.
    HopError: none fits. ModelError: no model that we can run.
    """
    file = ModelFile.open(path or WEIGHTS)
    if file.metadata is None:
        nemo = NemoEncoder(file, index, _fitting(HOPS, hop))
        return nemo, nemo.graph
    if file.metadata.symbols != index.symbols:
        raise ModelError("the model was trained on other phonemes than those of this version")
    return Encoder(file, _fitting(file.metadata.hops, hop)), index.graph


def _fitting(hops: tuple[int, ...], wanted: int | None) -> int | None:
    if wanted is None:
        return None
    fitting = [hop for hop in hops if wanted > 0 and wanted % hop == 0]
    if not fitting:
        raise HopError(wanted, hops)
    return max(fitting)
