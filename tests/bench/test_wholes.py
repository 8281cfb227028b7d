"""The weights of a whole verse's evidence are fitted as `bench.wholes` says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from acoustic import corpus
from bench import cost, wholes
from bench.calibration import Decision, fit
from stream.engine import Engine
from stream.policy import BALANCED, Evidence, WholeEvidence


def decisions(rng: np.random.Generator, count: int, heard: float, right: bool) -> list[Decision]:
    """Evidence about which the verse is right or not, of which ``heard`` is told on average."""
    return [
        Decision(
            Evidence(
                float(rng.uniform(0.6, 1.0)),
                float(rng.normal(-1.5, 0.4)),
                int(rng.integers(10, 70)),
                whole=WholeEvidence(
                    float(rng.normal(heard, 0.15)),
                    float(rng.normal(0.0, 5.0)),
                    float(rng.uniform(0.7, 1.3)),
                ),
            ),
            right,
        )
        for _ in range(count)
    ]


def test_as_much_other_speech_is_accepted_as_is_allowed() -> None:
    rng = np.random.default_rng(0)
    recited, other = decisions(rng, 60, 0.7, True), decisions(rng, 300, 0.4, False)
    fitted = replace(BALANCED, recitation_whole=fit([*recited, *other], BALANCED.recitation_whole))
    for count in (0, 1, 7):
        policy = wholes.allowing(fitted, other, count)
        accepted = [policy.probability(d.evidence) >= policy.accept for d in other]
        # The one that sets the limit may fall on either side of it.
        assert sum(accepted) in (count, count + 1)
        assert policy.recitation_whole[1:] == fitted.recitation_whole[1:]
    told = [policy.probability(d.evidence) >= policy.accept for d in recited]
    assert np.mean(told) > 10 * count / len(other)


def test_of_a_recording_it_is_asked_which_verse_it_is() -> None:
    ask = wholes.asker(Engine.load())
    samples = corpus.to_float(corpus.decode(cost.SAMPLE))
    second = samples[int(4.2 * corpus.SAMPLE_RATE) : int(8.6 * corpus.SAMPLE_RATE)]
    (found,) = ask(second, [(1, 2)])
    assert found.right
    assert found.evidence.whole is not None
    assert found.evidence.whole.heard > 0.8
    assert found.evidence.whole.lead > 5
    (other,) = ask(second, [(1, 3)])
    assert not other.right
    assert list(ask(samples, [(1, 2)])) == []  # too long to be one verse
