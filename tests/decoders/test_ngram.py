"""Open decoding hears more than the best frames do, and things that are not in the Quran."""

from __future__ import annotations

import numpy as np
import pytest
from rapidfuzz.distance import Levenshtein

from decoders import greedy
from decoders.ngram import NGramDecoder
from lm import NGram
from quran_index import QuranIndex
from tests.texts import spoken


@pytest.fixture(scope="module")
def index() -> QuranIndex:
    return QuranIndex.load()


@pytest.fixture(scope="module")
def decoder(index: QuranIndex) -> NGramDecoder:
    return NGramDecoder(index.symbols, NGram.load("phonemes"))


def test_context_corrects_what_frames_get_wrong(index: QuranIndex, decoder: NGramDecoder) -> None:
    rng = np.random.default_rng(0)
    errors, greedy_errors, size = 0, 0, 0
    for verse in rng.integers(0, index.istiadha, 5).tolist():
        first = int(index.first_word[verse])
        last = min(first + 9, int(index.first_word[verse + 1]) - 1)
        spelled = index.spell(first, last).tolist()
        log_probs = spoken(rng, [spelled], len(index.symbols), noise=2.0)
        transcript = decoder.decode(log_probs)
        heard = [index.symbols.index(p.symbol) for p in transcript.phonemes]
        errors += Levenshtein.distance(heard, spelled)
        greedy_errors += Levenshtein.distance(greedy(log_probs), spelled)
        size += len(spelled)
        frames = [frame for p in transcript.phonemes for frame in (p.start_frame, p.end_frame)]
        assert frames == sorted(frames)
        assert transcript.text == "".join(index.symbols[i] for i in heard)
    assert errors < 0.5 * greedy_errors
    assert errors < 0.35 * size


def test_words_that_are_not_there_can_be_heard(index: QuranIndex, decoder: NGramDecoder) -> None:
    spelled = [index.symbols.index(p) for p in "سَلامُنعَلَيكُمزَيد"]
    log_probs = spoken(np.random.default_rng(0), [spelled], len(index.symbols), noise=0.3)
    assert decoder.decode(log_probs).text == "سَلامُنعَلَيكُمزَيد"


def test_edges(index: QuranIndex, decoder: NGramDecoder) -> None:
    nothing = np.zeros((0, len(index.symbols)), np.float32)
    assert decoder.decode(nothing).phonemes == ()
    silence = np.full((9, len(index.symbols)), -20, np.float32)
    silence[:, 0] = 0
    assert decoder.decode(silence).text == ""
    with pytest.raises(ValueError, match="log-probs"):
        decoder.decode(nothing[:, 1:])
