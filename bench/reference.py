"""When every word of a recording was said, by the best means at hand.

The network sees the whole recording, in 32 bits (windows of a minute for longer ones: it was
trained on shorter ones still), and what it heard is aligned with the words that are known to be
recited. A network of this kind tells of a sound a fixed time after it (`acoustic.delay`): starts
are moved back by that.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from acoustic.evaluate import hear
from acoustic.lessons import FRAME
from acoustic.model import FRAME_SHIFT, ConformerCTC
from decoders.align import align
from quran_index import QuranIndex

from .scoring import Verse
from .timing import Spoken

Float = npt.NDArray[np.float32]

_WINDOW, _MARGIN = 1000, 100  # frames: 60 s that count, and 6 s around them
_ALL = _WINDOW + 2 * _MARGIN  # look-ahead that hides nothing


def hear_all(network: ConformerCTC, samples: Float) -> Float:
    """Log-probs [T, symbols] of a recording (16 kHz), with all of its future seen."""
    if len(samples) < FRAME:
        raise ValueError("the recording is shorter than a frame")
    frames = len(samples) // FRAME
    pieces = []
    for begin in range(0, frames, _WINDOW):
        low, high = max(0, begin - _MARGIN), min(frames, begin + _WINDOW + _MARGIN)
        heard = hear(network, samples[low * FRAME : high * FRAME], _ALL)
        pieces.append(heard[begin - low : begin - low + _WINDOW])
    return np.concatenate(pieces)


def spoken(
    log_probs: Float, index: QuranIndex, verses: Sequence[Verse], delay: float
) -> list[Spoken]:
    """Word times of ``verses``, which follow one another in one surah.

    ``delay``: seconds from a sound to its frame. ValueError: too little audio to say them in.
    """
    (surah, first), (_, last) = verses[0], verses[-1]
    if list(verses) != [(surah, ayah) for ayah in range(first, last + 1)]:
        raise ValueError("the verses do not follow one another")
    words = align(log_probs, index.graph, *index.passage(surah, first, last), FRAME_SHIFT)
    times = {w.word: (max(0.0, w.start - delay), max(0.0, w.end - delay)) for w in words}
    found = []
    for verse in verses:
        low, high = index.passage(verse[0], verse[1], verse[1])
        starts, ends = zip(*(times[word] for word in range(low, high + 1)), strict=True)
        found.append(Spoken(verse, starts, ends))
    return found
