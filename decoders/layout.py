"""What a stream keeps for the compiled search, column by column, and which token is better."""

from __future__ import annotations

from numba import njit

# Columns of a row of tokens: a state, the token in its label and the one in its blank. A token is
# its score, its record, and its entry word (-1 in the trie); SINCE is the frame that entered the
# blank.
STATE, HELD, HELD_RECORD, HELD_ENTRY, BLANKED, BLANKED_RECORD, BLANKED_ENTRY, SINCE = range(8)

# Columns of a record: the frame in which runs were entered, and the run before them (none: its
# record is -1): its record, entry word, last word, end frame, and the score at its end.
FRAME, BEFORE, BEFORE_ENTRY, BEFORE_LAST, BEFORE_END, BEFORE_SCORE = range(6)

# Scalars of a stream. GATE_*: the run that would be left if a run were entered in the next frame.
ROWS, BEST, SILENCE, OFFSET, FRAMES, RECORDS = range(6)
GATE, GATE_RECORD, GATE_ENTRY, GATE_LAST, GATE_END = range(6, 11)
SCALARS = 11


@njit(cache=True, nogil=True, inline="always")
def beats(score, record, entry, other_score, other_record, other_entry):  # type: ignore[no-untyped-def]
    """Whether a token is better than another one in the same place."""
    if score != other_score:
        return score > other_score
    if record != other_record:
        return record < other_record
    return entry < other_entry
