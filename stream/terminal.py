"""The picture that the microphone demo draws in a terminal."""

from __future__ import annotations

import math
import time
from collections import deque

from rich import box
from rich.align import Align
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from quran_index import QuranIndex

from .arabic import Typesetter
from .audio import AudioBlock
from .events import (
    Candidate,
    Candidates,
    Ended,
    Event,
    Final,
    NotQuran,
    Provisional,
    Retracted,
    SpeechEnded,
    SpeechStarted,
    Warned,
)

_FRAME_SECONDS = 0.08  # between pictures
_QUIETEST_DB, _LOUD_DB = -60.0, -6.0
_METER_WIDTH, _BAR_WIDTH = 40, 20
_FINALS_SHOWN = 8
_RELEASE_DB = 2.0  # how fast the meter falls, per picture


class _Paragraph:
    """Arabic that is broken into lines as wide as there is room, or (`one_line`) cut to one."""

    def __init__(self, text: Text, typesetter: Typesetter, *, one_line: bool = False) -> None:
        self._text = text
        self._typesetter = typesetter
        self._one_line = one_line

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self._one_line:
            yield self._typesetter.first_line(self._text, options.max_width)
        else:
            for line in self._typesetter.lines(self._text, options.max_width):
                yield Align.center(line)


class Screen:
    """What is known of a recitation, drawn live: level, candidates, verse, finals."""

    def __init__(
        self, index: QuranIndex, device: str, console: Console, typesetter: Typesetter
    ) -> None:
        self._index = index
        self._device = device
        self._typesetter = typesetter
        self._live = Live(console=console, auto_refresh=False)
        self._drawn = 0.0
        self._level = _QUIETEST_DB
        self._speech = False
        self._status = "recite, please"
        self._candidates: tuple[Candidate, ...] = ()
        self._verse: Provisional | None = None
        self._finals: deque[Final] = deque(maxlen=_FINALS_SHOWN)
        self._warning = ""

    def __enter__(self) -> Screen:
        self._live.start()
        self._draw()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def hear(self, block: AudioBlock) -> None:
        """Moves the level meter."""
        power = float((block.samples**2).mean()) if len(block.samples) else 0.0
        level = 10 * math.log10(power + 1e-10)
        self._level = max(level, self._level - _RELEASE_DB, _QUIETEST_DB)
        if time.monotonic() - self._drawn > _FRAME_SECONDS:
            self._draw()

    def show(self, event: Event) -> None:
        """Takes an event into the picture."""
        match event:
            case SpeechStarted():
                self._speech, self._status = True, "listening"
            case SpeechEnded():
                self._speech, self._status = False, "silence"
            case Candidates():
                self._candidates = event.candidates
            case Provisional():
                self._verse, self._status = event, "reciting"
            case Final():
                self._finals.append(event)
                self._verse, self._candidates = None, ()
            case Retracted():
                self._verse = None
            case NotQuran():
                self._verse, self._candidates, self._status = None, (), "this is not Quran"
            case Warned():
                self._warning = event.message
            case Ended():
                self._status = "done"
        self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        self._live.update(self.render(), refresh=True)

    def render(self) -> RenderableType:
        """The present picture."""
        parts: list[RenderableType] = [self._header(), self._verse_panel(), self._candidate_table()]
        if self._finals:
            parts.append(self._final_list())
        if self._warning:
            parts.append(Text(f"! {self._warning}", style="yellow"))
        parts.append(Text("Ctrl-C ends the recitation", style="dim"))
        return Group(*parts)

    def _header(self) -> Text:
        share = (self._level - _QUIETEST_DB) / -_QUIETEST_DB
        filled = round(min(max(share, 0.0), 1.0) * _METER_WIDTH)
        colour = "red" if self._level > _LOUD_DB else "green" if self._speech else "blue"
        return Text.assemble(
            ("● " if self._speech else "○ ", colour),
            ("▮" * filled, colour),
            ("▯" * (_METER_WIDTH - filled), "dim"),
            f" {self._level:4.0f} dB  ",
            (self._status, "bold"),
            (f"  {self._device}", "dim"),
        )

    def _verse_panel(self) -> RenderableType:
        shown = self._verse
        if shown is None:
            return Panel(Text("…", style="dim", justify="center"), box=box.ROUNDED, title="verse")
        words = self._index.words(self._index.verse_of(shown.surah, shown.ayah))
        text = Text()
        for number, word in enumerate(words, 1):
            style = (
                "bold"
                if number < shown.current_word
                else "bold reverse green"
                if number == shown.current_word
                else "dim"
            )
            text.append(word, style).append(" ")
        return Panel(
            _Paragraph(text, self._typesetter),
            box=box.ROUNDED,
            title=self._reference(shown.surah, shown.ayah),
            subtitle=f"word {shown.current_word} of {shown.words_total}, {shown.confidence:.0%}",
        )

    def _candidate_table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for candidate in self._candidates:
            filled = round(candidate.probability * _BAR_WIDTH)
            table.add_row(
                Text("█" * filled + "░" * (_BAR_WIDTH - filled), style="cyan"),
                f"{candidate.probability:4.0%}",
                self._reference(candidate.surah, candidate.ayah),
            )
        return table

    def _final_list(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for final in self._finals:
            verse = self._index.verse_of(final.surah, final.ayah)
            # No Arabic before the time: terminals that order it from right to left would take the
            # numbers along.
            table.add_row(
                Text("✓", style="green"),
                self._latin_reference(final.surah, final.ayah),
                Text(f"{final.start:.1f}-{final.end:.1f} s", style="dim"),
                _Paragraph(Text(self._index.text(verse)), self._typesetter, one_line=True),
            )
        return table

    def _latin_reference(self, surah: int, ayah: int) -> str:
        return f"{self._index.surah_name(surah)[1]} {surah}:{ayah}" if surah else "isti'adha"

    def _reference(self, surah: int, ayah: int) -> Text:
        arabic = f" {self._index.surah_name(surah)[0]}" if surah else ""
        return self._typesetter.line(Text(self._latin_reference(surah, ayah) + arabic))
