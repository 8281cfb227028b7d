"""The live decoder: token passing over active states, one chunk of frames at a time.

The path model, the scores and the order of ties are path.py's; with nothing pruned the result is
the exact decoder's to the bit. Tokens more than ``beam`` nats below the best are dropped, and that
is all the pruning there is: where more than ``wide`` states are active (the first words, or noise),
visiting them one by one costs more than the exact decoder's sweep over all, so frames are swept
until few are left.

Between sweeps, words are entered through the graph's prefix trie: a token in the trie does not know
its word yet, and is compared with others by its score plus the best ``entry`` prior below its node.

History is kept per run, not per frame. Leaving a run takes its best end only, so each frame needs
at most one record of what came before the runs entered in it; a token carries its record and its
entry word. Records that every surviving token shares are turned into settled runs, and unreachable
ones are dropped, so memory does not grow with the length of the stream.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from decoders.dense import DenseNet, DenseTokens
from decoders.layout import FRAMES, GATE_RECORD, OFFSET, RECORDS, ROWS, SCALARS
from decoders.net import Ints, Net
from decoders.outlook import finish, survey
from decoders.path import BLANK, DEAD, REACH, SCALE, Decoding, PathPriors, Run, Weights, relative
from decoders.records import compact, settle
from decoders.tokens import pass_tokens, sweep_all
from decoders.whole import VerseScores, WholeVerses
from quran_index.graph import Graph

BEAM = 20.0
"""Nats below the best path within which paths are kept."""

WIDE = 40_000
"""Active states from which on it is cheaper to sweep over all, until half as many are left."""

CANDIDATES = 20
"""How many verses a `Partial` lists."""

_CHUNK = 32  # frames between two looks at the history, and at whether to sweep
_MANY_RECORDS = 256


@dataclass(frozen=True, slots=True)
class Partial:
    """What the decoder believes after ``frames`` frames.

    ``score`` is the best path's log-likelihood ratio to the free symbol loop, priors included, in
    nats; ``background`` is that loop's own log score over the same frames.
    ``best``: the best path; the last run is where it is now, its ``last_word`` the current word.
    ``entering``: the best path has since left that run for a word not yet known.
    ``settled``: so many leading runs cannot change any more, and of the next one the entry and the
    words before ``settled_word`` cannot (-1: it may still change altogether). ``pause``: frames
    since the best path ended its current word's pausal form and fell silent; 0: it has not.
    ``candidates``: (verse, score) of the best path in each verse, best first; at most 20. Words
    just being entered count if their beginning leaves few choices. ``ended``: the same if nothing
    more is read, which costs paths that are in the middle of something more.
    ``active``: number of active states.
    """

    frames: int
    score: float
    background: float
    best: tuple[Run, ...]
    entering: bool
    settled: int
    settled_word: int
    pause: int
    candidates: tuple[tuple[int, float], ...]
    ended: tuple[tuple[int, float], ...]
    active: int


@dataclass(slots=True)
class Sweep:
    """What a stream needs besides while all states are swept.

    ``rows``: the array that its state's own changes places with, since very many rows are filled.
    """

    rows: Ints
    tokens: DenseTokens


@dataclass(slots=True)
class BeamState:
    """One stream's tokens and history; only `BeamDecoder` reads or changes it.

    The token arrays have room for every state, but only pages that were ever used take memory.
    """

    rows: Ints
    spare: Ints
    slot: Ints
    records: NDArray[np.int64]
    scalars: NDArray[np.int64]
    sweep: Sweep | None = None
    background: float = 0.0
    settled: list[Run] = field(default_factory=list)
    settled_word: int = -1


class BeamDecoder:
    """One serves any number of streams, in any thread, and remembers nothing of them."""

    def __init__(
        self, graph: Graph, priors: PathPriors, *, beam: float = BEAM, wide: int = WIDE
    ) -> None:
        """``beam``: nats; ``wide``: the number of active states beyond which all are swept."""
        weights = Weights.of(graph, priors)
        self._symbols = graph.symbols
        self._jump = weights.jump
        self._cut = weights.cut
        self._beam = int(min(beam * SCALE, REACH))
        self._wide = wide
        self._dense = DenseNet.of(graph, weights)
        self._net = Net.of(graph, weights)
        # One is kept for the next stream that needs it: memory taken and given back in turn never
        # stays as it is.
        self._idle: list[Sweep] = []
        self._whole = WholeVerses(graph, self._dense)
        self._warm_up()

    def start(self) -> BeamState:
        """A new stream, in silence."""
        states = len(self._net.word)
        scalars = np.zeros(SCALARS, np.int64)
        scalars[GATE_RECORD] = -1
        return BeamState(
            rows=np.empty((states, 8), np.int32),
            spare=np.empty((states, 8), np.int32),
            slot=np.zeros(states, np.int32),
            records=np.zeros((256, 6), np.int64),
            scalars=scalars,
        )

    def advance(self, state: BeamState, log_probs: NDArray[np.float32]) -> None:
        """Take in the next frames, [T, symbols]. ValueError: the wrong shape, or NaN."""
        scores, background = relative(log_probs, self._symbols, BLANK)
        at = 0
        while at < len(scores):
            at += self._advance(state, scores[at : at + _CHUNK])
            # Nothing settles while very many are active; then it only matters to be brief.
            if state.sweep is None or state.scalars[RECORDS] > _MANY_RECORDS:
                self._settle(state)
        state.background += background

    def _advance(self, state: BeamState, scores: Ints) -> int:
        """Take in some of ``scores`` and say how many."""
        needed = int(state.scalars[RECORDS]) + len(scores) + 1
        if needed > len(state.records):
            grown = np.zeros((2 * needed, 6), np.int64)
            grown[: len(state.records)] = state.records
            state.records = grown
        # Once sweeping, go on until few are left: to and fro costs more than either.
        wide = self._wide if state.sweep is None else self._wide // 2
        return (
            self._sweep(state, scores) if state.scalars[ROWS] > wide else self._pass(state, scores)
        )

    def _settle(self, state: BeamState) -> None:
        """Settle the runs that every token shares, and forget what no token remembers."""
        root, entry, word = settle(self._net, state.rows, state.records, state.scalars)
        state.settled += self._before(state, root)
        state.settled_word = word if entry >= 0 else -1
        compact(state.rows, state.records, state.scalars, root)

    def _pass(self, state: BeamState, scores: Ints) -> int:
        """Pass tokens on, until too many are active."""
        if state.sweep is not None:
            self._change_places(state, state.sweep)
            if not self._idle:
                self._idle.append(state.sweep)
            state.sweep = None
        done = int(
            pass_tokens(
                self._net,
                state.rows,
                state.spare,
                state.slot,
                state.records,
                state.scalars,
                scores,
                self._beam,
                self._wide,
                self._jump,
            )
        )
        if done % 2:
            state.rows, state.spare = state.spare, state.rows
        return done

    def _sweep(self, state: BeamState, scores: Ints) -> int:
        """Sweep over all states."""
        if state.sweep is None:
            try:
                state.sweep = self._idle.pop()
            except IndexError:
                state.sweep = Sweep(np.empty_like(state.rows), DenseTokens.none(self._dense))
            self._change_places(state, state.sweep)
        sweep_all(
            self._net,
            self._dense,
            state.sweep.tokens,
            state.rows,
            state.records,
            state.scalars,
            scores,
            self._beam,
            self._jump,
        )
        return len(scores)

    @staticmethod
    def _change_places(state: BeamState, sweep: Sweep) -> None:
        """The rows move into the other array."""
        count = int(state.scalars[ROWS])
        sweep.rows[:count] = state.rows[:count]
        state.rows, sweep.rows = sweep.rows, state.rows

    def _warm_up(self) -> None:
        """Compile, or load what was compiled: the first stream shall not wait for it."""
        state = self.start()
        self.advance(state, np.zeros((1, self._symbols), np.float32))
        self._sweep(state, np.zeros((1, self._symbols), np.int32))
        self.partial(state)
        self.finish(state)

    def partial(self, state: BeamState) -> Partial:
        """The present belief; costs about as much as a frame."""
        net, scalars = self._net, state.scalars
        frames, offset = int(scalars[FRAMES]), int(scalars[OFFSET])
        going, over = np.full((2, int(net.moves.verse_of_word[-1]) + 1), DEAD, np.int32)
        row, in_blank, best = survey(net, state.rows, scalars, self._cut, going, over)

        def likeliest(by_verse: Ints) -> tuple[tuple[int, float], ...]:
            verses = np.flatnonzero(by_verse > DEAD)
            top = verses[np.argsort(-by_verse[verses], kind="stable")[:CANDIDATES]]
            return tuple((int(v), (offset + int(by_verse[v])) / SCALE) for v in top)

        runs = list(state.settled)
        entering, pause = False, 0
        if row >= 0:
            at, *tokens, since = (int(x) for x in state.rows[row])
            token, record, entry = tokens[3:] if in_blank else tokens[:3]
            runs += self._before(state, record)
            entering = at >= net.linear
            if not entering:
                ended = in_blank and bool(net.can_end[at])
                pause = frames - since if ended else 0
                start, *_, score_before = (int(x) for x in state.records[record])
                score = (offset + token - score_before) / SCALE
                runs.append(Run(entry, int(net.word[at]), start, frames - pause, score))
        return Partial(
            frames=frames,
            score=(offset + best) / SCALE,
            background=state.background,
            best=tuple(runs),
            entering=entering,
            settled=len(state.settled),
            settled_word=state.settled_word,
            pause=pause,
            candidates=likeliest(going),
            ended=likeliest(over),
            active=int(scalars[ROWS]),
        )

    def whole_verses(self, log_probs: NDArray[np.float32]) -> VerseScores:
        """Of each verse as all that ``log_probs`` [T, symbols] hold."""
        return self._whole.scores(log_probs)

    def finish(self, state: BeamState) -> Decoding:
        """The best path if the stream ended here; the state stays usable."""
        offset = int(state.scalars[OFFSET])
        score, record, entry, last, end = finish(self._net, state.rows, state.scalars, self._cut)
        runs = list(state.settled)
        if record >= 0:
            runs += self._before(state, record)
            start, *_, score_before = (int(x) for x in state.records[record])
            runs.append(Run(entry, last, start, end, (offset + score - score_before) / SCALE))
        total = state.background + (offset + score) / SCALE
        return Decoding(total, state.background, tuple(runs))

    @staticmethod
    def _before(state: BeamState, record: int) -> list[Run]:
        """The runs before those entered at ``record``, as far back as records go."""
        runs: list[Run] = []
        while record >= 0:
            _, before, entry, last, end, score = (int(x) for x in state.records[record])
            if before >= 0:
                start, *_, score_before = (int(x) for x in state.records[before])
                runs.append(Run(entry, last, start, end, (score - score_before) / SCALE))
            record = before
        return runs[::-1]
