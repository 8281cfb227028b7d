"""Which recordings are fit to learn from, and a report of those that are not.

Each labelled stretch of audio is measured before it enters a corpus: a file that is empty, cut off,
distorted, or under the wrong verse teaches the wrong thing. The gates are wide: of 244 development
clips, phones included, they drop none, and of the same clips under random verses a quarter, those
that are far too short or too long for their text. A wrong verse of the right length is found by
aligning (`acoustic.segment`). `Report` gathers what was kept and what was dropped and why, per
reciter, as JSON and as a picture of histograms.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000
MIN_SECONDS, MAX_SECONDS = 0.6, 600.0
"""Of one verse; several in a row may be longer."""
LEAST_LEVEL = -60.0
"""dB of full scale; below is silence, not recitation."""
MOST_CLIPPED = 0.01
"""Share of samples at full scale; more is distortion that one hears."""
PACE = (0.5, 16.0)
"""Phonemes a second of audio. Nobody reads faster, and 60 ms frames could not hold it; what is
slower holds much besides its text."""
RATE = (0.7, 18.0)
"""Phonemes a second of sound, pauses left out. Disjoined letters are held longest."""

UNREADABLE, NO_VERSE, EMPTY = "unreadable", "no such verse", "empty"
NO_PHONEME = "no such phoneme"
DURATION, SILENCE, CLIPPING = "duration", "silence", "clipping"
TOO_SHORT, TOO_LONG = "too short for its text", "too long for its text"
SPEECH_RATE = "speech rate"

_FRAME = SAMPLE_RATE // 50  # silence is looked for in frames of 20 ms
_BELOW_LOUD_DB = 35.0  # so far below its loudest moments, a recording is silent
_FULL_SCALE = 32_700  # of 32,767: lossy codecs do not give the peaks back exactly
_QUANTILES = (0.05, 0.5, 0.95)

Int16 = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Measures:
    """What is judged of one stretch of audio.

    ``seconds``; ``level``: RMS in dB of full scale; ``clipped``: share of samples at full scale;
    ``sounding``: seconds that are not silence; ``pace`` and ``rate``: phonemes of the text a second
    of audio and a second of sound.
    """

    seconds: float
    level: float
    clipped: float
    sounding: float
    pace: float
    rate: float

    @staticmethod
    def of(pcm: Int16, phonemes: int) -> Measures:
        """Measures audio [samples] at 16 kHz that has a text of so many phonemes to say."""
        seconds = len(pcm) / SAMPLE_RATE
        levels = _decibels(pcm)
        threshold = max(LEAST_LEVEL, float(np.percentile(levels, 95)) - _BELOW_LOUD_DB)
        sounding = seconds * float(np.mean(levels > threshold))
        return Measures(
            seconds=seconds,
            level=float(10 * np.log10(np.mean(10 ** (levels / 10)))),
            clipped=float(np.mean(np.abs(pcm.astype(np.int32)) >= _FULL_SCALE)),
            sounding=sounding,
            pace=phonemes / seconds,
            rate=phonemes / max(sounding, 1 / SAMPLE_RATE),
        )

    def rejection(self, *, one_verse: bool, worded: bool = True) -> str | None:
        """Why the audio is not fit, if it is not; the plainest reason where there are several.

        ``worded``: it has a text, whose length must suit it.
        """
        if self.seconds < MIN_SECONDS or (self.seconds > MAX_SECONDS and one_verse):
            return DURATION
        if self.level < LEAST_LEVEL:
            return SILENCE
        if self.clipped > MOST_CLIPPED:
            return CLIPPING
        if not worded:
            return None
        if self.pace > PACE[1]:
            return TOO_SHORT
        if self.pace < PACE[0]:
            return TOO_LONG
        if not RATE[0] <= self.rate <= RATE[1]:
            return SPEECH_RATE
        return None


def _decibels(pcm: Int16) -> npt.NDArray[np.float64]:
    """Level of each 20 ms frame; the last may be shorter."""
    squares = np.square(pcm.astype(np.float64) / 32768.0)
    starts = np.arange(0, len(pcm), _FRAME)
    sizes = np.diff(np.append(starts, len(pcm)))
    levels: npt.NDArray[np.float64] = 10 * np.log10(
        np.add.reduceat(squares, starts) / sizes + 1e-12
    )
    return levels


@dataclass(frozen=True, slots=True)
class Judgement:
    """One stretch of audio: ``reason`` says why it was dropped, None that it was kept.

    ``ayah`` and ``last_ayah`` are those of `acoustic.corpus.Utterance`.
    """

    file: str
    reciter: str
    surah: int
    ayah: int
    reason: str | None
    measures: Measures | None
    """None: there was nothing to measure."""
    last_ayah: int = 0


@dataclass
class Report:
    """What became of every row of a corpus's sources."""

    judgements: list[Judgement] = field(default_factory=list)

    def dropped(self, reciter: str | None = None) -> dict[str, int]:
        """How many rows were dropped for each reason, of all reciters or one."""
        return dict(
            Counter(
                j.reason
                for j in self.judgements
                if j.reason is not None and reciter in (None, j.reciter)
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON: totals, each reciter's, the limits, and every row that was dropped."""
        reciters = sorted({j.reciter for j in self.judgements})
        return {
            "limits": {
                "seconds": (MIN_SECONDS, MAX_SECONDS),
                "level_db": LEAST_LEVEL,
                "clipped": MOST_CLIPPED,
                "phonemes_per_second": PACE,
                "phonemes_per_sounding_second": RATE,
            },
            "total": self._summary(self.judgements),
            "reciters": {
                name: self._summary([j for j in self.judgements if j.reciter == name])
                for name in reciters
            },
            "dropped": [asdict(j) for j in self.judgements if j.reason is not None],
        }

    @staticmethod
    def _summary(judgements: list[Judgement]) -> dict[str, Any]:
        kept = [j.measures for j in judgements if j.reason is None and j.measures is not None]
        summary: dict[str, Any] = {
            "kept": len(kept),
            "hours": round(sum(m.seconds for m in kept) / 3600, 3),
            "dropped": dict(Counter(j.reason for j in judgements if j.reason is not None)),
        }
        if kept:
            for name in ("seconds", "level", "rate"):
                values = np.quantile([getattr(m, name) for m in kept], _QUANTILES)
                summary[name] = dict(
                    zip(("p5", "p50", "p95"), values.round(3).tolist(), strict=True)
                )
        return summary

    def save(self, folder: Path) -> None:
        """Writes ``report.json`` and ``report.png`` into ``folder``."""
        text = json.dumps(self.to_dict(), ensure_ascii=False, indent=1)
        (folder / "report.json").write_text(text + "\n", encoding="utf-8")
        self.draw(folder / "report.png")

    def draw(self, path: Path) -> None:
        """Histograms of the measures, what was dropped on top of what was kept, as a PNG."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(11, 7), layout="constrained")
        panels = (
            ("seconds", "seconds", (MIN_SECONDS, MAX_SECONDS), True),
            ("rate", "phonemes per second of sound", RATE, True),
            ("level", "level (dB of full scale)", (LEAST_LEVEL,), False),
            ("clipped", "share of clipped samples", (MOST_CLIPPED,), False),
        )
        measured = [(j.measures, j.reason) for j in self.judgements if j.measures is not None]
        for axes, (name, label, limits, logarithmic) in zip(
            figure.subplots(2, 2).flat, panels, strict=True
        ):
            values = [
                [getattr(m, name) for m, reason in measured if (reason is not None) is dropped]
                for dropped in (False, True)
            ]
            edges = _edges(np.array(values[0] + values[1] + list(limits)), logarithmic)
            axes.hist(values, bins=edges, stacked=True, label=("kept", "dropped"))
            for limit in limits:
                axes.axvline(limit, color="black", linestyle=":")
            axes.set_xscale("log" if logarithmic else "linear")
            axes.set_yscale("symlog")
            axes.set_xlabel(label)
            axes.set_ylabel("rows")
        figure.axes[0].legend()
        total = self._summary(self.judgements)
        reasons = ", ".join(f"{reason} {n}" for reason, n in total["dropped"].items())
        figure.suptitle(
            f"{total['kept']} kept ({total['hours']:.1f} h); dropped: {reasons or 'none'}"
        )
        figure.savefig(path)


def _edges(values: npt.NDArray[np.float64], logarithmic: bool) -> npt.NDArray[np.float64]:
    low, high = float(values.min()), float(values.max())
    if not logarithmic:
        return np.linspace(low, max(high, low + 1e-3), 41)
    # A rate without any sound to divide by is as good as infinite: the last bin shows it.
    return np.geomspace(max(low, 1e-2), min(max(high, 2e-2), 1e4), 41)
