"""vosk-server's protocol, spoken as its own clients speak it."""

from __future__ import annotations

import asyncio
import io
import json
import wave

import pytest
from websockets.asyncio.client import connect

from stream.serve.limits import CloseCode
from tests.serve.clients import FATIHA, everything


def wav(recitation) -> io.BytesIO:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(recitation.rate)
        writer.writeframes(recitation.s16le)
    file.seek(0)
    return file


async def run_test(uri: str, file: io.BytesIO, config: str) -> list[dict]:
    """The loop of https://github.com/alphacep/vosk-server/blob/master/websocket/test.py

    It reads a WAV file by fifths of a second, awaits one answer to each, sends this very `eof` and
    awaits one more. The answers are returned where the original prints them.
    """
    answers = []
    async with connect(uri) as websocket:
        wf = wave.open(file, "rb")  # noqa: SIM115
        await websocket.send(config % wf.getframerate())
        buffer_size = int(wf.getframerate() * 0.2)
        while True:
            data = wf.readframes(buffer_size)
            if len(data) == 0:
                break
            await websocket.send(data)
            answers.append(json.loads(await websocket.recv()))
        await websocket.send('{"eof" : 1}')
        answers.append(json.loads(await websocket.recv()))
        assert (await everything(websocket)).messages == []
        assert websocket.close_code == CloseCode.DONE
    return answers


@pytest.mark.parametrize(
    "config",
    [
        '{ "config" : { "sample_rate" : %d } }',  # test.py, test_microphone.py
        '{"config" : {"phrase_list" : ["zero one"], "sample_rate" : %d.0, "words" : 0}}',
    ],
)
async def test_its_client_gets_the_verses(serving, recitation, shipped, config):
    async with serving(ahead=60) as running:
        async with asyncio.timeout(120):
            answers = await run_test(running.url("/vosk"), wav(recitation), config)
    index = shipped.index
    results = [answer for answer in answers if "text" in answer]
    texts = [index.text(index.verse_of(*verse)) for verse in FATIHA]
    assert " ".join(result["text"] for result in results if result["text"]) == " ".join(texts)
    verses = [(v["surah"], v["ayah"]) for result in results for v in result["verses"]]
    assert verses == FATIHA
    words = [word for result in results for word in result.get("result", [])]
    assert [word["word"] for word in words] == " ".join(texts).split()
    times = [time for word in words for time in (word["start"], word["end"])]
    assert times == sorted(times)
    assert all(0 <= word["conf"] <= 1 for word in words)
    partials = [answer["partial"] for answer in answers if "partial" in answer]
    assert len(partials) + len(results) == len(answers)
    assert any(partials)


async def test_answers_keep_the_pace(serving, recitation):
    """Who waits for answers is never too fast: the answers come as the audio is allowed to."""
    async with serving(ahead=2.0) as running, connect(running.url("/vosk")) as client:
        began = asyncio.get_running_loop().time()
        for _ in range(40):
            await client.send(bytes(6400))  # 0.2 s at the rate it has by default
            await client.recv()
        assert asyncio.get_running_loop().time() - began > 5.5


async def test_nothing_said(serving):
    async with serving() as running, connect(running.url("/vosk")) as client:
        await client.send('{"eof" : 1}')
        assert json.loads(await client.recv()) == {"text": "", "verses": []}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("x", CloseCode.MALFORMED),
        ("{}", CloseCode.MALFORMED),
        ('{"config": {"sample_rate": "fast"}}', CloseCode.BAD_AUDIO),
        ('{"config": {"sample_rate": 16000.5}}', CloseCode.BAD_AUDIO),
        ('{"config": {"sample_rate": Infinity}}', CloseCode.BAD_AUDIO),
    ],
)
async def test_nonsense(serving, message, code):
    async with serving() as running, connect(running.url("/vosk")) as client:
        await client.send(message)
        await client.send(bytes(320))
        assert (await everything(client)).code == code
