"""What is heard again is the audio of the frames asked for."""

import numpy as np

from stream.rehearing import Rehearing

FRAME = 960


def numbers(first: int, count: int) -> np.ndarray:
    """Audio whose samples say of which frame they are."""
    return np.repeat(np.arange(first, first + count), FRAME).astype(np.float32)


def told(samples: np.ndarray) -> np.ndarray:
    """Log-probs that say which audio they are of."""
    return samples.reshape(-1, FRAME)[:, :1]


def rehearing(delay: float = 0.12, seconds: float = 0.6) -> Rehearing:
    return Rehearing(told, FRAME / 16_000, delay, seconds)


def test_frames_by_their_numbers() -> None:
    kept = rehearing(seconds=60.0)
    for first in range(0, 40, 8):
        kept.add(numbers(first, 8))
    assert kept.hear(5, 13)[:, 0].tolist() == list(range(5, 13))
    assert kept.hear(0, 40)[:, 0].tolist() == list(range(40))
    assert kept.hear(38, 50)[:, 0].tolist() == [38, 39]
    assert len(kept.hear(40, 50)) == 0


def test_what_the_first_frames_tell_of_is_heard_with_them() -> None:
    heard = []

    def whole(samples: np.ndarray) -> np.ndarray:
        heard.append(told(samples)[:, 0].tolist())
        return told(samples)

    kept = Rehearing(whole, FRAME / 16_000, 0.12, 60.0)
    kept.add(numbers(0, 16))
    assert kept.hear(5, 8)[:, 0].tolist() == [5, 6, 7]
    assert kept.hear(1, 3)[:, 0].tolist() == [1, 2]
    assert [[round(frame) for frame in told if round(frame)] for told in heard] == [
        [3, 4, 5, 6, 7],
        [1, 2],
    ]


def test_old_audio_is_forgotten() -> None:
    kept = rehearing(delay=0.0)  # ten frames
    for first in range(0, 100, 5):
        kept.add(numbers(first, 5))
    assert kept.hear(0, 100)[:, 0].tolist() == list(range(90, 100))


def test_stretches_follow_one_another_and_are_begun_anew() -> None:
    kept = rehearing(seconds=60.0)
    kept.add(numbers(0, 8))
    # The encoder told of six of its eight frames, and was started again after a silence.
    kept.open(6)
    kept.add(numbers(106, 3))
    assert kept.hear(4, 9)[:, 0].tolist() == [4, 5, 106, 107, 108]
    kept.clear()
    kept.add(numbers(0, 2))
    assert kept.hear(0, 9)[:, 0].tolist() == [0, 1]


def test_a_last_frame_may_be_short() -> None:
    kept = rehearing()
    kept.add(numbers(0, 2)[: FRAME + 10])
    assert len(kept.hear(0, 2)) == 2


def test_of_silence_at_the_end_no_noise_is_heard() -> None:
    kept = rehearing(seconds=60.0)
    kept.add(numbers(1, 8))
    again = kept.hear(0, 8, silent=3 * FRAME / 16_000)
    assert again[:5, 0].tolist() == [1, 2, 3, 4, 5]
    assert np.abs(again[5:]).max() < 0.01
    assert np.abs(kept.hear(6, 8, silent=1.0)).max() < 0.01
    assert kept.hear(0, 8)[:, 0].tolist() == list(range(1, 9))
