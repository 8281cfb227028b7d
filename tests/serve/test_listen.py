"""The unmodified Deepgram SDK against a real server."""

from __future__ import annotations

import asyncio
import json
import threading
import warnings

import pytest
from websockets.asyncio.client import connect

from stream.serve.limits import CloseCode
from tests.serve.clients import FATIHA, everything, pieces

with warnings.catch_warnings():
    # It looks for an older websockets first, when its client is imported.
    warnings.simplefilter("ignore", DeprecationWarning)
    import deepgram.listen.v1.client
    from deepgram.core.events import EventType
    from deepgram.environment import DeepgramClientEnvironment
    from deepgram.listen.v1.types import ListenV1Metadata, ListenV1Results, ListenV1SpeechStarted


def sdk(running) -> deepgram.DeepgramClient:
    """The SDK as its users make it, with another address."""
    http, ws = running.url("", "http"), running.url("")
    environment = DeepgramClientEnvironment(base=http, production=ws, agent=ws, agent_rest=http)
    return deepgram.DeepgramClient(api_key="s3cret", environment=environment)


def transcribe(client: deepgram.DeepgramClient, audio, **options) -> list:
    """Sends audio, as the SDK's examples do; the messages that came."""
    received = []
    with client.listen.v1.connect(model="nova-3", **options) as connection:
        connection.on(EventType.MESSAGE, received.append)
        connection.on(EventType.ERROR, received.append)
        listening = threading.Thread(target=connection.start_listening)
        listening.start()
        connection.send_keep_alive()
        for piece in audio:
            connection.send_media(piece)
        connection.send_close_stream()
        listening.join(60)
        assert not listening.is_alive()
    return received


def verses(finals) -> list[tuple[int, int]]:
    return [(result.verse["surah"], result.verse["ayah"]) for result in finals]


@pytest.mark.parametrize("encoding", ["linear16", None])
async def test_verses_reach_the_sdk(serving, recitation, shipped, encoding):
    options = {"interim_results": "true", "vad_events": "true"}
    audio = recitation.webm
    if encoding is not None:
        options |= {"encoding": encoding, "sample_rate": recitation.rate, "channels": 1}
        audio = recitation.s16le
    async with serving(token="s3cret", ahead=60) as running:
        received = await asyncio.to_thread(transcribe, sdk(running), pieces(audio, 8192), **options)
    results = [message for message in received if isinstance(message, ListenV1Results)]
    finals = [result for result in results if result.is_final]
    assert verses(finals) == FATIHA
    assert any(isinstance(message, ListenV1SpeechStarted) for message in received)
    index = shipped.index
    for result, verse in zip(finals, FATIHA, strict=True):
        (alternative,) = result.channel.alternatives
        assert alternative.transcript == " ".join(index.words(index.verse_of(*verse)))
        assert [word.word for word in alternative.words] == alternative.transcript.split()
        assert 0 < alternative.confidence <= 1
        times = [time for word in alternative.words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert result.start == pytest.approx(times[0])
        assert result.start + result.duration == pytest.approx(times[-1])
    interim = [result for result in results if not result.is_final]
    assert any(result.channel.alternatives[0].transcript for result in interim)
    assert all(not result.speech_final for result in interim)
    metadata = received[-1]
    assert isinstance(metadata, ListenV1Metadata)
    assert metadata.duration == pytest.approx(len(recitation.samples) / recitation.rate, abs=0.1)
    assert metadata.request_id == finals[0].metadata.request_id


async def test_finalize_decides_on_everything_before_it(serving, recitation):
    def finalize(client: deepgram.DeepgramClient) -> ListenV1Results:
        options = {"encoding": "linear16", "sample_rate": recitation.rate}
        with client.listen.v1.connect(model="nova-3", **options) as connection:
            connection.send_media(recitation.first(5.0))
            connection.send_finalize()
            return connection.recv()

    async with serving(token="s3cret") as running:
        result = await asyncio.to_thread(finalize, sdk(running))
    assert result.from_finalize
    assert verses([result]) == FATIHA[:1]


async def test_interim_results_are_asked_for(serving, recitation):
    async with serving(token="s3cret", ahead=60) as running:
        audio = pieces(recitation.first(8.8), 8192)
        options = {"encoding": "linear16", "sample_rate": recitation.rate}
        received = await asyncio.to_thread(transcribe, sdk(running), audio, **options)
    assert [type(message) for message in received] == [ListenV1Results] * 2 + [ListenV1Metadata]


@pytest.mark.parametrize(
    "query",
    [
        "encoding=mulaw&sample_rate=8000",
        "encoding=linear16",
        "encoding=linear16&sample_rate=x",
        "encoding=linear16&sample_rate=" + "9" * 5000,
        "encoding=linear16&sample_rate=16000&channels=99",
        "encoding=",
    ],
)
async def test_formats_it_does_not_take(serving, query):
    async with serving() as running, connect(running.url(f"/v1/listen?{query}")) as client:
        assert (await everything(client)).code == CloseCode.BAD_AUDIO


async def test_unknown_messages(serving):
    url = "/v1/listen?encoding=linear16&sample_rate=16000"
    async with serving() as running, connect(running.url(url)) as client:
        await client.send(b"")
        await client.send(json.dumps({"type": "KeepAlive"}))
        await client.send(json.dumps({"type": "Configure"}))
        assert (await everything(client)).code == CloseCode.MALFORMED
