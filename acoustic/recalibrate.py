"""Statistics of batch normalisation measured anew, on recordings as they are.

    python -m acoustic.recalibrate RUN/final.pt --data CORPUS[*FACTOR]... --out OUT.pt

What training leaves as the statistics of all is an average over augmented batches, noise and rooms
and all. Recordings are better than that, and a network that is told what they are like hears them
better (precise batch normalisation, Wu & Johnson 2021). Nothing else of the weights changes. Ways
between both are `acoustic.blend`'s, of ``RUN/final.pt`` and what this makes of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from acoustic.augment import FeatureExtractor
from acoustic.batches import Lectures, Lessons, Renderer, load
from acoustic.export import load_average, save_average
from acoustic.lessons import load as load_lessons
from acoustic.model import ConformerCTC, MaskedBatchNorm
from acoustic.train import Recipe, device, weighted
from quran_index import QuranIndex


def recalibrate(
    network: ConformerCTC, corpora: Sequence[tuple[Lessons, float]], minutes: float
) -> None:
    """Take the mean statistics of so many minutes of the corpora, in batches as training has them.

    ``corpora``: lessons, and how many times as often as its voices deserve each is to be heard.
    """
    there = next(network.parameters()).device
    recipe = Recipe()
    lectures = Lectures(corpora, recipe.longest, recipe.batch_seconds, None, (recipe.seed,))
    render = Renderer(FeatureExtractor(there), np.random.default_rng(recipe.seed))
    norms = [module for module in network.modules() if isinstance(module, MaskedBatchNorm)]
    momenta = [norm.momentum for norm in norms]
    network.train()
    with torch.no_grad():
        count = max(1, round(60 * minutes / recipe.batch_seconds))
        for n, lecture in enumerate(islice(load(lectures, there), count)):
            for norm in norms:
                norm.momentum = 1 / (n + 1)  # of the mean of all so far
            batch = render(lecture, None)
            network(batch.features, batch.lengths)
    network.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="acoustic.recalibrate")
    parser.add_argument("weights", type=Path, help="a training's final.pt")
    parser.add_argument(
        "--data", type=weighted, nargs="+", required=True, metavar="CORPUS[*FACTOR]"
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="of audio to hear")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    index = QuranIndex.load()
    network = load_average(args.weights).to(device())
    corpora = [(load_lessons(folder, index), factor) for folder, factor in args.data]
    recalibrate(network, corpora, args.minutes)
    save_average(network, args.out)


if __name__ == "__main__":
    main()
