"""Others' clients, unmodified, with recordings of reciters where there are any."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from bench import clips
from stream import AudioBlock
from stream.files import decode_file
from tests.serve.clients import FATIHA, SAMPLE, Recitation, pieces
from tests.serve.test_listen import sdk, transcribe, verses
from tests.serve.test_vosk import run_test, wav

DEV = Path(__file__).parents[3] / "shared" / "audio" / "dev" / "v1"
LONGEST, COUNT = 25.0, 5  # seconds of a recording, recordings


@pytest.fixture(scope="module")
def recordings() -> list[tuple[Recitation, list[tuple[int, int]]]]:
    """Short studio recordings with their verses; on computers without them the sample."""
    if not DEV.exists():
        return [(heard(SAMPLE), FATIHA)]
    studio = [clip for clip in clips.load(DEV) if clip.source == "everyayah"]
    found = [(heard(clip.path), list(clip.expected)) for clip in studio]
    return [(r, verses) for r, verses in found if len(r.samples) < LONGEST * r.rate][:COUNT]


def heard(path: Path) -> Recitation:
    blocks = [block for block in decode_file(path) if isinstance(block, AudioBlock)]
    return Recitation(np.concatenate([b.samples for b in blocks]), blocks[0].sample_rate)


async def test_deepgrams_sdk_names_the_verses(serving, recordings):
    assert recordings
    async with serving(token="s3cret", ahead=60) as running:
        for recording, expected in recordings:
            received = await asyncio.to_thread(
                transcribe,
                sdk(running),
                pieces(recording.s16le, 8192),
                encoding="linear16",
                sample_rate=recording.rate,
                channels=1,
            )
            finals = [m for m in received if getattr(m, "is_final", False)]
            assert verses(finals) == expected


async def test_vosks_client_names_the_verses(serving, recordings):
    assert recordings
    async with serving(ahead=60) as running:
        for recording, expected in recordings:
            answers = await run_test(
                running.url("/vosk"), wav(recording), '{ "config" : { "sample_rate" : %d } }'
            )
            told = [v for answer in answers for v in answer.get("verses", [])]
            assert [(v["surah"], v["ayah"]) for v in told] == expected
