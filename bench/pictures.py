"""Pictures of how recitations were followed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stream import Candidates, Ended, Event, Final

from . import timing
from .scoring import Verse
from .timing import Spoken

_KEPT, _WITHDRAWN, _TRUTH = "#2a7f4f", "#c8412b", "#d9d9d9"
_WORST = 5.0  # seconds, the end of the axis
_DRAWN = 6  # candidates of a timeline: those that were ever likeliest


class Measures(Protocol):
    """The lists of seconds that are drawn, as in `bench.latency.Times`."""

    @property
    def excess(self) -> list[float]: ...
    @property
    def finalisation(self) -> list[float]: ...
    @property
    def running_finalisation(self) -> list[float]: ...
    @property
    def word_lag(self) -> list[float]: ...


def shares(groups: Mapping[str, Measures]) -> Figure:
    """Share of clips, verses or words (upwards) that were told within a time (to the right)."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    panels = {
        "excess": "first correct, after the words are unique",
        "finalisation": "final, after the last word, then silence",
        "running_finalisation": "final, after the last word, reading on",
        "word_lag": "word, after its end",
    }
    for axes, (name, title) in zip(figure.subplots(2, 2).flat, panels.items(), strict=True):
        for group, measures in groups.items():
            values = np.sort(getattr(measures, name))
            if len(values):
                share = np.arange(1, len(values) + 1) / len(values)
                axes.step(values, share, where="post", label=f"{group} ({len(values)})")
        axes.set(title=title, xlim=(-1, _WORST), ylim=(0, 1), xlabel="s")
        axes.grid(color="0.9")
        axes.legend(loc="lower right", fontsize="small")
    return figure


def flicker(rows: Sequence[tuple[str, Iterable[Event], Sequence[Spoken]]]) -> Figure:
    """What each clip showed over time: verses that were kept, and verses that were withdrawn.

    The time runs from the first word (0) to the last (1), so that all clips are as long.
    """
    figure = Figure(figsize=(9, 1 + 0.17 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for at, (_, events, spoken) in enumerate(rows):
        begin, length = spoken[0].start, spoken[-1].end - spoken[0].start
        axes.barh(at, 1, color=_TRUTH, height=0.9)
        for s in timing.shown(events):
            colour = _KEPT if s.kept else _WITHDRAWN
            axes.barh(
                at,
                (s.end - s.start) / length,
                left=(s.start - begin) / length,
                color=colour,
                height=0.5,
                edgecolor="white",
                linewidth=0.3,
            )
    axes.set(
        yticks=range(len(rows)),
        yticklabels=[name for name, _, _ in rows],
        ylim=(len(rows) - 0.4, -0.6),
        xlim=(-0.05, 1.5),
        xlabel="share of the recitation (grey); shown and kept: green; withdrawn: red",
    )
    axes.tick_params("y", labelsize=6)
    return figure


def timeline(name: str, events: Sequence[Event], spoken: Sequence[Spoken]) -> Figure:
    """Probabilities of the candidates over time; beneath, what was shown, and the truth."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    end = max((e.audio_time for e in events), default=0.0)
    _candidates(above, events, frozenset(s.verse for s in spoken), end)
    above.set(ylim=(0, 1.05), ylabel="probability", title=name)
    for row, verse, start, stop, colour in [
        *((0, s.verse, s.start, s.end, _TRUTH) for s in spoken),
        *((1, s.verse, s.start, s.end, _KEPT if s.kept else _WITHDRAWN)
          for s in timing.shown(events)),
        *((2, (f.surah, f.ayah), f.start, f.end, _KEPT) for f in events if isinstance(f, Final)),
    ]:  # fmt: skip
        below.barh(row, stop - start, left=start, color=colour, edgecolor="white", height=0.8)
        if stop - start > end / 60:
            below.text(
                (start + stop) / 2, row, f"{verse[0]}:{verse[1]}", ha="center", va="center",
                fontsize=6,
            )  # fmt: skip
    below.set(
        yticks=(0, 1, 2),
        yticklabels=("recited", "shown", "final"),
        ylim=(2.6, -0.6),
        xlim=(0, end),
        xlabel="s",
    )
    return figure


def _candidates(axes: Axes, events: Sequence[Event], truth: frozenset[Verse], end: float) -> None:
    """Steps, since a list stands until another is told; true verses are drawn thick."""
    lists = [e for e in events if isinstance(e, Candidates)]
    ends = [e.audio_time for e in events if isinstance(e, Final | Ended)]
    highest: dict[Verse, float] = {}
    for event in lists:
        for c in event.candidates:
            verse = (c.surah, c.ayah)
            highest[verse] = max(highest.get(verse, 0.0), c.probability)
    likeliest = sorted(highest, key=lambda verse: -highest[verse])
    drawn = [v for v in likeliest if v in truth] + [v for v in likeliest if v not in truth][:_DRAWN]
    for verse in drawn:
        times = [e.audio_time for e in lists]
        chances = [
            next((c.probability for c in e.candidates if (c.surah, c.ayah) == verse), 0.0)
            for e in lists
        ]
        right = verse in truth
        axes.step(
            [*times, end],
            [*chances, chances[-1]],
            where="post",
            linewidth=2 if right else 0.8,
            linestyle="-" if right else ":",
            label=f"{verse[0]}:{verse[1]}" if len(truth) <= _DRAWN or not right else None,
        )
    for at in ends:
        axes.axvline(at, color="0.8", linewidth=0.6, zorder=0)
    if drawn and not math.isclose(end, 0):
        axes.legend(loc="upper right", fontsize="x-small", ncols=2)
