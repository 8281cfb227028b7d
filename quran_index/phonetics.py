"""Phonetic spelling of every word, in the four ways its neighbours allow.

quran-transcript phonetises running text letter by letter with tajweed. What a word sounds like
depends on whether the reciter comes from the word before or starts afresh (hamzat al-wasl is
pronounced only then), and on whether they go on or pause (the last short vowel or tanwin drops, ة
becomes h). Phonetising each word in those four contexts and comparing gives a compact form::

    (initial | joined head) + core + (joined tail | pausal tail)

Elongations and geminates are one symbol here: how long a madd is held is the reciter's choice, and
the closed text restores the rest. A consonant shared by two words (idgham) belongs to the second.

Only the build imports this module's dependency.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, pairwise

# Symbols of quran-transcript that carry no segment of their own: the echo of qalqala, the
# breathless pause, and the space between words.
_SILENT = "ڇۜ "
# Two words have sounds that stand nowhere else (the imala of 11:41, the softened hamza of 41:44):
# their nearest common sounds, since nothing can be learned from one example.
_RARE = (("۪ـ", "ۦ"), ("ٲ", "ء"))
_LONG_VOWELS = (("َا", "ا"), ("ُۥ", "ۥ"), ("ِۦ", "ۦ"))
# A word that ends in the diphthong aw, with or without the silent alif.
_FINAL_AW = re.compile("\u064e\u0648\u0652?(\u0627\u06df)?$")


@dataclass(frozen=True, slots=True)
class WordForms:
    """One word's phonemes: ``head`` and ``tail`` depend on the neighbours, ``core`` does not."""

    head_initial: str
    head_joined: str
    core: str
    tail_joined: str
    tail_pausal: str

    def spell(self, *, initial: bool, pausal: bool) -> str:
        """The word's phonemes in one of its four contexts."""
        head = self.head_initial if initial else self.head_joined
        return head + self.core + (self.tail_pausal if pausal else self.tail_joined)


def simplify(raw: str) -> str:
    """Collapse elongation and gemination, and drop the marks that are not segments."""
    text = "".join(c for c, _ in groupby(c for c in raw if c not in _SILENT))
    for written, symbol in _RARE + _LONG_VOWELS:
        text = text.replace(written, symbol)
    return text


def _spelled_out(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words without what makes the library lose its place in them.

    That is the disjoined letters that open some surahs wherever they are not the first word (they
    are replaced by their names), the small letter under 52:37 (the word is read the same way
    without it), and the doubling sign after a final diphthong ("asaw wa-kanu"), with which it loses
    the vowel too (the two consonants become one here in any case).
    """
    from quran_transcript import alphabet

    names = alphabet.uthmani.hrof_moqtaa_disassemble
    spelled = []
    for i, word in enumerate(words):
        pair = names.get(" ".join(words[i : i + 2]))
        if pair is not None and i + 1 < len(words):
            # Their end depends on what follows (3:1 before 3:2).
            spelled.append(pair.rpartition(" ")[0])
        else:
            if i and word.startswith("وّ") and _FINAL_AW.search(words[i - 1]):
                word = word.replace("\u0651", "", 1)
            spelled.append(names.get(word, word).replace("\u06e3", ""))
    return tuple(spelled)


@lru_cache(maxsize=200_000)
def _segments(words: tuple[str, ...]) -> tuple[str, ...]:
    """Phonemes of each word of ``words`` said in one breath."""
    from quran_transcript import MoshafAttributes, quran_phonetizer

    moshaf = MoshafAttributes(
        rewaya="hafs",
        madd_monfasel_len=4,
        madd_mottasel_len=4,
        madd_mottasel_waqf=4,
        madd_aared_len=4,
    )
    words = _spelled_out(words)
    output = quran_phonetizer(" ".join(words), moshaf)
    starts, at = [], 0
    for word in words:
        letters = [m for m in output.mappings[at : at + len(word)] if m is not None]
        starts.append(next((m.pos[0] for m in letters if not m.deleted), None))
        at += len(word) + 1
    starts[0] = 0
    for i in range(len(words) - 1, 0, -1):
        if starts[i] is None:
            starts[i] = starts[i + 1] if i + 1 < len(words) else len(output.phonemes)
    bounds = [s for s in starts if s is not None] + [len(output.phonemes)]
    segments = [simplify(output.phonemes[a:b]) for a, b in pairwise(bounds)]
    for i in range(len(segments) - 1):
        following = "".join(segments[i + 1 :])
        if segments[i] and following and segments[i][-1] == following[0]:
            segments[i] = segments[i][:-1]
    return tuple(segments)


def _common(a: str, b: str) -> int:
    """Length of the common prefix."""
    n = 0
    while n < min(len(a), len(b)) and a[n] == b[n]:
        n += 1
    return n


def word_forms(verse: list[str], before: str | None, after: str | None) -> list[WordForms]:
    """Forms of each word of a verse; ``before`` and ``after`` are its neighbours in the surah."""
    context = ([before] if before else []) + verse + ([after] if after else [])
    running = _segments(tuple(context))
    first = 1 if before else 0
    forms = []
    for i in range(len(verse)):
        at = first + i
        joined = running[at]
        pausal = _segments(tuple(context[max(0, at - 1) : at + 1]))[-1]
        initial = _segments(tuple(context[at : at + 2]))[0]
        alone = _segments((context[at],))[0]
        forms.append(_decompose(joined, pausal, initial, alone))
    return forms


def _decompose(joined: str, pausal: str, initial: str, alone: str) -> WordForms:
    """Split a word's spellings in its four contexts into heads, core and tails.

    The head ends where ``initial`` and ``joined`` agree to their ends; the tail starts where
    ``pausal`` and ``joined`` stop agreeing.

    Raises:
        ValueError: head and tail overlap, or do not give back the four spellings.
    """
    head = len(joined) - _common(initial[::-1], joined[::-1])
    tail = _common(pausal, joined)
    forms = WordForms(
        head_initial=initial[: len(initial) - len(joined) + head],
        head_joined=joined[:head],
        core=joined[head:tail],
        tail_joined=joined[tail:],
        tail_pausal=pausal[tail:],
    )
    given = (joined, pausal, initial, alone)
    found = tuple(forms.spell(initial=i, pausal=p) for i in (False, True) for p in (False, True))
    if head >= tail or found != given:
        raise ValueError(f"the spellings {given} do not share a core")
    return forms
