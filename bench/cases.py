"""Hard cases, made by cutting and joining one reader's recordings, and what is right for each.

What final verses are expected follows from what a recitation of a verse is:

- A verse recited from its first word to its last is one final, each time it is recited: three times
  in a row are three, and what is recited again after going back a verse counts again.
- A verse in the middle of which the reader pauses, takes some words up again, or begins the verse
  again before its last word, is still being recited: one final.
- A verse of which words were left out, or one was replaced, was recited all the same: one final
  (and a mistake).
- A verse begun in the middle, or left in the middle, was recited in part. If at least half of its
  words were said, one final; if fewer, both one and none are right. (A verse is begun in the middle
  at words that tell it from all others.)
- The basmala before a surah, noise and other speech give none.

Mistakes are what was skipped (words, a verse) or replaced. Going back, jumping to another surah and
beginning in the middle are none.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from acoustic.corpus import SAMPLE_RATE

from .scoring import Verse
from .voice import Float, Voice, faded

LONG_PAUSE = 3.0  # seconds
_T = TypeVar("_T")
_SEED = 4
_BREATH = (0.3, 0.9)  # seconds
_BEFORE, _AFTER = 0.6, 3.0  # seconds of the room around each case
_NOISE = (2.0, 4.0)  # seconds
_NOISE_DB = (-12.0, 0.0)  # against the reader's level
_PROSE = (3.0, 8.0)  # seconds
_MIN_WORDS = 5  # of a verse that is cut
_TRIES = 500
_LENGTHS = (0.7, 1.4)  # of a word against the one that it replaces, in phonemes
_BASMALA = (1, 1)
_BASMALA_INSIDE = ((27, 30), 5)  # the verse that ends with it, and the word where it begins


@dataclass(frozen=True, slots=True)
class Piece:
    """What is heard from ``start`` to ``end`` seconds: words of a verse (from 1), or something that
    is no part of the Quran (``verse`` None)."""

    what: str
    start: float
    end: float
    verse: Verse | None = None
    first_word: int = 0
    last_word: int = 0


@dataclass(frozen=True, slots=True)
class Slip:
    """A mistake: words of a verse skipped or replaced, or (no ``words``) the verse skipped."""

    verse: Verse
    words: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The final verses expected, other right answers, and the mistakes made."""

    expected: tuple[Verse, ...]
    also_accept: tuple[tuple[Verse, ...], ...] = ()
    slips: tuple[Slip, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """One spliced recording (``wave`` [N] at 16 kHz) and what is right for it."""

    kind: str
    number: int
    wave: Float
    pieces: tuple[Piece, ...]
    answer: Answer

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.pieces[-1].end


class NoMaterialError(ValueError):
    """The recordings at hand hold nothing that a kind of case could be made of."""


class Tape:
    """Pieces put one after another."""

    def __init__(self, voice: Voice, prose: Sequence[Float], rng: np.random.Generator) -> None:
        self.voice, self.prose, self.rng = voice, prose, rng
        self._waves: list[Float] = []
        self._pieces: list[Piece] = []
        self._length = 0

    def recite(self, verse: Verse, first: int = 1, last: int | None = None) -> None:
        """Words of a verse, all by default."""
        last = last or self.voice.count(verse)
        what = f"{verse[0]}:{verse[1]} words {first}-{last}"
        self._add(self.voice.part(verse, first, last), what, verse, first, last)

    def insert(self, verse: Verse, word: int) -> None:
        """A word of a verse, where it does not belong."""
        what = f"word {word} of {verse[0]}:{verse[1]}"
        self._add(self.voice.part(verse, word, word), what)

    def recite_all(self, verses: Sequence[Verse]) -> None:
        """Whole verses with a breath after each."""
        for verse in verses:
            self.recite(verse)
            self.pause()

    def pause(self, seconds: float | None = None) -> None:
        """Nothing but the room: for a breath, or for ``seconds``."""
        if seconds is None:
            seconds = self.rng.uniform(*_BREATH)
        self._add(self.voice.room(seconds, self.rng), "pause")

    def noise(self) -> None:
        """Noise that has the spectrum of the reader."""
        wave = self.voice.noise(self.rng.uniform(*_NOISE), self.rng)
        gain = 10 ** (self.rng.uniform(*_NOISE_DB) / 20)
        self._add((wave * gain).astype(np.float32), "noise")

    def speak(self, seconds: float | None = None) -> None:
        """Some prose, as loud as the reader."""
        wave = self.prose[int(self.rng.integers(len(self.prose)))]
        count = int((seconds or self.rng.uniform(*_PROSE)) * SAMPLE_RATE)
        start = int(self.rng.integers(max(1, len(wave) - count)))
        self.play(wave[start : start + count], "prose")

    def play(self, wave: Float, what: str) -> None:
        """Something that is not Quran, as loud as the reader."""
        gain = self.voice.level / np.sqrt(np.mean(np.square(wave)) + 1e-12)
        self._add(np.clip(wave * gain, -1, 1).astype(np.float32), what)

    def case(self, kind: str, number: int, answer: Answer) -> Case:
        """What was put together, the room around it."""
        return Case(kind, number, np.concatenate(self._waves), tuple(self._pieces), answer)

    def _add(
        self,
        wave: Float,
        what: str,
        verse: Verse | None = None,
        first: int = 0,
        last: int = 0,
    ) -> None:
        start, self._length = self._length, self._length + len(wave)
        self._waves.append(faded(wave))
        self._pieces.append(
            Piece(what, start / SAMPLE_RATE, self._length / SAMPLE_RATE, verse, first, last)
        )

    # --- what to recite ---------------------------------------------------------------------------

    def run(self, count: int, words: int = 1) -> list[Verse]:
        """Some verses of a surah one after another, the second of at least ``words`` words."""
        voice, start = self.voice, self.one_of(self.voice.verses)
        for _ in range(_TRIES):
            run = [(start[0], start[1] + i) for i in range(count)]
            if all(v in voice for v in run) and voice.count(run[min(1, count - 1)]) >= words:
                return run
            start = self.one_of(voice.verses)
        raise NoMaterialError(f"no {count} verses in a row")

    def cut_run(self, count: int) -> tuple[list[Verse], list[int]]:
        """Such verses, the second of which is to be cut, and the words after which it can be."""
        for _ in range(_TRIES):
            run = self.run(count, _MIN_WORDS)
            clean = self.voice.clean(run[1])
            if len(clean) >= 2:
                return run, clean
        raise NoMaterialError("no verse that can be cut")

    def elsewhere(self, surah: int, count: int) -> list[Verse]:
        """Verses of another surah."""
        for _ in range(_TRIES):
            run = self.run(count)
            if run[0][0] != surah:
                return run
        raise NoMaterialError("no other surah")

    def one_of(self, choice: Sequence[_T]) -> _T:
        return choice[int(self.rng.integers(len(choice)))]


def _in_part(
    tape: Tape, verse: Verse, said: int, before: list[Verse], after: list[Verse]
) -> Answer:
    """A verse of which so many words were said, between others."""
    with_it, without = (*before, verse, *after), (*before, *after)
    other = (without,) if 2 * said < tape.voice.count(verse) else ()
    return Answer(with_it, other)


def plain(tape: Tape) -> Answer:
    """Verses one after another: what all else is compared with."""
    run = tape.run(4)
    tape.recite_all(run)
    return Answer(tuple(run))


def repeated_verse(tape: Tape) -> Answer:
    """A verse twice or three times."""
    first, again, last = tape.run(3)
    recited = [first, *[again] * int(tape.rng.integers(2, 4)), last]
    tape.recite_all(recited)
    return Answer(tuple(recited))


def repeated_words(tape: Tape) -> Answer:
    """A breath in the middle of a verse; then some words before it are taken up again."""
    run, clean = tape.cut_run(3)
    back, stop = sorted(tape.rng.choice(clean, 2, replace=False).tolist())
    back = max(back, stop - 4)
    if back not in clean:
        back = max(c for c in clean if c < stop)
    tape.recite_all(run[:1])
    tape.recite(run[1], 1, stop)
    tape.pause()
    tape.recite(run[1], back + 1)
    tape.pause()
    tape.recite_all(run[2:])
    return Answer(tuple(run))


def restarted_verse(tape: Tape) -> Answer:
    """A verse broken off and begun again from its first word."""
    run, clean = tape.cut_run(3)
    tape.recite_all(run[:1])
    tape.recite(run[1], 1, tape.one_of(clean))
    tape.pause()
    tape.recite_all(run[1:])
    return Answer(tuple(run))


def back_verses(tape: Tape) -> Answer:
    """Going back to the verse before, or the one before that, and on from there."""
    run = tape.run(4)
    back = int(tape.rng.integers(0, 2))
    recited = [*run[:3], *run[1 - back :]] if back else [*run[:2], *run[:3]]
    tape.recite_all(recited)
    return Answer(tuple(recited))


def skipped_verse(tape: Tape) -> Answer:
    """A verse left out."""
    run = tape.run(4)
    recited = [run[0], *run[2:]]
    tape.recite_all(recited)
    return Answer(tuple(recited), slips=(Slip(run[1]),))


def skipped_words(tape: Tape) -> Answer:
    """One to three words left out inside a verse, without a pause."""
    for _ in range(_TRIES):
        run, clean = tape.cut_run(3)
        pairs = [(a, b) for a in clean for b in clean if 1 <= b - a <= 3]
        if pairs:
            break
    else:
        raise NoMaterialError("no words that can be cut out")
    stop, resume = tape.one_of(pairs)
    tape.recite_all(run[:1])
    tape.recite(run[1], 1, stop)
    tape.recite(run[1], resume + 1)
    tape.pause()
    tape.recite_all(run[2:])
    return Answer(tuple(run), slips=(Slip(run[1], tuple(range(stop + 1, resume + 1))),))


def replaced_word(tape: Tape) -> Answer:
    """A word replaced by one of about its length from elsewhere."""
    for _ in range(_TRIES):
        (run, word), (other, by) = _a_word(tape), _a_word(tape)
        ours, theirs = (_global(tape, *w) for w in ((run[1], word), (other[1], by)))
        spell = tape.voice.index.spell
        length = len(spell(theirs, theirs)) / len(spell(ours, ours))
        forms = tape.voice.index.form_of_word
        if _LENGTHS[0] <= length <= _LENGTHS[1] and forms[ours] != forms[theirs]:
            break
    else:
        raise NoMaterialError("no words to exchange")
    tape.recite_all(run[:1])
    tape.recite(run[1], 1, word - 1)
    tape.insert(other[1], by)
    tape.recite(run[1], word + 1)
    tape.pause()
    tape.recite_all(run[2:])
    return Answer(tuple(run), slips=(Slip(run[1], (word,)),))


def _a_word(tape: Tape) -> tuple[list[Verse], int]:
    """A word in the second of three verses that can be cut out of it."""
    for _ in range(_TRIES):
        run, clean = tape.cut_run(3)
        words = [a for a in clean if a - 1 in clean]
        if words:
            return run, tape.one_of(words)
    raise NoMaterialError("no word that can be cut out")


def _global(tape: Tape, verse: Verse, word: int) -> int:
    index = tape.voice.index
    return int(index.first_word[index.verse_of(*verse)]) + word - 1


def jump_after_verse(tape: Tape) -> Answer:
    """From the end of a verse to another surah."""
    run = tape.run(2)
    recited = [*run, *tape.elsewhere(run[0][0], 2)]
    tape.recite_all(recited)
    return Answer(tuple(recited))


def jump_in_verse(tape: Tape) -> Answer:
    """From the middle of a verse, after a breath, to another surah."""
    run, clean = tape.cut_run(2)
    there, said = tape.elsewhere(run[0][0], 2), tape.one_of(clean)
    tape.recite_all(run[:1])
    tape.recite(run[1], 1, said)
    tape.pause()
    tape.recite_all(there)
    return _in_part(tape, run[1], said, run[:1], there)


def start_in_verse(tape: Tape) -> Answer:
    """Beginning in the middle of a verse, at words that stand nowhere else, and reading on."""
    for _ in range(_TRIES):
        (_, first, *others), clean = tape.cut_run(4)
        missed = tape.one_of(clean)
        if _is_unique(tape, first, missed + 1):
            break
    else:
        raise NoMaterialError("no verse that can be told from its end")
    tape.recite(first, missed + 1)
    tape.pause()
    tape.recite_all(others)
    return _in_part(tape, first, tape.voice.count(first) - missed, [], others)


def _is_unique(tape: Tape, verse: Verse, word: int) -> bool:
    """Whether the words of a verse from ``word`` on stand nowhere else in a row."""
    forms = tape.voice.index.form_of_word
    start, count = _global(tape, verse, word), tape.voice.count(verse) - word + 1
    windows = np.lib.stride_tricks.sliding_window_view(forms, count)
    same: int = np.all(windows == forms[start : start + count], axis=1).sum()
    return same == 1


def pause_in_verse(tape: Tape) -> Answer:
    """A long pause in the middle of a verse."""
    run, clean = tape.cut_run(3)
    stop = tape.one_of(clean)
    tape.recite_all(run[:1])
    tape.recite(run[1], 1, stop)
    tape.pause(LONG_PAUSE)
    tape.recite(run[1], stop + 1)
    tape.pause()
    tape.recite_all(run[2:])
    return Answer(tuple(run))


def pause_between_verses(tape: Tape) -> Answer:
    """Long pauses between verses."""
    run = tape.run(3)
    for verse in run:
        tape.recite(verse)
        tape.pause(LONG_PAUSE)
    return Answer(tuple(run))


def across_surahs(tape: Tape) -> Answer:
    """The last verses of a surah and the first of the next."""
    voice, index = tape.voice, tape.voice.index

    def run(surah: int) -> list[Verse]:
        last = index.ayah_count(surah)
        return [(surah, last - 1), (surah, last), (surah + 1, 1), (surah + 1, 2)]

    ends = [s for s in range(1, 114) if all(verse in voice for verse in run(s))]
    if not ends:
        raise NoMaterialError("no two surahs in a row")
    recited = run(tape.one_of(ends))
    tape.recite_all(recited)
    return Answer(tuple(recited))


def noise(tape: Tape) -> Answer:
    """Speech-shaped noise before and between verses."""
    return Answer(_verses_after(tape, tape.noise))


def basmala(tape: Tape) -> Answer:
    """The basmala, then a surah from its first verse."""
    voice = tape.voice
    firsts = [v for v in voice.verses if v[1] == 1 and v[0] > 1 and (v[0], 2) in voice]
    inside, word = _BASMALA_INSIDE
    if not firsts or (_BASMALA not in voice and inside not in voice):
        raise NoMaterialError("no basmala")
    if _BASMALA in voice:
        tape.recite(_BASMALA)
    else:
        tape.recite(inside, word)
    tape.pause()
    surah, _ = tape.one_of(firsts)
    recited = ((surah, 1), (surah, 2))
    tape.recite_all(recited)
    return Answer(recited)


def prose_around(tape: Tape) -> Answer:
    """Other speech before, between and after verses."""
    if not tape.prose:
        raise NoMaterialError("no prose")
    recited = _verses_after(tape, tape.speak)
    tape.speak()
    return Answer(recited)


def _verses_after(tape: Tape, disturb: Callable[[], None]) -> tuple[Verse, ...]:
    """Recites three verses in a row, each after something that is none; says which."""
    run = tape.run(3)
    for verse in run:
        disturb()
        tape.pause()
        tape.recite(verse)
        tape.pause()
    return tuple(run)


KINDS: dict[str, Callable[[Tape], Answer]] = {
    "plain": plain,
    "repeated verse": repeated_verse,
    "repeated words": repeated_words,
    "restarted verse": restarted_verse,
    "back one or two verses": back_verses,
    "skipped verse": skipped_verse,
    "skipped words": skipped_words,
    "replaced word": replaced_word,
    "jump after a verse": jump_after_verse,
    "jump inside a verse": jump_in_verse,
    "start inside a verse": start_in_verse,
    "3 s pause inside a verse": pause_in_verse,
    "3 s pauses between verses": pause_between_verses,
    "across surahs": across_surahs,
    "noise": noise,
    "basmala": basmala,
    "prose around verses": prose_around,
}
PROSE_ALONE = "prose alone"


def build(kind: str, number: int, voice: Voice, prose: Sequence[Float] = ()) -> Case:
    """Case ``number`` of a kind of `KINDS`: always the same for the same recordings.

    Raises `NoMaterialError`.
    """
    rng = np.random.default_rng((_SEED, zlib.crc32(kind.encode()), number))
    tape = Tape(voice, prose, rng)
    tape.pause(_BEFORE)
    answer = KINDS[kind](tape)
    tape.pause(_AFTER)
    return tape.case(kind, number, answer)


def prose_alone(number: int, voice: Voice, prose: Sequence[Float]) -> Case:
    """Recording ``number`` of ``prose``: nothing of the Quran, so no finals."""
    tape = Tape(voice, prose, np.random.default_rng((_SEED, number)))
    tape.pause(_BEFORE)
    tape.play(prose[number], "prose")
    tape.pause(_AFTER)
    return tape.case(PROSE_ALONE, number, Answer(()))
