"""What the commands share: how their help looks, how they end, how they print."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.text import Text

from .arabic import Typesetter, terminal_orders_arabic
from .errors import StreamError

Bidi = Literal["auto", "on", "off"]

FAILED, INTERRUPTED, READER_GONE = 1, 130, 141
"""Exit statuses besides 0. The command line's own complaint is argparse's 2; above 128 is what
shells report of a program that SIGINT or SIGPIPE ended."""


def parser(command: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """A parser for `python -m stream.<command>` that keeps the line breaks of its help."""
    return argparse.ArgumentParser(
        prog=f"python -m stream.{command}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_model_options(to: argparse.ArgumentParser) -> None:
    """Options that set `hop` and `model`, for `Recognizer.load`."""
    to.add_argument(
        "--hop",
        type=int,
        metavar="MS",
        help="milliseconds of audio between decisions (default: what the model does best)",
    )
    to.add_argument(
        "--model",
        type=Path,
        metavar="PATH",
        help="another acoustic model's ONNX file (docs/acoustic.md says which; default: Tasmi's)",
    )


def add_bidi_option(to: argparse.ArgumentParser) -> None:
    """An option that sets `bidi`."""
    to.add_argument(
        "--bidi",
        choices=("auto", "on", "off"),
        default="auto",
        help="join and order Arabic letters here (on), because the terminal does not, or leave "
        "that to the terminal (off); auto knows most terminals, but not through ssh",
    )


def typesetter(console: Console, bidi: Bidi) -> Typesetter:
    """For Arabic on this console. What is no terminal gets the text as it is."""
    wanted = not terminal_orders_arabic(os.environ) if bidi == "auto" else bidi == "on"
    return Typesetter(console, reorder=wanted and console.file.isatty())


def can_draw(console: Console) -> bool:
    """Whether it is a terminal on which a picture can be changed in place.

    Rich alone would also draw into files when FORCE_COLOR is set, which asks for colours only.
    """
    return console.is_interactive and console.file.isatty()


class LinePrinter:
    """Prints lines for people to standard output."""

    def __init__(self, bidi: Bidi) -> None:
        self._console = Console()
        self._typesetter = typesetter(self._console, bidi)

    def __call__(self, text: str) -> None:
        """Prints a text that brings its line ends."""
        if self._console.file.isatty():
            for line in text.splitlines():
                for shown in self._typesetter.lines(Text(line), self._console.width):
                    print(shown.plain, flush=True)
        else:
            write(text)


def write(text: str) -> None:
    """Writes to standard output at once: whoever reads along is not to wait."""
    sys.stdout.write(text)
    sys.stdout.flush()


def complain(command: str, error: StreamError) -> None:
    """One line on standard error."""
    print(f"{command}: {' '.join(str(error).split())}", file=sys.stderr, flush=True)


def run(command: str, work: Callable[[], int]) -> int:
    """Does a command's work; returns its exit status, whatever ends it."""
    try:
        return work()
    except StreamError as error:
        complain(command, error)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
