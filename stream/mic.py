"""The live demonstration: `python -m stream.mic` recognises what the microphone hears.

In a terminal it draws a level meter, the candidates, the verse with the current word marked and
the finals so far; elsewhere it prints lines, with --json one JSON object for each event. Ctrl-C
ends the recitation: what was heard until then is still decided.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack
from typing import Protocol

from rich.console import Console

from .audio import AudioBlock, Notice
from .errors import StreamError
from .events import Event
from .microphone import MicrophoneSource, find_device, input_devices
from .recognizer import Recognizer
from .sources import closing
from .terminal import Screen
from .text import Narrator


class _View(Protocol):
    """Where the demonstration shows itself."""

    def hear(self, block: AudioBlock) -> None: ...
    def show(self, event: Event) -> None: ...


class _Lines:
    """Prints a line for each event that has something to tell."""

    def __init__(self, line: Callable[[Event], str | None]) -> None:
        self._line = line

    def hear(self, block: AudioBlock) -> None:
        """The level is not told in lines."""

    def show(self, event: Event) -> None:
        if (line := self._line(event)) is not None:
            print(line, flush=True)


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


async def _listen(wanted: int | str | None, as_json: bool) -> None:
    device = find_device(wanted)  # before the models are loaded: it is what most often fails
    recognizer = Recognizer.load()
    source = MicrophoneSource(device.number)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _stop, loop, number, source)
    print(f"mic: listening to {device.name}", file=sys.stderr, flush=True)
    console = Console()
    view: _View
    with ExitStack() as stack:
        if as_json:
            view = _Lines(lambda event: event.to_json())
        elif console.is_terminal:
            screen = Screen(recognizer.engine.index, device.name, console)
            view = stack.enter_context(screen)
        else:
            view = _Lines(Narrator(recognizer.engine.index).line)
        async with recognizer.stream() as stream:
            async for event in stream.run(_Tapped(source, view)):
                view.show(event)


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
    parser = argparse.ArgumentParser(
        prog="python -m stream.mic", description="Recognise live Quran recitation."
    )
    parser.add_argument(
        "--device", metavar="NUMBER|NAME", help="the microphone, by number or part of its name"
    )
    parser.add_argument("--list-devices", action="store_true", help="list the microphones")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args(arguments)
    wanted = options.device
    try:
        if options.list_devices:
            _list_devices()
        else:
            number = int(wanted) if wanted is not None and wanted.isdecimal() else wanted
            asyncio.run(_listen(number, options.json))
    except StreamError as error:
        print(f"mic: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
