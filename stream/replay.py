"""Recognises recordings: `python -m stream.replay FILE|FOLDER|MANIFEST...`

Events go to standard output, as lines for people or (--json) one JSON object a line that carries
the recording's path as `file`. Progress and complaints go to standard error. The exit status is 0
if every recording was recognised, 1 if any could not be (the others still are), 2 for a wrong
command line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from .errors import AudioNotFoundError, ManifestError, StreamError
from .events import Ended, Event
from .recognizer import Recognizer
from .sources import FileSource, Speed
from .text import Narrator

MANIFEST = "manifest.jsonl"
_AUDIO_SUFFIXES = (
    *(".aac", ".aif", ".aiff", ".amr", ".caf", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus"),
    *(".wav", ".wma", ".3gp", ".mka", ".mkv", ".mov", ".mp4", ".weba", ".webm"),
)


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


class Replay:
    """Recognises one recording after the other and prints what happens."""

    def __init__(self, recognizer: Recognizer, speed: Speed, as_json: bool) -> None:
        self._recognizer = recognizer
        self._speed = speed
        self._as_json = as_json
        # On a terminal that shows the events as well, a moving line would run through them.
        self._live = sys.stderr.isatty() and not sys.stdout.isatty()

    async def recognize(self, path: Path, position: str) -> None:
        """One recording. Raises StreamError after everything recognised was printed."""
        narrator = Narrator(self._recognizer.engine.index)
        if not self._as_json:
            print(path, flush=True)
        async with self._recognizer.stream() as stream:
            async for event in stream.run(FileSource(path, self._speed)):
                self._print(event, path, narrator)
                at = f"{position} {path.name} {event.audio_time:.1f} s"
                self._progress(at, done=isinstance(event, Ended))

    def _print(self, event: Event, path: Path, narrator: Narrator) -> None:
        if self._as_json:
            data = event.to_dict()
            line: str | None = json.dumps(
                {"type": data.pop("type"), "file": str(path), **data}, ensure_ascii=False
            )
        else:
            line = narrator.line(event)
        if line is not None:
            print(line, flush=True)

    def _progress(self, text: str, done: bool) -> None:
        if self._live:
            print(f"\r\033[K{text}", end="\n" if done else "", file=sys.stderr, flush=True)
        elif done:
            print(text, file=sys.stderr, flush=True)


async def _replay(arguments: argparse.Namespace) -> int:
    status = 0
    paths: list[Path] = []
    for argument in arguments.inputs:
        try:
            paths.extend(recordings(argument))
        except StreamError as error:
            status = _complain(error)
    if not paths:
        return status
    try:
        recognizer = Recognizer.load(arguments.hop)
    except StreamError as error:
        return _complain(error)
    replay = Replay(recognizer, arguments.speed, arguments.json)
    for number, path in enumerate(paths, 1):
        try:
            await replay.recognize(path, f"[{number}/{len(paths)}]")
        except StreamError as error:
            status = _complain(error)
    return status


def _complain(error: StreamError) -> int:
    reason = " ".join(str(error).split())
    print(f"replay: {reason}", file=sys.stderr, flush=True)
    return 1


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m stream.replay", description="Recognise recordings of Quran recitation."
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        type=Path,
        metavar="FILE|FOLDER|MANIFEST",
        help="recordings of any common format, folders of them, manifest.jsonl files",
    )
    parser.add_argument(
        "--speed",
        choices=("realtime", "max"),
        default="max",
        help="replay as fast as it was recited, or as fast as possible (default)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument(
        "--hop", type=int, metavar="MS", help="milliseconds of audio between decisions"
    )
    try:
        return asyncio.run(_replay(parser.parse_args(arguments)))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


if __name__ == "__main__":
    sys.exit(main())
