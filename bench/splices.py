"""Hard cases: recordings of a held-out reader, cut and joined, and the finals given for them.

    python -m bench.splices --held-out CORPUS... [--prose FOLDER] [--count N] [--json PATH]

``CORPUS`` is a folder of single verses (`acoustic.corpus`), each from a little before its first
sound on; ``--prose`` holds recordings without Quran. `bench.cases` says what kinds of cases are
made, and what is right for each. The same recordings give the same cases, of which ``--count`` are
taken of each kind. They go through the live pipeline as fast as it goes.

Per kind: *correct*, the share of cases whose list of final verses is one of the right ones, and
mean recall and precision, as `bench.scoring` has them, all with identical text accepted; *ordered*
is the same as *correct* but without. Failures by cause: *path*, the decoder's best path through the
whole recording is not what was recited; *withheld*, with every passage accepted the finals were
right; *early*, the path was right in the end, but not yet when the first wrong final was given;
*follower*, it was right by then, but not what was made of it.

Mistakes: of those made, the share that a `mistake` names (its verse, and one of its words); and
`mistake` events per hour in the kinds that hold none. Of prose alone: finals in 30 minutes, and
the share of recordings that were said not to be Quran.

``--keep`` writes the failures' sound, and beside it what is heard when and what came of it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import wave
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from acoustic import corpus
from acoustic.encoder import WEIGHTS
from decoders import Partial
from decoders.align import align
from decoders.path import Run
from quran_index import QuranIndex
from stream.audio import SAMPLE_RATE, AudioBlock
from stream.engine import Decoder, Engine
from stream.events import Event, Final, Mistake, NotQuran
from stream.passages import Passage
from stream.pipeline import Pipeline

from . import cases, scoring
from .accuracy import stand_in
from .cases import KINDS, PROSE_ALONE, Case, Slip
from .events import recognise
from .phonemes import ear
from .scoring import Score, Verse
from .voice import Float, Voice

Cause = Literal["path", "withheld", "early", "follower"]
CAUSES: tuple[Cause, ...] = ("path", "withheld", "early", "follower")


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one case: ``score`` as given, ``same_text`` with identical text accepted.

    ``path``: the decoder's best path through the whole recording, as verse, first and last word
    (from 1), start and end second; only of failures.
    """

    case: Case
    finals: tuple[Final, ...]
    mistakes: tuple[Mistake, ...]
    foreign: int
    score: Score
    same_text: Score
    cause: Cause | None = None
    path: tuple[tuple[Verse, int, int, float, float], ...] = ()

    @property
    def correct(self) -> bool:
        """Whether the list of finals is right."""
        return self.same_text.ordered == 1.0


def verses(events: Sequence[Event]) -> list[Verse]:
    """The final verses among events."""
    return [(e.surah, e.ayah) for e in events if isinstance(e, Final)]


def run(engine: Engine, case: Case) -> Result:
    """Recognise and score one case, and say why it failed if it did."""
    events = recognise(engine, case.wave)
    answer, predicted = case.answer, verses(events)
    same = stand_in(engine.index)
    result = Result(
        case,
        tuple(e for e in events if isinstance(e, Final)),
        tuple(e for e in events if isinstance(e, Mistake)),
        sum(isinstance(e, NotQuran) for e in events),
        scoring.score(answer.expected, predicted, answer.also_accept),
        scoring.score(answer.expected, predicted, answer.also_accept, same_text=same),
    )
    return result if result.correct else _explained(engine, result)


def _explained(engine: Engine, result: Result) -> Result:
    """Of a failure: where it went wrong."""
    case, index, same = result.case, engine.index, stand_in(engine.index)
    answers = [
        [same(verse) for verse in answer]
        for answer in (case.answer.expected, *case.answer.also_accept)
    ]
    state = engine.decoder.start()
    engine.decoder.advance(state, _log_probs(engine, case.wave))
    found = _passages(engine, engine.decoder.finish(state).runs)
    shift = engine.encoder.frame_shift
    recited = [
        same(index.reference(p.verse))
        for p in found
        if not _is_foreign(case, p.start * shift, p.end * shift)
    ]
    lenient = replace(engine, policy=replace(engine.policy, accept=0.0))
    cause: Cause
    if [same(verse) for verse in verses(recognise(lenient, case.wave))] in answers:
        cause = "withheld"
    elif recited not in answers:
        cause = "path"
    else:
        finals = [same((final.surah, final.ayah)) for final in result.finals]
        right = max(_agreement(finals, answer) for answer in answers)
        then = _path_at_final(engine, case, right)
        known = [same(index.reference(p.verse)) for p in _passages(engine, then)]
        early = all(known != answer[: len(known)] for answer in answers)
        cause = "early" if early else "follower"
    path = []
    for passage in found:
        opens = int(index.first_word[passage.verse]) - 1
        words = passage.first_word - opens, passage.last_word - opens
        seconds = round(passage.start * shift, 2), round(passage.end * shift, 2)
        path.append((index.reference(passage.verse), *words, *seconds))
    return replace(result, cause=cause, path=tuple(path))


def _passages(engine: Engine, runs: tuple[Run, ...]) -> list[Passage]:
    """The verses of a path, but for the openings, which are rightly on it and are no verses."""
    openings = (engine.index.istiadha, engine.index.verse_of(1, 1))
    found = engine.passages.find(runs, lambda verse, stretch: False)
    following = [p.verse for p in found[1:]] + [-1]
    return [
        passage
        for passage, after in zip(found, following, strict=True)
        if passage.verse not in openings or after == passage.verse + 1
    ]


def _agreement(one: Sequence[Verse], other: Sequence[Verse]) -> int:
    """How many verses two lists have in common at their beginning."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


class _Watched:
    """A decoder that remembers the last path that it told."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self.start, self.advance, self.finish = decoder.start, decoder.advance, decoder.finish
        self.whole_verses = decoder.whole_verses
        self.path: tuple[Run, ...] = ()

    def partial(self, state: Any) -> Partial:
        partial = self._decoder.partial(state)
        self.path = partial.best
        return partial


def _path_at_final(engine: Engine, case: Case, number: int) -> tuple[Run, ...]:
    """The best path when final ``number`` (from 0) was given; at the end if there is none."""
    watched = _Watched(engine.decoder)
    pipeline = Pipeline(replace(engine, decoder=watched), "splices")
    finals = 0
    for start in range(0, len(case.wave), engine.hop):
        hop = case.wave[start : start + engine.hop]
        finals += len(verses(pipeline.advance([AudioBlock(hop, SAMPLE_RATE)])))
        if finals > number:
            break
    return watched.path


def _log_probs(engine: Engine, samples: Float) -> Float:
    encoder, state = engine.encoder, engine.encoder.start()
    whole = len(samples) // encoder.hop * encoder.hop
    steps = [encoder.step(state, hop) for hop in samples[:whole].reshape(-1, encoder.hop)]
    return np.concatenate([*steps, encoder.flush(state, samples[whole:])])


def _is_foreign(case: Case, start: float, end: float) -> bool:
    """Whether it is mostly noise or prose that is heard there."""
    middle = (start + end) / 2
    return any(
        piece.what in ("noise", "prose") and piece.start <= middle <= piece.end
        for piece in case.pieces
    )


def noticed(slip: Slip, mistakes: Sequence[Mistake]) -> bool:
    """Whether one of ``mistakes`` names it."""
    words = slip.words or (0,)
    return any((m.surah, m.ayah) == slip.verse and m.word in words for m in mistakes)


def summarise(results: Sequence[Result]) -> dict[str, Any]:
    """Averages over the cases of one kind, as plain data."""
    score = scoring.mean([r.same_text for r in results])
    slips = [(slip, r.mistakes) for r in results for slip in r.case.answer.slips]
    causes = Counter(r.cause for r in results if r.cause)
    return {
        "cases": len(results),
        "seconds": sum(r.case.seconds for r in results),
        "correct": score.ordered,
        "ordered": scoring.mean([r.score for r in results]).ordered,
        "recall": score.recall,
        "precision": score.precision,
        "causes": {cause: causes[cause] for cause in CAUSES},
        "slips": len(slips),
        "slips_noticed": sum(noticed(*pair) for pair in slips),
        "mistakes": sum(len(r.mistakes) for r in results),
        "finals": sum(len(r.finals) for r in results),
        "not_quran": sum(r.foreign > 0 for r in results),
    }


def by_kind(results: Sequence[Result]) -> dict[str, dict[str, Any]]:
    """The summary of each kind there are results of, in the order of `KINDS`."""
    grouped = {k: [r for r in results if r.case.kind == k] for k in (*KINDS, PROSE_ALONE)}
    return {kind: summarise(members) for kind, members in grouped.items() if members}


def table(summary: dict[str, dict[str, Any]]) -> Table:
    """The kinds for people; prose alone has a line of its own below."""
    out = Table("kind")
    columns = ("correct", "ordered", "recall", "precision")
    for header in ("cases", *columns, *CAUSES, "mistakes"):
        out.add_column(header, justify="right")
    for kind, row in summary.items():
        if kind != PROSE_ALONE:
            shares = [f"{100 * row[name]:.0f}%" for name in columns]
            causes = [str(row["causes"][cause] or "") for cause in CAUSES]
            slips = f"{row['slips_noticed']} of {row['slips']}" if row["slips"] else ""
            out.add_row(kind, str(row["cases"]), *shares, *causes, slips)
    return out


def remarks(summary: dict[str, dict[str, Any]]) -> list[str]:
    """What the table does not say."""
    lines = []
    sound = [row for row in summary.values() if not row["slips"]]
    hours = sum(row["seconds"] for row in sound) / 3600
    if hours:
        alarms = sum(row["mistakes"] for row in sound)
        lines.append(f"mistakes told where none was made: {alarms / hours:.1f} an hour")
    if prose := summary.get(PROSE_ALONE):
        minutes = prose["seconds"] / 60
        lines.append(
            f"prose alone ({minutes:.0f} min): {prose['finals'] * 30 / minutes:.1f} finals in 30 "
            f"minutes; {prose['not_quran']} of {prose['cases']} recordings said not to be Quran"
        )
    return lines


def picture(summary: dict[str, dict[str, Any]]) -> Figure:
    """Share of correct cases of each kind, and of the causes of the others."""
    kinds = [kind for kind in summary if kind != PROSE_ALONE][::-1]
    figure = Figure(figsize=(7, 1.2 + 0.3 * len(kinds)), layout="constrained")
    axes = figure.add_subplot()
    done = np.zeros(len(kinds))
    colours = ("tab:green", "tab:red", "tab:orange", "tab:blue", "tab:purple")
    for name, colour in zip(("correct", *CAUSES), colours, strict=True):
        shares = np.array(
            [
                row["correct"] if name == "correct" else row["causes"][name] / row["cases"]
                for row in (summary[kind] for kind in kinds)
            ]
        )
        axes.barh(kinds, shares, left=done, color=colour, label=name)
        done += shares
    axes.axvline(0.85, color="0.3", linestyle=":")
    axes.set(xlim=(0, 1), xlabel="share of cases")
    figure.legend(loc="outside upper center", ncols=4, frameon=False)
    return figure


def as_json(result: Result) -> dict[str, Any]:
    """A case and what came of it, as plain data without the sound."""
    case = result.case
    return {
        "kind": case.kind,
        "number": case.number,
        "pieces": [asdict(piece) for piece in case.pieces],
        **asdict(case.answer),
        "finals": [
            {
                "verse": (f.surah, f.ayah),
                "words": (f.first_word, f.last_word),
                "start": round(f.start, 2),
                "end": round(f.end, 2),
                "decided": round(f.audio_time, 2),
                "confidence": round(f.confidence, 3),
            }
            for f in result.finals
        ],
        "mistakes": [m.to_dict() for m in result.mistakes],
        "correct": result.correct,
        "cause": result.cause,
        "path": result.path,
    }


def keep(result: Result, folder: Path) -> None:
    """Write a case's sound, and what came of it beside."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{result.case.kind.replace(' ', '-')}-{result.case.number:03}"
    with wave.open(str(folder / f"{name}.wav"), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        pcm = np.clip(result.case.wave, -1, 1) * 32767
        file.writeframes(pcm.astype("<i2").tobytes())
    text = json.dumps(as_json(result), indent=1, ensure_ascii=False)
    (folder / f"{name}.json").write_text(text, encoding="utf-8")


def load_voice(folders: Sequence[Path], index: QuranIndex) -> Voice:
    """The reader of some corpora; words are found by the shipped network with all of a recording
    in view."""
    hear = ear(f"{WEIGHTS.with_suffix('.pt')}@all")
    shift = Engine.load().encoder.frame_shift
    return Voice(
        [utterance for folder in folders for utterance in corpus.load(folder)],
        index,
        lambda samples, first, last: align(hear(samples), index.graph, first, last, shift),
    )


def make(kind: str, number: int, voice: Voice, prose: Sequence[Float]) -> Case:
    """One case, of `KINDS` or of prose alone. Raises `cases.NoMaterialError`."""
    if kind == PROSE_ALONE:
        return cases.prose_alone(number, voice, prose)
    return cases.build(kind, number, voice, prose)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="bench.splices",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--held-out", type=Path, required=True, nargs="+", metavar="CORPUS")
    parser.add_argument("--prose", type=Path, metavar="FOLDER", help="recordings without Quran")
    parser.add_argument("--count", type=int, default=30, help="cases of each kind")
    parser.add_argument("--kind", action="append", choices=(*KINDS, PROSE_ALONE), metavar="KIND")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write every case's result here")
    parser.add_argument("--picture", type=Path, metavar="PATH", help="draw the kinds here")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write the failures here")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="cases at a time")
    args = parser.parse_args(arguments)

    engine = Engine.load()
    voice = load_voice(args.held_out, engine.index)
    files = sorted(args.prose.iterdir()) if args.prose else []
    prose = [corpus.to_float(corpus.decode(path)) for path in files]
    numbers = {kind: range(args.count) for kind in KINDS} | {PROSE_ALONE: range(len(prose))}
    todo = [(kind, number) for kind in args.kind or numbers for number in numbers[kind]]
    missing: dict[str, str] = {}

    def attempt(job: tuple[str, int]) -> Result | None:
        try:
            result = run(engine, make(*job, voice, prose))
        except cases.NoMaterialError as reason:
            missing[job[0]] = str(reason)
            return None
        if args.keep and not result.correct:
            keep(result, args.keep)
        # The sound of hundreds of cases would not fit into memory.
        return replace(result, case=replace(result.case, wave=result.case.wave[:0]))

    results: list[Result] = []
    with ThreadPoolExecutor(args.jobs) as pool:
        for done, outcome in enumerate(pool.map(attempt, todo), 1):
            results += [outcome] if outcome else []
            if sys.stderr.isatty():
                print(f"\r{done}/{len(todo)} ", end="", file=sys.stderr, flush=True)

    summary = by_kind(results)
    Console(width=120).print(table(summary))
    for line in remarks(summary):
        print(line)
    for kind, reason in missing.items():
        print(f"{kind}: left out, {reason}")
    if args.json:
        data = {"summary": summary, "cases": [as_json(result) for result in results]}
        args.json.write_text(json.dumps(data, indent=1, ensure_ascii=False), encoding="utf-8")
    if args.picture:
        picture(summary).savefig(args.picture, dpi=120)
    return 0


if __name__ == "__main__":
    sys.exit(main())
