from __future__ import annotations

import asyncio
import itertools
import os
import time
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from stream import (
    AudioBlock,
    AudioNotFoundError,
    EmptyAudioError,
    FileSource,
    Notice,
    UnreadableAudioError,
)
from stream.files import decode_file

FORMATS = {
    "wav": ("wav", "pcm_s16le", "s16", 44_100),
    "mp3": ("mp3", "libmp3lame", "fltp", 44_100),
    "m4a": ("mp4", "aac", "fltp", 44_100),
    "opus": ("ogg", "libopus", "s16", 48_000),
    "flac": ("flac", "flac", "s16", 44_100),
    "webm": ("webm", "libopus", "s16", 48_000),
}


def write(path: Path, seconds: float = 4, layout: str = "stereo", rate: int | None = None) -> Path:
    """A recording of a tone in the format that the name says."""
    container_format, codec, samples, usual_rate = FORMATS[path.suffix[1:]]
    rate = rate or usual_rate
    with av.open(str(path), "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        tone = np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate) / 4
        channels = stream.layout.nb_channels
        frame = av.AudioFrame.from_ndarray(
            np.tile(tone.astype(np.float32), (channels, 1)), format="fltp", layout=layout
        )
        frame.sample_rate = rate
        mixer = av.AudioResampler(samples, layout, rate, stream.codec_context.frame_size or 4096)
        for piece in itertools.chain(mixer.resample(frame), mixer.resample(None)):
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


def read(path: Path) -> tuple[np.ndarray, int, list[str]]:
    items = list(decode_file(path))
    blocks = [item for item in items if isinstance(item, AudioBlock)]
    (rate,) = {block.sample_rate for block in blocks}
    codes = [item.code for item in items if isinstance(item, Notice)]
    return np.concatenate([block.samples for block in blocks]), rate, codes


def cut(path: Path, fraction: float = 0.5) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * fraction)])
    return path


@pytest.mark.parametrize("suffix", FORMATS)
def test_common_formats_are_read_whole(tmp_path, suffix):
    audio, rate, codes = read(write(tmp_path / f"a.{suffix}"))
    assert rate == FORMATS[suffix][3]
    assert len(audio) / rate == pytest.approx(4, abs=0.1)
    assert np.abs(audio).max() == pytest.approx(0.25, rel=0.1)
    assert codes == []


@pytest.mark.parametrize(("layout", "rate"), [("mono", 8_000), ("stereo", 96_000), ("5.1", 48_000)])
def test_any_rate_and_layout_is_mixed_to_mono(tmp_path, layout, rate):
    audio, found, codes = read(write(tmp_path / "a.wav", layout=layout, rate=rate))
    assert found == rate
    assert len(audio) == 4 * rate
    assert np.abs(audio).max() == pytest.approx(0.25, rel=0.01)
    assert codes == []


@pytest.mark.parametrize("suffix", ["wav", "mp3", "flac", "webm"])
def test_a_cut_file_is_read_to_the_cut_and_noticed(tmp_path, suffix):
    audio, rate, codes = read(cut(write(tmp_path / f"a.{suffix}")))
    assert len(audio) / rate == pytest.approx(2, abs=0.5)
    assert "cut_short" in codes


def test_a_cut_opus_file_is_read_to_the_cut(tmp_path):
    audio, rate, _ = read(cut(write(tmp_path / "a.opus")))
    assert len(audio) / rate == pytest.approx(2, abs=0.3)


def test_damage_inside_is_skipped_and_noticed(tmp_path):
    path = write(tmp_path / "a.mp3")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = os.urandom(2000)
    path.write_bytes(data)
    audio, rate, codes = read(path)
    assert len(audio) / rate > 3.5
    assert codes in ([], ["damaged"])  # random bytes may happen to decode


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", EmptyAudioError),
        (b"this is not audio\n" * 50, UnreadableAudioError),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), UnreadableAudioError),
    ],
)
def test_what_is_no_audio_is_refused(tmp_path, content, error):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(error) as raised:
        list(decode_file(path))
    assert str(path) in str(raised.value)


def test_a_cut_m4a_says_why_nothing_can_be_read(tmp_path):
    with pytest.raises(UnreadableAudioError, match="cut short"):
        list(decode_file(cut(write(tmp_path / "a.m4a"))))


def test_a_file_without_samples_is_empty(tmp_path):
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
    with pytest.raises(EmptyAudioError, match="no samples"):
        list(decode_file(path))


def test_a_film_without_sound_has_no_audio_track(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for _ in range(3):
            picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    with pytest.raises(UnreadableAudioError, match="no audio track"):
        list(decode_file(path))


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(AudioNotFoundError, match="no file"):
        list(decode_file(tmp_path / "none.wav"))
    with pytest.raises(AudioNotFoundError, match="not a file"):
        list(decode_file(tmp_path))


async def test_a_source_yields_what_the_decoder_reads(tmp_path):
    path = write(tmp_path / "a.mp3")
    blocks = [item.samples async for item in FileSource(path) if isinstance(item, AudioBlock)]
    np.testing.assert_array_equal(np.concatenate(blocks), read(path)[0])


async def test_real_time_is_the_time_it_takes(tmp_path):
    path = write(tmp_path / "a.wav", seconds=1)
    began, heard = time.monotonic(), 0.0
    async for block in FileSource(path, "realtime"):
        heard += block.seconds
        assert time.monotonic() - began >= heard - 0.01
    assert heard == pytest.approx(1)
    assert time.monotonic() - began == pytest.approx(1, abs=0.2)


async def test_a_source_left_early_is_closed(tmp_path):
    path = write(tmp_path / "a.wav", seconds=30)
    items = aiter(FileSource(path, "realtime"))
    await anext(items)
    waiting = asyncio.create_task(anext(items))
    await asyncio.sleep(0.02)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await items.aclose()
    assert str(path) not in open_files()


def open_files() -> set[str]:
    return {os.readlink(f) for f in Path("/proc/self/fd").iterdir() if f.exists()}
