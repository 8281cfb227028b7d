"""FastConformer-CTC with chunk-limited attention and causal convolutions.

Rekesh et al. 2023 (FastConformer) and Noroozi et al. 2024 (cache-aware streaming), with what small
training budgets taught us: a 1-D convolutional front end, batch normalisation in it and in the
convolution modules, rotary positions (Su et al. 2021), and an auxiliary CTC loss half-way (Lee &
Watanabe 2021).

Where all of an utterance is known, it can be normalised by its own statistics instead of those of
the training data: another voice or room is then less of another one (Schneider et al. 2020, who
adapt batch normalisation to what is shifted, as one prior and some frames together).

An utterance's frames are cut into chunks; a frame sees its whole chunk and a bounded number of
frames before it, so the look-ahead is at most one chunk in the whole network, and no frame is ever
revised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from acoustic.features import SHIFT
from acoustic.mel import BANDS, SAMPLE_RATE

CHUNKS = (1, 4, 8, 16)  # frames, the look-aheads that training prepares for

STRIDES = (2, 3)
FRONT_KERNEL = 5
SUBSAMPLING = STRIDES[0] * STRIDES[1]
FRAME_SHIFT = SUBSAMPLING * SHIFT / SAMPLE_RATE
PRIOR_FRAMES = 20.0
GROUP = 8  # utterances
EPSILON = 1e-5


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Geometry of the network; ``left`` and ``chunk`` (the default) in encoder frames of 60 ms."""

    symbols: int
    width: int = 256
    layers: int = 10
    heads: int = 4
    expansion: int = 4
    kernel: int = 9
    chunk: int = 8
    left: int = 64

    @property
    def head(self) -> int:
        """Width of one head of the attention."""
        return self.width // self.heads


class MaskedBatchNorm(nn.Module):
    """Batch normalisation over the frames that hold audio: [B, T, C], mask [B, T].

    In training by the statistics of groups of at least `GROUP` utterances, which the running ones
    follow, and in evaluation by these; or each utterance by its ``own``, where the running ones
    count like `PRIOR_FRAMES`.

    Groups (ghost batch normalisation, Hoffer et al. 2017) let a GPU's batch teach what small ones
    do: that voices and rooms shift the statistics.
    """

    def __init__(self, width: int, momentum: float = 0.05) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("var", torch.ones(width))
        self.momentum = momentum
        self.mean: Tensor
        self.var: Tensor

    def forward(self, x: Tensor, mask: Tensor, own: bool = False) -> Tensor:
        mean, var = self.mean, self.var
        if own or self.training:
            with torch.autocast(x.device.type, enabled=False):
                frames, weights = x.float(), mask.float()[:, None]
                count, total = weights.sum(2, keepdim=True), weights @ frames  # [B, 1, 1 or C]
                squares = weights @ frames.square()
                if own:
                    count = count + PRIOR_FRAMES
                    total = total + PRIOR_FRAMES * mean
                    squares = squares + PRIOR_FRAMES * (var + mean.square())
                else:
                    sums = torch.cat([count, total, squares], dim=2)
                    width = total.shape[2]
                    count, total, squares = torch.split(_grouped(sums), [1, width, width], dim=2)
                mean = total / count
                var = (squares / count - mean.square()).clamp(min=0.0)
            if not own:
                with torch.no_grad():
                    self.mean.lerp_(mean.mean((0, 1)).to(self.mean.dtype), self.momentum)
                    self.var.lerp_(var.mean((0, 1)).to(self.var.dtype), self.momentum)
        scale = self.weight * torch.rsqrt(var + EPSILON)
        shift = self.bias - mean * scale
        return x * scale.to(x.dtype) + shift.to(x.dtype)


def _grouped(sums: Tensor) -> Tensor:
    """For each utterance, of whose frames there are ``sums`` [B, 1, C], those of its group."""
    groups = max(1, len(sums) // GROUP)
    group = torch.arange(len(sums), device=sums.device) * groups // len(sums)
    return sums.new_zeros(groups, *sums.shape[1:]).index_add(0, group, sums)[group]


class CausalConv(nn.Module):
    """A causal convolution: [B, T, in] to [B, T / stride, out]; looks back only."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs * kernel, outputs)
        self.kernel, self.stride = kernel, stride
        self.norm = MaskedBatchNorm(outputs)

    @property
    def context(self) -> int:
        return self.kernel - self.stride

    def forward(self, x: Tensor, mask: Tensor, own: bool) -> Tensor:
        padded = F.pad(x, (0, 0, self.context, 0))
        # A convolution as one matrix product over unfolded frames: [B, T / stride, kernel * in].
        windows = padded.unfold(1, self.kernel, self.stride).transpose(2, 3).flatten(2)
        return F.silu(self.norm(self.linear(windows), mask, own))


class Turns(NamedTuple):
    """Cosines and sines [T, D / 2] of the rotary embedding of T positions, one after another."""

    cos: Tensor
    sin: Tensor

    @classmethod
    def of(cls, positions: int, dimensions: int, device: torch.device) -> Turns:
        """Those of so many positions of heads with D ``dimensions``."""
        half = dimensions // 2
        at = torch.arange(positions, device=device).to(torch.float32)
        rates = 10_000.0 ** (-torch.arange(half, device=device, dtype=torch.float32) / half)
        angles = at[:, None] * rates
        return cls(angles.cos(), angles.sin())

    def last(self, positions: int) -> Turns:
        """The last ``positions``."""
        first = self.cos.shape[0] - positions
        return Turns(self.cos[first:], self.sin[first:])

    def turn(self, x: Tensor) -> Tensor:
        """[..., T, D] with its positions embedded."""
        half = x.shape[-1] // 2
        a, b = x[..., :half], x[..., half:]
        cos, sin = self.cos.to(x.dtype), self.sin.to(x.dtype)
        return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


class Attention(nn.Module):
    """Multi-head self-attention over a chunk and the frames before it."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.norm = nn.LayerNorm(config.width)
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each [B, T, width]."""
        q, k, v = self.qkv(self.norm(x)).chunk(3, dim=-1)
        return q, k, v

    def split(self, x: Tensor) -> Tensor:
        """[B, T, width] to [B, heads, T, D]."""
        return x.reshape(*x.shape[:-1], self.heads, -1).transpose(1, 2)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, allowed: Tensor, turns: Turns) -> Tensor:
        """[B, heads, Tq, D] to [B, heads, Tk, D]; the queries are the last of the keys' positions,
        whose ``turns`` are given.

        ``allowed`` broadcasts to [B, heads, Tq, Tk].
        """
        q = turns.last(q.shape[2]).turn(q)
        k = turns.turn(k)
        if q.is_cuda:
            return F.scaled_dot_product_attention(q, k, v.to(q.dtype), attn_mask=allowed)
        # Written out: on CPU the gradient of the fused operator takes several times as long.
        scores = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5
        weights = scores.masked_fill(~allowed, -1e4).softmax(-1)
        out: Tensor = weights.to(v.dtype) @ v
        return out

    def forward(self, q: Tensor, k: Tensor, v: Tensor, allowed: Tensor, turns: Turns) -> Tensor:
        """Projections [B, T, width] in, attended values [B, Tq, width] out."""
        y = self.attend(self.split(q), self.split(k), self.split(v), allowed, turns)
        out: Tensor = self.out(y.transpose(1, 2).flatten(2))
        return out


class Convolution(nn.Module):
    """The conformer's convolution module, causal; its pointwise convolutions are Linear."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.width)
        self.gate = nn.Linear(config.width, 2 * config.width)
        self.depthwise = nn.Parameter(torch.randn(config.kernel, config.width) / config.kernel)
        self.batch_norm = MaskedBatchNorm(config.width)
        self.out = nn.Linear(config.width, config.width)

    def gated(self, x: Tensor) -> Tensor:
        return F.glu(self.gate(self.norm(x)), dim=-1)

    def convolve(self, padded: Tensor, mask: Tensor, own: bool) -> Tensor:
        """``padded`` is the gated input [B, kernel - 1 + T, width]."""
        kernel = len(self.depthwise)
        y = F.conv1d(
            padded.transpose(1, 2),
            self.depthwise.t().unsqueeze(1).to(padded.dtype),
            groups=padded.shape[2],
        ).transpose(1, 2)
        assert y.shape[1] == padded.shape[1] - kernel + 1
        out: Tensor = self.out(F.silu(self.batch_norm(y, mask, own)))
        return out


class FeedForward(nn.Sequential):
    """Half-step feed-forward module."""

    def __init__(self, config: ModelConfig) -> None:
        inner = config.width * config.expansion
        super().__init__(
            nn.LayerNorm(config.width),
            nn.Linear(config.width, inner),
            nn.SiLU(),
            nn.Linear(inner, config.width),
        )


class Block(nn.Module):
    """One conformer block (Gulati et al. 2020)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.before = FeedForward(config)
        self.attention = Attention(config)
        self.convolution = Convolution(config)
        self.after = FeedForward(config)
        self.norm = nn.LayerNorm(config.width)
        self.kernel = config.kernel

    def forward(self, x: Tensor, mask: Tensor, allowed: Tensor, turns: Turns, own: bool) -> Tensor:
        x = x + 0.5 * self.before(x)
        x = x + self.attention(*self.attention.project(x), allowed, turns)
        padded = F.pad(self.convolution.gated(x), (0, 0, self.kernel - 1, 0))
        x = x + self.convolution.convolve(padded, mask, own)
        x = x + 0.5 * self.after(x)
        out: Tensor = self.norm(x)
        return out


def chunk_mask(frames: int, chunk: int, left: int, device: torch.device | None = None) -> Tensor:
    """Which frames [T, T] may be attended to: one's chunk, and ``left`` frames before the chunk."""
    at = torch.arange(frames, device=device)
    first = at // chunk * chunk
    return (at[None] < first[:, None] + chunk) & (at[None] >= first[:, None] - left)


class ConformerCTC(nn.Module):
    """Features [B, T, BANDS] to CTC logits [B, T // SUBSAMPLING, symbols]."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.front = nn.ModuleList(
            [
                CausalConv(BANDS, config.width, FRONT_KERNEL, STRIDES[0]),
                CausalConv(config.width, config.width, FRONT_KERNEL, STRIDES[1]),
            ]
        )
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.head = nn.Linear(config.width, config.symbols)
        self.middle_head = nn.Linear(config.width, config.symbols)

    def forward(
        self, features: Tensor, lengths: Tensor, chunk: int | None = None, whole: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of the head and of the half-way head, and the lengths in frames.

        ``lengths`` [B] counts feature frames; ``chunk`` overrides the look-ahead.
        ``whole``: utterances heard at once, every frame seeing all others, and normalised by their
        own statistics.
        """
        x = F.pad(features, (0, 0, 0, -features.shape[1] % SUBSAMPLING))
        for layer, stride in zip(self.front, STRIDES, strict=True):
            lengths = lengths // stride
            frames = torch.arange(x.shape[1] // stride, device=x.device)
            mask = frames[None] < lengths[:, None]
            x = layer(x, mask, whole)
        # A padded frame may see what it likes, so that no row of the softmax is empty.
        chunk = x.shape[1] if whole else chunk or self.config.chunk
        allowed = chunk_mask(x.shape[1], chunk, self.config.left, x.device)[None]
        allowed = (allowed & (mask[:, None, :] | ~mask[:, :, None]))[:, None]
        turns = Turns.of(x.shape[1], self.config.head, x.device)
        middle = x
        for i, layer in enumerate(self.blocks):
            x = layer(x, mask, allowed, turns, whole)
            if i + 1 == len(self.blocks) // 2:
                middle = x
        return self.head(x), self.middle_head(middle), lengths
