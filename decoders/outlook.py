"""What the surviving tokens say: the best of them now, and the best end if nothing followed."""

from __future__ import annotations

import numpy as np
from numba import njit

from decoders.layout import (
    BLANKED,
    FRAMES,
    HELD,
    ROWS,
    SILENCE,
    SINCE,
    STATE,
    beats,
)
from decoders.net import AHEAD, STOP, words_below
from decoders.path import DEAD

_FEW = 64  # a trie token counts for the verses below its node if there are at most so many words


@njit(cache=True, nogil=True)
def survey(net, rows, scalars, cut, by_verse, ended):  # type: ignore[no-untyped-def]
    """The best token (row, or -1 in silence; whether in the blank; score with what lies ahead), and
    the best score in each verse, put into ``by_verse``, and into ``ended`` if reading ends here."""
    best, row, in_blank = scalars[SILENCE], -1, False
    record, entry, at = -1, -1, -1
    for i in range(scalars[ROWS]):
        state = rows[i, STATE]
        score = max(rows[i, HELD], rows[i, BLANKED])
        ahead = net.node[state, AHEAD]
        if state < net.linear:
            verse = net.moves.verse_of_word[net.word[state]]
            by_verse[verse] = max(by_verse[verse], score)
            ended[verse] = max(ended[verse], score + net.node[state, STOP])
        else:
            low, high = net.trie_range[state - net.linear]
            if high - low <= _FEW:
                for k in range(low, high):
                    word = net.trie_words[k]
                    verse = net.moves.verse_of_word[word]
                    by_verse[verse] = max(by_verse[verse], score + net.entry[word])
                    ended[verse] = max(ended[verse], score + net.entry[word] + cut)
        for column in (HELD, BLANKED):
            if rows[i, column] == DEAD:
                continue
            key, by, word = rows[i, column] + ahead, rows[i, column + 1], rows[i, column + 2]
            if beats(key, by, word, best, record, entry) or (
                key == best and by == record and word == entry and state < at
            ):
                best, row, in_blank = key, i, column == BLANKED
                record, entry, at = by, word, state
    return row, in_blank, best


@njit(cache=True, nogil=True)
def finish(net, rows, scalars, cut):  # type: ignore[no-untyped-def]
    """The best end: its score, record (-1: only silence), entry word, last word and end frame."""
    frames = scalars[FRAMES]
    best, record, entry, last, end = scalars[SILENCE], np.int64(-1), -1, -1, np.int64(0)
    for i in range(scalars[ROWS]):
        state = rows[i, STATE]
        in_trie, low, high = words_below(net, state)
        for column in (HELD, BLANKED):
            if rows[i, column] == DEAD:
                continue
            by = np.int64(rows[i, column + 1])
            stopped = frames
            if not in_trie and column == BLANKED and net.can_end[state]:
                stopped = np.int64(rows[i, SINCE])
            for k in range(low, high):
                if in_trie:
                    word = net.trie_words[k]
                    begun, score = word, rows[i, column] + net.entry[word] + cut
                else:
                    word = net.word[state]
                    begun, score = rows[i, column + 2], rows[i, column] + net.node[state, STOP]
                if score < best or (score == best and record < 0):
                    continue
                if score == best and by == record and begun == entry:
                    if word > last or (word == last and stopped >= end):
                        continue
                elif not beats(score, by, begun, best, record, entry):
                    continue
                best, record, entry, last, end = score, by, begun, word, stopped
    return best, record, entry, last, end
