"""The path model that the exact and the beam decoder share.

A *run* is continuous reading: from an entry word on, word after word. A path is a sequence of runs:

- it begins in silence and enters the text at any word ``w``, at the cost of ``entry[w]``;
- it reads on inside a breath (``run_on[w]``) or across a pause of at least one blank frame
  (``pause[w]``); inside words it moves freely through the spellings the graph allows;
- in any blank it may leave its run and enter another, anywhere for ``jump`` and the new word's
  ``entry``, or close by for less (`decoders.moves`: again from a few words before, over a few, or
  at the start of a verse nearby), and after the last frame it stops. Leaving and stopping cost
  ``pause[w]`` at the pausal end of word ``w`` and at most ``CUT`` elsewhere: reciters break off
  inside words too, and recordings do. Of all runs that could be left in a frame only the best one
  is.

Each frame adds the log-probability of the label or blank it emits, with CTC's rules: a label may be
held, blanks may stand between any two labels and must stand between two equal ones. A blank costs
`BLANK` besides.

Scores are integers of 1/1024 nat, relative to the best symbol of each frame: the score of a path is
its log-likelihood ratio to a free loop over all symbols (the *background*). Integers make sums
exact in any order, so both decoders agree to the last bit, and ties are real ties. Of equal paths
to one place the one whose current run was entered in the earlier frame wins, then the lower entry
word; of equal ends (leaving a run, or finishing) then the lower last word, then the earlier end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from quran_index.graph import ACROSS, Graph

SCALE = 1024
"""Score units per nat."""

CUT = -6.0
"""Log prior of breaking off anywhere but at a word's pausal end."""

BLANK = -1.5
"""Log prior of a frame in which nothing is emitted. Voices that the network does not know lose
phonemes to the blank much more often than they gain any; without it short texts win over the right
ones. Frames in which all paths are silent are not affected."""

NEVER = -(2**20)
"""The least weight; stands for a prior of zero."""

REACH = 2**28
"""So far below the best, a path is as good as none."""

DEAD = -(2**30)
"""Score of no path; far enough below `REACH` for sums never to matter, nor to overflow."""

_FLOOR = -32 * SCALE

Scores = NDArray[np.int32]
Logs = NDArray[np.float32] | NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Run:
    """Continuous reading of words ``first_word..last_word`` in frames ``[start_frame, end_frame)``.

    ``score``: nats against the background, from the end of the run before, priors included.
    """

    first_word: int
    last_word: int
    start_frame: int
    end_frame: int
    score: float


@dataclass(frozen=True, slots=True)
class Decoding:
    """The best path: its runs and its log score (``background`` is that of a free symbol loop)."""

    score: float
    background: float
    runs: tuple[Run, ...]


class PathPriors(Protocol):
    """Natural-log priors, see `lm.Priors`: ``entry``, ``pause`` and ``run_on`` are float [W],
    ``near`` and ``verses`` of any odd length."""

    @property
    def entry(self) -> Logs: ...
    @property
    def pause(self) -> Logs: ...
    @property
    def run_on(self) -> Logs: ...
    @property
    def jump(self) -> float: ...
    @property
    def near(self) -> Logs: ...
    @property
    def verses(self) -> Logs: ...


@dataclass(frozen=True, slots=True)
class Weights:
    """The priors in score units: int32 [W]; ``near`` and ``verses`` as they are in the priors;
    ``arc``: int32 [A] in the order of ``graph.succ``."""

    entry: Scores
    pause: Scores
    run_on: Scores
    jump: int
    cut: int
    near: Scores
    verses: Scores
    arc: Scores

    @staticmethod
    def of(graph: Graph, priors: PathPriors) -> Weights:
        """Weights of every arc: entering from the trie, and reading on from word to word."""
        entry, pause, run_on = (scaled(p) for p in (priors.entry, priors.pause, priors.run_on))
        source = np.repeat(np.arange(graph.states, dtype=np.int32), np.diff(graph.succ_offsets))
        word, target = graph.word[source], graph.succ
        arc = np.zeros(len(target), np.int32)
        reads = (word >= 0) & (word != graph.word[target])
        across = graph.arc_kind == ACROSS
        at = reads & ~across
        arc[at] = run_on[word[at]]
        at = reads & across
        arc[at] = pause[word[at]]
        at = (word < 0) & (target < graph.linear)
        arc[at] = entry[graph.word[target[at]]]
        jump, cut = scaled(np.array([priors.jump, CUT]))
        near, verses = scaled(priors.near), scaled(priors.verses)
        return Weights(entry, pause, run_on, int(jump), int(cut), near, verses, arc)

    def stop(self, graph: Graph) -> Scores:
        """What leaving a run or stopping after each linear state costs."""
        pause = self.pause[graph.word[: graph.linear]]
        cut = np.int32(self.cut)
        return np.where(graph.can_end[: graph.linear], np.maximum(pause, cut), cut)


def scaled(values: Logs) -> Scores:
    """Natural logs in score units. ValueError: not a number."""
    if np.isnan(values).any():
        raise ValueError("priors hold NaN")
    clipped = np.clip(np.asarray(values, np.float64) * SCALE, NEVER, -NEVER)
    return np.rint(clipped).astype(np.int32)


def relative(
    log_probs: NDArray[np.float32], symbols: int, blank: float = 0.0
) -> tuple[Scores, float]:
    """Scores [T, symbols] relative to each frame's best symbol, and the sum of those best logs.

    ``blank`` is added to the logs of symbol 0 first. ValueError: another shape, or not a number.
    """
    if log_probs.ndim != 2 or log_probs.shape[1] != symbols:
        raise ValueError(f"log-probs must be [frames, {symbols}], not {list(log_probs.shape)}")
    if blank:
        log_probs = log_probs.copy()
        log_probs[:, 0] += blank
    top = log_probs.max(axis=1, keepdims=True) if len(log_probs) else np.zeros((0, 1), np.float32)
    if not np.isfinite(top).all():
        raise ValueError("log-probs hold NaN or a frame without any possible symbol")
    scores = np.rint(np.maximum((log_probs - top) * SCALE, _FLOOR)).astype(np.int32)
    return np.ascontiguousarray(scores), float(top.sum(dtype=np.float64))
