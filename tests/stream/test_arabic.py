"""Arabic for terminals that show letters as they come, one a cell, from left to right."""

from __future__ import annotations

import unicodedata

import pytest
from rich.console import Console
from rich.text import Text

from stream.arabic import Typesetter, terminal_orders_arabic

CONSOLE = Console(width=40)
VISUAL = Typesetter(CONSOLE, reorder=True)
LOGICAL = Typesetter(CONSOLE, reorder=False)


def spelled(text: str) -> str:
    """Letters and marks by name, so that a failure can be read."""
    return " ".join(unicodedata.name(c).removeprefix("ARABIC ") for c in text)


def test_letters_are_joined_and_turned_and_keep_their_marks():
    assert spelled(VISUAL.line(Text("قُلۡ")).plain) == (
        "LETTER LAM FINAL FORM SMALL HIGH DOTLESS HEAD OF KHAH LETTER QAF INITIAL FORM DAMMA"
    )
    assert spelled(VISUAL.line(Text("لَا")).plain) == "LIGATURE LAM WITH ALEF ISOLATED FORM FATHA"


def letters(text: str) -> str:
    return "".join(c for c in text if not unicodedata.combining(c) and c not in "ۥۦ")


def marks(text: str) -> list[str]:
    return sorted(c for c in text if unicodedata.combining(c))


def test_every_verse_says_what_it_said_read_from_the_right(index):
    for verse in range(0, len(index.verses), 40):
        words = index.words(verse)
        shown = VISUAL.line(Text(" ".join(words))).plain.split(" ")[::-1]
        assert len(shown) == len(words)
        for before, after in zip(words, shown, strict=True):
            assert not unicodedata.combining(after[0]), "a mark without its letter"
            # Compatibility folding undoes joined forms; letter by letter, since it leaves the two
            # of a ligature in the order of speech.
            folded = "".join(unicodedata.normalize("NFKD", c) for c in reversed(after))
            unfolded = unicodedata.normalize("NFKD", before)
            assert letters(folded) == letters(unfolded)
            assert marks(folded) == marks(unfolded)


def test_what_is_not_arabic_stays_where_it_is():
    shown = VISUAL.line(Text("  3.2  ! 2:255 word 3: expected هُوَ, heard قُلۡ or 2:3")).plain
    assert shown.startswith("  3.2  ! 2:255 word 3: expected ")
    assert shown.endswith(" or 2:3")
    assert ", heard " in shown


def test_words_keep_their_styles():
    line = Text("one ")
    line.append("قُلۡ", "bold").append(" ").append("هُوَ", "green")
    shown = VISUAL.line(line)
    styles = {shown.plain[s.start : s.end]: str(s.style) for s in shown.spans if s.style}
    first, second = (VISUAL.line(Text(word)).plain for word in ("قُلۡ", "هُوَ"))
    assert shown.plain == f"one {second} {first}"
    assert styles == {first: "bold", second: "green"}


def test_lines_are_broken_before_they_are_turned(index):
    text = index.text(index.verse_of(2, 255))
    lines = VISUAL.lines(Text(text), 40)
    assert all(line.cell_len <= 40 for line in lines)
    words = [word for line in lines for word in reversed(line.plain.split(" "))]
    assert words == [VISUAL.line(Text(word)).plain for word in text.split(" ")]
    assert " ".join(line.plain for line in LOGICAL.lines(Text(text), 40)) == text


def test_a_cut_line_shows_its_beginning(index):
    text = index.text(index.verse_of(2, 255))
    cut = LOGICAL.first_line(Text(text), 40)
    assert cut.cell_len <= 40
    assert text.startswith(cut.plain.removesuffix("…"))
    assert cut.plain.endswith(" …")
    shown = VISUAL.first_line(Text(text), 40)
    assert shown.cell_len <= 40
    assert shown.plain.startswith("… ")
    assert shown.plain.endswith(VISUAL.line(Text(text.split(" ")[0])).plain)
    assert LOGICAL.first_line(Text("قُلۡ هُوَ"), 40).plain == "قُلۡ هُوَ"


@pytest.mark.parametrize(
    ("environment", "orders"),
    [
        ({"TERM": "xterm-256color"}, False),
        ({"TERM_PROGRAM": "vscode"}, False),
        ({"MLTERM": "3.9.3"}, True),
        ({"KONSOLE_VERSION": "220401"}, True),
        ({"VTE_VERSION": "6800"}, True),
        ({"VTE_VERSION": "5202"}, False),
        ({"TERM_PROGRAM": "Apple_Terminal"}, True),
    ],
)
def test_terminals_that_order_arabic_are_known(environment, orders):
    assert terminal_orders_arabic(environment) is orders
