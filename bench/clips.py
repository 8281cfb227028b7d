"""The recordings to measure on: folders with a ``manifest.jsonl`` each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from .scoring import Verse

MANIFEST = "manifest.jsonl"


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording and what is recited in it.

    ``group`` is the name of its folder; ``also_accept`` lists other right answers;
    ``ayah_times`` are the ayahs of the one surah in it with start and end seconds, where known.
    """

    group: str
    id: str
    path: Path
    source: str
    expected: tuple[Verse, ...]
    also_accept: tuple[tuple[Verse, ...], ...] = ()
    ayah_times: tuple[tuple[int, float, float], ...] = ()


def _verses(rows: list[list[int]]) -> tuple[Verse, ...]:
    return tuple((surah, ayah) for surah, ayah in rows)


def load(root: Path) -> list[Clip]:
    """The clips of a folder with a manifest, or of all such folders in ``root``.

    Raises FileNotFoundError where there is no manifest.
    """
    manifests = (
        [root / MANIFEST] if (root / MANIFEST).exists() else sorted(root.glob(f"*/{MANIFEST}"))
    )
    if not manifests:
        raise FileNotFoundError(f"no {MANIFEST} in {root} or in a folder of it")
    clips = []
    for manifest in manifests:
        folder = manifest.parent
        for line in manifest.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            clips.append(
                Clip(
                    group=folder.name,
                    id=row["id"],
                    path=folder / row["file"],
                    source=row.get("source", "unknown"),
                    expected=_verses(row["expected"]),
                    also_accept=tuple(_verses(answer) for answer in row.get("also_accept", ())),
                    ayah_times=tuple((a, s, e) for a, s, e in row.get("ayah_times", ())),
                )
            )
    return clips
