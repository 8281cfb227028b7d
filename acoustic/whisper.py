"""Whisper's encoder (Radford et al. 2022) with a CTC head over phonemes: a teacher, not shipped.

It heard 680,000 hours of everybody, which the streaming network cannot. Fine-tuned for minutes on
recitation it hears the phonemes of voices, rooms and accents that no recitation at hand has
(`acoustic.teacher`). It sees the whole recording, up to 30 s, and is ten times as large.

Weights come from an ONNX file of the encoder alone as Hugging Face's Optimum exports it, in floats
or quantised: ``encoder_model.onnx``. Names of modules are those of ``transformers``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import Tensor, nn

from acoustic.augment import FeatureExtractor
from acoustic.mel import BANDS, FFT, slaney_filters
from acoustic.model import SUBSAMPLING
from acoustic.recover import dequantised, numbered

LONGEST = 29.0
"""Seconds of audio that it can hear at once; there are positions for 30."""

_WINDOW = 400  # points of the spectra that Whisper knows; ours are finer
STACKED = SUBSAMPLING // 2
"""Of its frames of 20 ms make one of ours."""
_HEAD_WIDTH = 64
_MATRICES = (
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.out_proj",
    "fc1",
    "fc2",
)
"""The matrices of a layer in the order of their use: their names are lost in the export."""

Float = npt.NDArray[np.float32]


def mel_filters(warp: float = 1.0, fft: int = FFT) -> Float:
    """`acoustic.mel.slaney_filters` at the level of Whisper's, whose spectra have fewer points."""
    return slaney_filters(warp, fft) * np.float32(_WINDOW / fft)


class WhisperFeatures(FeatureExtractor):
    """Log-mel features as Whisper wants them, plain or augmented."""

    mel_filters = staticmethod(mel_filters)

    @staticmethod
    def _normalised_log(power: Tensor) -> Tensor:
        logs = power.clamp(min=1e-10).log10()
        loudest = logs.amax((1, 2), keepdim=True)
        return (torch.maximum(logs, loudest - 8.0) + 4.0) / 4.0


@dataclass(frozen=True, slots=True)
class WhisperConfig:
    """Geometry of the network."""

    symbols: int
    width: int
    layers: int
    positions: int = 1500

    @property
    def heads(self) -> int:
        """All sizes of Whisper have heads of 64."""
        return self.width // _HEAD_WIDTH


class _Attention(nn.Module):
    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.q_proj = nn.Linear(config.width, config.width)
        self.k_proj = nn.Linear(config.width, config.width, bias=False)
        self.v_proj = nn.Linear(config.width, config.width)
        self.out_proj = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        q, k, v = (
            projection(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        if q.is_cuda:
            attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        else:  # where the gradient of the fused operator takes several times as long
            scores = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5 + bias
            attended = scores.softmax(-1).to(v.dtype) @ v
        out: Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))
        return out


class _Layer(nn.Module):
    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.self_attn_layer_norm = nn.LayerNorm(config.width)
        self.self_attn = _Attention(config)
        self.final_layer_norm = nn.LayerNorm(config.width)
        self.fc1 = nn.Linear(config.width, 4 * config.width)
        self.fc2 = nn.Linear(4 * config.width, config.width)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        x = x + self.self_attn(self.self_attn_layer_norm(x), bias)
        out: Tensor = x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))
        return out


class WhisperEncoder(nn.Module):
    """Features [B, T, BANDS] to [B, T / 2, width]."""

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(BANDS, config.width, 3, padding=1)
        self.conv2 = nn.Conv1d(config.width, config.width, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(config.positions, config.width)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.layers))
        self.layer_norm = nn.LayerNorm(config.width)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """``lengths`` [B] counts feature frames; what is after them is not seen."""
        x = F.gelu(self.conv1(features.transpose(1, 2)))
        x = F.gelu(self.conv2(x)).transpose(1, 2)
        x = x + self.embed_positions.weight[: x.shape[1]].to(x.dtype)
        frames = torch.arange(x.shape[1], device=x.device)
        heard = frames[None] < ((lengths + 1) // 2)[:, None]
        bias = torch.where(heard, 0.0, -1e4)[:, None, None].to(x.dtype)
        for layer in self.layers:
            x = layer(x, bias)
        out: Tensor = self.layer_norm(x)
        return out


class WhisperCTC(nn.Module):
    """Features [B, T, BANDS] to CTC logits [B, T // SUBSAMPLING, symbols], 60 ms apart.

    The lower half of the encoder stays as it is: what it knows of sounds in general is what it is
    wanted for, and learning costs half as much.
    """

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = WhisperEncoder(config)
        self.head = nn.Sequential(
            nn.Linear(STACKED * config.width, config.width),
            nn.GELU(),
            nn.Linear(config.width, config.symbols),
        )
        lower = self.encoder.layers[: config.layers // 2]
        for part in (self.encoder.conv1, self.encoder.conv2, self.encoder.embed_positions, lower):
            part.requires_grad_(False)

    @staticmethod
    def pretrained(path: Path, symbols: int) -> WhisperCTC:
        """The encoder of the ONNX file ``path`` under a head that knows nothing yet.

        ValueError: it is no such encoder.
        """
        weights = read_encoder(path)
        positions, width = weights["embed_positions.weight"].shape
        layers = sum(name.endswith(".fc1.weight") for name in weights)
        network = WhisperCTC(WhisperConfig(symbols, width, layers, positions))
        network.encoder.load_state_dict(weights)
        return network

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, and the lengths in frames."""
        x = F.pad(features, (0, 0, 0, -features.shape[1] % SUBSAMPLING))
        encoded = self.encoder(x, lengths)
        return self.head(encoded.unflatten(1, (-1, STACKED)).flatten(2)), lengths // SUBSAMPLING


def read_encoder(path: Path) -> dict[str, Tensor]:
    """Weights by the names that `WhisperEncoder` has for them. ValueError: others than expected."""
    found = {i.name: numpy_helper.to_array(i) for i in onnx.load(path).graph.initializer}
    plain = dequantised(found)
    matrices = [m for m in numbered(plain, "MatMul") if m.ndim == 2]
    named = {n: v for n, v in plain.items() if "." in n and v.dtype == np.float32 and v.ndim}
    for i, matrix in enumerate(matrices):
        layer, part = divmod(i, len(_MATRICES))
        named[f"layers.{layer}.{_MATRICES[part]}.weight"] = matrix.T
    if "embed_positions.weight" not in named or len(matrices) % len(_MATRICES):
        raise ValueError(f"{path} is not an encoder of Whisper as Optimum exports it")
    return {name: torch.from_numpy(np.array(value)) for name, value in named.items()}
