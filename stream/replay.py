"""Recognises recordings: `python -m stream.replay FILE|FOLDER|MANIFEST...`

What is recognised goes to standard output, or (--out) into a file for each recording; progress and
complaints go to standard error.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from . import command
from .errors import AudioNotFoundError, ManifestError, OutputError, StreamError
from .formats import (
    SUFFIXES,
    Format,
    add_format_options,
    check_format_options,
    make_format,
)
from .progress import BatchProgress
from .recognizer import Recognizer
from .sources import FileSource

MANIFEST = "manifest.jsonl"
_AUDIO_SUFFIXES = (
    *(".aac", ".aif", ".aiff", ".amr", ".caf", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus"),
    *(".wav", ".wma", ".3gp", ".mka", ".mkv", ".mov", ".mp4", ".weba", ".webm"),
)
_ONE_RECORDING = ("srt", "vtt")  # formats in which the times of two would run into one another

_HELP = """\
examples:
  python -m stream.replay recitation.mp3                   verses, as they are recognised
  python -m stream.replay --speed realtime recitation.mp3  the same, as fast as it was recited
  python -m stream.replay --srt recitation.mp3 > recitation.srt
  python -m stream.replay --vtt --words --out subtitles/ recordings/
  python -m stream.replay --csv recordings/ > verses.csv
  python -m stream.replay --json recitation.mp3 | jq 'select(.type == "final")'

A folder stands for all recordings below it, or for its manifest.jsonl if it has one: lines like
{"file": "001.mp3"}, relative to the manifest. Video files are recordings too.

exit status: 0 all were recognised; 1 some could not be (why is said on standard error; the others
are done all the same); 2 wrong command line; 130 interrupted by Ctrl-C; 141 the program that reads
the output has gone. With NO_COLOR set nothing is coloured.
"""


def recordings(path: Path) -> Iterator[Path]:
    """The recordings that a command line argument names.

    A manifest (.jsonl) names files relative to its own folder; a folder stands for its manifest
    or, without one, for all recordings below it, in the order of their names.

    Raises AudioNotFoundError or ManifestError.
    """
    if path.is_dir():
        if (path / MANIFEST).is_file():
            yield from _listed(path / MANIFEST)
            return
        found = sorted(p for p in path.rglob("*") if p.suffix.lower() in _AUDIO_SUFFIXES)
        if not found:
            raise AudioNotFoundError(
                f"{path} holds no recording", "give a folder with audio files or a manifest.jsonl"
            )
        yield from found
    elif path.suffix == ".jsonl":
        yield from _listed(path)
    else:
        yield path


def _listed(manifest: Path) -> Iterator[Path]:
    try:
        lines = manifest.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"cannot read {manifest} ({error})", "check the path") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            name = json.loads(line)["file"]
            yield manifest.parent / name
        except (ValueError, KeyError, TypeError) as error:
            raise ManifestError(
                f"line {number} of {manifest} names no file ({error!r})",
                'each line is a JSON object with "file", relative to the manifest',
            ) from error


@dataclass(frozen=True, slots=True)
class _Recording:
    path: Path
    output: Path | None
    """The file for what is recognised; None for standard output."""


def _planned(argument: Path, options: argparse.Namespace) -> Iterator[_Recording]:
    """An argument's recordings. Those of a folder keep their places below it in the output."""
    root = argument if argument.is_dir() else argument.parent
    for path in recordings(argument):
        output = None
        if options.out is not None:
            below = path.is_relative_to(root) and ".." not in path.relative_to(root).parts
            place = path.relative_to(root) if below else Path(path.name)
            output = options.out / place.with_suffix(SUFFIXES[options.format])
        yield _Recording(path, output)


class _Replay:
    """Recognises one recording after the other and writes what happens."""

    def __init__(self, recognizer: Recognizer, options: argparse.Namespace) -> None:
        self._recognizer = recognizer
        self._options = options
        self._print = command.LinePrinter(options.bidi)
        self._begun = False

    async def recognize(self, recording: _Recording, progress: Callable[[float], None]) -> None:
        """One recording. Raises StreamError after everything recognised was written."""
        form = make_format(
            self._options.format,
            self._recognizer.engine.index,
            source=str(recording.path),
            words=self._options.words,
        )
        with self._opened(recording, form) as write:
            async with self._recognizer.stream() as stream:
                async for event in stream.run(FileSource(recording.path, self._options.speed)):
                    write(form.write(event))
                    progress(event.audio_time)

    @contextmanager
    def _opened(self, recording: _Recording, form: Format) -> Iterator[Callable[[str], object]]:
        if recording.output is not None:
            with _writing(recording.output) as write:
                write(form.head)
                yield write
        elif self._options.format == "text":
            self._print(f"{recording.path}\n")
            yield self._print
        else:
            command.write("" if self._begun else form.head)
            self._begun = True
            yield command.write


@contextmanager
def _writing(path: Path) -> Iterator[Callable[[str], object]]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8") as file:
            yield file.write
    except OSError as error:
        raise OutputError(
            f"cannot write {path} ({error.strerror})", "check the disk, and your rights there"
        ) from error


def _plan(options: argparse.Namespace) -> tuple[list[_Recording], int]:
    """All that is to be recognised, and the exit status so far."""
    status = 0
    planned: list[_Recording] = []
    for argument in options.inputs:
        try:
            planned.extend(_planned(argument, options))
        except StreamError as error:
            command.complain("replay", error)
            status = command.FAILED
    return planned, status


def _conflict(planned: Sequence[_Recording], options: argparse.Namespace) -> str | None:
    """Why what was asked for cannot be written, if so."""
    if options.out is None:
        if options.format in _ONE_RECORDING and len(planned) > 1:
            return f"--{options.format} of {len(planned)} recordings goes into files: add --out DIR"
        return None
    taken: dict[Path | None, Path] = {}
    for recording in planned:
        if taken.setdefault(recording.output, recording.path) != recording.path:
            return (
                f"{taken[recording.output]} and {recording.path} would both be written to "
                f"{recording.output}: give them one after the other, each with its own --out"
            )
    return None


async def _replay(planned: Sequence[_Recording], options: argparse.Namespace) -> int:
    status = 0
    replay = _Replay(Recognizer.load(options.hop, options.model), options)
    with BatchProgress([recording.path for recording in planned]) as progress:
        for number, recording in enumerate(planned):
            progress.show(number, 0.0)
            try:
                await replay.recognize(recording, partial(progress.show, number))
            except StreamError as error:
                command.complain("replay", error)
                status = command.FAILED
    return status


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = command.parser("replay", "Recognise recordings of Quran recitation.", _HELP)
    parser.add_argument(
        "inputs",
        nargs="+",
        type=Path,
        metavar="FILE|FOLDER|MANIFEST",
        help="recordings of any common format, folders of them, manifest.jsonl files",
    )
    add_format_options(parser)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write a file for each recording, named like it, instead of to standard output",
    )
    parser.add_argument(
        "--speed",
        choices=("realtime", "max"),
        default="max",
        help="replay as fast as it was recited, or as fast as possible (default)",
    )
    command.add_model_options(parser)
    command.add_bidi_option(parser)
    options = parser.parse_args(arguments)
    check_format_options(parser, options)
    planned, status = _plan(options)
    if conflict := _conflict(planned, options):
        parser.error(conflict)
    if not planned:
        return status
    return command.run("replay", lambda: asyncio.run(_replay(planned, options))) or status


if __name__ == "__main__":
    sys.exit(main())
