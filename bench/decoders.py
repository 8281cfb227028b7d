"""The live beam against the exact search, with the n-gram priors and with uniform ones.

    python -m bench.decoders ../shared/audio/dev [--json PATH]

Both decode the same log-probabilities of each whole clip (the encoder runs hop by hop, without
VAD). They agree on a clip where they name the same verses in the same order.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from acoustic import Encoder
from decoders import BeamDecoder, Decoding, exact
from lm import Priors
from quran_index import QuranIndex
from stream import AudioBlock, StreamError
from stream.audio import Intake
from stream.files import decode_file

from . import clips, scoring
from .accuracy import stand_in
from .clips import Clip
from .scoring import Verse

LogProbs = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One clip decoded by both; ``seconds`` of decoding, ``audio`` seconds."""

    clip: Clip
    beam: tuple[Verse, ...]
    exact: tuple[Verse, ...]
    beam_seconds: float
    exact_seconds: float
    audio: float


def log_probs(encoder: Encoder, path: Path) -> LogProbs:
    """Log-probabilities [frames, symbols] of a whole recording."""
    intake = Intake()
    parts: list[LogProbs] = []
    for block in decode_file(path):
        if isinstance(block, AudioBlock):
            parts.append(intake.convert(block)[0])
    samples = np.concatenate([*parts, intake.drain()])
    return encoder.encode(samples)


def verses(decoding: Decoding, index: QuranIndex) -> tuple[Verse, ...]:
    """The verses that a path reads, in order; a verse of several runs in a row once."""
    words = (w for run in decoding.runs for w in range(run.first_word, run.last_word + 1))
    return tuple(index.reference(v) for v, _ in groupby(index.verse_of_word[w] for w in words))


def _timed(decode: Callable[[], Decoding]) -> tuple[Decoding, float]:
    begin = time.perf_counter()
    return decode(), time.perf_counter() - begin


def compare(
    clip: Clip,
    audio: LogProbs,
    encoder: Encoder,
    index: QuranIndex,
    beam: BeamDecoder,
    priors: Priors,
) -> Comparison:
    """Decode one clip's log-probabilities both ways, the beam as many frames at a time as live."""

    def live() -> Decoding:
        state = beam.start()
        frames = round(encoder.hop / encoder.sample_rate / encoder.frame_shift)
        for at in range(0, len(audio), frames):
            beam.advance(state, audio[at : at + frames])
        return beam.finish(state)

    found, beam_seconds = _timed(live)
    best, exact_seconds = _timed(lambda: exact.decode(audio, index.graph, priors))
    return Comparison(
        clip,
        verses(found, index),
        verses(best, index),
        beam_seconds,
        exact_seconds,
        len(audio) * encoder.frame_shift,
    )


def summarise(results: Sequence[Comparison], same_text: Callable[[Verse], Verse]) -> dict[str, Any]:
    """Agreement, cost and recall of both, as plain data."""
    audio = sum(r.audio for r in results)
    recalls = {
        name: scoring.mean(
            [
                scoring.score(r.clip.expected, found, r.clip.also_accept, same_text=same_text)
                for r, found in zip(results, predictions, strict=True)
            ]
        ).recall
        for name, predictions in (
            ("beam", [r.beam for r in results]),
            ("exact", [r.exact for r in results]),
        )
    }
    return {
        "clips": len(results),
        "agreement": sum(r.beam == r.exact for r in results) / len(results),
        "beam_rtf": sum(r.beam_seconds for r in results) / audio,
        "exact_rtf": sum(r.exact_seconds for r in results) / audio,
        "beam_recall": recalls["beam"],
        "exact_recall": recalls["exact"],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.decoders", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder with manifest.jsonl, or folder of such")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the numbers here")
    args = parser.parse_args(arguments)

    todo = clips.load(args.folder)
    index, encoder = QuranIndex.load(), Encoder.load()
    heard: list[tuple[Clip, LogProbs]] = []
    for clip in todo:
        try:
            heard.append((clip, log_probs(encoder, clip.path)))
        except StreamError as error:
            print(f"{clip.group}/{clip.id}: {error}", file=sys.stderr)
    if not heard:
        return 1
    table = Table("priors", *("clips", "same verses", "beam", "exact", "recall*: beam", "exact"))
    table.caption = "times as a share of the audio's; * identical text accepted"
    report: dict[str, Any] = {}
    for name, priors in (("KenLM", Priors.load()), ("uniform", Priors.uniform(index))):
        beam = BeamDecoder(index.graph, priors)
        compare(*heard[0], encoder, index, beam, priors)  # compiles
        results = []
        for clip, audio in heard:
            results.append(compare(clip, audio, encoder, index, beam, priors))
            if results[-1].beam != results[-1].exact:
                print(f"{name} {clip.group}/{clip.id}: {results[-1].beam} {results[-1].exact}")
        report[name] = row = summarise(results, stand_in(index))
        table.add_row(
            name,
            str(row["clips"]),
            f"{100 * row['agreement']:.1f}%",
            *(f"{row[key]:.4f}" for key in ("beam_rtf", "exact_rtf")),
            *(f"{100 * row[key]:.1f}%" for key in ("beam_recall", "exact_recall")),
        )
    Console(width=100).print(table)
    if args.json:
        args.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
