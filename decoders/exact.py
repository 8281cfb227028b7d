"""Dense Viterbi over every state of the text: no pruning, no candidates, the reference."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from decoders.dense import LOW, DenseNet, DenseTokens, rebase, sweep, where_left
from decoders.path import BLANK, DEAD, SCALE, Decoding, PathPriors, Run, Weights, relative
from quran_index.graph import Graph

_REBASE = 256  # frames after which scores are brought back to 0


def decode(log_probs: NDArray[np.float32], graph: Graph, priors: PathPriors) -> Decoding:
    """Best path of ``log_probs`` [T, symbols] through the whole graph.

    ValueError: the wrong shape, NaN, or more frames than a token can number runs by (55 minutes of
    60 ms frames for the whole Quran).
    """
    scores, background = relative(log_probs, graph.symbols, BLANK)
    if len(scores) * graph.words > LOW:
        raise ValueError(f"{len(scores)} frames are too many for the exact decoder; split them")
    weights = Weights.of(graph, priors)
    net = DenseNet.of(graph, weights)
    can_end = graph.can_end[: graph.linear]
    records, final = _search(net, DenseTokens.none(net), scores, can_end, weights.jump)
    score = int(final[0])
    runs: list[Run] = []
    run, last_word, end = (int(x) for x in final[1:])
    while run >= 0:
        frame, first_word = divmod(run, graph.words)
        before, word_before, end_before, score_before = (int(x) for x in records[frame])
        runs.append(Run(first_word, last_word, frame, end, (score - score_before) / SCALE))
        run, last_word, end, score = before, word_before, end_before, score_before
    return Decoding(background + int(final[0]) / SCALE, background, tuple(reversed(runs)))


@njit(cache=True, nogil=True)
def _search(net, tokens, scores, can_end, jump):  # type: ignore[no-untyped-def]
    """Run the recursion; runs are numbered by the frame they are entered in.

    Returns for each frame the run before those that could be entered in it (its number or -1, last
    word, end frame, score), and the best end (score, number of the run or -1, last word, end
    frame).
    """
    low = np.int64(LOW)
    frames = len(scores)
    records = np.zeros((frames, 4), np.int64)
    silence, offset, best = np.int64(0), np.int64(0), np.int64(DEAD) << 32
    for t in range(frames):
        # Runs are entered out of the one that can best be left, or out of the silence at the start.
        left, last_word = best >> 32, -1
        gate = left + jump
        if gate > silence:
            last_word, end = where_left(net, tokens, best)
            records[t, 0] = low - (best & low)
            records[t, 1] = last_word
            records[t, 2] = end
            records[t, 3] = offset + left
        else:
            gate = silence
            records[t, 0] = -1
        best = sweep(net, tokens, scores[t], t, gate, t, left, last_word)
        silence += scores[t, 0]
        if (t + 1) % _REBASE == 0:
            top = max(tokens.held.max() >> 32, tokens.blank.max() >> 32, silence)
            rebase(tokens, top)
            offset += top
            silence = max(silence - top, np.int64(DEAD))
            best -= top << 32

    # The best end; the order of ties is path.py's.
    final = np.array([silence, np.int64(-1), np.int64(0), np.int64(0)])
    for s in range(len(net.label)):
        for in_blank in range(2):
            token = (tokens.blank[s] if in_blank else tokens.held[s]) + net.leave[s]
            score, run = token >> 32, low - (token & low)
            if score < final[0] or (score == final[0] and (final[1] < 0 or run > final[1])):
                continue
            end = np.int64(tokens.since[s]) if in_blank and can_end[s] else np.int64(frames)
            word = net.word[s]
            same = score == final[0] and run == final[1]
            if same and (word > final[2] or (word == final[2] and end >= final[3])):
                continue
            final[0], final[1], final[2], final[3] = score, run, word, end
    final[0] += offset
    return records, final
