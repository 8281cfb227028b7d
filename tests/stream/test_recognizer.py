from __future__ import annotations

import asyncio
import threading
import time
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from stream import (
    AudioBlock,
    AudioNotFoundError,
    AudioOverflowError,
    EmptyAudioError,
    Ended,
    Event,
    FileSource,
    Final,
    Notice,
    Provisional,
    RecognitionError,
    StreamClosedError,
    UnreadableAudioError,
    UnsupportedAudioError,
    Warned,
)

RATE = 16_000


def save(path: Path, audio: np.ndarray, rate: int = RATE) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((audio * 32767).astype("<i2").tobytes())
    return path


def verses(events) -> list[tuple[int, int]]:
    return [(event.surah, event.ayah) for event in events if isinstance(event, Final)]


def comparable(events) -> list[dict]:
    result = []
    for event in events:
        data = event.to_dict()
        for each in (data, *data.get("finals", ()), *data.get("warnings", ())):
            each.pop("wall_time")
            each.pop("stream_id")
        data.pop("statistics", None)
        result.append(data)
    return result


async def collect(stream: AsyncIterator[Event]) -> tuple[list[Event], Exception | None]:
    """The events, and the error that came after them."""
    events: list[Event] = []
    try:
        async for event in stream:
            events.append(event)
    except Exception as error:
        return events, error
    return events, None


class Failing:
    """A source that breaks after its audio."""

    def __init__(self, *blocks: AudioBlock) -> None:
        self._blocks = blocks
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[AudioBlock | Notice]:
        try:
            for block in self._blocks:
                yield block
            raise UnreadableAudioError("the cable broke", "mend it")
        finally:
            self.closed = True


class Endless:
    """Silence for ever, or beeps if given."""

    def __init__(self, audio: np.ndarray | None = None) -> None:
        self._block = AudioBlock(np.zeros(1600, np.float32) if audio is None else audio, RATE)
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[AudioBlock | Notice]:
        try:
            while True:
                yield self._block
        finally:
            self.closed = True


async def test_pushed_audio_becomes_events(recognizer, beeps):
    async with recognizer.stream(sample_rate=48_000, channels=2) as stream:
        audio = beeps(6, rate=48_000)
        stereo = np.stack((audio, audio), axis=1)
        for at in range(0, len(stereo), 1000):
            stream.push((stereo[at : at + 1000] * 32767).astype("<i2").tobytes())
        stream.end()
        events = [event async for event in stream]
    assert verses(events) == [(112, 1), (112, 2)]
    assert isinstance(events[-1], Ended)
    assert {event.stream_id for event in events} == {stream.stream_id}


async def test_events_come_while_the_audio_does(recognizer, beeps):
    async with recognizer.stream() as stream:
        stream.push(beeps(2))
        assert (await asyncio.wait_for(anext(stream), 5)).type == "speech_started"
        assert isinstance(await asyncio.wait_for(anext(stream), 5), Provisional)


async def test_flush_answers_without_an_end(recognizer, beeps):
    async with recognizer.stream() as stream:
        stream.push(beeps(4))
        stream.flush()
        async for event in stream:
            if isinstance(event, Final):
                break
        assert event.audio_time == pytest.approx(len(beeps(4)) / RATE)
        stream.push(beeps(4))
        stream.end()
        assert verses([event async for event in stream]) == [(112, 1)]


async def test_real_time_and_full_speed_give_the_same_events(recognizer, beeps, tmp_path):
    path = save(tmp_path / "a.wav", beeps(4, rate=44_100), 44_100)
    seen = []
    for speed in ("realtime", "max"):
        async with recognizer.stream() as stream:
            seen.append([event async for event in stream.run(FileSource(path, speed))])
    assert comparable(seen[0]) == comparable(seen[1])
    assert verses(seen[0]) == [(112, 1)]


async def test_a_file_in_one_call_gives_the_stream_s_last_event(recognizer, beeps, tmp_path):
    path = save(tmp_path / "a.wav", beeps(6))
    ended = recognizer.recognize(path)
    assert verses(ended.finals) == [(112, 1), (112, 2)]
    assert ended.reason == "end"
    async with recognizer.stream() as stream:
        events = [event async for event in stream.run(FileSource(path))]
    assert comparable([ended]) == comparable(events[-1:])


def test_a_file_that_is_none_raises_in_one_call(recognizer, tmp_path):
    with pytest.raises(AudioNotFoundError):
        recognizer.recognize(tmp_path / "none.wav")
    with pytest.raises(EmptyAudioError):
        recognizer.recognize(save(tmp_path / "empty.wav", np.zeros(0)))


async def test_streams_run_beside_each_other(recognizer, beeps):
    async def recite(count: int) -> list[tuple[int, int]]:
        async with recognizer.stream() as stream:
            stream.push(beeps(count))
            stream.end()
            return verses([event async for event in stream])

    found = await asyncio.gather(*(recite(4 + 2 * (i % 2)) for i in range(8)))
    assert found == [[(112, 1)], [(112, 1), (112, 2)]] * 4


async def test_the_event_loop_is_not_held_up(recognizer, encoder, beeps):
    encoder.delay = 1.0
    async with recognizer.stream() as stream:
        stream.push(beeps(1, after=0))
        stream.end()
        longest, last = 0.0, time.monotonic()

        async def tick() -> None:
            nonlocal longest, last
            while True:
                await asyncio.sleep(0.005)
                longest, last = max(longest, time.monotonic() - last), time.monotonic()

        ticking = asyncio.create_task(tick())
        [event async for event in stream]
        ticking.cancel()
    assert longest < 0.7


# Bad input


async def test_a_source_that_breaks_still_gives_what_was_recognised(recognizer, beeps):
    source = Failing(AudioBlock(beeps(4), RATE))
    async with recognizer.stream() as stream:
        events, error = await collect(stream.run(source))
    assert isinstance(error, UnreadableAudioError)
    assert verses(events) == [(112, 1)]
    assert isinstance(events[-1], Ended)
    assert (events[-1].reason, events[-1].error) == ("error", "the cable broke: mend it")
    assert source.closed


async def test_a_cut_file_is_recognised_to_the_cut_with_a_warning(recognizer, beeps, tmp_path):
    path = save(tmp_path / "a.wav", beeps(12))
    path.write_bytes(path.read_bytes()[: 2 * RATE * 4])
    async with recognizer.stream() as stream:
        events = [event async for event in stream.run(FileSource(path))]
    assert verses(events) == [(112, 1), (112, 2)]
    (warned,) = (event for event in events if isinstance(event, Warned))
    assert warned.code == "cut_short"
    assert warned.at == pytest.approx(4, abs=0.01)
    assert events[-1].warnings == (warned,)
    assert recognizer.recognize(path).warnings[0].code == "cut_short"


async def test_samples_that_are_no_numbers_cost_a_warning(recognizer, beeps):
    audio = beeps(4)
    audio[100:200] = np.nan
    async with recognizer.stream() as stream:
        stream.push(audio)
        stream.end()
        events = [event async for event in stream]
    assert verses(events) == [(112, 1)]
    assert [e.code for e in events if isinstance(e, Warned)] == ["not_finite"]


async def test_telephone_audio_costs_a_warning(recognizer, beeps):
    async with recognizer.stream(sample_rate=8_000) as stream:
        stream.push(beeps(4, rate=8_000))
        stream.end()
        events = [event async for event in stream]
    assert verses(events) == [(112, 1)]
    assert [e.code for e in events if isinstance(e, Warned)] == ["narrow_band"]


async def test_no_audio_at_all_ends_properly(recognizer):
    async with recognizer.stream() as stream:
        stream.push(b"")
        stream.end()
        (ended,) = [event async for event in stream]
    assert (ended.reason, ended.finals) == ("end", ())


async def test_what_makes_no_sense_is_refused(recognizer):
    with pytest.raises(UnsupportedAudioError):
        recognizer.stream(sample_rate=100)
    with pytest.raises(UnsupportedAudioError):
        recognizer.stream(channels=0)
    async with recognizer.stream() as stream:
        with pytest.raises(UnsupportedAudioError):
            stream.push(b"odd")
        stream.end()
        stream.end()
        with pytest.raises(StreamClosedError, match=r"recognizer\.stream\(\)"):
            stream.push(b"")
        with pytest.raises(StreamClosedError):
            stream.flush()
        with pytest.raises(StreamClosedError):
            await stream.feed(b"")


async def test_a_failing_engine_ends_the_stream_with_a_typed_error(recognizer, encoder, beeps):
    async with recognizer.stream() as stream:
        encoder.failing = True
        stream.push(beeps(4))
        events, error = await collect(stream)
        assert isinstance(error, RecognitionError)
        assert isinstance(error.__cause__, FloatingPointError)
        assert isinstance(events[-1], Ended)
        assert events[-1].reason == "error"
        with pytest.raises(StreamClosedError):
            stream.push(beeps(1))
        assert [event async for event in stream] == []


# Bounded queues


async def test_push_refuses_more_than_the_buffer_holds(recognizer, encoder, beeps):
    encoder.delay = 0.05
    async with recognizer.stream(buffer_seconds=2) as stream:
        second = np.full(RATE, 0.1, np.float32)
        stream.push(second)
        stream.push(second)
        with pytest.raises(AudioOverflowError, match="feed"):
            stream.push(second)
        stream.end()
        ended = [event async for event in stream][-1]
    assert ended.statistics.audio_seconds == pytest.approx(2)


async def test_feed_waits_until_there_is_room(recognizer, encoder, beeps):
    encoder.delay = 0.02
    audio = beeps(20)
    async with recognizer.stream(buffer_seconds=1) as stream:

        async def feed() -> None:
            for at in range(0, len(audio), 4000):
                await stream.feed(audio[at : at + 4000])
                assert stream._buffered <= 1.25 + 1e-6
            stream.end()

        feeding = asyncio.create_task(feed())
        events = [event async for event in stream]
        await feeding
    assert events[-1].statistics.audio_seconds == pytest.approx(len(audio) / RATE)


@pytest.mark.parametrize("policy", ["wait", "skip"])
async def test_a_slow_reader_bounds_the_events_that_wait(recognizer, beeps, policy):
    async with recognizer.stream(max_events=3, slow_consumer=policy) as stream:
        stream.push(beeps(12, gap=0.6))
        stream.end()
        await asyncio.sleep(0.5)
        assert len(stream._output) <= 3
        events = [event async for event in stream]
    assert verses(events) == [(112, 1), (112, 2), (112, 3), (112, 4)][:3]
    numbers = [event.seq for event in events]
    if policy == "wait":
        assert numbers == list(range(len(events)))
        assert events[-1].statistics.events_dropped == 0
    else:
        dropped = events[-1].statistics.events_dropped
        assert dropped > 0
        assert numbers == sorted(numbers)
        assert dropped == numbers[-1] + 1 - len(events)


# Leaving early (the fixture for leaked tasks watches all of these)


async def test_closing_frees_everything_and_may_be_repeated(recognizer, beeps):
    stream = recognizer.stream()
    stream.push(beeps(4))
    await stream.aclose()
    await stream.aclose()
    assert [event async for event in stream] == []
    with pytest.raises(StreamClosedError):
        stream.push(b"")
    assert stream._pipeline is None


async def test_closing_an_unused_stream_is_nothing(recognizer):
    async with recognizer.stream():
        pass


async def test_a_hop_in_flight_is_awaited_before_its_caches_go(recognizer, encoder, beeps):
    encoder.delay = 0.3
    stream = recognizer.stream()
    stream.push(beeps(4))
    await asyncio.to_thread(encoder.running.wait, 5)
    began = time.monotonic()
    await stream.aclose()
    assert not encoder.running.is_set()
    assert time.monotonic() - began < 1.5  # the recording has nine hops


@pytest.mark.parametrize("times", [1, 3])
async def test_cancelling_the_reader_closes_stream_and_source(recognizer, encoder, beeps, times):
    encoder.delay = 0.05
    source = Endless(beeps(1))
    begun = asyncio.Event()

    async def read() -> None:
        async with recognizer.stream() as stream:
            async for _ in stream.run(source):
                begun.set()

    reading = asyncio.create_task(read())
    await begun.wait()
    for _ in range(times):
        reading.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert source.closed
    assert not encoder.running.is_set()


async def test_breaking_out_of_a_run_closes_the_source(recognizer, beeps):
    source = Endless(beeps(1))
    async with recognizer.stream() as stream:
        async for _ in stream.run(source):
            break
    assert source.closed


async def test_readers_and_feeders_that_wait_are_released_by_closing(recognizer, encoder):
    encoder.delay = 0.2
    stream = recognizer.stream(buffer_seconds=0)
    reading = asyncio.create_task(anext(stream, None))

    async def feed() -> None:
        while True:
            await stream.feed(np.full(RATE, 0.1, np.float32))

    feeding = asyncio.create_task(feed())
    await asyncio.sleep(0.1)
    await stream.aclose()
    assert await asyncio.wait_for(reading, 1) is None
    with pytest.raises(StreamClosedError):
        await asyncio.wait_for(feeding, 1)


async def test_no_thread_is_left_when_the_recogniser_goes(engine, beeps):
    from stream import Recognizer

    before = set(threading.enumerate())
    recognizer = Recognizer(engine)
    async with recognizer.stream() as stream:
        stream.push(beeps(4))
        stream.end()
        assert [event async for event in stream]
    del recognizer, stream
    for _ in range(100):
        if set(threading.enumerate()) <= before:
            break
        await asyncio.sleep(0.02)
    assert set(threading.enumerate()) <= before


def test_a_stream_outside_an_event_loop_says_so(recognizer):
    with pytest.raises(RuntimeError, match="no running event loop"):
        recognizer.stream().push(b"")


async def test_an_empty_clip_of_a_file_source_raises_after_ended(recognizer, tmp_path):
    path = save(tmp_path / "a.wav", np.zeros(0))
    async with recognizer.stream() as stream:
        events, error = await collect(stream.run(FileSource(path)))
    assert isinstance(error, EmptyAudioError)
    assert [event.type for event in events] == ["ended"]
