"""A reader's recordings as material to cut: verses, parts of verses, and the sound of the room.

Verses are cut between words. Forced alignment says about where a word begins: a network emits a
symbol some tenths of a second after its sound (`Voice.lag`, measured on recordings that begin in
quiet). There the quietest place is taken, and what is cut is faded in and out, so that no splice
clicks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from acoustic.corpus import SAMPLE_RATE, Utterance
from decoders.align import WordTime
from quran_index import QuranIndex

from .scoring import Verse

Float = npt.NDArray[np.float32]
Aligner = Callable[[Float, int, int], Sequence[WordTime]]
"""Word times, in seconds, of a recording [N] and the first and last word (global) said in it."""

FADE = 0.008  # seconds
CLEAN = -8.0  # dB below the verse's usual level: a cut there does not go through a voice
_USUAL = 75  # percentile of the levels of a verse, which may be mostly pauses
_EMITTED_AFTER = 0.8  # seconds within which a symbol follows its sound
_AFTER = 0.05  # seconds after its likeliest beginning in which a word may begin
_LEAST = 0.1  # seconds about the beginning that are searched at least
_WINDOW, _STEP = 0.02, 0.005  # seconds over which and at which the level is taken
_QUIET_DB = -11.0  # dB below the loudest, of the beginning of a recording and of a pause
_PROBED, _LEAST_PROBED = 30, 3  # recordings that the lag is measured on
_SPECTRUM = 512  # samples of a frame
_HEARD = 60  # recordings that the spectra are taken of
_NOTHING = 1e-10  # mean square of digital silence, so that it has a level
_QUIETEST = 0.02  # share of the frames that are the room's


class Voice:
    """One reader's single verses; of a verse recorded twice the first recording counts."""

    def __init__(
        self,
        recordings: Iterable[Utterance],
        index: QuranIndex,
        align: Aligner,
        longest: float = 15.0,
    ) -> None:
        """Verses longer than ``longest`` seconds are left out."""
        self.index = index
        self._align = align
        self._takes: dict[Verse, Utterance] = {}
        for u in recordings:
            if u.ayah and u.samples <= longest * SAMPLE_RATE:
                self._takes.setdefault((u.surah, u.ayah), u)
        if not self._takes:
            raise ValueError("no verses of one recording each in the corpus")
        self.words = lru_cache(maxsize=512)(self._cut)

    @property
    def verses(self) -> list[Verse]:
        """What there is, in the order of the text."""
        return sorted(self._takes)

    def __contains__(self, verse: Verse) -> bool:
        return verse in self._takes

    def seconds(self, verse: Verse) -> float:
        """Length of a verse's recording."""
        return self._takes[verse].samples / SAMPLE_RATE

    def count(self, verse: Verse) -> int:
        """How many words a verse has."""
        return len(self.index.words(self.index.verse_of(*verse)))

    def recording(self, verse: Verse) -> Float:
        """A verse as it was recorded [N], in [-1, 1]."""
        return self._takes[verse].wave()

    def part(self, verse: Verse, first: int = 1, last: int | None = None) -> Float:
        """Words ``first..last`` of a verse (from 1; by default to its end)."""
        wave = self.recording(verse)
        last = last or self.count(verse)
        if (first, last) != (1, self.count(verse)):
            cuts, _ = self.words(verse)
            wave = wave[cuts[first - 1] : cuts[last]]
        return wave

    def clean(self, verse: Verse) -> list[int]:
        """The words of a verse (from 1) after which it can be cut without cutting a sound."""
        _, levels = self.words(verse)
        return [i for i, level in enumerate(levels, 1) if level <= CLEAN]

    def _cut(self, verse: Verse) -> tuple[list[int], list[float]]:
        """Where the words of a verse begin and the last one ends, in samples, and at each cut
        between words the level in dB, against the usual one."""
        wave = self.recording(verse)
        level = _level(wave)
        usual = float(np.percentile(level, _USUAL))
        times = self._times(verse, wave)
        cuts, depths = [0], []
        for before, after in pairwise(times):
            high = int((after.start - self.lag + _AFTER) / _STEP)
            low = int((before.end - self.lag) / _STEP)
            low = max(min(low, high - int(_LEAST / _STEP)), cuts[-1] // _count(_STEP) + 1)
            low = min(low, len(level) - 1)
            high = max(high, low + 1)
            at = low + int(np.argmin(level[low:high]))
            cuts.append(at * _count(_STEP))
            depths.append(float(level[at]) - usual)
        return [*cuts, len(wave)], depths

    def _times(self, verse: Verse, wave: Float) -> Sequence[WordTime]:
        first, last = self.index.passage(verse[0], verse[1], verse[1])
        # The last symbols may come after the recording's end.
        return self._align(np.pad(wave, (0, _count(_EMITTED_AFTER))), first, last)

    @cached_property
    def lag(self) -> float:
        """Seconds from the sound of a word to its first symbol: the median over verses.

        ValueError: too few of the recordings begin in quiet to tell.
        """
        lags = []
        for verse in self._some(_PROBED):
            wave = self.recording(verse)
            level = _level(wave)
            loud = np.flatnonzero(level > np.percentile(level, 95) + _QUIET_DB)
            onset = float(loud[0]) * _STEP
            if onset > _WINDOW:
                lags.append(self._times(verse, wave)[0].start - onset)
        if len(lags) < _LEAST_PROBED:
            raise ValueError(
                "too few recordings begin in quiet: their verses were cut through the voice"
            )
        return float(np.median(lags))

    def _some(self, count: int) -> list[Verse]:
        """A fixed random choice of the verses."""
        verses = self.verses
        return [verses[i] for i in np.random.default_rng(0).permutation(len(verses))[:count]]

    # --- what else is heard -----------------------------------------------------------------------

    def room(self, seconds: float, rng: np.random.Generator) -> Float:
        """The sound of the room in which nobody speaks."""
        return _shaped(self._spectra[0], seconds, rng)

    def noise(self, seconds: float, rng: np.random.Generator) -> Float:
        """Noise of the reader's long-term spectrum and level."""
        return _shaped(self._spectra[1], seconds, rng)

    @property
    def level(self) -> float:
        """Root mean square of the reader's recordings."""
        return float(np.sqrt(np.sum(self._spectra[1] ** 2)))

    @cached_property
    def _spectra(self) -> tuple[Float, Float]:
        """Amplitudes of the room and of the voice [_SPECTRUM / 2 + 1], whose squares sum to the
        mean square."""
        window = np.hanning(_SPECTRUM).astype(np.float32)
        frames = np.concatenate(
            [
                wave[: len(wave) // _SPECTRUM * _SPECTRUM].reshape(-1, _SPECTRUM)
                for wave in map(self.recording, self._some(_HEARD))
            ]
        )
        power = np.abs(np.fft.rfft(frames * window)) ** 2 + _NOTHING
        loudness = np.mean(np.square(frames), axis=1) + _NOTHING
        quiet = loudness <= np.quantile(loudness, _QUIETEST)
        room, voice = (
            np.sqrt(power[which].mean(axis=0) * loudness[which].mean() / power[which].mean(0).sum())
            for which in (quiet, np.ones(len(frames), bool))
        )
        return room.astype(np.float32), voice.astype(np.float32)


def faded(wave: Float) -> Float:
    """A stretch of sound [N] that begins and ends in nothing."""
    count = min(_count(FADE), len(wave) // 2)
    ramp = (0.5 - 0.5 * np.cos(np.pi * np.arange(count) / count)).astype(np.float32)
    out = wave.copy()
    out[:count] *= ramp
    out[len(out) - count :] *= ramp[::-1]
    return out


def _shaped(spectrum: Float, seconds: float, rng: np.random.Generator) -> Float:
    """Noise of a spectrum, whose squares sum to its mean square."""
    count = _count(seconds)
    white = np.fft.rfft(rng.standard_normal(count))
    bins = np.linspace(0, len(spectrum) - 1, len(white))
    noise = np.fft.irfft(white * np.interp(bins, np.arange(len(spectrum)), spectrum), count)
    noise *= np.sqrt(np.sum(spectrum**2) / np.mean(noise**2))
    scaled: Float = noise.astype(np.float32)
    return scaled


def _level(wave: Float) -> npt.NDArray[np.float64]:
    """Level in dB at every step, over a window about it."""
    half, step = _count(_WINDOW) // 2, _count(_STEP)
    energy = np.concatenate(([0.0], np.cumsum(np.square(wave, dtype=np.float64))))
    at = np.arange(0, len(wave), step)
    low, high = np.maximum(at - half, 0), np.minimum(at + half, len(wave))
    level: npt.NDArray[np.float64] = 10 * np.log10(
        (energy[high] - energy[low]) / (high - low) + _NOTHING
    )
    return level


def _count(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)
