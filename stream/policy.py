"""When to speak: the constants of the follower's decisions, and what a passage's evidence is worth.

A decision is a bet: the probability that a passage is what was recited is estimated from its
evidence, and an application says what probability it wants before it is told.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

_CERTAIN = 30.0  # log odds beyond which nothing changes
_MOST_LEAD = 20.0  # nats of `WholeEvidence.lead`, either way, past which more say nothing more


@dataclass(frozen=True, slots=True)
class WholeEvidence:
    """What speaks for a verse with which all that was said between two silences is compared.

    ``heard``: how much of what was heard are sounds of the verse, from 0 to 1; ``lead``: nats
    before any other verse, finished or not; ``sounds``: how many were heard per phoneme of the
    verse.
    """

    heard: float
    lead: float
    sounds: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a passage.

    ``posterior``: the decoder's, among all verses, once tempered; ``fit``: nats a phoneme of its
    best alignment against a free loop over all symbols (0 is perfect); ``phonemes``: how many were
    said; ``foreign``: whether it comes after speech that was not Quran, and no verse between;
    ``torn``: at how many of its ends something of its verse is missing; ``follows``: whether it
    comes after a verse a little before it; ``whole``: None where the search found it.
    """

    posterior: float
    fit: float
    phonemes: int
    foreign: bool = False
    torn: int = 0
    follows: bool = False
    whole: WholeEvidence | None = None

    @property
    def terms(self) -> tuple[float, ...]:
        """What is weighed: 1, the fit and the log of the phonemes; then ``torn`` by
        `Policy.recitation`, ``heard``, ``lead`` and the log of ``sounds`` by
        `Policy.recitation_whole`."""
        terms = 1.0, self.fit, math.log(max(self.phonemes, 1))
        if self.whole is None:
            return *terms, float(self.torn)
        whole = self.whole
        lead = max(-_MOST_LEAD, min(whole.lead, _MOST_LEAD))
        return *terms, whole.heard, lead, math.log(whole.sounds)


@dataclass(frozen=True, slots=True)
class Policy:
    """Probabilities, times in seconds, and phoneme counts.

    ``recitation`` was set by hand and checked (`bench.calibration`) on a reader that training has
    not heard, in rooms and behind codecs, and on prose. Those data separate, so that a fit to them
    is nearly a step, which would silence recordings worse than they are.
    """

    show: float = 0.5
    """Probability from which a verse is shown."""
    accept: float = 0.5
    """Probability from which a passage that is over is made final."""
    show_phonemes: int = 6
    """Phonemes that must have been heard of a verse to show it."""
    pause: float = 0.7
    """Silence after a verse's last word that makes it final."""
    opening_pause: float = 1.3
    """Silence after the basmala that makes it a verse. Of 180 surahs by 18 readers that went on
    after it, 98% did so within 1.3 s."""
    onward: float = 0.95
    """Posterior of what follows that makes a complete verse before it final."""
    onward_phonemes: int = 12
    """Phonemes of what follows that do so, whatever its posterior."""
    partial_phonemes: int = 12
    """Phonemes that an incomplete verse needs to count as recited."""
    mistake: float = 0.9
    """Probability from which a mistake is told; it matters more that none is told falsely."""
    foreign: float = 4.0
    """Seconds of speech that fit nothing until it is said not to be Quran."""
    temperature: float = 1.5
    """Nats of score difference per nat of posterior odds."""
    temperature_whole: float = 1.0
    """The same between verses as a whole, of which there are so many fewer than pieces."""
    recitation: tuple[float, ...] = (1.5, 2.5, 0.6, -1.5)
    """Log odds that something of the Quran was said at all: the weights of `Evidence.terms`. Other
    speech fits pieces of verses, here and there; who recites mostly says whole ones."""
    recitation_whole: tuple[float, ...] = (-5.65, 1.0, 0.72, 8.76, 0.12, -0.96)
    """The same where all that was said may be one verse as a whole. Bad recordings lack many of a
    verse's sounds, but what is heard are sounds of the verse; of other speech more is heard, and
    little is any verse's; and where a verse was begun, no other one stands out. Fitted by
    `bench.wholes`."""
    recitation_after_foreign: float = -1.2
    """What speech that was not Quran adds to them: who talked may go on talking."""
    recitation_after_verse: float = 1.5
    """What a verse just before it adds to them: who recited may go on reciting."""

    def probability(self, evidence: Evidence) -> float:
        """That a passage is what was recited: that it is Quran, and if so, this verse of it."""
        odds = self.odds(evidence)
        return evidence.posterior / (1 + math.exp(min(max(-odds, -_CERTAIN), _CERTAIN)))

    def odds(self, evidence: Evidence) -> float:
        """Log odds that something of the Quran was said at all."""
        weights = self.recitation_whole if evidence.whole else self.recitation
        odds = sum(w * t for w, t in zip(weights, evidence.terms, strict=True))
        odds += self.recitation_after_foreign * evidence.foreign
        return odds + self.recitation_after_verse * evidence.follows


def shares(candidates: Sequence[tuple[int, float]], temperature: float) -> dict[int, float]:
    """Posterior of each verse of ``candidates`` (verse, nats), in their order."""
    if not candidates:
        return {}
    verses, scores = zip(*candidates, strict=True)
    weights = np.exp((np.array(scores) - max(scores)) / temperature)
    weights /= weights.sum()
    return dict(zip(verses, weights.tolist(), strict=True))


BALANCED = Policy()
QUICK = replace(BALANCED, show=0.4, pause=0.4, onward=0.8, onward_phonemes=8)
CAREFUL = replace(BALANCED, show=0.8, accept=0.8, pause=1.2, onward=0.99, onward_phonemes=20)
"""Presets: sooner and more often wrong, or later and surer, than the default."""
