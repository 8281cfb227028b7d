"""Which verse is all that was said and not told? Asked of every verse as a whole.

Of bad recordings the search may find but pieces of a verse, or of others. So what nothing was told
of is heard again at once, and compared with all verses (`stream.whole`): in silence with whole
ones, and while it is spoken with their beginnings.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from decoders import greedy
from decoders.align import WordTime as Aligned
from quran_index import QuranIndex

from .history import Float
from .passages import Passage, Stretch
from .policy import Evidence, Policy, shares
from .slots import Posteriors
from .whole import Whole, WholeFinder

LONGEST_WHOLE = 20.0
"""Seconds of speech between two silences that may be asked which verse they are."""

_VOICE_ENDS = 0.15  # seconds for which a voice may still be heard once it is silent
_FIRST_GUESS, _LAST_GUESS = 2.4, 12.0  # seconds of speech of which the verse is guessed

Weigh = Callable[[Passage, float, list[Aligned], int], Evidence]
"""What speaks for a passage, by its posterior, its words and the frame since which it was said."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A passage's aligned words, and the probability that it was recited."""

    words: list[Aligned]
    probability: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The verse that all that was said is, and what is believed of the others."""

    passage: Passage
    judged: Judged
    posteriors: Posteriors


class Asking:
    """Asks for one recitation; ``shift``: seconds of a frame.

    ``heard`` has the log-probs [T, symbols] of the frames from one to another (exclusive), and
    ``rehear`` has them heard again at once, with so many seconds of silence at their end.
    """

    def __init__(
        self,
        index: QuranIndex,
        wholes: WholeFinder,
        heard: Callable[[int, int], Float],
        rehear: Callable[[int, int, float], Float],
        weigh: Weigh,
        shift: float,
        policy: Policy,
    ) -> None:
        self._index = index
        self._wholes = wholes
        self._heard = heard
        self._rehear = rehear
        self._weigh = weigh
        self._shift = shift
        self._policy = policy
        self._basmala = index.verse_of(1, 1)
        self.restart()

    def restart(self) -> None:
        """Frames count from 0 again."""
        self.untold = 0
        """The frame since which nothing was told, and no long silence was."""
        self._waiting = False  # whether that may be the beginning of a longer verse
        self._asked = (0, 0)  # since when, and of how many symbols, it was asked which verse it is
        self._ask_again = math.inf  # after how many seconds of silence to ask the same
        self._guessed = (-1, 0)  # since when, and of how many frames, to ask which verse it begins

    def decided(self, end: int, told: bool) -> None:
        """What was said up to frame ``end`` is decided; if nothing was ``told`` of it, it may still
        be asked about."""
        since = end if told else end - round(LONGEST_WHOLE / self._shift)
        self.untold = max(self.untold, since)

    def in_silence(
        self, until: int, still: float, after: int, known: Callable[[], bool]
    ) -> Answer | None:
        """The verse that stands out as all that was said until frame ``until``, if one does.

        ``still``: seconds of silence; what was said before two pauses of it is another matter.
        ``after``: the verse recited before (-1: none). ``known``: whether the search is sure of it
        already.
        """
        start, policy = self.untold, self._policy
        found = None
        if (until - start) * self._shift <= LONGEST_WHOLE:
            log_probs = self._heard(start, until)
            asked = start, len(greedy(log_probs)) if len(log_probs) else 0
            if asked != self._asked or still >= self._ask_again:
                self._asked, self._ask_again, self._waiting = asked, math.inf, False
                if asked[1] >= policy.show_phonemes and not known():
                    found = self._asked_twice(start, until, log_probs, still, after)
        if still >= 2 * policy.pause and not self._waiting:
            self.untold = until
        return found

    def while_spoken(self, until: int, after: int) -> Answer | None:
        """The verse that all that was said until frame ``until`` begins, if one stands out.

        It is asked whenever twice as much was heard, so that it costs no more than what is heard
        again once. ``after``: as of `in_silence`.
        """
        start = self.untold
        if self._guessed[0] != start:
            self._guessed = start, round(_FIRST_GUESS / self._shift)
        if not self._guessed[1] <= until - start <= _LAST_GUESS / self._shift:
            return None
        self._guessed = start, 2 * (until - start)
        log_probs = self._rehear(start, until, 0.0)
        whole = self._best(log_probs, after, begun=True)
        answer = self._compared(whole, log_probs, start) if whole else None
        return answer if answer and answer.judged.probability >= self._policy.show else None

    def _asked_twice(
        self, start: int, until: int, log_probs: Float, still: float, after: int
    ) -> Answer | None:
        """As `_ask`, of the frames heard again, and if those say nothing, of how they came."""
        silent = max(0.0, still - _VOICE_ENDS) if still < math.inf else 0.0
        for heard in (self._rehear(start, until, silent), log_probs):
            found = self._ask(heard, start, still, after)
            if found or self._waiting or self._ask_again < math.inf:
                return found
        return None

    def _ask(self, log_probs: Float, start: int, still: float, after: int) -> Answer | None:
        """Which verse ``log_probs`` [T, symbols] from frame ``start`` on are, as `in_silence`."""
        policy = self._policy
        whole = self._best(log_probs, after)
        if whole is None:
            return None
        if whole.verse == self._basmala and still < policy.opening_pause:
            self._ask_again = policy.opening_pause
            return None
        if still < math.inf and self._wholes.opens_another(whole.verse):
            self._waiting = True  # who read so far may go on, after any pause
            return None
        answer = self._compared(whole, log_probs, start)
        return answer if answer.judged.probability >= policy.accept else None

    def _best(self, log_probs: Float, after: int, *, begun: bool = False) -> Whole | None:
        """The verse that fits best, or None if too little is heard, or the isti'adha."""
        if len(greedy(log_probs)) < self._policy.show_phonemes:
            return None
        whole = self._wholes.find(log_probs, after, begun=begun)
        return None if whole.verse == self._index.istiadha else whole

    def _compared(self, whole: Whole, log_probs: Float, start: int) -> Answer:
        """What speaks for ``log_probs`` from frame ``start`` on being the verse that fits best."""
        index, policy = self._index, self._policy
        posteriors = shares(whole.ranked, policy.temperature_whole)
        first = int(index.first_word[whole.verse])
        stretch = Stretch(start, first, whole.last, start, start + len(log_probs))
        passage = Passage(whole.verse, (stretch,))
        words = self._wholes.words(log_probs, whole, start)
        probability = 0.0
        if words:
            posterior = sum(posteriors.get(v, 0.0) for v in index.identical(whole.verse))
            evidence = self._weigh(passage, posterior, words, start)
            compared = self._wholes.evidence(log_probs, whole)
            probability = policy.probability(replace(evidence, whole=compared))
        return Answer(passage, Judged(words, probability), posteriors)
