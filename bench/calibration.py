"""Fit and check the probabilities of the follower's decisions.

    python -m bench.calibration --held-out CORPUS [--prose FOLDER] [--picture PATH] [--verses N]

Verses of a corpus that training has not heard go through the pipeline as they are, in random rooms
and behind random codecs (`acoustic.channel`); recordings in ``--prose`` hold no Quran at all. Every
passage that the follower comes to decide on is kept with its evidence and whether it is right.
Half of them fit `stream.policy.Policy.recitation` by maximum likelihood; of the other half are
reported: the expected calibration error (ten bins), how many right passages would be accepted, and
how many wrong ones, with the present weights and with the fitted ones.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure

from acoustic import corpus
from acoustic.channel import reverberate, room_response, transcode
from quran_index import QuranIndex
from stream.audio import SAMPLE_RATE
from stream.engine import Engine
from stream.events import Final
from stream.policy import Evidence, Policy

from .events import recognise
from .scoring import Verse

Float = npt.NDArray[np.float32]
_QUIET = 1.5  # seconds of faint noise around a verse, so that it is silence that ends it
_BINS = 10
_WORST = -20.0  # nats a phoneme; of an alignment that was not even possible the fit has no bound

Reliability = list[tuple[float, float, int]]


@dataclass(frozen=True, slots=True)
class Recorder(Policy):
    """Accepts everything, and keeps the evidence.

    Instead of probabilities it gives serial numbers: the confidence of a final leads back to the
    evidence that it was decided on.
    """

    asked: list[Evidence] = field(default_factory=list)

    def probability(self, evidence: Evidence) -> float:
        self.asked.append(evidence)
        return float(len(self.asked))


@dataclass(frozen=True, slots=True)
class Decision:
    """Evidence of a passage, and whether it is what was recited."""

    evidence: Evidence
    right: bool


def decisions(engine: Engine, wave: Float, expected: frozenset[Verse]) -> Iterator[Decision]:
    """What the follower would decide on in one recording."""
    recorder = Recorder()
    events = recognise(replace(engine, policy=recorder), wave)
    for final in (event for event in events if isinstance(event, Final)):
        evidence = recorder.asked[round(final.confidence) - 1]
        yield Decision(evidence, (final.surah, final.ayah) in expected)


def recitations(
    folder: Path, index: QuranIndex, verses: int
) -> Iterator[tuple[Float, frozenset[Verse]]]:
    """Verses of a corpus: plain, in a room, and in a room behind a codec."""
    rng = np.random.default_rng(7)
    utterances = corpus.load(folder)
    for i in rng.permutation(len(utterances))[:verses]:
        utterance = utterances[i]
        verse = index.verse_of(utterance.surah, utterance.ayah)
        expected = frozenset(index.reference(same) for same in index.identical(verse))
        plain = torch.from_numpy(utterance.wave())
        room = reverberate(plain, torch.from_numpy(room_response(rng)))
        for wave in (plain, room, transcode(room, rng)):
            yield _in_quiet(wave.numpy(), rng), expected


def _in_quiet(wave: Float, rng: np.random.Generator) -> Float:
    quiet = int(_QUIET * SAMPLE_RATE)
    padded = np.pad(wave, quiet)
    return (padded + rng.normal(0, 2e-4, len(padded))).astype(np.float32)


def fit(
    seen: Sequence[Decision], start: tuple[float, ...], ridge: float = 0.0
) -> tuple[float, ...]:
    """The weights of `Evidence.terms` under which what happened is likeliest, searched for from
    ``start``. ``ridge``: nats a decision that a weight costs whose term spreads its odds by 1."""
    posterior = torch.tensor([d.evidence.posterior for d in seen], dtype=torch.float64)
    terms = torch.tensor(
        [replace(d.evidence, fit=max(d.evidence.fit, _WORST)).terms for d in seen],
        dtype=torch.float64,
    )
    right = torch.tensor([float(d.right) for d in seen], dtype=torch.float64)
    weights = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    spread = terms.std(0)  # of the constant: none
    optimizer = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        chance = posterior * torch.sigmoid(terms @ weights)
        value = torch.nn.functional.binary_cross_entropy(chance.clamp(1e-6, 1 - 1e-6), right)
        value = value + ridge * (weights * spread).square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return tuple(weights.tolist())


def report(name: str, policy: Policy, seen: Sequence[Decision]) -> Reliability:
    """Print what comes of a policy; returns its reliability by bins."""
    chances = np.array([policy.probability(d.evidence) for d in seen])
    right = np.array([d.right for d in seen])
    accepted = chances >= policy.accept
    bins = reliability(chances, right)
    error = sum(count * abs(chance - share) for chance, share, count in bins) / len(seen)
    print(
        f"{name} {tuple(round(w, 2) for w in policy.recitation)}: calibration error {error:.3f}; "
        f"of {right.sum()} right {np.sum(accepted & right)} accepted, "
        f"of {np.sum(~right)} wrong {np.sum(accepted & ~right)}"
    )
    return bins


def reliability(chances: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> Reliability:
    """Mean probability, share of right ones and count, of each bin that is not empty."""
    which = np.minimum((chances * _BINS).astype(int), _BINS - 1)
    return [
        (float(chances[which == b].mean()), float(right[which == b].mean()), int(sum(which == b)))
        for b in np.unique(which)
    ]


def picture(bins: Reliability) -> Figure:
    """Share of right ones over probability."""
    figure = Figure(figsize=(4, 4), layout="constrained")
    axes = figure.add_subplot()
    chances, shares, counts = zip(*bins, strict=True)
    axes.plot([0, 1], [0, 1], color="0.8")
    axes.scatter(chances, shares, s=[20 + 2 * c for c in counts])
    axes.set(xlabel="probability given", ylabel="share that was right", xlim=(0, 1), ylim=(0, 1))
    return figure


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.calibration", description=__doc__)
    parser.add_argument("--held-out", type=Path, required=True, metavar="CORPUS")
    parser.add_argument("--prose", type=Path, metavar="FOLDER", help="recordings without Quran")
    parser.add_argument("--verses", type=int, default=100)
    parser.add_argument("--picture", type=Path, metavar="PATH", help="draw the reliability here")
    args = parser.parse_args(arguments)
    engine = Engine.load()
    recordings = list(recitations(args.held_out, engine.index, args.verses))
    for path in sorted(args.prose.iterdir()) if args.prose else ():
        recordings.append((corpus.to_float(corpus.decode(path)), frozenset()))
    halves: tuple[list[Decision], list[Decision]] = ([], [])
    for i, (wave, expected) in enumerate(recordings):
        # The three renderings of a verse stay on one side.
        halves[i // 3 % 2].extend(decisions(engine, wave, expected))
    fitting, testing = halves
    bins = report("as shipped", engine.policy, testing)
    runs = [d for d in fitting if d.evidence.whole is None]
    weights = fit(runs, engine.policy.recitation)
    report("fitted", replace(engine.policy, recitation=weights), testing)
    if args.picture:
        picture(bins).savefig(args.picture, dpi=120)
    return 0


if __name__ == "__main__":
    sys.exit(main())
