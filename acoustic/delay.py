"""How much later than a sound the network tells of it.

    python -m acoustic.delay --data CORPUS... [--weights RUN/final.pt]

CTC says nothing of when a symbol is to be emitted, and a network that was trained with little
look-ahead learns to wait. It waits about as long for every sound, whatever its look-ahead, so that
the median over readers' verses is a constant of the network. It is measured where a sound is easy
to place: at the beginning of a verse, where the level rises out of quiet. `acoustic.export --delay`
writes it into the model file, and whoever tells times takes it off.

Prints quartiles for each reader, and the median of the readers' medians. Give training readers;
verses that are cut so close that no quiet is before them are passed over.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acoustic.corpus import SAMPLE_RATE, Utterance, load
from acoustic.encoder import WEIGHTS
from acoustic.evaluate import hear
from acoustic.export import load_average
from acoustic.model import FRAME_SHIFT, ConformerCTC
from decoders.align import align
from quran_index import QuranIndex

Float = npt.NDArray[np.float32]

_STEP = 80  # samples of a level
_BELOW_LOUD = 25.0  # dB; speech is less than that below the loudest tenth of its verse
_STEADY = 6  # levels in a row that must be speech: 30 ms
_LEAST_QUIET = 0.1  # seconds before the speech
_LONGEST = 15.0  # seconds
_FEWEST = 10  # verses that say something of a reader
_MOST = 1500  # that are looked at


def onset(samples: Float) -> float | None:
    """The second at which speech begins in a recording (16 kHz), by its level; None: nowhere."""
    levels = np.square(samples[: len(samples) // _STEP * _STEP].reshape(-1, _STEP)).mean(axis=1)
    loud = 10 * np.log10(levels + 1e-10)
    speech = np.convolve(
        loud > np.percentile(loud, 90) - _BELOW_LOUD, np.ones(_STEADY), mode="valid"
    )
    steady = np.flatnonzero(speech == _STEADY)
    return float(steady[0]) * _STEP / SAMPLE_RATE if len(steady) else None


def delay(
    network: ConformerCTC, index: QuranIndex, utterance: Utterance, samples: Float
) -> float | None:
    """Seconds from the beginning of a verse's speech to the first frame of its words.

    None: there is no quiet before it, or its words do not fit.
    """
    begins = onset(samples)
    if begins is None or begins < _LEAST_QUIET:
        return None
    try:
        words = align(hear(network, samples), index.graph, *utterance.passage(index), FRAME_SHIFT)
    except ValueError:
        return None
    return words[0].start - begins


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="acoustic.delay")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="corpora of verses")
    parser.add_argument("--weights", type=Path, default=WEIGHTS.with_suffix(".pt"))
    parser.add_argument("--verses", type=int, default=40, help="of each reader")
    args = parser.parse_args()
    network, index, rng = load_average(args.weights), QuranIndex.load(), np.random.default_rng(0)
    usable = [
        u
        for folder in args.data
        for u in load(folder)
        if u.ayah and u.samples <= _LONGEST * SAMPLE_RATE
    ]
    medians = []
    for reader in sorted({u.reciter for u in usable}):
        mine = [u for u in usable if u.reciter == reader]
        ordered = (mine[i] for i in rng.permutation(len(mine))[:_MOST])
        each = (delay(network, index, u, u.wave()) for u in ordered)
        found = list(islice((d for d in each if d is not None), args.verses))
        if len(found) < _FEWEST:
            continue
        low, median, high = np.percentile(found, (25, 50, 75)).tolist()
        medians.append(median)
        print(f"{reader}: {median:.3f} s (quartiles {low:.3f}, {high:.3f}; {len(found)} verses)")
    if not medians:
        parser.error(f"no reader has {_FEWEST} verses with quiet before them")
    print(f"median of {len(medians)} readers: {np.median(medians):.2f} s")


if __name__ == "__main__":
    main()
