"""Verses read by synthetic learners: neural voices of other tongues, each with an accent.

Most people who recite speak no Arabic, and say what it has and their own tongue lacks by the
nearest sound they know: ص as *s*, ع as a glottal stop or not at all. Recordings of them with words
are nowhere to be had; but a voice that was trained on another tongue (`acoustic.voices`) says just
that. Every utterance is by another person, with an `Accent` drawn at random; the label remains what
the text says. Verses are drawn and phonetised as for `acoustic.synthesize`.

    python -m acoustic.learners VOICE... --out CORPUS --verses 1000 --seed 1
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Self

import numpy as np

from acoustic import voices
from acoustic.corpus import Int16
from acoustic.model_file import ModelError
from acoustic.synthesize import Row, draw, phonetise, silence, write
from acoustic.voices import LONG, STOP, Voice

# What each sound may become, in IPA; what is more common stands more often, - is nothing.
_CONSONANTS = {
    **{"ء": "ʔ ʔ -", "ٲ": "ʔ -", "ب": "b", "ت": "t t t ʈ", "ث": "θ s s t", "ج": "ʤ ʤ ʤ ʒ ɡ z"},
    **{"ح": "h h h x χ ħ", "خ": "x x x h k χ", "د": "d d d ɖ", "ذ": "ð z z d", "ر": "r r ɾ ɹ"},
    **{"ز": "z z z ʤ", "س": "s", "ش": "ʃ ʃ ʃ s", "ص": "s", "ض": "d d d z ð dz", "ط": "t"},
    **{"ظ": "z z ð d ʤ", "ع": "ʔ ʔ ʔ - ʕ h", "غ": "ɡ ɡ ɣ ʁ r", "ف": "f f f p", "ق": "k k q ɡ"},
    **{"ك": "k", "ل": "l l l ɫ", "م": "m", "ن": "n", "ه": "h h h h -", "و": "w w v", "ي": "j"},
    **{"۾": "m", "ں": "n n ŋ"},
}
_VOWELS = {"َ": "a a a æ ʌ", "ُ": "u u ʊ", "ِ": "i i ɪ"}
_DARK = {"َ": "ɑ a ɔ", "ُ": "u ʊ o", "ِ": "i ɪ e"}
_LONG = {"ا": "َ", "ۥ": "ُ", "ۦ": "ِ", "ـ": "ِ"}
_THICK = frozenset("صضطظقخغر")
_DOUBLED = 0.6  # of people hold a doubled consonant


@dataclass(frozen=True, slots=True)
class Accent:
    """How one person says the sounds of recitation: IPA for each, and for ``vowels`` that follow
    ص and its like in ``dark``."""

    consonants: Mapping[str, str]
    vowels: Mapping[str, str]
    dark: Mapping[str, str]
    held: float
    """How much of an elongation beyond a long vowel is kept, 0 to 1."""
    doubled: bool
    """Whether doubled consonants are."""

    @classmethod
    def draw(cls, rng: random.Random) -> Self:
        """A random one."""

        def choose(table: Mapping[str, str]) -> dict[str, str]:
            drawn = {sound: rng.choice(options.split()) for sound, options in table.items()}
            return {sound: ipa.replace("-", "") for sound, ipa in drawn.items()}

        consonants, vowels, dark = (choose(table) for table in (_CONSONANTS, _VOWELS, _DARK))
        return cls(consonants, vowels, dark, rng.random() ** 2, rng.random() < _DOUBLED)

    def say(self, phonemes: str) -> str:
        """IPA of phonetised text (`acoustic.synthesize.phonetise`); marks of a pause in a word and
        of an echo are passed over."""
        return STOP.join(self._word(word) for word in phonemes.split())

    def _word(self, word: str) -> str:
        said, vowels = "", self.vowels
        runs = [(symbol, len(list(run))) for symbol, run in groupby(word)]
        # A long vowel is written as the short one and its letter.
        for (symbol, length), (following, _) in zip(runs, [*runs[1:], ("", 0)], strict=True):
            if symbol in self.consonants:
                said += self.consonants[symbol] * (2 if length > 1 and self.doubled else 1)
                vowels = self.dark if symbol in _THICK else self.vowels
            elif symbol in _LONG:
                beyond = round(self.held * (length / 2 - 1))
                said += (vowels[_LONG[symbol]] + LONG) * (1 + max(0, beyond))
            elif symbol in vowels and following not in _LONG:
                said += vowels[symbol]
        return said


def recite(verses: Row, voice: Voice, rng: random.Random) -> Int16:
    """The verses by one of the voice's people, pauses between them, and quiet around."""
    person, accent = voice.person(rng), Accent.draw(rng)
    parts = [silence(rng.uniform(0.05, 0.4))]
    for verse in verses:
        parts += [person(accent.say(phonetise(*verse))), silence(rng.uniform(0.2, 0.9))]
    return np.concatenate(parts)


def build(speakers: Sequence[Voice], out: Path, count: int, seed: int) -> float:
    """Write ``count`` rows in corpus layout to the folder ``out``; returns hours of audio."""
    rng = random.Random(seed)
    readers = {f"{v.name}-{seed}": partial(recite, voice=v, rng=rng) for v in speakers}
    return write(out, draw(count, rng), readers, alone=False)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="acoustic.learners")
    parser.add_argument(
        "voices", type=Path, nargs="+", metavar="VOICE", help="Piper's files, Kokoro's folder"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--verses", type=int, default=1000, help="rows to make")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(arguments)
    try:
        speakers = [voices.load(path) for path in args.voices]
    except (OSError, ValueError, ModelError) as error:
        parser.error(str(error))
    hours = build(speakers, args.out, args.verses, args.seed)
    print(f"{hours:.2f} h in {args.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
