"""One recitation's work, step by step: audio in, events out. No threads, no waiting, no real clock.

Audio is handled in hops of one length, and in silence also in ticks within them, on a fixed grid
from the beginning (or the last flush), so what is decided, and when on the audio clock, does not
depend on how the audio was pushed, nor on how fast.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections import deque
from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np

from acoustic.quiet import hiss
from decoders import Decoding

from .audio import SAMPLE_RATE, AudioBlock, Intake, Notice, Samples
from .clock import FrameClock
from .engine import Engine, LogProbs
from .events import Ended, Event, Final, SpeechEnded, SpeechStarted, Statistics, Warned
from .vad import PRE_ROLL, SpeechGate

# Silence that ends whatever verse is being recited, even in the middle (people think and breathe).
FINAL_SILENCE = 8.0
_VOICED = math.log(0.5)  # a frame whose blank is less likely than this holds a phoneme
TICK = 2560  # samples: how often silence may end a verse within a hop
_HOP_TIMES = 4096  # for the statistics: the last half hour, so that memory stays bounded

E = TypeVar("E", bound=Event)


class Pipeline:
    """All state of one recitation. Used by one thread at a time."""

    def __init__(self, engine: Engine, stream_id: str) -> None:
        self._engine = engine
        self._stream_id = stream_id
        self._hop = engine.hop
        self._intake = Intake()
        self._notices: deque[Notice] = deque()
        # Follows the last sounds, so that the encoder, which is late, tells of them too. Twice as
        # long as it mostly is: half of the sounds it tells of later than that.
        self._hiss = hiss(round(2 * engine.encoder.emission_delay * SAMPLE_RATE))
        self._pending: Samples = np.zeros(0, np.float32)
        self._position = 0  # samples at 16 kHz handled so far
        self._ticks: list[Samples] = []  # of the present hop, listened to and not yet encoded
        self._left = self._tick = self._hop  # samples of the present hop to come, and until a tick
        self._gate = SpeechGate(engine.vad)
        # Hops that were not encoded but may prove to be the beginning of speech.
        self._held: deque[Samples] = deque(maxlen=math.ceil(PRE_ROLL * SAMPLE_RATE / self._hop))
        self._caches: Any = None  # of the encoder, while the gate is open
        self._opened = 0.0  # the second of the first sample that they heard
        self._rows = 0  # frames that came of it
        self._clock = FrameClock(engine.encoder.frame_shift, engine.encoder.emission_delay)
        self._search = engine.decoder.start()
        self._partial = engine.decoder.partial(self._search)  # at the end of the last hop
        self._voiced = False  # whether the search has seen anything but blanks
        self._rehearing = engine.rehearing()
        self._follower = engine.follower(self._clock, self._rehearing)
        self._events: list[Event] = []
        self._seq = 0
        self._finals: list[Final] = []
        self._warnings: list[Warned] = []
        self._encoded = 0
        self._compute = 0.0
        self._hops = 0
        self._hop_time = 0.0  # spent on the present hop
        self._hop_seconds: deque[float] = deque(maxlen=_HOP_TIMES)

    @property
    def missing(self) -> float:
        """Seconds of audio until the next tick, or hop, is complete."""
        return (min(self._tick, self._left) - len(self._pending)) / SAMPLE_RATE

    @property
    def now(self) -> float:
        """Seconds of audio handled."""
        return self._position / SAMPLE_RATE

    def advance(self, blocks: Iterable[AudioBlock]) -> list[Event]:
        """Takes audio and handles every tick and hop that it completes."""
        began = time.perf_counter()
        for block in blocks:
            samples, notices = self._intake.convert(block)
            self._notices += notices
            self._pending = np.concatenate((self._pending, samples))
            self._handle_pending()
        self._compute += time.perf_counter() - began
        return self._take_events()

    def notice(self, notice: Notice) -> list[Event]:
        """Passes on what a source noticed about its audio."""
        self._notices.append(dataclasses.replace(notice, at=self._intake.seconds))
        self._warn(self._intake.seconds)
        return self._take_events()

    def flush(self) -> list[Event]:
        """Decides on everything heard so far; what follows is a new beginning."""
        began = time.perf_counter()
        self._pending = np.concatenate((self._pending, self._intake.drain()))
        self._handle_pending()
        tail, self._pending = self._pending, self._pending[:0]
        self._listen(tail)
        tail, start = self._next_hop()
        self._hop_time = 0.0
        if self._gate.open(self.now) and (len(tail) or self._caches is not None):
            self._open(start)
            rest = self._encode(np.concatenate((tail, self._hiss)))
            self._encoded += len(rest)
            self._rehearing.add(rest)
            self._decode(self._engine.encoder.flush(self._caches, rest))
        self._caches = None
        self._held.clear()
        self._warn(math.inf)
        self._tell_speech()
        self._conclude()
        self._compute += time.perf_counter() - began
        return self._take_events()

    def finish(self, error: Exception | None = None) -> list[Event]:
        """The last events. `error` is why the audio ended, where it did not end by itself."""
        events = self.flush()
        return events + self.give_up(error)

    def give_up(self, error: Exception | None) -> list[Event]:
        """`ended` at once, without deciding on what is still open."""
        self._emit(
            Ended(
                reason="end" if error is None else "error",
                error=None if error is None else str(error),
                finals=tuple(self._finals),
                warnings=tuple(self._warnings),
                statistics=self._statistics(),
            )
        )
        return self._take_events()

    def _handle_pending(self) -> None:
        while len(self._pending) >= (due := min(self._tick, self._left)):
            began = time.perf_counter()
            tick, self._pending = np.split(self._pending, (due,))
            self._listen(tick)
            if self._left:
                self._glance()
                self._hop_time += time.perf_counter() - began
            else:
                self._handle_hop()
                self._hop_seconds.append(self._hop_time + time.perf_counter() - began)
                self._hop_time = 0.0

    def _listen(self, samples: Samples) -> None:
        """Takes the next samples of the present hop."""
        self._position += len(samples)
        self._gate.observe(samples)
        self._ticks.append(samples)
        self._left -= len(samples)

    def _next_hop(self) -> tuple[Samples, float]:
        """What was listened to of the present hop, and its first second; a new one begins."""
        samples = np.concatenate(self._ticks)
        self._ticks.clear()
        self._left = self._tick = self._hop
        return samples, (self._position - len(samples)) / SAMPLE_RATE

    def _glance(self) -> None:
        """Decides at a tick what silence alone can decide; the encoder has not heard this hop."""
        speech = self._gate.state(self.now)
        if speech.silence < FINAL_SILENCE and self._all_told(speech.silence):
            self._emit_all(self._follower.update(self._partial, self.now, speech))

    def _all_told(self, silence: float) -> bool:
        """Whether, after so much of it, the search knows all that was said when the last hop ended:
        the encoder tells of sounds late."""
        unheard = (self._hop - self._left) / SAMPLE_RATE
        return self._voiced and silence >= unheard + self._engine.encoder.emission_delay

    def _handle_hop(self) -> None:
        samples, start = self._next_hop()
        if self._gate.open(self.now):
            self._open(start)
            self._encode(samples)
        else:
            self._caches = None
            self._held.append(samples)
        self._warn(self.now)
        self._tell_speech()
        speech = self._gate.state(self.now)
        if speech.silence >= FINAL_SILENCE:
            self._conclude()
        elif self._voiced:
            self._partial = self._engine.decoder.partial(self._search)
            self._emit_all(self._follower.update(self._partial, self.now, speech))
        if self._all_told(speech.silence):
            self._tick = TICK
        self._hops += 1

    def _open(self, start: float) -> None:
        """Makes the encoder ready for the audio from `start` on, the pre-roll heard first."""
        if self._caches is not None:
            return
        self._caches = self._engine.encoder.start()
        self._rehearing.open(self._clock.frames)
        self._opened, self._rows = start - len(self._held) * self._hop / SAMPLE_RATE, 0
        for hop in self._held:
            self._encode(hop)
        self._held.clear()

    def _encode(self, samples: Samples) -> Samples:
        """Encodes whole steps; what is left, shorter than a step, is returned."""
        step = self._engine.encoder.hop
        while len(samples) >= step:
            self._rehearing.add(samples[:step])
            self._decode(self._engine.encoder.step(self._caches, samples[:step]))
            self._encoded += step
            samples = samples[step:]
        return samples

    def _decode(self, log_probs: LogProbs) -> None:
        first = self._clock.frames
        self._clock.add(len(log_probs), self._opened + self._rows * self._clock.shift)
        self._rows += len(log_probs)
        for frame in np.flatnonzero(log_probs[:, 0] < _VOICED).tolist():
            self._voiced = True
            self._gate.heard(self._clock.start(first + frame), self._clock.end(first + frame + 1))
        self._follower.hear(log_probs)
        self._engine.decoder.advance(self._search, log_probs)

    def _conclude(self) -> None:
        """Makes final what the decoder has, and starts afresh."""
        if not self._clock.frames:
            return
        # Any search ends somewhere; one that saw only blanks has nothing to say.
        decoding = (
            self._engine.decoder.finish(self._search)
            if self._voiced
            else Decoding(score=0.0, background=0.0, runs=())
        )
        partial = self._engine.decoder.partial(self._search)
        self._emit_all(self._follower.finish(partial, decoding))
        self._search = self._engine.decoder.start()
        self._voiced = False
        self._rehearing.clear()
        self._clock.reset()

    def _tell_speech(self) -> None:
        for change in self._gate.settle(self.now):
            kind = SpeechStarted if change.started else SpeechEnded
            self._emit(kind(at=change.at))

    def _warn(self, until: float) -> None:
        while self._notices and (at := self._notices[0].at or 0.0) <= until:
            notice = self._notices.popleft()
            self._warnings.append(
                self._emit(Warned(code=notice.code, message=notice.message, at=at))
            )

    def _emit_all(self, events: Iterable[Event]) -> None:
        for event in events:
            stamped = self._emit(event)
            if isinstance(stamped, Final):
                self._finals.append(stamped)

    def _emit(self, event: E) -> E:
        stamped = dataclasses.replace(
            event,
            stream_id=self._stream_id,
            seq=self._seq,
            audio_time=self.now,
            wall_time=time.time(),
        )
        self._seq += 1
        self._events.append(stamped)
        return stamped

    def _take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _statistics(self) -> Statistics:
        hops = np.array(self._hop_seconds or [0.0]) * 1000
        p50, p95, p99 = np.percentile(hops, (50, 95, 99)).tolist()
        return Statistics(
            audio_seconds=self.now,
            encoded_seconds=self._encoded / SAMPLE_RATE,
            compute_seconds=self._compute,
            rtf=self._compute / self.now if self.now else 0.0,
            hops=self._hops,
            hop_ms_p50=p50,
            hop_ms_p95=p95,
            hop_ms_p99=p99,
        )
