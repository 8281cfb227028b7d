"""Our own protocol, with real audio over a real socket."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from websockets.asyncio.client import connect

from stream.serve.schema import render
from tests.serve.clients import FATIHA, everything, pieces, recite, until

SCHEMA = Path(__file__).parents[2] / "docs" / "protocol.schema.json"


def test_schema_file_is_up_to_date():
    assert SCHEMA.read_text(encoding="utf-8") == render(), (
        "run: python -m stream.serve.schema > docs/protocol.schema.json"
    )


@pytest.mark.parametrize("form", ["s16le", "f32le_stereo", "ogg", "webm"])
async def test_verses_come_in_every_form_of_audio(serving, recitation, form):
    start = {"encoding": "container"}
    if form in ("s16le", "f32le_stereo"):
        start = {
            "encoding": form.split("_")[0],
            "sample_rate": recitation.rate,
            "channels": 2 if form.endswith("stereo") else 1,
        }
    # Pieces that end in the middle of samples, frames and pages.
    audio = pieces(getattr(recitation, form), 30_011)
    async with serving(ahead=60) as running:
        outcome = await recite(running.url(), start, audio)
    assert outcome.verses == FATIHA
    assert outcome.code == 1000
    assert outcome.messages[0]["type"] == "started"
    assert outcome.messages[-1]["type"] == "ended"
    validator = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    for message in outcome.messages:
        validator.validate(message)


async def test_words_follow_a_browser_recording_as_it_grows(serving, recitation):
    """What a container holds is heard when it comes, not when the file ends."""
    async with serving(ahead=60) as running, connect(running.url()) as socket:
        await socket.send('{"type": "start", "encoding": "container"}')
        recording = recitation.webm
        for piece in pieces(recording[: len(recording) // 2], 4000):
            await socket.send(piece)
        async with asyncio.timeout(60):
            while (message := json.loads(await socket.recv()))["type"] != "final":
                pass
        assert (message["surah"], message["ayah"]) == (1, 1)


@pytest.mark.parametrize("form", ["s16le", "webm"])
async def test_flush_decides_on_everything_before_it(serving, recitation, form):
    """8.8 s hold the first two verses; of the second nothing more is heard before the flush."""
    share = 8.8 * recitation.rate / len(recitation.samples)
    audio = getattr(recitation, form)
    start = {"encoding": "container"}
    if form == "s16le":
        start = {"encoding": form, "sample_rate": recitation.rate}
    async with serving(ahead=60) as running, connect(running.url()) as socket:
        await socket.send(json.dumps({"type": "start"} | start))
        await socket.send(audio[: round(share * len(audio)) // 2 * 2])
        await socket.send('{"type": "flush"}')
        verses = []
        async with asyncio.timeout(60):
            while len(verses) < 2:
                message = json.loads(await socket.recv())
                if message["type"] == "final":
                    verses.append((message["surah"], message["ayah"]))
        assert verses == FATIHA[:2]
        await socket.send('{"type": "end"}')
        assert (await everything(socket)).code == 1000


async def test_nothing_is_compressed(serving):
    async with serving() as running, connect(running.url(), compression="deflate") as socket:
        assert "Sec-WebSocket-Extensions" not in socket.response.headers


async def test_a_client_that_vanishes_leaves_nothing(serving, recitation):
    async with serving() as running:
        for form in ("s16le", "container"):
            start = {"type": "start", "encoding": form, "sample_rate": recitation.rate}
            socket = await connect(running.url())
            await socket.send(json.dumps(start))
            await socket.send(recitation.first(3) if form == "s16le" else recitation.webm[:20_000])
            await socket.recv()
            assert running.metric("tasmi_streams_open") == 1
            socket.transport.abort()
            await until(lambda: not running.metric("tasmi_streams_open"))
        assert running.metric("tasmi_connections_closed_total", code="1006") == 2
