"""How soon is a recitation known? Plays recordings as they were spoken, and waits for events.

    python -m bench.latency ../shared/audio/dev [--speed max] [--json PATH] [--pictures FOLDER]

Each clip goes through the asynchronous API at real-time speed, with three seconds of its own room
tone (noise of the spectrum of its quietest moments) after it and no word about its end until they
are over: that a verse has ended is decided, not told. The measures are those of `bench.timing`,
against word times from a full-context alignment (`bench.reference`). Decisions are taken on the
audio's clock, so ``--speed max`` gives the same numbers, but for the wall clock's: what arriving in
real time adds is the time from an event's decision being due to its arrival.

One table for each measure's percentiles by folder and source. Verses that sound the same count as
one. A clip whose words do not fit into it cannot be measured and is named. ``--pictures`` writes
``latency.png`` (shares of all clips over time), ``flicker.png`` (what was shown, and whether it was
kept) and ``clips/*.png`` (each clip's candidates, with the truth).
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import json
import math
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from acoustic import corpus
from acoustic.encoder import WEIGHTS
from acoustic.export import load_average
from quran_index import QuranIndex
from stream import AudioBlock, Ended, Event, FileSource, Final, Notice, Recognizer, StreamError
from stream.audio import Samples
from stream.sources import Speed, closing

from . import clips, pictures, reference, scoring, timing
from .clips import Clip
from .scoring import Verse
from .timing import Prefixes, Spoken

ROOM_TONE = 3.0  # seconds
_BLOCK = 0.1  # seconds
_QUIETEST = 3  # blocks that room tone is made of
_WINDOW = 512  # samples of a spectrum
_AT_ONCE = 16  # clips in real time: each takes a hundredth or two of a core


def room_tone(quiet: Sequence[Samples], samples: int) -> Samples:
    """Noise [samples] of the mean spectrum and level of ``quiet`` stretches, always the same."""
    windows = np.concatenate(
        [q[: len(q) // _WINDOW * _WINDOW].reshape(-1, _WINDOW) for q in quiet]
        or [np.zeros((1, _WINDOW), np.float32)]
    )
    shape = np.hanning(_WINDOW)
    power = np.square(np.abs(np.fft.rfft(windows * shape))).mean(axis=0) / np.square(shape).sum()
    noise = np.random.default_rng(0).standard_normal(samples)
    at = np.linspace(0, 1, samples // 2 + 1)
    gain = np.sqrt(np.interp(at, np.linspace(0, 1, len(power)), power))
    tone: Samples = np.fft.irfft(np.fft.rfft(noise) * gain, samples).astype(np.float32)
    return tone


class Recording:
    """A file, then `ROOM_TONE` seconds more of its silence. ``began``: when it started to play."""

    def __init__(self, path: Path, speed: Speed) -> None:
        self._path, self._speed = path, speed
        self.began = math.nan

    async def __aiter__(self) -> AsyncIterator[AudioBlock | Notice]:
        loop = asyncio.get_running_loop()
        self.began = loop.time()
        quietest: list[tuple[float, int, AudioBlock]] = []  # its level negated: a heap
        async with closing(FileSource(self._path, self._speed)) as items:
            count = 0
            async for item in items:
                if isinstance(item, AudioBlock) and len(item.samples) >= _WINDOW:
                    count += 1
                    level = -float(np.square(item.samples).mean())
                    heapq.heappush(quietest, (level, count, item))
                    if len(quietest) > _QUIETEST:
                        heapq.heappop(quietest)
                yield item
        rate = quietest[0][2].sample_rate if quietest else corpus.SAMPLE_RATE
        same = [block.samples for _, _, block in quietest if block.sample_rate == rate]
        due, step = loop.time(), round(_BLOCK * rate)
        for samples in room_tone(same, round(ROOM_TONE / _BLOCK) * step).reshape(-1, step):
            if self._speed == "realtime":
                due += _BLOCK
                await asyncio.sleep(due - loop.time())
            yield AudioBlock(samples, rate)


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of one clip: its events, and by how much each came after its audio (seconds)."""

    clip: Clip
    events: tuple[Event, ...]
    late: dict[int, float]
    error: str | None = None

    @property
    def finals(self) -> tuple[Final, ...]:
        return tuple(event for event in self.events if isinstance(event, Final))


async def replay(recognizer: Recognizer, clip: Clip, speed: Speed) -> Replay:
    """Plays one clip; an unreadable one has the reason and no more."""
    source, loop = Recording(clip.path, speed), asyncio.get_running_loop()
    events: list[Event] = []
    late: dict[int, float] = {}
    error = None
    try:
        async with recognizer.stream() as stream:
            async for event in stream.run(source):
                events.append(event)
                late[event.seq] = loop.time() - source.began - event.audio_time
    except StreamError as raised:
        error = str(raised)
    return Replay(clip, tuple(events), late, error)


async def replay_all(
    recognizer: Recognizer, todo: Sequence[Clip], speed: Speed, told: Callable[[int], None]
) -> list[Replay]:
    """Plays the clips, several at a time; ``told`` is told of each that is done."""
    room = asyncio.Semaphore(_AT_ONCE if speed == "realtime" else os.cpu_count() or 1)
    done = 0

    async def one(clip: Clip) -> Replay:
        nonlocal done
        async with room:
            result = await replay(recognizer, clip, speed)
        done += 1
        told(done)
        return result

    # The longest first: the others fill the time that it takes.
    order = sorted(todo, key=lambda clip: -clip.path.stat().st_size)
    async with asyncio.TaskGroup() as group:
        tasks = {clip.path: group.create_task(one(clip)) for clip in order}
    return [tasks[clip.path].result() for clip in todo]


@dataclass(slots=True)
class Times:
    """The measures of some clips, in seconds; for what each is see `bench.timing`.

    ``wall_*``: on the wall clock, that is with the wait for computation and delivery. ``late``:
    from when the audio of a decision had been spoken to the arrival of its event. ``reference``:
    starts of the reference's verses less the published ones.
    """

    first_correct: list[float] = field(default_factory=list)
    wall_first_correct: list[float] = field(default_factory=list)
    excess: list[float] = field(default_factory=list)
    finalisation: list[float] = field(default_factory=list)
    wall_finalisation: list[float] = field(default_factory=list)
    running_finalisation: list[float] = field(default_factory=list)
    word_lag: list[float] = field(default_factory=list)
    word_offset: list[float] = field(default_factory=list)
    reference: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    withdrawn: int = 0
    verses: int = 0
    clips: int = 0

    def __add__(self, other: Times) -> Times:
        return Times(*(getattr(self, n) + getattr(other, n) for n in self.__slots__))


def measure(replayed: Replay, spoken: Sequence[Spoken], prefixes: Prefixes) -> Times:
    """One clip's measures. ``spoken`` is the right answer that its finals fit best."""
    times = Times(clips=1, verses=len(spoken))
    seen = timing.shown(replayed.events)
    times.withdrawn = timing.withdrawn(seen)
    first = timing.first_correct(seen, prefixes.sounding_like(s.verse for s in spoken))
    verse = spoken[0]
    times.first_correct.append(first - verse.start)
    times.excess.append(first - verse.ends[prefixes.unique_word(verse.verse)])
    at = {e.audio_time: replayed.late[e.seq] for e in reversed(replayed.events)}
    times.wall_first_correct.append(first - verse.start + at.get(first, 0.0))
    for i, final in timing.matched(spoken, replayed.finals):
        after = final.audio_time - spoken[i].end
        if i + 1 < len(spoken):
            times.running_finalisation.append(after)
        else:
            times.finalisation.append(after)
            times.wall_finalisation.append(after + replayed.late[final.seq])
        times.word_lag += timing.word_lags(spoken[i], final, replayed.events)
        times.word_offset += timing.word_offsets(spoken[i], final)
    begins = {s.verse[1]: s.start for s in spoken}
    times.reference += [begins[a] - start for a, start, _ in replayed.clip.ayah_times]
    times.late += [replayed.late[e.seq] for e in replayed.events if not isinstance(e, Ended)]
    return times


def best_answer(replayed: Replay) -> tuple[Verse, ...]:
    """Of a clip's right answers, the one by which its finals score best."""
    predicted = [(final.surah, final.ayah) for final in replayed.finals]
    answers = (replayed.clip.expected, *replayed.clip.also_accept)
    return max(answers, key=lambda answer: scoring.score(answer, predicted))


def summarise(times: Times, realtime: bool) -> dict[str, Any]:
    """Percentiles of the measures, as plain data; medians of signed and of absolute differences."""
    asked: dict[str, tuple[Sequence[float], tuple[int, ...]]] = {
        "first_correct": (times.first_correct, (50, 90, 95)),
        "excess": (times.excess, (50, 90, 95)),
        "finalisation": (times.finalisation, (50, 95)),
        "running_finalisation": (times.running_finalisation, (50, 95)),
        "word_lag": (times.word_lag, (50, 95)),
        "word_start_difference": ([abs(x) for x in times.word_offset], (50, 95)),
        "word_start_offset": (times.word_offset, (50,)),
        "reference_difference": ([abs(x) for x in times.reference], (50,)),
        "reference_offset": (times.reference, (50,)),
    }
    if realtime:
        asked |= {
            "wall_first_correct": (times.wall_first_correct, (50, 90, 95)),
            "wall_finalisation": (times.wall_finalisation, (50, 95)),
            "late": (times.late, (50, 95, 99)),
        }
    return {
        "clips": times.clips,
        "verses": times.verses,
        "flicker": round(times.withdrawn / times.verses, 4),
        **{name: timing.plain(timing.percentiles(*what)) for name, what in asked.items()},
    }


def groups(measured: Sequence[tuple[Clip, Times]]) -> dict[str, Times]:
    """Measures by ``folder/source``, by folder where it has several sources, and of all those."""
    sources: dict[str, set[str]] = {}
    for clip, _ in measured:
        sources.setdefault(clip.group, set()).add(clip.source)
    mixed = [group for group in sorted(sources) if len(sources[group]) > 1]
    summed: dict[str, Times] = {}
    for clip, times in sorted(measured, key=lambda pair: (pair[0].group, pair[0].source)):
        names = [f"{clip.group}/{clip.source}"]
        if clip.group in mixed:
            names.append(f"{clip.group}/all")
            if len(mixed) > 1:
                names.append(f"{'+'.join(mixed)}/all")
        for name in names:
            summed[name] = summed.get(name, Times()) + times
    return {name: summed[name] for name in sorted(summed)}


def computation(replays: Sequence[Replay]) -> dict[str, float]:
    """What the streams themselves say of their cost, apart from all waiting.

    Percentiles of a hop are medians over the clips.
    """
    ended = [r.events[-1] for r in replays if r.events]
    statistics = [e.statistics for e in ended if isinstance(e, Ended)]
    audio = sum(s.audio_seconds for s in statistics)
    return {
        "audio_seconds": round(audio, 1),
        "rtf": round(sum(s.compute_seconds for s in statistics) / audio, 4) if audio else math.nan,
        **{
            name: round(float(np.median([getattr(s, name) for s in statistics])), 2)
            for name in ("hop_ms_p50", "hop_ms_p95", "hop_ms_p99")
        },
    }


_COLUMNS = {
    "first_correct": "first correct",
    "excess": "excess",
    "finalisation": "final, silence",
    "running_finalisation": "final, reading on",
    "word_lag": "word lag",
    "word_start_difference": "word start ±",
    "word_start_offset": "word start",
    "reference_offset": "reference",
}
_WALL_COLUMNS = {
    "wall_first_correct": "first correct, wall",
    "wall_finalisation": "final, wall",
    "late": "late",
}


def table(summary: dict[str, dict[str, Any]], realtime: bool) -> Table:
    """The summary for people: percentiles in seconds, parted by strokes."""
    columns = _COLUMNS | (_WALL_COLUMNS if realtime else {})
    example = next(iter(summary.values()))
    out = Table(caption="seconds of audio; percentiles as headed; inf: never")
    out.add_column("clips of")
    out.add_column("clips", justify="right")
    for key, title in columns.items():
        out.add_column(f"{title}\n{' / '.join(example[key])}", justify="right")
    out.add_column("flicker", justify="right")
    for name, row in summary.items():
        cells = [" / ".join(_cell(value) for value in row[key].values()) for key in columns]
        out.add_row(name, str(row["clips"]), *cells, f"{row['flicker']:.2f}")
    return out


def _cell(value: float | str | None) -> str:
    if value is None:
        return "-"
    return "inf" if isinstance(value, str) else f"{value:.2f}"


def hear_truth(
    replays: Iterable[Replay], index: QuranIndex, delay: float
) -> tuple[list[tuple[Replay, list[Spoken]]], list[str]]:
    """When what was recited in each clip; and why in some it cannot be told."""
    network = load_average(WEIGHTS.with_suffix(".pt"))
    known: list[tuple[Replay, list[Spoken]]] = []
    lost: list[str] = []
    for replayed in replays:
        clip = replayed.clip
        try:
            if replayed.error is not None:
                raise ValueError(replayed.error)
            wave = corpus.to_float(corpus.decode(clip.path))
            heard = reference.hear_all(network, wave)
            known.append((replayed, reference.spoken(heard, index, best_answer(replayed), delay)))
        except ValueError as error:
            lost.append(f"{clip.group}/{clip.id}: {error}")
    return known, lost


def _clip_json(replayed: Replay, spoken: Sequence[Spoken], times: Times) -> dict[str, Any]:
    clip = replayed.clip
    return {
        "group": clip.group,
        "id": clip.id,
        "source": clip.source,
        "spoken": [[*s.verse, round(s.start, 3), round(s.end, 3)] for s in spoken],
        "finals": [[f.surah, f.ayah, f.start, f.end, f.audio_time] for f in replayed.finals],
        "first_correct": timing.plain({"s": times.first_correct[0]})["s"],
        "excess": timing.plain({"s": times.excess[0]})["s"],
        "finalisation": [round(s, 3) for s in times.finalisation],
        "withdrawn": times.withdrawn,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.latency", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder with manifest.jsonl, or folder of such")
    parser.add_argument("--speed", choices=("realtime", "max"), default="realtime")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write every clip's result here")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="draw into this folder")
    parser.add_argument("--clips", type=int, metavar="N", help="of each folder only the first N")
    args = parser.parse_args(arguments)

    todo = clips.load(args.folder)
    if args.clips is not None:
        folders = {clip.group for clip in todo}
        todo = [c for g in sorted(folders) for c in [x for x in todo if x.group == g][: args.clips]]
    recognizer = Recognizer.load()
    index, realtime = recognizer.engine.index, args.speed == "realtime"

    def told(done: int) -> None:
        if sys.stderr.isatty():
            end = "" if done < len(todo) else "\n"
            print(f"\r{done}/{len(todo)}", end=end, file=sys.stderr, flush=True)

    replays = asyncio.run(replay_all(recognizer, todo, args.speed, told))
    known, lost = hear_truth(replays, index, recognizer.engine.encoder.emission_delay)
    prefixes = Prefixes(index)
    measured = [(r, s, measure(r, s, prefixes)) for r, s in known]
    summary = {
        name: summarise(times, realtime)
        for name, times in groups([(r.clip, t) for r, _, t in measured]).items()
    }
    cost = computation(replays)
    if summary:
        Console(width=200).print(table(summary, realtime))
    print("computation:", ", ".join(f"{name} {value}" for name, value in cost.items()))
    for line in lost:
        print(line)
    if args.json:
        data = {
            "summary": summary,
            "computation": cost,
            "clips": [_clip_json(r, s, t) for r, s, t in measured],
            "lost": lost,
        }
        args.json.write_text(json.dumps(data, indent=1), encoding="utf-8")
    if args.pictures:
        draw(args.pictures, measured)
    return 0


def draw(folder: Path, measured: Sequence[tuple[Replay, Sequence[Spoken], Times]]) -> None:
    """All pictures, into ``folder``."""
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    by_group: dict[str, Times] = {}
    for replayed, _, times in measured:
        group = replayed.clip.group
        by_group[group] = by_group.get(group, Times()) + times
    pictures.shares(by_group).savefig(folder / "latency.png", dpi=100)
    rows = [(f"{r.clip.group}/{r.clip.id}", r.events, s) for r, s, _ in measured]
    pictures.flicker(rows).savefig(folder / "flicker.png", dpi=80)
    for name, events, spoken in rows:
        figure = pictures.timeline(name, events, spoken)
        figure.savefig(folder / "clips" / f"{name.replace('/', '_')}.png", dpi=80)


if __name__ == "__main__":
    sys.exit(main())
