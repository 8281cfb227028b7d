"""The picture of the microphone demo, drawn into a terminal that is not there."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console
from rich.text import Text

from stream import Candidate, Candidates, Final, Provisional, Warned
from stream.arabic import Typesetter
from stream.terminal import Screen

WIDTH = 50
PLAIN = re.compile(r"\x1b\[[\d;]*m")
THRONE = Provisional(slot=0, surah=2, ayah=255, current_word=3, words_total=50, confidence=0.9)


@pytest.fixture(params=[False, True], ids=["terminal orders", "we order"])
def reorder(request) -> bool:
    return request.param


def picture(index, reorder, *events, **environment: str) -> str:
    console = Console(
        file=io.StringIO(), force_terminal=True, width=WIDTH, height=40, _environ=environment
    )
    screen = Screen(index, "microphone", console, Typesetter(console, reorder=reorder))
    for event in events:
        screen.show(event)
    with console.capture() as capture:
        console.print(screen.render())
    return capture.get()


def shown(text: str, reorder: bool) -> str:
    return Typesetter(Console(), reorder=reorder).line(Text(text)).plain


def test_a_long_verse_is_read_line_by_line(index, reorder):
    words = index.words(index.verse_of(2, 255))
    lines = PLAIN.sub("", picture(index, reorder, THRONE)).splitlines()
    assert all(Text(line).cell_len <= WIDTH for line in lines)
    (top,) = (n for n, line in enumerate(lines) if "2:255" in line)
    boxed = [line.strip("│ ") for line in lines[top + 1 :] if line.startswith("│")]
    assert len(boxed) >= 4
    read = [w for line in boxed for w in (line.split()[::-1] if reorder else line.split())]
    assert read == [shown(word, reorder) for word in words]


def test_the_current_word_is_marked_with_and_without_colours(index, reorder):
    word = shown(index.words(index.verse_of(2, 255))[2], reorder)
    assert f"\x1b[1;7;32m{word}\x1b[0m" in picture(index, reorder, THRONE, TERM="xterm")
    plain = picture(index, reorder, THRONE, TERM="xterm", NO_COLOR="1")
    assert f"\x1b[1;7m{word}\x1b[0m" in plain


def test_finals_candidates_and_warnings(index, reorder):
    final = Final(
        **{"slot": 0, "surah": 2, "ayah": 255, "start": 1.0, "end": 40.5, "confidence": 0.9},
        **{"words": (), "first_word": 1, "last_word": 50},
    )
    events = (
        final,
        Candidates(candidates=(Candidate(surah=3, ayah=2, probability=0.25),)),
        Warned(code="narrow_band", message="nothing above 4 kHz", at=0.0),
    )
    lines = PLAIN.sub("", picture(index, reorder, *events)).splitlines()
    (line,) = (line for line in lines if "✓" in line)
    name = index.surah_name(2)[1]
    assert f"{name} 2:255  1.0-40.5 s" in line
    first = shown(index.words(index.verse_of(2, 255))[0], reorder)
    assert re.search(f"….*{first}$" if reorder else f"{first}.*…$", line.rstrip())
    assert any("25%" in line and "3:2" in line for line in lines)
    assert "! nothing above 4 kHz" in "\n".join(lines)
