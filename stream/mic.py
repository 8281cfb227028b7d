"""The live demonstration: `python -m stream.mic` recognises what the microphone hears.

In a terminal it draws a level meter, the candidates, the verse with the current word marked and
the finals so far; elsewhere, or when asked for a format, it writes what it recognises.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console

from . import command
from .audio import AudioBlock, Notice
from .events import Event
from .formats import Format, add_format_options, check_format_options, make_format
from .microphone import MicrophoneSource, find_device, input_devices
from .recognizer import Recognizer
from .sources import closing
from .terminal import Screen

_HELP = """\
examples:
  python -m stream.mic                        a live picture: recite, Ctrl-C ends the recitation
  python -m stream.mic --list-devices         which microphones there are (* is the default)
  python -m stream.mic --device usb           the first whose name contains "usb"
  python -m stream.mic --json | my-program    every event as it comes, one JSON object a line
  python -m stream.mic --srt > lesson.srt     subtitles of what is recited

Ctrl-C ends the recitation: what was heard until then is still decided. A second one ends the
program at once.

exit status: 0 the recitation was ended; 1 something failed (why is said on standard error); 2 wrong
command line; 130 interrupted at once; 141 the program that reads the output has gone. With NO_COLOR
set nothing is coloured.
"""


class _View(Protocol):
    """Where the demonstration shows itself."""

    def hear(self, block: AudioBlock) -> None: ...
    def show(self, event: Event) -> None: ...


class _Writer:
    """Writes each event in a format."""

    def __init__(self, form: Format, write: Callable[[str], object]) -> None:
        self._form = form
        self._write = write
        write(form.head)

    def hear(self, block: AudioBlock) -> None:
        """The level is not written."""

    def show(self, event: Event) -> None:
        self._write(self._form.write(event))


class _Tapped:
    """A source whose audio the view hears on its way."""

    def __init__(self, source: MicrophoneSource, view: _View) -> None:
        self._source = source
        self._view = view

    async def __aiter__(self) -> AsyncIterator[AudioBlock | Notice]:
        async with closing(self._source) as items:
            async for item in items:
                if isinstance(item, AudioBlock):
                    self._view.hear(item)
                yield item


async def _listen(options: argparse.Namespace) -> None:
    wanted = options.device
    if wanted is not None and wanted.isdecimal():
        wanted = int(wanted)
    device = find_device(wanted)  # before the models are loaded: it is what most often fails
    recognizer = Recognizer.load(options.hop, options.model)
    source = MicrophoneSource(device.number)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _stop, loop, number, source)
    print(f"mic: listening to {device.name}", file=sys.stderr, flush=True)
    with _view(recognizer, device.name, options) as view:
        async with recognizer.stream() as stream:
            async for event in stream.run(_Tapped(source, view)):
                view.show(event)


@contextmanager
def _view(recognizer: Recognizer, device: str, options: argparse.Namespace) -> Iterator[_View]:
    index = recognizer.engine.index
    console = Console()
    if options.format == "text" and command.can_draw(console):
        with Screen(index, device, console, command.typesetter(console, options.bidi)) as screen:
            yield screen
    else:
        form = make_format(options.format, index, words=options.words)
        lines = command.LinePrinter(options.bidi) if options.format == "text" else command.write
        yield _Writer(form, lines)


def _stop(loop: asyncio.AbstractEventLoop, number: int, source: MicrophoneSource) -> None:
    source.stop()
    loop.remove_signal_handler(number)  # a second one ends the program at once


def _list_devices() -> None:
    for device in input_devices():
        mark = "*" if device.default else " "
        rate = f"{device.channels} channel(s), {device.sample_rate} Hz"
        print(f"{mark} {device.number:3d}  {device.name}  ({rate})")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = command.parser("mic", "Recognise live Quran recitation.", _HELP)
    parser.add_argument(
        "--device", metavar="NUMBER|NAME", help="the microphone, by number or part of its name"
    )
    parser.add_argument("--list-devices", action="store_true", help="list the microphones")
    add_format_options(parser)
    command.add_model_options(parser)
    command.add_bidi_option(parser)
    options = parser.parse_args(arguments)
    check_format_options(parser, options)

    def work() -> int:
        if options.list_devices:
            _list_devices()
        else:
            asyncio.run(_listen(options))
        return 0

    return command.run("mic", work)


if __name__ == "__main__":
    sys.exit(main())
