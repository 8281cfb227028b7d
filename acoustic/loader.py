"""One way to any acoustic model: the shipped one, another of its kind, or somebody else's."""

from __future__ import annotations

from pathlib import Path

from acoustic.encoder import Encoder, ModelError
from acoustic.nemo import NemoEncoder, open_session
from quran_index import QuranIndex
from quran_index.graph import Graph


def load_model(
    path: Path | None, index: QuranIndex, hop: int | None = None
) -> tuple[Encoder | NemoEncoder, Graph]:
    """The model at ``path`` (None: the shipped one) and the Quran as a graph of its symbols.

    ``hop``: samples at a time, one of the model's ``hops``. ModelError: no model that we can run.
    """
    if path is not None:
        session = open_session(path)
        if "tasmi" not in session.get_modelmeta().custom_metadata_map:
            nemo = NemoEncoder(session, path.parent, index, hop)
            return nemo, nemo.graph
    encoder = Encoder.load(path, hop)
    if encoder.symbols != index.symbols:
        raise ModelError("the model was trained on other phonemes than those of this version")
    return encoder, index.graph
