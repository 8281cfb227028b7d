"""Verses read by espeak-ng's Arabic voices, as a training corpus.

espeak misreads vowelled Quranic spelling, so it is not given any: each verse is phonetised with
tajweed by quran-transcript (the source of the labels) and handed over as espeak phonemes. Labels
and audio then agree by construction, including assimilation, elongation and the pausal end.

A synthesiser is no reciter: these voices are for the sample recording that ships with the project
and for odd timbres among many real voices, never the main diet. Every row is one breath: a verse of
at most ``MAX_WORDS`` words, or (``ayah`` 0) a short surah, verse by verse with pauses between, read
without isti'adha and without the basmala except as 1:1.

    python -m acoustic.synthesize --out CORPUS --verses 1000 --seed 1
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quran_index import QuranIndex

from .corpus import SAMPLE_RATE, Int16, Writer

VARIANTS = (
    *("", "f1", "f2", "f3", "f4", "f5", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "croak"),
    *("klatt", "klatt2", "klatt3", "klatt4", "klatt5", "klatt6"),
    *("Alicia", "Andrea", "Annie", "aunty", "anika", "belinda", "linda", "steph", "steph2"),
    *("Gene", "Lee", "Mario", "Michael", "Storm", "david", "edward", "max", "pablo", "quincy"),
)
WORDS_PER_MINUTE = (90, 180)
PITCH = (25, 75)
MAX_WORDS = 16
SURAH_WORDS = 45  # the longest surah read whole
SHORT_SURAHS = (1, *range(93, 115))
WHOLE_SURAHS, SHORT_SURAH_VERSES = 0.15, 0.45  # shares of the rows

_CONSONANTS = {
    **{"ء": "?", "ب": "b", "ت": "t", "ث": "T", "ج": "dZ", "ح": "H", "خ": "X", "د": "d", "ذ": "D"},
    **{"ر": "R", "ز": "z", "س": "s", "ش": "S", "ص": "s[", "ض": "dH", "ط": "t[", "ظ": "Z"},
    **{"ع": "A", "غ": "gH", "ف": "f", "ق": "q", "ك": "k", "ل": "l", "م": "m", "ن": "n", "ه": "h"},
    **{"و": "w", "ي": "j", "۾": "m", "ں": "n", "ٲ": "?"},
}
_VOWELS = {"َ": "a", "ُ": "u", "ِ": "i", "ا": "a:", "ۥ": "u:", "ۦ": "i:", "ـ": "e:"}
_LONG = (("َ", "ا"), ("ُ", "ۥ"), ("ِ", "ۦ"))
_DARK = {"a": "a.", "u": "u.", "i": "i.", "a:": "a.|:", "u:": "u.|:", "i:": "i.|:"}
_THICK = frozenset("صضطظقخغ")
_VELAR = frozenset("كق")
_SCHWA, _SHORT_PAUSE = "@", "_"

Float32 = npt.NDArray[np.float32]
Row = list[tuple[int, int]]
"""What is read in one breath or with pauses: a verse, or all of a short surah."""
Reader = Callable[[Row], Int16]


@dataclass(frozen=True, slots=True)
class Voice:
    """How espeak reads: a variant of its Arabic voice, words per minute and pitch (0-99)."""

    variant: str
    words_per_minute: int = 130
    pitch: int = 50


@cache
def phonetise(surah: int, ayah: int) -> str:
    """Phonemes of a verse read in one breath, with lengths and spaces between words."""
    from quran_transcript import Aya, MoshafAttributes, quran_phonetizer

    moshaf = MoshafAttributes(
        rewaya="hafs",
        madd_monfasel_len=4,
        madd_mottasel_len=4,
        madd_mottasel_waqf=4,
        madd_aared_len=4,
    )
    return str(quran_phonetizer(Aya(surah, ayah).get().uthmani, moshaf).phonemes)


def _word(phonemes: str, following: str) -> str:
    """One word in espeak's mnemonics, stressed on its last long or else its last but one vowel."""
    sounds: list[str] = []
    nuclei: list[tuple[int, bool]] = []
    previous = ""
    # The library writes a long vowel as the short one and its letter.
    for short, long_vowel in _LONG:
        phonemes = phonemes.replace(short + long_vowel, long_vowel)
    runs = [(c, len(list(run))) for c, run in groupby(phonemes)]
    for i, (symbol, length) in enumerate(runs):
        if symbol in _VOWELS:
            vowel = _VOWELS[symbol]
            if previous in _THICK:
                vowel = _DARK.get(vowel, vowel)
            nuclei.append((len(sounds), vowel[-1] == ":"))
            # Two counts are a plain long vowel; a madd of four or six repeats it.
            sounds += [vowel] * max(1, length // 2)
        elif symbol == "ڇ":
            sounds.append(_SCHWA)
        elif symbol == "ۜ":
            sounds.append(_SHORT_PAUSE)
        elif symbol in _CONSONANTS:
            after = runs[i + 1][0] if i + 1 < len(runs) else following
            sound = "N" if symbol == "ں" and after in _VELAR else _CONSONANTS[symbol]
            closure = "d" if sound == "dZ" else sound
            sounds += [closure] * min(length - 1, 3) + [sound]
        previous = symbol
    long = [at for at, is_long in nuclei if is_long]
    stressed = long[-1] if long else nuclei[max(0, len(nuclei) - 2)][0] if nuclei else -1
    return "|".join("'" + s if i == stressed else s for i, s in enumerate(sounds))


def mnemonics(phonemes: str) -> str:
    """Phonetised text (:func:`phonetise`) as espeak phoneme input; raises ValueError on a symbol
    that has no sound here."""
    known = _CONSONANTS.keys() | _VOWELS.keys() | set("ڇۜ ۪")
    if unknown := set(phonemes) - known:
        raise ValueError(f"no espeak sound for {sorted(unknown)}")
    words = re.sub("۪", "", phonemes).split()
    parts = [
        _word(word, words[i + 1][0] if i + 1 < len(words) else "") for i, word in enumerate(words)
    ]
    return " ".join(f"[[{part}]]" for part in parts)


def speak(phonemes: str, voice: Voice) -> Int16:
    """Phonetised text said by ``voice``, mono int16 at 16 kHz.

    Raises RuntimeError where espeak-ng is not installed.
    """
    import soxr

    program = shutil.which("espeak-ng")
    if program is None:
        raise RuntimeError("espeak-ng is missing: install it with `apt-get install espeak-ng`")
    name = f"ar+{voice.variant}" if voice.variant else "ar"
    wav = subprocess.run(
        [
            program,
            *("-v", name, "-s", str(voice.words_per_minute), "-p", str(voice.pitch), "--stdout"),
            mnemonics(phonemes),
        ],
        check=True,
        capture_output=True,
    ).stdout
    # Written to a pipe, the header's lengths are placeholders; the header itself is 44 bytes.
    rate = int.from_bytes(wav[24:28], "little")
    samples = np.frombuffer(wav, "<i2", offset=44).astype(np.float32)
    audio: Float32 = np.trim_zeros(soxr.resample(samples, rate, SAMPLE_RATE))
    peak = float(np.abs(audio).max(initial=1e-6))
    return (audio * (0.7 * 32767 / peak)).astype(np.int16)


def silence(seconds: float) -> Int16:
    """``seconds`` of silence at 16 kHz."""
    return np.zeros(int(seconds * SAMPLE_RATE), np.int16)


def recite(verses: Row, voice: Voice, pause: float) -> Int16:
    """The verses one after the other, ``pause`` seconds between them."""
    parts: list[Int16] = []
    for surah, ayah in verses:
        parts += [speak(phonetise(surah, ayah), voice), silence(pause)]
    return np.concatenate(parts[:-1])


@cache
def _lengths() -> dict[tuple[int, int], int]:
    """Words of every verse."""
    index = QuranIndex.load()
    words = np.diff(index.first_word)
    return {index.reference(verse): int(words[verse]) for verse in index.verses}


def draw(count: int, rng: random.Random) -> list[Row]:
    """``count`` rows, each a verse or all verses of a short surah, in random order.

    Each kind goes through its items in shuffled rounds, so that a small count still covers most.
    """
    by_surah: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for (surah, ayah), words in _lengths().items():
        if words <= MAX_WORDS:
            by_surah[surah].append((surah, ayah))
    whole = [
        [verse for verse in _lengths() if verse[0] == surah]
        for surah in SHORT_SURAHS
        if sum(n for (s, _), n in _lengths().items() if s == surah) <= SURAH_WORDS
    ]
    short = [[verse] for surah in SHORT_SURAHS for verse in by_surah[surah]]
    rest = [[v] for surah in range(1, 115) if surah not in SHORT_SURAHS for v in by_surah[surah]]
    n_whole, n_short = round(count * WHOLE_SURAHS), round(count * SHORT_SURAH_VERSES)
    rows: list[Row] = []
    for pool, n in ((whole, n_whole), (short, n_short), (rest, count - n_whole - n_short)):
        chosen: list[Row] = []
        while len(chosen) < n:
            chosen += rng.sample(pool, len(pool))
        rows += chosen[:n]
    rng.shuffle(rows)
    return rows


def build(out: Path, count: int, seed: int) -> float:
    """Write ``count`` rows in corpus layout to the folder ``out``; returns hours of audio."""
    rng = random.Random(seed)
    readers = {
        f"espeak-{variant.lower() or 'plain'}": partial(_recited, variant=variant, rng=rng)
        for variant in VARIANTS
    }
    return write(out, draw(count, rng), readers)


def write(
    out: Path, rows: Sequence[Row], readers: Mapping[str, Reader], *, alone: bool = True
) -> float:
    """Share ``rows`` out among the readers, and write what each makes of them, by its name, in
    corpus layout to the folder ``out``; returns hours of audio.

    ``alone``: whether a reader is one person, not another one in every row.
    """
    out.mkdir(parents=True, exist_ok=True)
    total = 0
    for i, (name, read) in enumerate(readers.items()):
        with Writer(out, name) as writer:
            for n, verses in enumerate(rows[i :: len(readers)]):
                surah, ayah = verses[0]
                reciter = name if alone else f"{name}-{n}"
                writer.add(read(verses), reciter, surah, ayah if len(verses) == 1 else 0)
        total += writer.samples
        print(f"{name}: {total / SAMPLE_RATE / 3600:.2f} h so far", file=sys.stderr, flush=True)
    return total / SAMPLE_RATE / 3600


def _recited(verses: Row, variant: str, rng: random.Random) -> Int16:
    """Verses by some voice of the variant, and quiet around them."""
    voice = Voice(variant, rng.randint(*WORDS_PER_MINUTE), rng.randint(*PITCH))
    audio = recite(verses, voice, rng.uniform(0.2, 0.9))
    quiet = silence(rng.uniform(0.05, 0.4)), silence(rng.uniform(0.05, 0.4))
    return np.concatenate([quiet[0], audio, quiet[1]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="acoustic.synthesize")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--verses", type=int, default=1000, help="rows to make")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    hours = build(args.out, args.verses, args.seed)
    print(f"{hours:.2f} h in {args.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
