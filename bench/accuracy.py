"""Recognise recordings whose verses are known, and score the final verses.

    python -m bench.accuracy ../shared/audio/dev [--json PATH]

Every clip goes through :meth:`stream.Recognizer.recognize`: the live pipeline, hop by hop, as fast
as it goes. Prints one row per folder and source, the measures being those of :mod:`bench.scoring`
averaged over clips; the last two columns are recall and precision with identical text accepted.
Below stands the share of the short verses (up to four words) found anywhere, identical text
accepted, and how many clips are ordered.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from quran_index import QuranIndex
from stream import Recognizer, StreamError

from . import clips, scoring
from .clips import Clip
from .scoring import Score, Verse


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one clip: ``score`` as given, ``same_text`` with identical text accepted.

    ``error`` says why nothing or not all was recognised. ``seconds`` of audio, ``compute`` seconds.
    """

    clip: Clip
    predicted: tuple[Verse, ...]
    score: Score
    same_text: Score
    seconds: float
    compute: float
    error: str | None = None


def stand_in(index: QuranIndex) -> Callable[[Verse], Verse]:
    """Maps a verse to the first verse of the same words."""
    return lambda verse: index.reference(min(index.identical(index.verse_of(*verse))))


def run_clip(recognizer: Recognizer, index: QuranIndex, clip: Clip) -> Result:
    """Recognise and score one clip."""
    predicted: tuple[Verse, ...] = ()
    seconds = compute = 0.0
    try:
        ended = recognizer.recognize(clip.path)
    except StreamError as raised:
        error: str | None = str(raised)
    else:
        error = ended.error
        predicted = tuple((final.surah, final.ayah) for final in ended.finals)
        seconds = ended.statistics.audio_seconds
        compute = ended.statistics.compute_seconds
    return Result(
        clip,
        predicted,
        scoring.score(clip.expected, predicted, clip.also_accept),
        scoring.score(clip.expected, predicted, clip.also_accept, same_text=stand_in(index)),
        seconds,
        compute,
        error,
    )


def summarise(results: Sequence[Result]) -> dict[str, Any]:
    """Averages over ``results``, as plain data."""
    same_text = scoring.mean([r.same_text for r in results])
    return {
        "clips": len(results),
        **asdict(scoring.mean([r.score for r in results])),
        "same_text_recall": same_text.recall,
        "same_text_precision": same_text.precision,
        "audio_seconds": sum(r.seconds for r in results),
    }


def groups(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Results by ``folder/source``, and by folder where it has several sources."""
    names = sorted({(r.clip.group, r.clip.source) for r in results})
    grouped = {}
    for folder in sorted({group for group, _ in names}):
        sources = [source for group, source in names if group == folder]
        for source in sources:
            grouped[f"{folder}/{source}"] = [
                r for r in results if (r.clip.group, r.clip.source) == (folder, source)
            ]
        if len(sources) > 1:
            grouped[f"{folder}/all"] = [r for r in results if r.clip.group == folder]
    return grouped


def table(results: Sequence[Result]) -> Table:
    """The results for people."""
    measures = {
        "ordered": "ordered",
        "recall": "recall",
        "precision": "precision",
        "exact_set": "exact set",
        "same_text_recall": "recall*",
        "same_text_precision": "precision*",
    }
    out = Table(caption="* identical text accepted")
    out.add_column("clips of")
    for header in ("clips", "minutes", *measures.values()):
        out.add_column(header, justify="right")
    for name, members in groups(results).items():
        row = summarise(members)
        numbers = [f"{100 * row[key]:.1f}%" for key in measures]
        out.add_row(name, str(row["clips"]), f"{row['audio_seconds'] / 60:.1f}", *numbers)
    return out


SHORT = 4  # words


def short_verses(index: QuranIndex, results: Sequence[Result]) -> tuple[int, int]:
    """Of the expected verses of up to `SHORT` words: found with identical text accepted, and all.

    Clips with other right answers are left out, as it would depend on which of them counts.
    """
    same, found, total = stand_in(index), 0, 0
    for result in results:
        if result.clip.also_accept:
            continue
        expected = [same(verse) for verse in result.clip.expected]
        for verse, hit in zip(
            expected, scoring.hits(expected, [same(v) for v in result.predicted]), strict=True
        ):
            if len(index.words(index.verse_of(*verse))) <= SHORT:
                found, total = found + hit, total + 1
    return found, total


def _as_json(results: Sequence[Result]) -> dict[str, Any]:
    return {
        "summary": {name: summarise(members) for name, members in groups(results).items()},
        "clips": [
            {
                "group": r.clip.group,
                "id": r.clip.id,
                "source": r.clip.source,
                "expected": r.clip.expected,
                "predicted": r.predicted,
                "score": asdict(r.score),
                "same_text": asdict(r.same_text),
                "seconds": round(r.seconds, 3),
                "error": r.error,
            }
            for r in results
        ],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.accuracy", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder with manifest.jsonl, or folder of such")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write every clip's result here")
    parser.add_argument("--misses", action="store_true", help="list the clips not exactly right")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="clips at a time")
    args = parser.parse_args(arguments)

    todo = clips.load(args.folder)
    recognizer = Recognizer.load()
    index = recognizer.engine.index
    results: list[Result] = []
    with ThreadPoolExecutor(args.jobs) as pool:
        for result in pool.map(lambda clip: run_clip(recognizer, index, clip), todo):
            results.append(result)
            if sys.stderr.isatty():
                end = "" if len(results) < len(todo) else "\n"
                print(f"\r{len(results)}/{len(todo)}", end=end, file=sys.stderr, flush=True)
    Console(width=110).print(table(results))
    found, total = short_verses(index, results)
    if total:
        print(
            f"verses of up to {SHORT} words found: {found} of {total} ({100 * found / total:.1f}%)"
        )
    for folder in sorted({clip.group for clip in todo}):
        scores = [r.score.ordered for r in results if r.clip.group == folder]
        print(f"{folder}: {sum(scores):.0f} of {len(scores)} clips ordered")
    audio, compute = sum(r.seconds for r in results), sum(r.compute for r in results)
    if audio:
        print(f"compute / audio, {args.jobs} clips at a time: {compute / audio:.3f}")
    for result in results:
        clip = result.clip
        if result.error:
            print(f"{clip.group}/{clip.id}: {result.error}")
        if args.misses and not result.score.ordered:
            print(f"{clip.group}/{clip.id}: {clip.expected} {result.predicted}")
    if args.json:
        args.json.write_text(json.dumps(_as_json(results), indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
