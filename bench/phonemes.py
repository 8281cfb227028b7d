"""Phoneme error rates by source, model and look-ahead.

    python -m bench.phonemes ../shared/audio/dev [--held-out CORPUS] [--model FILE[@HOW] ...]

``--model`` names an exported ``.onnx`` (streamed, on ONNX Runtime) or the ``.pt`` that ``--init``
takes (32 bit, in torch); ``@MS`` sets the look-ahead, ``@all`` lets every frame see the whole
recording (torch only), and ``@whole`` is how a recording is heard that is over: at once, and by its
own statistics. The first is what the others are compared with; the default is the shipped model as
it streams and at once, beside its 32-bit weights with the same look-ahead and with none of the
future hidden.

Rates are greedy and against the nearest allowed pronunciation (`acoustic.evaluate`): micro-averaged
over a source's clips, and the median of a clip. Half a second of quiet follows each, as the live
pipeline adds it at an end: the last sounds are told late. Clips of several surahs are left out:
they have no one passage.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from acoustic import corpus
from acoustic.encoder import WEIGHTS, Encoder
from acoustic.evaluate import Errors, hear, phoneme_errors
from acoustic.export import load_average
from acoustic.model import FRAME_SHIFT
from acoustic.quiet import hiss
from quran_index import QuranIndex

from . import clips

Float = npt.NDArray[np.float32]
Ear = Callable[[Float], Float]
Passage = tuple[str, Float, int, int]
"""Source, samples, first and last word."""

_SHIPPED = tuple(
    f"{WEIGHTS.with_suffix(kind)}{look_ahead}"
    for kind, look_ahead in ((".onnx", ""), (".onnx", "@whole"), (".pt", ""), (".pt", "@all"))
)
_ALL = 1 << 20  # frames: longer than any recording
_HELD_OUT = 200  # verses
_QUIET = hiss(corpus.SAMPLE_RATE // 2)


def ear(model: str) -> Ear:
    """What turns samples into log-probs."""
    name, _, look_ahead = model.partition("@")
    if name.endswith(".onnx"):
        if look_ahead == "whole":
            return Encoder.load(Path(name)).whole
        hop = int(look_ahead) * corpus.SAMPLE_RATE // 1000 if look_ahead else None
        return Encoder.load(Path(name), hop).encode
    network = load_average(Path(name))
    if look_ahead == "whole":
        return lambda samples: hear(network, samples, whole=True)
    if look_ahead:
        chunk = _ALL if look_ahead == "all" else round(int(look_ahead) / 1000 / FRAME_SHIFT)
        return lambda samples: hear(network, samples, chunk)
    return lambda samples: hear(network, samples)


def dev_passages(root: Path, index: QuranIndex) -> Iterator[Passage]:
    """The clips whose verses stand one after another; recordings with times verse by verse."""
    for clip in clips.load(root):
        samples = corpus.to_float(corpus.decode(clip.path))
        source = f"{clip.group}/{clip.source}"
        for ayah, start, end in clip.ayah_times:
            first, last = index.passage(clip.expected[0][0], ayah, ayah)
            cut = samples[int(start * corpus.SAMPLE_RATE) : int(end * corpus.SAMPLE_RATE)]
            yield source, cut, first, last
        (surah, first_ayah), (last_surah, last_ayah) = clip.expected[0], clip.expected[-1]
        in_order = [(surah, first_ayah + i) for i in range(len(clip.expected))]
        if not clip.ayah_times and last_surah == surah and list(clip.expected) == in_order:
            yield source, samples, *index.passage(surah, first_ayah, last_ayah)


def held_out_passages(folder: Path, index: QuranIndex) -> Iterator[Passage]:
    """A fixed random choice of a corpus's verses."""
    utterances = corpus.load(folder)
    for i in np.random.default_rng(0).permutation(len(utterances))[:_HELD_OUT]:
        utterance = utterances[i]
        yield f"held out/{utterance.reciter}", utterance.wave(), *utterance.passage(index)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.phonemes", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder with manifest.jsonl, or folder of such")
    parser.add_argument("--held-out", type=Path, metavar="CORPUS")
    parser.add_argument("--model", action="append", metavar="FILE[@HOW]")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the rates here")
    args = parser.parse_args(arguments)

    index = QuranIndex.load()
    models = args.model or list(_SHIPPED)
    ears = [ear(model) for model in models]
    errors: dict[str, list[list[Errors]]] = defaultdict(lambda: [[] for _ in models])
    passages = list(dev_passages(args.folder, index))
    if args.held_out:
        passages += held_out_passages(args.held_out, index)
    for source, samples, first, last in passages:
        samples = np.concatenate([samples, _QUIET])
        for heard, rows in zip(ears, errors[source], strict=True):
            rows.append(phoneme_errors(heard(samples), index, first, last))

    table = Table("source", "passages", *(Path(model).name for model in models))
    rates: dict[str, list[dict[str, float]]] = {}
    for source, columns in sorted(errors.items()):
        rates[source] = [
            {
                "per": sum(rows, Errors()).rate,
                "median": float(np.median([row.rate for row in rows])),
            }
            for rows in columns
        ]
        cells = [f"{100 * r['per']:.1f}% (median {100 * r['median']:.1f}%)" for r in rates[source]]
        table.add_row(source, str(len(columns[0])), *cells)
    Console(width=140).print(table)
    if args.json:
        args.json.write_text(json.dumps({"models": models, "rates": rates}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
