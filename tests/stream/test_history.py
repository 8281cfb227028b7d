"""Frames are found by their numbers, whatever came and went, and take no more room in time."""

import tracemalloc

import numpy as np

from stream.history import History

WIDTH = 3


def rows(first: int, count: int) -> np.ndarray:
    """Frames that say which they are."""
    return np.repeat(np.arange(first, first + count, dtype=np.float32)[:, None], WIDTH, axis=1)


def test_frames_by_their_numbers() -> None:
    rng = np.random.default_rng(0)
    history = History(WIDTH)
    oldest = end = 0
    for _ in range(1000):
        match rng.integers(4):
            case 0:
                oldest = max(oldest, end - int(rng.integers(30)))
                history.forget(oldest)
            case 1:
                end = max(oldest, end - int(rng.integers(3)))
                history.cut(end)
            case _:
                count = int(rng.integers(9))
                history.append(rows(end, count))
                end += count
        first, last = sorted(rng.integers(oldest - 5, end + 6, 2).tolist())
        found = history.between(first, last)
        kept = range(max(first, oldest), min(last, end))
        np.testing.assert_array_equal(found, rows(kept.start, len(kept)))
        assert history.end == end


def test_what_was_asked_for_stays_as_it_is() -> None:
    history = History(WIDTH)
    history.append(rows(0, 8))
    found = history.between(0, 8)
    for first in range(8, 800, 8):
        history.append(rows(first, 8))
        history.forget(first)
    np.testing.assert_array_equal(found, rows(0, 8))


def test_a_gap_in_the_numbers() -> None:
    history = History(WIDTH)
    history.append(rows(0, 4))
    history.cut(10)
    np.testing.assert_array_equal(history.between(0, 20), rows(0, 4))
    history.clear()
    assert history.end == 0
    assert history.between(0, 20).shape == (0, WIDTH)


def test_a_long_stream_takes_no_more_room() -> None:
    history = History(WIDTH)

    def hear(frames: range) -> int:
        """Bytes in use after so many more."""
        for first in frames[::8]:
            history.append(rows(first, 8))
            history.forget(first - 100)
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        soon = hear(range(1000))
        assert hear(range(1000, 50_000)) <= soon + 1000
    finally:
        tracemalloc.stop()
