"""Cut recordings of several verses into these with a first model.

``python -m acoustic.segment --data CORPUS --out CORPUS`` decodes each recording of a run of verses
or a whole surah with the closed-world decoder, keeps those of its verses that were read from their
first to their last word, and whose phonemes align well, and writes them as a corpus of single
verses. What a reciter says before (isti'adha, basmala) or between the verses needs
no label, and recordings of another reading, or under a wrong name, do not align and drop out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

from acoustic.corpus import MIN_SECONDS, SAMPLE_RATE, Utterance, load, to_float
from acoustic.encoder import Encoder
from decoders.align import WordTime, align
from decoders.beam import BeamDecoder
from decoders.path import Run
from lm import Priors
from quran_index import QuranIndex

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


def segment(source: Path, out: Path, encoder: Encoder, index: QuranIndex) -> Counter[str]:
    """Write the corpus ``out`` from the recordings of several verses in ``source``.

    Counts verses kept and dropped, and runs of words that are not of the recording's text.
    """
    decoder = BeamDecoder(index.graph, Priors.load())
    counts = Counter[str]()
    out.mkdir(parents=True, exist_ok=True)
    several = [u for u in load(source) if u.several_verses]
    for path in sorted({u.corpus for u in several}):
        name = Path(path).name
        offset = 0
        with (
            open(out / f"{name}.pcm", "wb") as pcm,
            open(out / f"{name}.jsonl", "w", encoding="utf-8") as lines,
        ):
            for utterance in (u for u in several if u.corpus == path):
                first_word, last_word = utterance.passage(index)
                audio = utterance.pcm()
                heard = encoder.encode(to_float(audio))
                state = decoder.start()
                decoder.advance(state, heard)
                for run in decoder.finish(state).runs:
                    if run.last_word < first_word or last_word < run.first_word:
                        counts["another text"] += 1
                        continue
                    frames = heard[run.start_frame : run.end_frame]
                    words = align(
                        frames, index.graph, run.first_word, run.last_word, encoder.frame_shift
                    )
                    begin = run.start_frame * encoder.frame_shift - encoder.emission_delay
                    for verse, start, end, confidence in whole_verses(index, run, words):
                        if not first_word <= index.first_word[verse] <= last_word:
                            counts["another text"] += 1
                            continue
                        if confidence < MIN_CONFIDENCE:
                            counts["poor match"] += 1
                            continue
                        low = max(0, int((begin + start - MARGIN) * SAMPLE_RATE))
                        cut = audio[low : int((begin + end + MARGIN) * SAMPLE_RATE)]
                        if len(cut) < MIN_SECONDS * SAMPLE_RATE:
                            counts["too short"] += 1
                            continue
                        pcm.write(cut.tobytes())
                        surah, ayah = index.reference(verse)
                        row = Utterance(name, utterance.reciter, surah, ayah, offset, len(cut))
                        lines.write(json.dumps(asdict(row)) + "\n")
                        offset += len(cut)
                        counts["kept"] += 1
        print(f"{name}: {offset / SAMPLE_RATE / 60:.0f} min", file=sys.stderr, flush=True)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="acoustic.segment")
    parser.add_argument("--data", type=Path, required=True, help="corpus of several verses each")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    print(dict(segment(args.data, args.out, Encoder.load(), QuranIndex.load())), file=sys.stderr)


if __name__ == "__main__":
    main()
