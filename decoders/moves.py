"""Where a reciter goes who leaves off reading and stays close by.

After a breath people take up some words again, say the whole verse again, go back a verse, or
leave out a word or a verse. From the last word ``w`` of a run, in verse ``v``, these moves lead to
the words ``w + d`` of the same verse, at ``near`` [2R + 1] with ``d`` = 0 in the middle, and to the
first words of the verses ``v + d``, at ``verses`` [2S + 1] likewise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from decoders.path import NEVER, Weights
from quran_index.graph import Graph

Ints = NDArray[np.int32]


class Moves(NamedTuple):
    """The moves and what they cost, and the text that they move in.

    ``starts``: the states in which words are entered, those of word ``w`` from
    ``start_offsets[w]``; ``verse_of_word`` [W]; ``first_word`` [V + 1].
    """

    near: Ints
    verses: Ints
    verse_of_word: Ints
    first_word: Ints
    starts: Ints
    start_offsets: Ints

    @staticmethod
    def of(graph: Graph, weights: Weights) -> Moves:
        """The moves in a graph."""
        first_word = np.searchsorted(graph.verse_of_word, np.arange(graph.verses + 1))
        offsets = np.searchsorted(graph.word[graph.starts], np.arange(graph.words + 1))
        return Moves(
            near=weights.near,
            verses=weights.verses,
            verse_of_word=graph.verse_of_word,
            first_word=first_word.astype(np.int32),
            starts=graph.starts.astype(np.int32),
            start_offsets=offsets.astype(np.int32),
        )


@njit(cache=True, nogil=True)
def close_by(moves, last, words, costs):  # type: ignore[no-untyped-def]
    """Fill in the words that can be entered from the word ``last``, and their costs; how many.

    A word may be named twice. There must be room for all of ``near`` and ``verses``.
    """
    count = 0
    verse = moves.verse_of_word[last]
    reach = len(moves.near) // 2
    low = max(last - reach, moves.first_word[verse])
    high = min(last + reach + 1, moves.first_word[verse + 1])
    for word in range(low, high):
        cost = moves.near[reach + word - last]
        if cost > NEVER:
            words[count], costs[count] = word, cost
            count += 1
    reach = len(moves.verses) // 2
    low, high = max(verse - reach, 0), min(verse + reach + 1, len(moves.first_word) - 1)
    for other in range(low, high):
        cost = moves.verses[reach + other - verse]
        if cost > NEVER:
            words[count], costs[count] = moves.first_word[other], cost
            count += 1
    return count
