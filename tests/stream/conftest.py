"""An engine whose answers can be foretold: it hears beeps, and each beep is a word of al-Ikhlas."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest

from decoders import Decoding, Partial, Run
from quran_index import QuranIndex
from stream import Engine, Event, Final, Provisional, Recognizer
from stream.clock import FrameClock
from stream.follower import Follower
from stream.passages import PassageFinder
from stream.rehearing import Rehearing
from stream.vad import SileroVad, SpeechState

Samples = npt.NDArray[np.float32]

RATE = 16_000
HOP, FRAME = 7680, 960
SILENCE, SOUND = 0.002, 0.05

_BLANK = np.log(np.array([0.98, 0.02], np.float32))
_SOUND = np.log(np.array([0.02, 0.98], np.float32))


@dataclass
class BeepState:
    heard: list[Samples] = field(default_factory=list)


class BeepEncoder:
    """Symbol 1 where the audio is loud, blank elsewhere. Keeps what it was given, per state."""

    hop = HOP
    frame_shift = FRAME / RATE
    emission_delay = 0.0

    def __init__(self) -> None:
        self.states: list[BeepState] = []
        self.running = threading.Event()
        self.delay = 0.0
        self.failing = False

    def start(self) -> BeepState:
        self.states.append(BeepState())
        return self.states[-1]

    def step(self, state: BeepState, samples: Samples) -> Samples:
        assert len(samples) == HOP
        self.running.set()
        if self.failing:
            raise FloatingPointError("the encoder broke")
        time.sleep(self.delay)
        self.running.clear()
        return self.flush(state, samples)

    def flush(self, state: BeepState, tail: Samples) -> Samples:
        state.heard.append(tail.copy())
        frames = -(-len(tail) // FRAME)
        padded = np.pad(tail, (0, frames * FRAME - len(tail))).reshape(frames, FRAME)
        loud = np.abs(padded).mean(axis=1) > SOUND / 2
        return np.where(loud[:, None], _SOUND, _BLANK).astype(np.float32)

    def whole(self, samples: Samples) -> Samples:
        return self.flush(BeepState(), samples)


class BeepDecoder:
    """The n-th stretch of sound is the n-th word from 112:1 on."""

    def __init__(self, first_word: int) -> None:
        self._first_word = first_word

    def start(self) -> list[bool]:
        return []

    def advance(self, state: list[bool], log_probs: Samples) -> None:
        state += (log_probs[:, 1] > log_probs[:, 0]).tolist()

    def _runs(self, state: list[bool]) -> tuple[Run, ...]:
        words = sum(loud and not before for before, loud in itertools.pairwise([False, *state]))
        if not words:
            return ()
        frames = np.flatnonzero(state)
        last = self._first_word + words - 1
        return (Run(self._first_word, last, int(frames[0]), int(frames[-1]) + 1, 0.0),)

    def partial(self, state: list[bool]) -> Partial:
        return Partial(
            frames=len(state),
            score=0.0,
            background=0.0,
            best=self._runs(state),
            entering=False,
            settled=0,
            settled_word=-1,
            pause=0,
            candidates=(),
            ended=(),
            active=1,
        )

    def finish(self, state: list[bool]) -> Decoding:
        return Decoding(score=0.0, background=0.0, runs=self._runs(state))


class BeepFollower:
    """Shows the verse of the last beep, makes final every verse of which half was heard."""

    def __init__(self, index: QuranIndex, clock: FrameClock) -> None:
        self._index = index
        self._clock = clock
        self._slot = 0
        self._word = -1

    def hear(self, log_probs: Samples) -> None:
        """Only the runs matter here."""

    def update(self, partial: Partial, audio_time: float, speech: SpeechState) -> list[Event]:
        word = partial.best[-1].last_word
        if word == self._word:
            return []
        self._word = word
        verse = int(self._index.verse_of_word[word])
        surah, ayah = self._index.reference(verse)
        first, end = self._index.first_word[verse : verse + 2].tolist()
        return [
            Provisional(
                slot=self._slot,
                surah=surah,
                ayah=ayah,
                current_word=word - first + 1,
                words_total=end - first,
                confidence=0.5,
            )
        ]

    def finish(self, partial: Partial, decoding: Decoding) -> list[Event]:
        self._word = -1
        return [final for run in decoding.runs for final in self._finals(run)]

    def _finals(self, run: Run) -> Iterator[Final]:
        of_word = self._index.verse_of_word
        for verse in range(int(of_word[run.first_word]), int(of_word[run.last_word]) + 1):
            first, after = self._index.first_word[verse : verse + 2].tolist()
            heard = range(max(first, run.first_word), min(after, run.last_word + 1))
            if 2 * len(heard) < after - first:
                continue
            surah, ayah = self._index.reference(verse)
            yield Final(
                slot=self._slot,
                surah=surah,
                ayah=ayah,
                start=self._clock.start(run.start_frame),
                end=self._clock.end(run.end_frame),
                confidence=0.5,
                words=(),
                first_word=heard[0] - first + 1,
                last_word=heard[-1] - first + 1,
            )
            self._slot += 1


class BeepEngine(Engine):
    def follower(self, clock: FrameClock, rehearing: Rehearing) -> Follower:
        return cast(Follower, BeepFollower(self.index, clock))


@pytest.fixture(scope="session")
def index() -> QuranIndex:
    return QuranIndex.load()


@pytest.fixture
def encoder() -> BeepEncoder:
    return BeepEncoder()


@pytest.fixture
def engine(index: QuranIndex, encoder: BeepEncoder) -> Engine:
    first_word = int(index.first_word[index.verse_of(112, 1)])
    return BeepEngine(
        index=index,
        encoder=encoder,
        graph=index.graph,
        decoder=BeepDecoder(first_word),
        vad=SileroVad(),
        passages=PassageFinder(index),
        hop=HOP,
    )


@pytest.fixture
def recognizer(engine: Engine) -> Recognizer:
    return Recognizer(engine)


@pytest.fixture
def slow_hops(engine: Engine) -> Engine:
    return replace(engine, hop=2 * HOP)


@pytest.fixture(scope="session")
def beeps() -> Callable[..., Samples]:
    """Makes `count` beeps of 0.3 s, `gap` seconds apart, after `before` seconds, in faint noise."""

    def make(
        count: int, *, before: float = 0.5, gap: float = 0.3, after: float = 0.5, rate: int = RATE
    ) -> Samples:
        beep = 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(0.3 * rate)) / rate)
        pause = np.zeros(round(gap * rate))
        sound = np.concatenate([np.concatenate((beep, pause)) for _ in range(count)])
        audio = np.concatenate(
            (np.zeros(round(before * rate)), sound, np.zeros(round(after * rate)))
        )
        noise = np.random.default_rng(7).standard_normal(len(audio)) * 1e-4
        return (audio + noise).astype(np.float32)

    return make


@pytest.fixture(scope="session")
def dev_audio() -> Path | None:
    """The folder of real recordings next to the checkout, where there is one."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "audio" / "dev"
    return folder if folder.is_dir() else None
