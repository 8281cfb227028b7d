"""Training corpora: recordings named by JSON-lines lists, decoded once to 16 kHz mono int16.

A list has one JSON object per line (gzip accepted) with ``file`` (or ``repo`` and ``path``, joined)
relative to the list's own folder or the root given, ``surah``, and ``ayah`` (one verse), ``ayah``
and ``last_ayah`` (the verses from one to the other, in one recording) or neither (the whole surah),
or ``phonemes`` for other words, or none of these for speech that nobody wrote down;
``start``/``end`` seconds cut a verse out of a longer file;
``reciter`` names the voice. A folder in the everyayah layout (``SSSAAA.mp3``) needs no list.

The corpus is one ``NAME.pcm`` (int16, little endian, concatenated) and one ``NAME.jsonl`` (a row
per utterance with its sample range) per reciter: nothing is decoded twice, and the page cache does
the rest. What is not fit to learn from is left out
(`acoustic.quality`); ``report.json`` and ``report.png`` say what and why.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from acoustic.quality import (
    EMPTY,
    MIN_SECONDS,
    NO_PHONEME,
    NO_VERSE,
    SAMPLE_RATE,
    UNREADABLE,
    Judgement,
    Measures,
    Report,
)
from quran_index import QuranIndex

__all__ = [
    "MIN_SECONDS",
    "SAMPLE_RATE",
    "Utterance",
    "Writer",
    "build",
    "decode",
    "load",
    "read_list",
    "symbols_of",
    "to_float",
]

Int16 = npt.NDArray[np.int16]

_PIECE_SECONDS = 20.0  # speech without words that is longer is cut into pieces


@dataclass(frozen=True, slots=True)
class Utterance:
    """One labelled stretch of a corpus: a verse, a run of verses, a whole surah, or other words.

    ``ayah`` is the verse, or the first of the run; 0 means the whole surah. ``last_ayah`` is where
    a run ends; 0 means that it is none. Words that are not of the Quran are spelled in
    ``phonemes``, and have no surah (0); where nobody wrote the words down there is neither.
    """

    corpus: str
    reciter: str
    surah: int
    ayah: int
    start: int
    samples: int
    last_ayah: int = 0
    phonemes: str = ""

    @property
    def worded(self) -> bool:
        """Whether it is known what is said."""
        return self.surah > 0 or bool(self.phonemes)

    @property
    def several_verses(self) -> bool:
        """Whether it is a run of verses or a whole surah."""
        return _several(self.surah, self.ayah, self.last_ayah)

    def passage(self, index: QuranIndex) -> tuple[int, int]:
        """Its first and last word. ValueError: it is not of the Quran."""
        return _passage(index, self.surah, self.ayah, self.last_ayah)

    def pcm(self) -> Int16:
        """Its audio, at 16 kHz. Only of what `load` returned, which knows where it is.

        Read anew each time: thousands of voices are more files than a process may hold open.
        """
        path = f"{self.corpus}.pcm"
        return np.fromfile(path, "<i2", self.samples, offset=self.start * np.dtype("<i2").itemsize)

    def wave(self) -> npt.NDArray[np.float32]:
        """The same in [-1, 1]."""
        return to_float(self.pcm())


def to_float(pcm: Int16) -> npt.NDArray[np.float32]:
    """Samples in [-1, 1]."""
    return pcm.astype(np.float32) / 32768.0


def decode(path: Path) -> Int16:
    """The whole file as 16 kHz mono int16; raises ``av.FFmpegError`` when it is not audio.

    Packets that are none (tags in the middle of a stream, or at its end) are passed over.
    """
    import av

    parts: list[Int16] = []
    damage: av.FFmpegError | None = None
    with av.open(str(path), metadata_errors="ignore") as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
        for packet in container.demux(audio=0):
            try:
                frames = packet.decode()
            except av.InvalidDataError as error:
                damage = error
                continue
            parts += [out.to_ndarray()[0] for f in frames for out in resampler.resample(f)]
        if damage is not None and not parts:
            raise damage
        parts += [out.to_ndarray()[0] for out in resampler.resample(None)]
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)


def read_list(source: Path, root: Path | None = None) -> Iterator[dict[str, Any]]:
    """Rows of a ``.jsonl``/``.jsonl.gz`` list, or of a folder in the everyayah layout.

    Their files are below ``root``, or else where the list is. ValueError: a line that is no row.
    """
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if match := re.fullmatch(r"(\d{3})(\d{3})", path.stem):
                surah, ayah = (int(g) for g in match.groups())
                row = {"file": str(path.resolve()), "surah": surah, "ayah": ayah}
                yield row | {"reciter": path.parent.name}
        return
    root = source.parent if root is None else root
    with (gzip.open if source.suffix == ".gz" else open)(source, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    yield _row(json.loads(line), root)
                except (KeyError, TypeError, ValueError) as error:
                    raise ValueError(
                        f"{source}, line {number}: expected an object with file, maybe surah, "
                        "ayah, last_ayah, or else phonemes, and maybe start, end, reciter "
                        f"({error!r})"
                    ) from error


def _row(row: dict[str, Any], root: Path) -> dict[str, Any]:
    file = row["file"] if "file" in row else f"{row['repo']}/{row['path']}"
    verses = ("surah", "ayah", "last_ayah")
    numbers: dict[str, Any] = {name: int(row[name]) for name in verses if name in row}
    times: dict[str, Any] = {name: float(row[name]) for name in ("start", "end") if name in row}
    reciter = str(row.get("reciter", "unknown"))
    if "phonemes" in row:
        if numbers:
            raise ValueError("phonemes are for what is no verse")
        numbers = {"phonemes": str(row["phonemes"])}
    if numbers.setdefault("surah", 0) == 0 and "ayah" in numbers:
        raise KeyError("surah")
    if "last_ayah" in numbers:
        first = numbers["ayah"]
        if not 0 < first <= numbers["last_ayah"]:
            raise ValueError("last_ayah comes before ayah")
        if numbers["last_ayah"] == first:
            del numbers["last_ayah"]
    return {"file": str(root / file), "reciter": reciter, **numbers, **times}


def _passage(index: QuranIndex, surah: int, ayah: int, last_ayah: int) -> tuple[int, int]:
    """First and last word of a text, as `Utterance` names it. ValueError: there is none such."""
    return index.passage(surah, ayah or 1, last_ayah or ayah or index.ayah_count(surah))


def _several(surah: int, ayah: int, last_ayah: int) -> bool:
    """Whether a text, as `Utterance` names it, is a run of verses or a whole surah."""
    return surah > 0 and (not ayah or last_ayah > 0)


def symbols_of(index: QuranIndex, phonemes: str) -> list[int]:
    """Symbol numbers of a spelling in phonemes. ValueError: one of them is none."""
    return [index.symbols.index(phoneme) for phoneme in phonemes]


def _cuts(row: dict[str, Any], audio: Int16) -> list[Int16]:
    """What the row names of the file's audio; speech without words in pieces."""
    start = int(row.get("start", 0.0) * SAMPLE_RATE)
    end = int(row["end"] * SAMPLE_RATE) if "end" in row else len(audio)
    whole = audio[max(start, 0) : max(end, 0)]
    if row["surah"] or "phonemes" in row:
        return [whole]
    return np.array_split(whole, max(1, math.ceil(len(whole) / (_PIECE_SECONDS * SAMPLE_RATE))))


class Writer:
    """Writes a corpus file, one utterance after another, inside a ``with`` block.

    ``samples``: how many it has by now.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._path, self._open = folder / name, ExitStack()
        self.samples = 0

    def __enter__(self) -> Self:
        self._pcm = self._open.enter_context(open(f"{self._path}.pcm", "wb"))
        self._lines = self._open.enter_context(open(f"{self._path}.jsonl", "w", encoding="utf-8"))
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def add(
        self,
        pcm: Int16,
        reciter: str,
        surah: int,
        ayah: int,
        last_ayah: int = 0,
        phonemes: str = "",
    ) -> None:
        """An utterance, as `Utterance` has it, and its audio."""
        row = Utterance(
            self._path.name, reciter, surah, ayah, self.samples, len(pcm), last_ayah, phonemes
        )
        self._pcm.write(pcm.astype("<i2").tobytes())
        self._lines.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")
        self.samples += len(pcm)


def build(
    rows: list[dict[str, Any]], out: Path, index: QuranIndex, *, codecs: float = 0.0
) -> Report:
    """Decode ``rows`` into the corpus ``out``; says what was kept and what was dropped.

    ``codecs``: the share of the utterances that go through a random low-rate codec.
    """
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    report = Report()
    # Names of reciters may differ by what a file name cannot hold: they share a file then.
    shards: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        name = re.sub(r"\W+", "-", row["reciter"]).strip("-").lower() or "unnamed"
        shards[name][row["file"]].append(row)
    for name, files in shards.items():
        with Writer(out, name) as writer:
            for row, cut in _fit(files, index, report):
                if rng.random() < codecs:
                    cut = _transcoded(cut, rng)
                of_quran = row["surah"], row.get("ayah", 0), row.get("last_ayah", 0)
                writer.add(cut, row["reciter"], *of_quran, row.get("phonemes", ""))
        print(f"{name}: {writer.samples / SAMPLE_RATE / 3600:.1f} h", file=sys.stderr, flush=True)
    return report


def _fit(
    files: dict[str, list[dict[str, Any]]], index: QuranIndex, report: Report
) -> Iterator[tuple[dict[str, Any], Int16]]:
    """What is fit to learn from in each of the files' rows; the report says so of all."""
    import av

    for file, rows in files.items():
        audio: Int16 | None
        try:
            audio = decode(Path(file))
        except (OSError, av.FFmpegError):
            audio = None
        for row in rows:
            for cut in [None] if audio is None else _cuts(row, audio):
                judgement = _judge(row, cut, index)
                report.judgements.append(judgement)
                if judgement.reason is None and cut is not None:
                    yield row, cut


def _transcoded(pcm: Int16, rng: np.random.Generator) -> Int16:
    import torch

    from acoustic.channel import transcode

    wave = transcode(torch.from_numpy(to_float(pcm)), rng).clamp(-1, 1)
    heard: Int16 = (wave * 32767).short().numpy()
    return heard


def _judge(row: dict[str, Any], pcm: Int16 | None, index: QuranIndex) -> Judgement:
    """``pcm`` None: the file could not be read."""
    surah, ayah, last_ayah = row["surah"], row.get("ayah", 0), row.get("last_ayah", 0)
    spelled: str = row.get("phonemes", "")
    measures, reason, phonemes = None, None, None
    try:
        if spelled:
            phonemes = len(symbols_of(index, spelled))
        elif surah:
            phonemes = len(index.spell(*_passage(index, surah, ayah, last_ayah)))
    except ValueError:
        reason = NO_PHONEME if spelled else NO_VERSE
    else:
        if pcm is None:
            reason = UNREADABLE
        elif not len(pcm):
            reason = EMPTY
        else:
            measures = Measures.of(pcm, phonemes or 0)
            one_verse = not _several(surah, ayah, last_ayah)
            reason = measures.rejection(one_verse=one_verse, worded=phonemes is not None)
    return Judgement(row["file"], row["reciter"], surah, ayah, reason, measures, last_ayah)


def load(folder: Path) -> list[Utterance]:
    """Every utterance of a corpus folder; ``corpus`` becomes a path, as folders share names."""
    return [
        replace(Utterance(**json.loads(line)), corpus=str(index.with_suffix("")))
        for index in sorted(folder.glob("*.jsonl"))
        for line in index.read_text(encoding="utf-8").splitlines()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="acoustic.corpus")
    parser.add_argument("source", type=Path, nargs="+", help="list (.jsonl[.gz]) or folder")
    parser.add_argument(
        "--audio", type=Path, help="root of the files in the lists (default: each list's folder)"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--codecs", type=float, default=0.0, help="share that is to go through a low-rate codec"
    )
    parser.add_argument("--reciter", action="append", help="only this reciter (repeatable)")
    parser.add_argument("--exclude", action="append", default=[], help="leave this reciter out")
    args = parser.parse_args()
    try:
        rows = [
            row
            for source in args.source
            for row in read_list(source, args.audio)
            if row["reciter"] not in args.exclude
            and (args.reciter is None or row["reciter"] in args.reciter)
        ]
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if not rows:
        parser.error("nothing in the sources: name lists, or folders of files named SSSAAA")
    report = build(rows, args.out, QuranIndex.load(), codecs=args.codecs)
    report.save(args.out)
    print(f"dropped: {report.dropped() or 'nothing'}; see {args.out}/report.png", file=sys.stderr)


if __name__ == "__main__":
    main()
