"""How the verses of a corpus were pronounced: ``python -m acoustic.pronounce --data CORPUS...``

No list says where a reader paused, and a pause changes how a word ends. Forced alignment with a
network that knows recitation, the shipped one, chooses among the pronunciations that the text
allows; `acoustic.lessons` has the result. What is something else than its label says does not
align, and is not to be learned from.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rapidfuzz.distance import Levenshtein

from acoustic import corpus
from acoustic.augment import FeatureExtractor
from acoustic.corpus import Utterance
from acoustic.export import load_average
from acoustic.lessons import Labels, by_file, by_length, save_said
from acoustic.model import ConformerCTC
from acoustic.train import SHIPPED, device
from decoders import greedy
from decoders.align import pronunciation
from quran_index import QuranIndex

MOST_ERRORS = 0.4
"""Per phoneme, of what is heard greedily; learners who are hard to hear stay."""

_HEARD_SECONDS = 240.0  # of a batch

Half = npt.NDArray[np.float16]


@cache
def _index() -> QuranIndex:
    return QuranIndex.load()


def said(utterance: Utterance, log_probs: Half) -> Labels:
    """The pronunciation of an utterance of the Quran; empty: it is something else."""
    heard = log_probs.astype(np.float32)
    try:
        symbols = pronunciation(heard, _index().graph, *utterance.passage(_index()))
    except ValueError:  # too little time to say it in
        return np.zeros(0, np.int16)
    errors = Levenshtein.distance(greedy(heard), symbols.tolist())
    return symbols if errors <= MOST_ERRORS * len(symbols) else np.zeros(0, np.int16)


def _said(job: tuple[Utterance, Half]) -> tuple[Utterance, Labels]:
    return job[0], said(*job)


def heard(
    network: ConformerCTC, utterances: Sequence[Utterance]
) -> Iterator[tuple[Utterance, Half]]:
    """Log-probs of each, in no order."""
    extract = FeatureExtractor(device())
    for batch in by_length(utterances, _HEARD_SECONDS):
        waves = [torch.from_numpy(u.wave()).to(extract.device) for u in batch]
        samples = torch.tensor([len(w) for w in waves], device=extract.device)
        features, lengths, _ = extract.plain_batch(
            torch.nn.utils.rnn.pad_sequence(waves, batch_first=True), samples
        )
        with torch.no_grad(), torch.autocast(extract.device.type, dtype=torch.bfloat16):
            logits, _, frames = network(features, lengths)
        log_probs = logits.float().log_softmax(-1).half().cpu().numpy()
        for u, heard_, count in zip(batch, log_probs, frames.tolist(), strict=True):
            yield u, heard_[:count]


def pronounce(folders: Sequence[Path], network: ConformerCTC) -> None:
    """Leave the pronunciations beside the corpora; those of other words are what is spelled."""
    index = _index()
    with get_context("spawn").Pool(os.cpu_count()) as pool:
        for folder in folders:
            for file, utterances in by_file(corpus.load(folder)):
                verses = [u for u in utterances if u.surah]
                if not verses:
                    continue
                labels = dict(pool.imap_unordered(_said, heard(network, verses), chunksize=16))
                for u in utterances:
                    if not u.surah:
                        labels[u] = np.array(corpus.symbols_of(index, u.phonemes), np.int16)
                save_said(file, [labels[u] for u in utterances])
                other = sum(not len(labels[u]) for u in verses)
                print(f"{file}: {len(verses)} verses, {other} of them something else", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="acoustic.pronounce")
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--weights", type=Path, default=SHIPPED)
    args = parser.parse_args()
    try:
        pronounce(args.data, load_average(args.weights).to(device()))
    except (OSError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
