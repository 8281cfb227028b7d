"""Fit and check when all that was said between two silences is one verse as a whole.

    python -m bench.wholes ../shared/audio/dev/v1 --held-out CORPUS --speech FOLDER

Three kinds of recordings. Ordinary people's clips of one verse, and pieces of verses by a reader
whom training has not heard, which are no whole ones, are heard as the follower hears again what it
is not sure of: at once, and compared with every verse (`stream.whole`). Recordings without Quran,
by people whom training has not heard either (any folder of them), go through the pipeline, and
every comparison that it makes counts, in silence or before.

The weights of `stream.policy.Policy.recitation_whole` under which what happened is likeliest come
first; then the constant is set so that as much other speech is taken for a verse, or for the
beginning of one, as is allowed (`_ALLOWED`). Told for the present weights and for the fitted ones:
of each kind, how many were right and how many wrong.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acoustic import corpus
from acoustic.quiet import hiss
from decoders import greedy
from stream.asking import LONGEST_WHOLE
from stream.audio import SAMPLE_RATE
from stream.engine import Engine
from stream.policy import Evidence, Policy, shares
from stream.whole import WholeFinder

from . import clips
from .calibration import Decision, fit
from .events import recognise
from .scoring import Verse
from .splices import load_voice

Float = npt.NDArray[np.float32]
Ask = Callable[[Float, Sequence[Verse]], Iterator[Decision]]
"""Which verse a recording is, and whether that is one of the right ones."""

_SOURCE = "retasy"  # of clips that ordinary people recorded
_ALLOWED = 8.0  # in half an hour of other speech; four of five are shown while it is spoken, and go
_RIDGE = 1e-3  # without it the few clips make steep weights: long stretches of prose are believed
_PIECES = 300
_AFTER = 0.75  # seconds of silence after what is heard at once
_SILENCE = 3.0  # and after a recording


def asker(engine: Engine) -> Ask:
    """Asks as `stream.follower` does, but of whatever it is given."""
    index, policy = engine.index, engine.policy
    finder = WholeFinder(index, engine.graph, engine.decoder.whole_verses)
    quiet = hiss(round(_AFTER * SAMPLE_RATE))

    def ask(wave: Float, expected: Sequence[Verse]) -> Iterator[Decision]:
        samples = np.concatenate([wave, quiet])
        if len(samples) > LONGEST_WHOLE * SAMPLE_RATE:
            return
        log_probs = engine.encoder.whole(samples)
        if len(greedy(log_probs)) < policy.show_phonemes:
            return
        found = finder.find(log_probs, -1)
        words = finder.words(log_probs, found, 0)
        if not words:
            return
        posteriors = shares(found.ranked, policy.temperature_whole)
        alike = index.identical(found.verse)
        phonemes = sum(engine.passages.phonemes(w.word, w.word) for w in words)
        evidence = Evidence(
            sum(posteriors.get(verse, 0.0) for verse in alike),
            sum(w.score for w in words) / phonemes,
            phonemes,
            whole=finder.evidence(log_probs, found),
        )
        yield Decision(evidence, any(index.reference(verse) in expected for verse in alike))

    return ask


def clips_of_one_verse(ask: Ask, folder: Path) -> list[Decision]:
    """What is said of them."""
    return [
        decision
        for clip in clips.load(folder)
        if clip.source == _SOURCE and len(clip.expected) == 1
        for decision in ask(corpus.to_float(corpus.decode(clip.path)), clip.expected)
    ]


def pieces(ask: Ask, engine: Engine, folder: Path) -> list[Decision]:
    """What is said of a voice's verses that begin late or end early; naming the verse is right."""
    voice = load_voice([folder], engine.index)
    rng = np.random.default_rng(0)
    seen: list[Decision] = []
    for i in rng.permutation(len(voice.verses)):
        verse = voice.verses[i]
        cuts = [0, *(word for word in voice.clean(verse) if word < voice.count(verse))]
        if len(seen) < _PIECES and len(cuts) > 1:
            last = int(rng.integers(1, len(cuts)))
            first = int(rng.integers(last))
            seen += ask(voice.part(verse, cuts[first] + 1, cuts[last]), [verse])
    return seen


@dataclass(frozen=True, slots=True)
class Recorder(Policy):
    """Keeps the evidence of what is compared with whole verses."""

    compared: list[Evidence] = field(default_factory=list)

    def probability(self, evidence: Evidence) -> float:
        if evidence.whole:
            self.compared.append(evidence)
        return Policy.probability(self, evidence)


def other_speech(engine: Engine, folder: Path) -> tuple[list[Decision], float]:
    """What is compared with verses in it, and its hours."""
    recorder = Recorder()
    listener = replace(engine, policy=recorder)
    quiet = hiss(round(_SILENCE * SAMPLE_RATE))
    samples = 0
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        wave = corpus.to_float(corpus.decode(path))
        samples += len(wave)
        recognise(listener, np.concatenate([wave, quiet]))
    seen = [Decision(evidence, False) for evidence in recorder.compared]
    return seen, samples / SAMPLE_RATE / 3600


def allowing(policy: Policy, other: Sequence[Decision], count: int) -> Policy:
    """``policy`` with the constant of its weights such that ``count`` of ``other`` are accepted."""
    constant, *weights = policy.recitation_whole

    def lacking(evidence: Evidence) -> float:
        """Log odds that it falls short of being accepted."""
        if evidence.posterior <= policy.accept:
            return math.inf
        return math.log(policy.accept / (evidence.posterior - policy.accept)) - policy.odds(
            evidence
        )

    constant += sorted(lacking(decision.evidence) for decision in other)[count]
    return replace(policy, recitation_whole=(constant, *weights))


def report(name: str, policy: Policy, kinds: Mapping[str, Sequence[Decision]]) -> None:
    """Print what comes of a policy."""
    print(f"{name} {tuple(round(w, 2) for w in policy.recitation_whole)}")
    for kind, seen in kinds.items():
        told = [d.right for d in seen if policy.probability(d.evidence) >= policy.accept]
        print(f"  {kind}: of {len(seen)} {sum(told)} told rightly, {len(told) - sum(told)} wrongly")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.wholes", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder with manifest.jsonl")
    parser.add_argument("--held-out", type=Path, required=True, metavar="CORPUS")
    parser.add_argument("--speech", type=Path, required=True, metavar="FOLDER")
    args = parser.parse_args(arguments)
    engine = Engine.load()
    ask = asker(engine)
    recited = clips_of_one_verse(ask, args.folder)
    torn = pieces(ask, engine, args.held_out)
    other, hours = other_speech(engine, args.speech)
    kinds = {
        "clips": recited,
        "pieces of verses": torn,
        f"comparisons in {hours:.1f} h of other speech": other,
    }
    report("as shipped", engine.policy, kinds)
    # A piece of the verse that it is taken for is neither right nor wrong.
    wrong = [d for d in torn if not d.right]
    weights = fit([*recited, *wrong, *other], engine.policy.recitation_whole, _RIDGE)
    fitted = replace(engine.policy, recitation_whole=weights)
    report("fitted", allowing(fitted, other, math.floor(2 * hours * _ALLOWED)), kinds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
