"""Cut recordings of several verses into these with a first model.

``python -m acoustic.segment --data CORPUS --out CORPUS`` decodes each recording of a run of verses
or a whole surah with the closed-world decoder, keeps those of its verses that were read from their
first to their last word, and whose phonemes align well, and writes them as a corpus of single
verses. What a reciter says before (isti'adha, basmala) or between the verses needs
no label, and recordings of another reading, or under a wrong name, do not align and drop out.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acoustic.corpus import MIN_SECONDS, SAMPLE_RATE, Int16, Utterance, Writer, load, to_float
from acoustic.encoder import Encoder
from acoustic.lessons import by_file
from decoders.align import WordTime, align
from decoders.beam import BeamDecoder
from decoders.path import Run
from lm import Priors
from quran_index import QuranIndex

Float = npt.NDArray[np.float32]

MIN_CONFIDENCE = 0.45
MARGIN = 0.15  # seconds kept around a verse, where the neighbours leave room


def whole_verses(
    index: QuranIndex, run: Run, words: list[WordTime]
) -> Iterator[tuple[int, float, float, float]]:
    """Verses read in full: verse, start and end (in the words' time unit), mean confidence."""
    at = {w.word: w for w in words}
    verses = index.verse_of_word[[run.first_word, run.last_word]].tolist()
    for verse in range(verses[0], verses[1] + 1):
        first, end = index.first_word[verse : verse + 2].tolist()
        if run.first_word <= first and end - 1 <= run.last_word:
            confidence = float(np.mean([at[w].confidence for w in range(first, end)]))
            yield verse, at[first].start, at[end - 1].end, confidence


class Cutter:
    """Finds the verses of recordings, and counts those kept and dropped (``counts``)."""

    def __init__(self, encoder: Encoder, index: QuranIndex) -> None:
        self._encoder, self._index = encoder, index
        self._decoder = BeamDecoder(index.graph, Priors.load())
        self.counts = Counter[str]()

    def cut(self, utterance: Utterance) -> Iterator[tuple[int, Int16]]:
        """The verses that were read from end to end, and their audio.

        Counts, besides, runs of words that are not of the recording's text.
        """
        audio = utterance.pcm()
        first_word, last_word = utterance.passage(self._index)
        for verse, start, end, confidence in self._read(to_float(audio), first_word, last_word):
            low = max(0, int((start - MARGIN) * SAMPLE_RATE))
            piece = audio[low : int((end + MARGIN) * SAMPLE_RATE)]
            if not first_word <= self._index.first_word[verse] <= last_word:
                self.counts["another text"] += 1
            elif confidence < MIN_CONFIDENCE:
                self.counts["poor match"] += 1
            elif len(piece) < MIN_SECONDS * SAMPLE_RATE:
                self.counts["too short"] += 1
            else:
                self.counts["kept"] += 1
                yield verse, piece

    def _read(
        self, wave: Float, first_word: int, last_word: int
    ) -> Iterator[tuple[int, float, float, float]]:
        """As `whole_verses`, in seconds of the recording."""
        encoder = self._encoder
        heard = encoder.encode(wave)
        state = self._decoder.start()
        self._decoder.advance(state, heard)
        for run in self._decoder.finish(state).runs:
            if run.last_word < first_word or last_word < run.first_word:
                self.counts["another text"] += 1
                continue
            frames = heard[run.start_frame : run.end_frame]
            words = align(
                frames, self._index.graph, run.first_word, run.last_word, encoder.frame_shift
            )
            begin = run.start_frame * encoder.frame_shift - encoder.emission_delay
            for verse, start, end, confidence in whole_verses(self._index, run, words):
                yield verse, begin + start, begin + end, confidence


def segment(source: Path, out: Path, encoder: Encoder, index: QuranIndex) -> Counter[str]:
    """Write the corpus ``out`` from the recordings of several verses in ``source``; counts as
    `Cutter` does.
    """
    cutter = Cutter(encoder, index)
    out.mkdir(parents=True, exist_ok=True)
    several = [u for u in load(source) if u.several_verses]
    for file, utterances in by_file(several):
        name = Path(file).name
        with Writer(out, name) as writer:
            for utterance in utterances:
                for verse, piece in cutter.cut(utterance):
                    writer.add(piece, utterance.reciter, *index.reference(verse))
        print(f"{name}: {writer.samples / SAMPLE_RATE / 60:.0f} min", file=sys.stderr, flush=True)
    return cutter.counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="acoustic.segment")
    parser.add_argument("--data", type=Path, required=True, help="corpus of several verses each")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    print(dict(segment(args.data, args.out, Encoder.load(), QuranIndex.load())), file=sys.stderr)


if __name__ == "__main__":
    main()
