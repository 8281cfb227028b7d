"""The histories of tokens: records of what came before the runs that were entered in a frame.

Leaving a run takes its best end only, so each frame needs at most one record. Records that every
token shares are settled, and those that none can reach are dropped, so that memory does not grow
with the length of a stream.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from decoders.layout import (
    BEFORE,
    BEFORE_END,
    BEFORE_ENTRY,
    BEFORE_LAST,
    BEFORE_SCORE,
    BLANKED,
    FRAME,
    FRAMES,
    GATE,
    GATE_END,
    GATE_ENTRY,
    GATE_LAST,
    GATE_RECORD,
    HELD,
    OFFSET,
    RECORDS,
    ROWS,
    SILENCE,
    STATE,
)
from decoders.path import DEAD


@njit(cache=True, nogil=True)
def write_record(records, scalars, jump):  # type: ignore[no-untyped-def]
    """Write down the gate: what was before the runs that are entered in this frame.

    Returns the number of the record.
    """
    number = scalars[RECORDS]
    scalars[RECORDS] += 1
    record = records[number]
    record[FRAME] = scalars[FRAMES]
    record[BEFORE] = scalars[GATE_RECORD]
    if scalars[GATE_RECORD] >= 0:
        record[BEFORE_ENTRY] = scalars[GATE_ENTRY]
        record[BEFORE_LAST] = scalars[GATE_LAST]
        record[BEFORE_END] = scalars[GATE_END]
        record[BEFORE_SCORE] = scalars[OFFSET] + scalars[GATE] - jump
    else:
        record[BEFORE_ENTRY] = record[BEFORE_LAST] = record[BEFORE_END] = -1
        record[BEFORE_SCORE] = 0
    return number


@njit(cache=True, nogil=True)
def settle(net, rows, records, scalars):  # type: ignore[no-untyped-def]
    """The latest record that every token's history passes (or -1); of the runs entered there, the
    entry word if all agree (or -1) and the least word reached."""
    count = scalars[RECORDS]
    if scalars[SILENCE] > DEAD or count == 0:
        return -1, -1, -1
    unset = -2
    entry_at = np.full(count, unset, np.int64)
    word_at = np.full(count, np.int64(2**31), np.int64)
    passed = np.zeros(count, np.bool_)
    open_paths = 0
    for i in range(scalars[ROWS]):
        word = net.word[rows[i, STATE]]
        for column in (HELD, BLANKED):
            if rows[i, column] > DEAD:
                record, entry = rows[i, column + 1], rows[i, column + 2]
                if not passed[record]:
                    passed[record] = True
                    open_paths += 1
                if entry_at[record] == unset:
                    entry_at[record] = entry
                elif entry_at[record] != entry:
                    entry_at[record] = -1
                word_at[record] = min(word_at[record], word)
    for record in range(count - 1, -1, -1):
        if not passed[record]:
            continue
        if open_paths == 1:
            return record, entry_at[record], word_at[record]
        before = records[record, BEFORE]
        if before < 0:
            break
        if passed[before]:
            open_paths -= 1
        passed[before] = True
        entry = records[record, BEFORE_ENTRY]
        if entry_at[before] == unset:
            entry_at[before] = entry
        elif entry_at[before] != entry:
            entry_at[before] = -1
        word_at[before] = min(word_at[before], records[record, BEFORE_LAST])
    return -1, -1, -1


@njit(cache=True, nogil=True)
def compact(rows, records, scalars, root):  # type: ignore[no-untyped-def]
    """Forget what was before ``root`` and the records no token can reach."""
    count = scalars[RECORDS]
    wanted = np.zeros(count, np.bool_)
    for i in range(scalars[ROWS]):
        for column in (HELD, BLANKED):
            if rows[i, column] > DEAD:
                wanted[rows[i, column + 1]] = True
    if root >= 0:
        records[root, BEFORE] = -1
    place = np.full(count, -1, np.int64)
    for record in range(count - 1, -1, -1):
        if wanted[record] and records[record, BEFORE] >= 0:
            wanted[records[record, BEFORE]] = True
    kept = 0
    for record in range(count):
        if wanted[record]:
            place[record] = kept
            records[kept] = records[record]
            if records[kept, BEFORE] >= 0:
                records[kept, BEFORE] = place[records[kept, BEFORE]]
            kept += 1
    for i in range(scalars[ROWS]):
        for column in (HELD, BLANKED):
            if rows[i, column] > DEAD:
                rows[i, column + 1] = place[rows[i, column + 1]]
    if scalars[GATE_RECORD] >= 0:
        scalars[GATE_RECORD] = place[scalars[GATE_RECORD]]
    scalars[RECORDS] = kept
