"""Training corpora: recordings named by JSON-lines lists, decoded once to 16 kHz mono int16.

A list has one JSON object per line (gzip accepted) with ``file`` (or ``repo`` and ``path``, joined)
relative to the audio root, ``surah``, and either ``ayah`` (one verse) or no ``ayah`` (the whole
surah); ``start``/``end`` seconds cut a verse out of a longer file; ``reciter`` names the voice.
A folder in the everyayah layout (``SSSAAA.mp3``) needs no list.

The corpus is one ``NAME.pcm`` (int16, little endian, concatenated) and one ``NAME.jsonl`` (a row
per utterance with its sample range) per reciter: it is memory-mapped in training, so nothing is
decoded twice and the page cache does the rest.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000
MIN_SECONDS, MAX_SECONDS = 0.6, 600.0
MIN_RMS = 1e-3  # quieter than -60 dBFS is silence, not recitation
LETTERS_PER_SECOND = (0.8, 18.0)  # outside this a row's times are wrong (fastest hadr is about 15)

Int16 = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Utterance:
    """One labelled stretch of a corpus: ``ayah`` 0 means the whole surah."""

    corpus: str
    reciter: str
    surah: int
    ayah: int
    start: int
    samples: int


def decode(path: Path) -> Int16:
    """The whole file as 16 kHz mono int16; raises ``av.FFmpegError`` when it is not audio."""
    import av

    parts: list[Int16] = []
    with av.open(str(path), metadata_errors="ignore") as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
        for frame in container.decode(audio=0):
            parts += [out.to_ndarray()[0] for out in resampler.resample(frame)]
        parts += [out.to_ndarray()[0] for out in resampler.resample(None)]
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)


def read_list(source: Path) -> Iterator[dict[str, Any]]:
    """Rows of a ``.jsonl``/``.jsonl.gz`` list, or of a folder in the everyayah layout."""
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if match := re.fullmatch(r"(\d{3})(\d{3})", path.stem):
                surah, ayah = (int(g) for g in match.groups())
                row = {"file": str(path.resolve()), "surah": surah, "ayah": ayah}
                yield row | {"reciter": path.parent.name}
        return
    with (gzip.open if source.suffix == ".gz" else open)(source, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            row.setdefault("file", f"{row.get('repo', '')}/{row.get('path', '')}")
            yield row


def _rejection(row: dict[str, Any], pcm: Int16) -> str | None:
    seconds = len(pcm) / SAMPLE_RATE
    rate = row.get("letters_per_second")
    if not MIN_SECONDS <= seconds <= MAX_SECONDS and "ayah" in row:
        return "duration"
    if rate is not None and not LETTERS_PER_SECOND[0] <= rate <= LETTERS_PER_SECOND[1]:
        return "letters per second"
    if np.sqrt(np.mean((pcm / 32768.0) ** 2)) < MIN_RMS:
        return "silence"
    return None


def build(rows: list[dict[str, Any]], root: Path, out: Path) -> dict[str, int]:
    """Decode ``rows`` below ``root`` into the corpus ``out``; returns what was dropped."""
    import av

    out.mkdir(parents=True, exist_ok=True)
    dropped: dict[str, int] = defaultdict(int)
    by_reciter: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        by_reciter[row.get("reciter", "unknown")][row["file"]].append(row)
    for reciter, files in by_reciter.items():
        name = re.sub(r"\W+", "-", reciter).strip("-").lower()
        offset = 0
        with (
            open(out / f"{name}.pcm", "wb") as pcm_file,
            open(out / f"{name}.jsonl", "w", encoding="utf-8") as index,
        ):
            for file, utterances in files.items():
                try:
                    audio = decode(root / file)
                except (OSError, av.FFmpegError):
                    dropped["unreadable"] += len(utterances)
                    continue
                for row in utterances:
                    start = int(row.get("start", 0) * SAMPLE_RATE)
                    end = int(row["end"] * SAMPLE_RATE) if "end" in row else len(audio)
                    pcm = audio[start:end]
                    if reason := _rejection(row, pcm) if len(pcm) else "empty":
                        dropped[reason] += 1
                        continue
                    pcm_file.write(pcm.astype("<i2").tobytes())
                    entry = Utterance(
                        name, reciter, row["surah"], row.get("ayah", 0), offset, len(pcm)
                    )
                    index.write(json.dumps(asdict(entry)) + "\n")
                    offset += len(pcm)
        print(f"{reciter}: {offset / SAMPLE_RATE / 3600:.1f} h", file=sys.stderr, flush=True)
    return dict(dropped)


def load(folder: Path) -> list[Utterance]:
    """Every utterance of a corpus folder; ``corpus`` becomes a path, as folders share names."""
    return [
        replace(Utterance(**json.loads(line)), corpus=str(index.with_suffix("")))
        for index in sorted(folder.glob("*.jsonl"))
        for line in index.read_text(encoding="utf-8").splitlines()
    ]


class Samples:
    """Memory-mapped access to the audio of loaded utterances."""

    def __init__(self) -> None:
        self._maps: dict[str, Int16] = {}

    def __call__(self, utterance: Utterance) -> Int16:
        """int16 samples of one utterance, at 16 kHz."""
        pcm = self._maps.get(utterance.corpus)
        if pcm is None:
            pcm = np.memmap(f"{utterance.corpus}.pcm", dtype="<i2", mode="r")
            self._maps[utterance.corpus] = pcm
        return pcm[utterance.start : utterance.start + utterance.samples]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="acoustic.corpus")
    parser.add_argument("source", type=Path, nargs="+", help="list (.jsonl[.gz]) or folder")
    parser.add_argument("--audio", type=Path, default=Path(), help="root of the files in the lists")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--reciter", action="append", help="only this reciter (repeatable)")
    parser.add_argument("--exclude", action="append", default=[], help="leave this reciter out")
    args = parser.parse_args()
    rows = [
        row
        for source in args.source
        for row in read_list(source)
        if row.get("reciter") not in args.exclude
        and (args.reciter is None or row.get("reciter") in args.reciter)
    ]
    dropped = build(rows, args.audio, args.out)
    print(f"dropped: {dropped or 'nothing'}", file=sys.stderr)


if __name__ == "__main__":
    main()
