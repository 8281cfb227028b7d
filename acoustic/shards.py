"""Corpora as Opus, a tenth of their size, to carry to a GPU elsewhere.

    python -m acoustic.shards pack CORPUS... --out FOLDER
    python -m acoustic.shards unpack FOLDER --out CORPORA

Each corpus becomes a folder of shards of half an hour, ``NAME.opus`` (RFC 7845, 14 kbit/s) beside
``NAME.jsonl``, and each shard a file of a corpus again, in a folder of the corpus's name. Every
utterance is brought to about the same peak first, so that none drowns in what the codec adds;
training draws a level of its own anyhow. What lies beside a corpus (`acoustic.lessons`) stays
behind: it takes less time to make anew.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path

import av
import numpy as np

from acoustic.channel import encode
from acoustic.corpus import SAMPLE_RATE, Int16, Utterance, decode, load
from acoustic.lessons import by_file

SHARD_SECONDS = 1800
RATE = 14_000
"""Bits a second."""

_PEAK, _MOST_GAIN = 20_000, 20.0
_OPTIONS = {"frame_duration": "60"}  # the longest, in ms: nobody waits for it

_Shard = tuple[Path, list[Utterance]]  # a path without suffix, and what goes there


def pack(corpora: Sequence[Path], out: Path) -> None:
    """Write the shards of each corpus below ``out``."""
    shards = [shard for folder in corpora for shard in _shards(folder, out / folder.name)]
    with get_context("spawn").Pool(os.cpu_count()) as pool:
        pool.map(_pack, shards, chunksize=1)


def unpack(packed: Path, out: Path) -> None:
    """Make corpora below ``out`` of what `pack` wrote. ValueError: a shard is damaged, or none."""
    shards = sorted(packed.rglob("*.opus"))
    if not shards:
        raise ValueError(f"{packed}: no shards in it")
    jobs = [(shard, out / shard.relative_to(packed)) for shard in shards]
    with get_context("spawn").Pool(os.cpu_count()) as pool:
        pool.map(_unpack, jobs, chunksize=1)


def _shards(corpus: Path, out: Path) -> Iterator[_Shard]:
    """Of utterances in a row, which stay together."""
    for file, utterances in by_file(load(corpus)):
        ends = np.cumsum([u.samples for u in utterances])
        numbers = (ends - 1) // (SHARD_SECONDS * SAMPLE_RATE)
        for number in np.unique(numbers).tolist():
            members = [u for u, n in zip(utterances, numbers, strict=True) if n == number]
            yield out / f"{Path(file).name}-{number:03}", members


def _pack(shard: _Shard) -> None:
    path, utterances = shard
    path.parent.mkdir(parents=True, exist_ok=True)
    start, rows = 0, []
    for utterance in utterances:
        rows.append(asdict(replace(utterance, corpus=path.name, start=start)))
        start += utterance.samples
    pcm = np.concatenate([_levelled(u.pcm()) for u in utterances])
    opus = str(path.with_suffix(".opus"))
    encode(pcm, opus, "ogg", "libopus", SAMPLE_RATE, RATE, _OPTIONS)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.with_suffix(".jsonl").write_text(lines, encoding="utf-8")


def _levelled(pcm: Int16) -> Int16:
    peak = max(1, int(np.abs(pcm.astype(np.int32)).max(initial=0)))
    levelled: Int16 = (pcm * min(_MOST_GAIN, _PEAK / peak)).astype(np.int16)
    return levelled


def _unpack(job: tuple[Path, Path]) -> None:
    shard, to = job
    lines = shard.with_suffix(".jsonl").read_text(encoding="utf-8")
    last = json.loads(lines.splitlines()[-1])
    samples = last["start"] + last["samples"]
    pcm = decode(shard)
    if len(pcm) != samples:
        raise ValueError(f"{shard}: {len(pcm)} samples where there were {samples}; pack it again")
    to.parent.mkdir(parents=True, exist_ok=True)
    pcm.astype("<i2").tofile(to.with_suffix(".pcm"))
    to.with_suffix(".jsonl").write_text(lines, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="acoustic.shards")
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="corpora into shards")
    packing.add_argument("corpora", type=Path, nargs="+", metavar="CORPUS")
    unpacking = commands.add_parser("unpack", help="shards into corpora")
    unpacking.add_argument("packed", type=Path, metavar="FOLDER")
    for command in (packing, unpacking):
        command.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    try:
        if args.command == "pack":
            pack(args.corpora, args.out)
        else:
            unpack(args.packed, args.out)
    except (OSError, ValueError, av.FFmpegError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
