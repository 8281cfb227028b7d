"""Rooms and codecs: what stands between a voice and a phone's recording, on the waveform.

Both matter, and neither can be had from the power spectrum alone: in a room the reflections of one
phoneme interfere with the next, and a codec leaves holes. A network that shrugs off noise, tempo
and other voices still makes twice to four times the errors behind a low-rate codec or in a hall.
"""

from __future__ import annotations

import io

import av
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from acoustic.mel import SAMPLE_RATE

_T60 = (0.12, 1.3)  # seconds in which reverberation falls by 60 dB
_DIRECT_DB = (-8.0, 15.0)  # of the direct sound over the reverberation
_ONSET = (0.001, 0.02)  # seconds after the direct sound
_CUTOFF = (400.0, 4000.0)  # hertz, above which walls absorb more

# Name, container, sampling rate, bits per second, and the setting that encodes fastest.
_CODECS: tuple[tuple[str, str, int, tuple[int, int], dict[str, str]], ...] = (
    ("libmp3lame", "mp3", 16_000, (16_000, 32_000), {"compression_level": "9"}),
    ("libmp3lame", "mp3", 8_000, (8_000, 24_000), {"compression_level": "9"}),
    ("libopus", "ogg", 16_000, (6_000, 20_000), {"compression_level": "0"}),
    ("aac", "adts", 16_000, (14_000, 32_000), {}),
    ("libopencore_amrnb", "amr", 8_000, (4_750, 12_200), {}),
)


def room_response(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """An impulse response at 16 kHz: the direct sound, then decaying noise (Polack's model).

    High frequencies decay faster, as they do in furnished rooms.
    """
    seconds = float(np.exp(rng.uniform(*np.log(_T60))))
    count = int(seconds * SAMPLE_RATE)
    spectrum = np.fft.rfft(rng.standard_normal(count))
    frequency = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
    share = 1 / (1 + (frequency / rng.uniform(*_CUTOFF)) ** 2)
    low, high = np.fft.irfft(spectrum * share, count), np.fft.irfft(spectrum * (1 - share), count)
    fall = np.arange(count) / count * np.log(1e-3)
    response = low * np.exp(fall) + high * np.exp(fall / rng.uniform(0.3, 1.0))
    response[: int(rng.uniform(*_ONSET) * SAMPLE_RATE)] = 0.0
    energy = np.sqrt(np.square(response).sum()) + 1e-9
    response *= 10 ** (-rng.uniform(*_DIRECT_DB) / 20) / energy
    response[0] = 1.0
    scaled: npt.NDArray[np.float32] = response.astype(np.float32)
    return scaled


def reverberate(waves: Tensor, responses: Tensor) -> Tensor:
    """Waveforms [..., N] in rooms [..., M], as loud as before; the direct sound is not delayed."""
    length = waves.shape[-1]
    size = 1 << (length + responses.shape[-1] - 1).bit_length()
    product = torch.fft.rfft(waves, size) * torch.fft.rfft(responses, size)
    heard = torch.fft.irfft(product, size)[..., :length]
    loudness = waves.norm(dim=-1, keepdim=True)
    louder: Tensor = heard * (loudness / (heard.norm(dim=-1, keepdim=True) + 1e-9))
    return louder


def encode(
    samples: npt.NDArray[np.int16],
    file: io.BytesIO | str,
    container: str,
    codec: str,
    rate: int,
    bit_rate: int,
    options: dict[str, str],
) -> None:
    """Write samples [N] (16 kHz) to ``file``, coded at ``rate`` samples and ``bit_rate`` bits a
    second."""
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, options=options)
        assert isinstance(stream, av.AudioStream)
        stream.codec_context.layout, stream.bit_rate = "mono", bit_rate
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        resampler = av.AudioResampler(stream.codec_context.format.name, "mono", rate)
        for part in (*resampler.resample(frame), *resampler.resample(None), None):
            output.mux(stream.encode(part))


def transcode(wave: Tensor, rng: np.random.Generator) -> Tensor:
    """The waveform [N] in [-1, 1] after a random low-rate speech or music codec."""
    name, container, rate, (least, most), options = _CODECS[int(rng.integers(len(_CODECS)))]
    samples = (wave.clamp(-1, 1) * 32767).short().cpu().numpy()
    buffer = io.BytesIO()
    encode(samples, buffer, container, name, rate, int(rng.uniform(least, most)), options)
    buffer.seek(0)
    back = av.AudioResampler("s16", "mono", SAMPLE_RATE)
    with av.open(buffer, "r") as coded:
        frames = [f for part in coded.decode(audio=0) for f in back.resample(part)]
    decoded = np.concatenate([f.to_ndarray()[0] for f in (*frames, *back.resample(None))])
    heard = np.zeros(len(samples), np.float32)
    heard[: len(decoded)] = decoded[: len(heard)] / 32768.0
    return torch.from_numpy(heard).to(wave.device)
