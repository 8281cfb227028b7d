from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream import AudioBlock, Ended, Event, Final, Provisional, SpeechEnded, SpeechStarted, Warned
from stream.clock import FrameClock
from stream.pipeline import FINAL_SILENCE, TICK, Pipeline
from tests.stream.conftest import BeepFollower

RATE, HOP = 16_000, 7680


def replay(engine, audio, sizes=(1600,), rate=RATE, flush_at=()) -> list[Event]:
    """All events of a recording pushed in blocks of the given sizes, in turn."""
    pipeline = Pipeline(engine, "test")
    events: list[Event] = []
    at = turn = 0
    while at < len(audio):
        block = audio[at : at + sizes[turn % len(sizes)]]
        events += pipeline.advance([AudioBlock(block, rate)])
        if turn in flush_at:
            events += pipeline.flush()
        at, turn = at + len(block), turn + 1
    return events + pipeline.finish()


def timeless(events: list[Event]) -> list[Event]:
    """The events without what the computer's speed decides."""
    return [
        replace(
            event,
            wall_time=0.0,
            **(
                {
                    "statistics": None,
                    "finals": tuple(timeless(event.finals)),
                    "warnings": tuple(timeless(event.warnings)),
                }
                if isinstance(event, Ended)
                else {}
            ),
        )
        for event in events
    ]


def verses(events: list[Event]) -> list[tuple[int, int]]:
    return [(event.surah, event.ayah) for event in events if isinstance(event, Final)]


class LateEncoder:
    """Another encoder that tells of everything seven frames later."""

    late = 7

    def __init__(self, encoder) -> None:
        self.hop, self.frame_shift = encoder.hop, encoder.frame_shift
        self.emission_delay = self.late * encoder.frame_shift
        self._encoder = encoder
        self._blank = encoder.flush(encoder.start(), np.zeros(1, np.float32))

    def start(self):
        return [self._encoder.start(), np.repeat(self._blank, self.late, axis=0)]

    def step(self, state, samples):
        return self._later(state, self._encoder.step(state[0], samples))

    def flush(self, state, tail):
        return self._later(state, self._encoder.flush(state[0], tail))

    def whole(self, samples):
        return self._later(self.start(), self._encoder.whole(samples))

    def _later(self, state, rows):
        ready = np.concatenate([state[1], rows])
        state[1] = ready[len(rows) :]
        return ready[: len(rows)]


def test_what_the_encoder_tells_late_is_told_in_its_place(engine, beeps):
    audio = beeps(6)
    sound = np.flatnonzero(np.abs(audio) > 0.02)
    audio = audio[: sound[-1] + 1]  # it ends with the last word's last sample
    late = replace(engine, encoder=LateEncoder(engine.encoder))
    finals = [event for event in replay(late, audio) if isinstance(event, Final)]
    assert [(f.surah, f.ayah) for f in finals] == [(112, 1), (112, 2)]
    expected = [event for event in replay(engine, audio) if isinstance(event, Final)]
    assert [f.start for f in finals] == pytest.approx([f.start for f in expected], abs=0.061)


def test_a_recitation_becomes_events_in_order(engine, beeps):
    events = replay(engine, beeps(6))
    assert verses(events) == [(112, 1), (112, 2)]
    assert [event.seq for event in events] == list(range(len(events)))
    assert {event.stream_id for event in events} == {"test"}
    times = [event.audio_time for event in events]
    assert times == sorted(times)
    assert isinstance(events[-1], Ended)
    assert events[-1].reason == "end"
    assert list(events[-1].finals) == [event for event in events if isinstance(event, Final)]
    words = [(e.ayah, e.current_word) for e in events if isinstance(e, Provisional)]
    assert words[0] == (1, 1)
    assert words[-1] == (2, 2)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    sizes=st.lists(st.integers(1, 30_000), min_size=1, max_size=5).filter(lambda s: sum(s) > 200),
    rate=st.sampled_from([16_000, 44_100]),
)
def test_events_do_not_depend_on_how_audio_is_pushed(engine, beeps, sizes, rate):
    audio = beeps(4, before=3.0, after=4.0, rate=rate)
    audio[rate] = np.inf
    expected = timeless(replay(engine, audio, (1000,), rate))
    assert any(isinstance(event, Warned) for event in expected)
    assert timeless(replay(engine, audio, sizes, rate)) == expected


def test_the_encoder_hears_speech_unbroken_from_before_it_begins(engine, encoder, beeps):
    quiet = np.random.default_rng(2).standard_normal(15 * RATE).astype(np.float32) * 1e-4
    audio = np.concatenate((quiet, beeps(3, before=0, after=15)))
    replay(engine, audio)
    (state,) = [state for state in encoder.states if state.heard]
    heard = np.concatenate(state.heard)
    offset = int(np.flatnonzero(audio == heard[0])[0])
    np.testing.assert_array_equal(heard, audio[offset : offset + len(heard)])
    assert offset <= 14.5 * RATE
    assert offset + len(heard) >= (15 + 1.5 + 1.5) * RATE
    assert len(heard) < 8 * RATE


def test_silence_is_not_encoded_and_times_stay_right(engine, encoder, beeps):
    audio = np.concatenate((beeps(4, before=15, after=5), beeps(2, before=0, after=15)))
    events = replay(engine, audio)
    speech = [e.at for e in events if isinstance(e, SpeechStarted)]
    assert speech == pytest.approx([15.0, 22.4], abs=0.07)
    quiet = [e.at for e in events if isinstance(e, SpeechEnded)]
    assert quiet == pytest.approx([17.1, 23.3], abs=0.07)
    first, second = (event for event in events if isinstance(event, Final))
    assert (first.start, second.end) == pytest.approx((15.0, 23.3), abs=0.07)
    assert events[-1].statistics.encoded_seconds < 14
    assert len([state for state in encoder.states if state.heard]) == 2


def test_a_long_silence_makes_final_and_a_short_one_does_not(engine, beeps):
    events = replay(engine, np.concatenate((beeps(2, after=FINAL_SILENCE - 1), beeps(2))))
    assert verses(events) == [(112, 1)]
    events = replay(engine, np.concatenate((beeps(4, after=FINAL_SILENCE + 1), beeps(4))))
    assert verses(events) == [(112, 1), (112, 1)]
    first = next(event for event in events if isinstance(event, Final))
    assert first.audio_time == pytest.approx(2.6 + FINAL_SILENCE, abs=0.5)


def test_flush_decides_at_once_and_what_follows_begins_anew(engine, beeps):
    audio = beeps(4)
    events = replay(engine, np.concatenate((audio, audio)), (len(audio),), flush_at=(0,))
    assert verses(events) == [(112, 1), (112, 1)]
    first, second = (event for event in events if isinstance(event, Final))
    assert first.audio_time == pytest.approx(len(audio) / RATE)
    assert second.start == pytest.approx(len(audio) / RATE + 0.5, abs=0.07)


def test_flushing_twice_or_nothing_is_nothing(engine, beeps):
    pipeline = Pipeline(engine, "test")
    assert pipeline.flush() == []
    pipeline.advance([AudioBlock(beeps(4), RATE)])
    assert verses(pipeline.flush()) == [(112, 1)]
    assert pipeline.flush() == []
    (ended,) = pipeline.finish()
    assert len(ended.finals) == 1


@pytest.mark.parametrize("seconds", [0, 0.001, 0.02, 0.3, 0.48])
def test_the_shortest_audio_ends_properly(engine, seconds):
    audio = np.full(round(seconds * RATE), 0.3, np.float32)
    events = replay(engine, audio)
    assert isinstance(events[-1], Ended)
    assert events[-1].statistics.audio_seconds == pytest.approx(seconds)


def test_a_last_word_shorter_than_a_hop_is_heard(engine, beeps):
    audio = beeps(4, after=0)[: -round(0.3 * RATE)]
    assert verses(replay(engine, audio)) == [(112, 1)]


def test_hops_may_be_longer_than_the_encoder_s(engine, slow_hops, beeps):
    audio = beeps(6)
    events = replay(slow_hops, audio)
    assert verses(events) == verses(replay(engine, audio))
    decided = {round(e.audio_time / 0.96, 6) for e in events if isinstance(e, Provisional)}
    assert all(at == int(at) for at in decided)


def test_silence_is_looked_at_also_within_hops(engine, beeps, monkeypatch):
    """Once all that was said is known, and not while more may be."""
    looks: list[tuple[float, float]] = []
    decide = BeepFollower.update

    def look(self, partial, audio_time, speech):
        looks.append((audio_time, speech.silence))
        return decide(self, partial, audio_time, speech)

    monkeypatch.setattr(BeepFollower, "update", look)
    late = replace(engine, encoder=LateEncoder(engine.encoder))
    replay(late, beeps(4, after=4))
    hop, tick = HOP / RATE, TICK / RATE
    within = [look for look in looks if look[0] / hop % 1 > 0.01]
    assert {round(at / tick % 1, 6) % 1 for at, _ in within} == {0.0}
    assert all(silence >= at % hop + 0.42 - 1e-6 for at, silence in within)
    after = [at for at, silence in looks if silence > hop + 0.42 and at > 3]
    assert np.diff(after) == pytest.approx(tick)


def test_an_error_ends_the_stream_after_its_finals(engine, beeps):
    pipeline = Pipeline(engine, "test")
    pipeline.advance([AudioBlock(beeps(4), RATE)])
    final, ended = pipeline.finish(OSError("the cable broke"))
    assert isinstance(final, Final)
    assert (ended.reason, ended.error, ended.finals) == ("error", "the cable broke", (final,))


def test_statistics_count_what_was_done(engine, beeps):
    audio = beeps(4)
    statistics = replay(engine, audio)[-1].statistics
    assert statistics.audio_seconds == pytest.approx(len(audio) / RATE)
    assert statistics.hops == len(audio) // HOP
    assert 0 < statistics.hop_ms_p50 <= statistics.hop_ms_p95 <= statistics.hop_ms_p99
    assert statistics.rtf == pytest.approx(statistics.compute_seconds / statistics.audio_seconds)


def test_the_clock_knows_where_frames_were_left_out():
    clock = FrameClock(0.06)
    clock.add(8, 1.0)
    clock.add(8, 1.48)
    clock.add(8, 10.0)
    assert clock.frames == 24
    assert [clock.start(f) for f in (0, 8, 15, 16)] == pytest.approx([1.0, 1.48, 1.9, 10.0])
    assert [clock.end(f) for f in (1, 16, 17)] == pytest.approx([1.06, 1.96, 10.06])
    clock.reset()
    clock.add(1, 20.0)
    assert clock.start(0) == 20.0


def test_the_clock_takes_off_the_delay_of_the_encoder():
    clock = FrameClock(0.06, delay=0.15)
    clock.add(8, 1.0)
    clock.add(8, 1.48)  # unbroken, delayed or not
    clock.add(8, 10.0)
    assert [clock.start(f) for f in (8, 15)] == pytest.approx([1.33, 1.75])
    assert clock.end(16) == pytest.approx(1.81)
    # A sound that was not heard cannot have been told of.
    assert [clock.start(f) for f in (0, 2, 3, 16, 18, 19)] == pytest.approx(
        [1.0, 1.0, 1.03, 10.0, 10.0, 10.03]
    )
