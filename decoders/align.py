"""Forced alignment: when each word of a known passage was said.

Viterbi over the passage's part of the graph, so that every word may take any of its spellings and a
pause may stand between any two words; the passage may also begin and end inside a breath.
Back-pointers are kept for one block of frames at a time, recomputed from saved scores: memory stays
at a few megabytes for a whole surah.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from decoders.path import relative
from quran_index.graph import ACROSS, Graph

_BLOCK = 256
_HELD = 7  # frames
_DEAD = -(2**60)
_STAY, _OPEN, _BLANK_ENTERED = (
    0,
    127,
    128,
)  # a back-pointer: the label's in seven bits, and the blank's


@dataclass(frozen=True, slots=True)
class WordTime:
    """A word from ``start`` to ``end`` seconds.

    A phoneme is emitted where it begins, so the word's last one is taken to be held until the next
    word starts, or through seven blank frames at most: that is how verse ends are held on average.
    ``confidence``: its phonemes' mean posterior. ``score``: the log-likelihood ratio to a free loop
    over all symbols, in nats (0 where it was heard perfectly, else negative), from where the word
    starts to where the next one does.
    """

    word: int
    start: float
    end: float
    confidence: float
    score: float


def align(
    log_probs: NDArray[np.float32],
    graph: Graph,
    first_word: int,
    last_word: int,
    frame_shift: float,
) -> list[WordTime]:
    """Times of the words ``first_word..last_word`` of one surah in ``log_probs`` [T, symbols].

    ``frame_shift``: seconds per frame. ValueError: no such passage, or too few frames to say it in.
    """
    frames, states = _aligned(log_probs, graph, first_word, last_word)
    labels = graph.label[states]
    posterior = np.exp(log_probs[frames, labels])
    phoneme = np.flatnonzero(np.diff(states, prepend=-1))
    peaks = np.maximum.reduceat(posterior, phoneme)
    words = graph.word[states[phoneme]]
    first = np.flatnonzero(np.diff(words, prepend=-1))
    begin = frames[phoneme[first]]
    end = frames[np.append(phoneme[first[1:]], len(frames)) - 1] + 1
    end = np.minimum(end + _HELD, np.append(begin[1:], len(log_probs)))
    count = np.diff(np.append(first, len(words)))
    confidence = np.add.reduceat(peaks, first) / count
    emitted = np.zeros(len(log_probs), np.intp)  # blanks, but for the aligned frames
    emitted[frames] = labels
    ratio = log_probs[np.arange(len(log_probs)), emitted] - log_probs.max(axis=1)
    score = np.add.reduceat(ratio, begin)
    return [
        WordTime(int(w), float(b) * frame_shift, float(e) * frame_shift, float(c), float(s))
        for w, b, e, c, s in zip(words[first], begin, end, confidence, score, strict=True)
    ]


def pronunciation(
    log_probs: NDArray[np.float32], graph: Graph, first_word: int, last_word: int
) -> NDArray[np.int16]:
    """The symbols that were most likely said for a passage: where the reader stopped for breath a
    word has its pausal form, elsewhere it runs on into the next.

    Arguments and errors as of `align`.
    """
    _, states = _aligned(log_probs, graph, first_word, last_word)
    said: NDArray[np.int16] = graph.label[states[np.flatnonzero(np.diff(states, prepend=-1))]]
    return said


def _aligned(
    log_probs: NDArray[np.float32], graph: Graph, first_word: int, last_word: int
) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """The frames of the best path that are not blank, and the states of the graph in them."""
    if not 0 <= first_word <= last_word < graph.words:
        raise ValueError(f"no words {first_word}..{last_word}")
    scores, _ = relative(log_probs, graph.symbols)
    low, high = int(graph.word_states[first_word]), int(graph.word_states[last_word + 1])
    label, word = graph.label[low:high], graph.word[low:high]
    opens = (word == first_word) & graph.starts_joined[low:high]
    starts = graph.starts[np.searchsorted(graph.starts, low) : np.searchsorted(graph.starts, high)]
    opens[starts[graph.word[starts] == first_word] - low] = True
    closes = (word == last_word) & (graph.can_end[low:high] | graph.ends_joined[low:high])
    arcs = _arcs_in(low, high, graph.succ_offsets, graph.succ, graph.arc_kind, graph.label)
    path = _path(scores, label, opens, closes, *arcs)
    if path is None:
        raise ValueError(f"{len(scores)} frames cannot hold words {first_word}..{last_word}")
    frames = np.flatnonzero(path >= 0)
    return frames, low + path[frames]


@njit(cache=True, nogil=True)
def _arcs_in(low, high, succ_offsets, succ, kind, label):  # type: ignore[no-untyped-def]
    """The arcs among states ``low..high`` by target, counted from ``low``: offsets, sources, and
    whether a blank must stand between."""
    offsets = np.zeros(high - low + 1, np.int32)
    for s in range(low, high):
        for a in range(succ_offsets[s], succ_offsets[s + 1]):
            if succ[a] < high:
                offsets[succ[a] - low + 1] += 1
    offsets = np.cumsum(offsets).astype(np.int32)
    free = offsets[:-1].copy()
    source = np.empty(offsets[-1], np.int32)
    blank_only = np.empty(offsets[-1], np.bool_)
    for s in range(low, high):
        for a in range(succ_offsets[s], succ_offsets[s + 1]):
            if succ[a] < high:
                at = free[succ[a] - low]
                free[succ[a] - low] += 1
                source[at] = s - low
                blank_only[at] = kind[a] == ACROSS or label[s] == label[succ[a]]
    return offsets, source, blank_only


@njit(cache=True, nogil=True)
def _step(  # type: ignore[no-untyped-def]
    emit, silence, held, blank, label, opens, offsets, source, blank_only, pointers
):
    """One frame, in place: from the last state to the first, as arcs lead forward only.

    ``silence``: score of having said nothing before this frame. Fills ``pointers`` unless it is
    empty.
    """
    for s in range(len(label) - 1, -1, -1):
        best, choice = held[s], _STAY
        for a in range(offsets[s], offsets[s + 1]):
            p = source[a]
            rank = 2 * (a - offsets[s]) + 1
            if blank[p] > best:
                best, choice = blank[p], rank
            if not blank_only[a] and held[p] > best:
                best, choice = held[p], rank + 1
        if opens[s] and silence > best:
            best, choice = silence, _OPEN
        if held[s] > blank[s]:
            blank[s] = held[s]
            choice |= _BLANK_ENTERED
        blank[s] += emit[0]
        held[s] = best + emit[label[s]]
        if len(pointers):
            pointers[s] = choice


@njit(cache=True, nogil=True)
def _path(  # type: ignore[no-untyped-def]
    scores, label, opens, closes, offsets, source, blank_only
):
    """The label state of every frame (-1 in blanks), or None if the passage does not fit."""
    frames, states = len(scores), len(label)
    blocks = (frames + _BLOCK - 1) // _BLOCK
    saved = np.empty((blocks, 2, states), np.int64)
    silence = np.zeros(frames + 1, np.int64)
    held = np.full(states, np.int64(_DEAD))
    blank = np.full(states, np.int64(_DEAD))
    none = np.empty(0, np.uint8)
    for t in range(frames):
        if t % _BLOCK == 0:
            saved[t // _BLOCK, 0] = held
            saved[t // _BLOCK, 1] = blank
        _step(scores[t], silence[t], held, blank, label, opens, offsets, source, blank_only, none)
        silence[t + 1] = silence[t] + scores[t, 0]

    best, state, in_blank = np.int64(_DEAD // 2), -1, False
    for s in range(states):
        if closes[s]:
            if held[s] > best:
                best, state, in_blank = held[s], s, False
            if blank[s] > best:
                best, state, in_blank = blank[s], s, True
    if state < 0:
        return None

    path = np.full(frames, -1, np.int32)
    pointers = np.empty((min(_BLOCK, frames), states), np.uint8)
    for block in range(blocks - 1, -1, -1):
        start, stop = block * _BLOCK, min(frames, (block + 1) * _BLOCK)
        held[:] = saved[block, 0]
        blank[:] = saved[block, 1]
        for t in range(start, stop):
            _step(
                scores[t], silence[t], held, blank, label, opens, offsets, source, blank_only,
                pointers[t - start],
            )  # fmt: skip
        for t in range(stop - 1, start - 1, -1):
            if state < 0:
                break
            choice = pointers[t - start, state]
            if in_blank:
                in_blank = choice < _BLANK_ENTERED
                continue
            path[t] = state
            choice &= _BLANK_ENTERED - 1
            if choice == _OPEN:
                state = -1
            elif choice != _STAY:
                state = source[offsets[state] + (choice - 1) // 2]
                in_blank = choice % 2 == 1
    return path
