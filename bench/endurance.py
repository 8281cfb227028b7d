"""An hour of recitation in one stream: does it stay right, fast, small and on time?

    python -m bench.endurance ../shared/audio/dev/long [--minutes 60] [--json PATH] [--picture PATH]

The recordings of a folder, whole surahs with published verse times, are played one after another
with a pause of two seconds between, over and over, as fast as they are recognised, through the
asynchronous API with a feed that waits. Reported are: recall and precision (as in `bench.scoring`)
of the finals in each quarter of the time; how much memory grew after the first five minutes of
audio; the time of a hop in the last sixth of the time over that in the first; the same for each
recording's last turn over its first, as multiples of a yardstick; and how far the starts of final
verses are from the published ones, with the slope of that over the time.

The yardstick is a fixed piece of recognition in a stream of its own, again and again beside the
other. Surahs do not all cost the same, and a computer slows down as it gets warm or busy: neither
is the stream's age, and of both nothing is left in that ratio.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from acoustic import corpus
from stream import Engine, Final, Recognizer
from stream.audio import SAMPLE_RATE

from . import clips, timing
from .clips import Clip
from .cost import resident_mb
from .events import recognise
from .timing import Spoken

PAUSE = 2.0  # seconds between recordings
_HOP = 7680  # samples fed at a time: what the shipped model takes
_WARM = 300.0  # seconds of audio after which memory is to stay as it is
_QUARTER = 900.0
_PART = 6  # hops of the first and of the last sixth are compared
_HISS = 3  # a pause is not digital silence
_BUFFER_SECONDS = 1.0  # no more audio waits than that: a hop is fed when one was recognised
_LOOK = 20  # hops between two looks at the memory, and at the yardstick
_YARD = 2 * SAMPLE_RATE  # samples of the first recording

Pcm = npt.NDArray[np.int16]
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Turn:
    """A recording as it was played: from when on."""

    clip: Clip
    start: float


@dataclass(slots=True)
class Course:
    """What happened to a stream, on the audio's clock.

    ``memory``: (audio seconds, resident MB); ``hops``: (audio seconds, milliseconds of CPU that the
    whole process took for a hop); ``yards``: (audio seconds, milliseconds for the yardstick).
    """

    seconds: float = 0.0
    turns: list[Turn] = field(default_factory=list)
    finals: list[Final] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    hops: list[tuple[float, float]] = field(default_factory=list)
    yards: list[tuple[float, float]] = field(default_factory=list)


def turns(recordings: Sequence[tuple[Clip, Pcm]], seconds: float) -> Iterator[tuple[Clip, Pcm]]:
    """The recordings in turn, whole, until with the pauses after them ``seconds`` are over."""
    length = 0.0
    for clip, samples in cycle(recordings):
        yield clip, samples
        length += len(samples) / SAMPLE_RATE + PAUSE
        if length >= seconds:
            return


async def follow(
    recognizer: Recognizer, recordings: Sequence[tuple[Clip, Pcm]], seconds: float
) -> Course:
    """Plays the recordings in one stream."""
    course = Course()
    hiss = np.random.default_rng(0).normal(0, _HISS, int(PAUSE * SAMPLE_RATE))
    pause = hiss.astype(np.int16)
    yard = corpus.to_float(recordings[0][1][:_YARD])
    apart = Engine.load()  # so that nothing of the stream's is shared with the yardstick
    recognise(apart, yard)
    async with recognizer.stream(buffer_seconds=_BUFFER_SECONDS) as stream:

        async def feed() -> None:
            fed, spent = 0, time.process_time()
            for clip, recording in turns(recordings, seconds):
                course.turns.append(Turn(clip, fed / SAMPLE_RATE))
                # One after another, not joined: the memory measured is to be the stream's.
                for samples in (recording, pause):
                    for begin in range(0, len(samples), _HOP):
                        hop = samples[begin : begin + _HOP]
                        await stream.feed(hop)
                        fed += len(hop)
                        before, spent = spent, time.process_time()
                        course.hops.append((fed / SAMPLE_RATE, 1000 * (spent - before)))
                        if len(course.hops) % _LOOK == 0:
                            course.memory.append((fed / SAMPLE_RATE, resident_mb()))
                            began = time.thread_time()
                            recognise(apart, yard)
                            took = 1000 * (time.thread_time() - began)
                            course.yards.append((fed / SAMPLE_RATE, took))
                            spent = time.process_time()
            course.seconds = fed / SAMPLE_RATE
            stream.end()

        async with asyncio.TaskGroup() as group:
            group.create_task(feed())
            async for event in stream:
                if isinstance(event, Final):
                    course.finals.append(event)
    return course


@dataclass(frozen=True, slots=True)
class Judged:
    """Every verse played: (audio seconds, found or not); every final: (audio seconds, right or
    not); of right ones: (audio seconds, start less the published one)."""

    verses: list[tuple[float, bool]]
    finals: list[tuple[float, bool]]
    offsets: list[tuple[float, float]]


def judge(course: Course) -> Judged:
    """Compares the finals with what was played, recording by recording."""
    judged = Judged([], [], [])
    ends = [turn.start for turn in course.turns[1:]] + [float("inf")]
    for turn, end in zip(course.turns, ends, strict=True):
        starts = {ayah: turn.start + start for ayah, start, _ in turn.clip.ayah_times}
        finals = [f for f in course.finals if turn.start <= f.start < end]
        spoken = [Spoken(v, (starts[v[1]],), (starts[v[1]],)) for v in turn.clip.expected]
        found = dict(timing.matched(spoken, finals))
        judged.verses.extend((s.start, i in found) for i, s in enumerate(spoken))
        right = {final.slot for final in found.values()}
        judged.finals.extend((f.start, f.slot in right) for f in finals)
        judged.offsets.extend(
            (spoken[i].start, f.start - spoken[i].start) for i, f in found.items()
        )
    return judged


def aged(course: Course) -> float | None:
    """The median over the recordings of a hop's cost in the last turn over that in the first, each
    in yardsticks beside it; None: none was played twice."""
    ends = [turn.start for turn in course.turns[1:]] + [course.seconds]
    costs: dict[str, list[float]] = {}
    for turn, end in zip(course.turns, ends, strict=True):
        hops, yards = (
            [ms for at, ms in points if turn.start < at <= end]
            for points in (course.hops, course.yards)
        )
        if hops and yards:
            costs.setdefault(turn.clip.id, []).append(float(np.median(hops) / np.median(yards)))
    ratios = [cost[-1] / cost[0] for cost in costs.values() if len(cost) > 1]
    return float(np.median(ratios)) if ratios else None


def slope(points: Points) -> float:
    """The median of the slopes between any two points (Theil-Sen): few may be wild."""
    x, y = np.array(points).T
    first, second = np.triu_indices(len(x), 1)
    apart = x[second] != x[first]
    rises = (y[second] - y[first])[apart] / (x[second] - x[first])[apart]
    return float(np.median(rises))


def summarise(course: Course, judged: Judged) -> dict[str, Any]:
    """The measures, as plain data; None where the time was too short for one."""
    quarters = []
    for begin in np.arange(0, course.seconds, _QUARTER):
        found = [hit for at, hit in judged.verses if begin <= at < begin + _QUARTER]
        right = [hit for at, hit in judged.finals if begin <= at < begin + _QUARTER]
        if found:
            quarters.append(
                {
                    "from_minute": round(begin / 60),
                    "verses": len(found),
                    "recall": round(sum(found) / len(found), 4),
                    "precision": round(sum(right) / len(right), 4) if right else 0.0,
                }
            )
    part = course.seconds / _PART
    first = [ms for at, ms in course.hops if at <= part]
    last = [ms for at, ms in course.hops if at > course.seconds - part]
    warm = [mb for at, mb in course.memory if at >= _WARM]
    offsets = [offset for _, offset in judged.offsets]
    ratio = aged(course)
    return {
        "minutes": round(course.seconds / 60, 1),
        "quarters": quarters,
        "memory_mb": round(course.memory[-1][1], 1) if course.memory else None,
        "memory_growth_mb": round(max(warm) - warm[0], 1) if warm else None,
        "hop_cpu_ms_first": round(float(np.median(first)), 2),
        "hop_cpu_ms_last": round(float(np.median(last)), 2),
        "hop_ratio": round(float(np.median(last) / np.median(first)), 3),
        "hop_ratio_in_yardsticks": None if ratio is None else round(ratio, 3),
        "start_offset_median": round(float(np.median(offsets)), 3) if offsets else None,
        "start_difference_median": (
            round(float(np.median(np.abs(offsets))), 3) if offsets else None
        ),
        "start_drift_ms_per_hour": (
            round(1000 * 3600 * slope(judged.offsets), 1) if len(offsets) > 1 else None
        ),
    }


def picture(course: Course, judged: Judged) -> Figure:
    """Memory, cost and times over the course."""
    figure = Figure(figsize=(9, 7), layout="constrained")
    for axes, (title, points, style) in zip(
        figure.subplots(3, 1, sharex=True),
        (
            ("resident memory, MB", course.memory, "-"),
            ("CPU of a hop, ms", course.hops, "."),
            ("start of a verse less the published one, s", judged.offsets, "."),
        ),
        strict=True,
    ):
        if points:
            x, y = np.array(points).T
            axes.plot(x / 60, y, style, markersize=2)
            low, high = np.percentile(y, (1, 99))
            room = 0.1 * max(high - low, 0.1)
            axes.set_ylim(low - room, high + room)
        axes.set_title(title, fontsize="medium")
        axes.grid(color="0.9")
    axes.set_xlabel("minutes of audio")
    return figure


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.endurance", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder with manifest.jsonl and ayah_times in it")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the numbers here")
    parser.add_argument("--picture", type=Path, metavar="PATH", help="draw the course here")
    args = parser.parse_args(arguments)

    timed = [clip for clip in clips.load(args.folder) if clip.ayah_times]
    if not timed:
        parser.error(f"no recording in {args.folder} has ayah_times")
    recordings = [(clip, corpus.decode(clip.path)) for clip in timed]
    course = asyncio.run(follow(Recognizer.load(), recordings, 60 * args.minutes))
    judged = judge(course)
    summary = summarise(course, judged)
    for name, value in summary.items():
        if name != "quarters":
            print(f"{name}: {value}")
    for quarter in summary["quarters"]:
        print(", ".join(f"{name} {value}" for name, value in quarter.items()))
    if args.json:
        args.json.write_text(json.dumps(summary, indent=1), encoding="utf-8")
    if args.picture:
        picture(course, judged).savefig(args.picture, dpi=90)
    return 0


if __name__ == "__main__":
    sys.exit(main())
