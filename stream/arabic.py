"""Arabic on terminals that neither join its letters nor order them from right to left.

Few terminals do (bidirectional text on a grid of cells is hard to get right); in the others a verse
stands backwards and in pieces. Those are sent each line as it is to be seen: the letters replaced
by their joined forms, the last word first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import groupby

from arabic_reshaper import ArabicReshaper
from bidi import get_display
from rich.console import Console
from rich.text import Text

_CUT = "…"
# Words of Arabic, and the sign that some were cut off, which belongs on their left.
_ARABIC = re.compile(f"[\u0600-\u08ff{_CUT}]")
_MARKS = "[\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7-\u06ed\u08f0-\u08f2]+"
_MARKS_FIRST = re.compile(f"({_MARKS})(.)")

_BIDI_VARIABLES = ("MLTERM", "KONSOLE_VERSION", "INSIDE_EMACS")
_BIDI_PROGRAMS = ("Apple_Terminal", "mintty")
_BIDI_VTE = 5800  # GNOME Terminal and its kin, from 0.58 on

_reshaper = ArabicReshaper({"delete_harakat": False, "delete_tatweel": False})


def terminal_orders_arabic(environment: Mapping[str, str]) -> bool:
    """Whether the terminal says, in its environment variables, that it is one of the few.

    What does not reach us (through ssh most of it) counts as not said.
    """
    vte = environment.get("VTE_VERSION", "")
    return (
        any(name in environment for name in _BIDI_VARIABLES)
        or environment.get("TERM_PROGRAM") in _BIDI_PROGRAMS
        or (vte.isdecimal() and int(vte) >= _BIDI_VTE)
    )


class Typesetter:
    """Breaks text into lines, and writes each the way the terminal needs it.

    `reorder`: the terminal does not order Arabic. Lines are broken before they are reordered: a
    terminal that broke a reordered line would show the end of the verse first.
    """

    def __init__(self, console: Console, *, reorder: bool) -> None:
        self._console = console
        self._reorder = reorder

    def line(self, text: Text) -> Text:
        """A text that is known to fit one line."""
        return _visual(text) if self._reorder else text

    def lines(self, text: Text, width: int) -> list[Text]:
        """A text over as many lines of `width` cells as it takes."""
        wrapped = text.wrap(self._console, width)
        for line in wrapped:
            line.rstrip()
        return [self.line(line) for line in wrapped]

    def first_line(self, text: Text, width: int) -> Text:
        """The words of a text that fit `width` cells, and a sign if there are more."""
        if text.cell_len > width:
            text = text.wrap(self._console, max(width - 2, 1))[0]
            text.rstrip()
            text.append(f" {_CUT}")
        return self.line(text)


def _visual(line: Text) -> Text:
    """One line as it is to be seen, from left to right; words keep their styles."""
    words: list[Text] = []
    for arabic, run in groupby(line.split(" "), lambda word: bool(_ARABIC.search(word.plain))):
        ordered = list(run)
        words += [_joined(word) for word in reversed(ordered)] if arabic else ordered
    return Text(" ", justify=line.justify).join(words)


def _joined(word: Text) -> Text:
    ordered = str(get_display(_reshaper.reshape(word.plain), base_dir="L"))
    # Turned around, marks come before their letter; a terminal draws them on what it drew before.
    ordered = _MARKS_FIRST.sub(lambda found: found[2] + found[1][::-1], ordered)
    joined = Text(ordered, word.style)
    for span in word.spans:
        joined.stylize(span.style)
    return joined
