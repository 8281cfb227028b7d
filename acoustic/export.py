"""Export a trained network to ONNX: one chunk in, its log-probs and the next caches out.

``python -m acoustic.export --weights RUN/final.pt --delay SECONDS --out conformer.onnx``

The caches have fixed shapes; the length of a chunk, which is the look-ahead, is left to the loader,
who fixes it too: one file serves every look-ahead. A chunk that is all there is of an utterance can
be normalised by its own statistics. What the runtime must know (symbols, look-aheads, frame shift,
and the emission delay, which `acoustic.delay` measures) is in its metadata.
Weights of matrix products are 8-bit unless ``--float``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import cast

import onnx
import torch
import torch.nn.functional as F
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import Tensor, nn

from acoustic.mel import BANDS, SAMPLE_RATE
from acoustic.model import (
    CHUNKS,
    EPSILON,
    FRAME_SHIFT,
    PRIOR_FRAMES,
    STRIDES,
    SUBSAMPLING,
    Block,
    CausalConv,
    ConformerCTC,
    Convolution,
    MaskedBatchNorm,
    ModelConfig,
    Turns,
)
from acoustic.model_file import CHECKSUM, PROPERTY, Metadata, sha256
from acoustic.recover import CONFIG, recover
from quran_index import QuranIndex

INPUTS = ("features", "own", "visible", "front0", "front1", "keys", "values", "convolved")
OUTPUTS = ("log_probs", "next_front0", "next_front1", "next_keys", "next_values", "next_convolved")
# Dimensions that the loader sets: features and frames of a chunk, and the frames that it sees.
CHUNK_DIMENSIONS = {
    "features": {1: "chunk_features"},
    "visible": {0: "chunk_visible"},
    "log_probs": {1: "chunk_frames"},
}
OPSET = 17


class _Norm(nn.Module):
    """`MaskedBatchNorm` in evaluation: ``own`` (1 or 0) says whether by the chunk's statistics."""

    def __init__(self, norm: MaskedBatchNorm) -> None:
        super().__init__()
        self.weight, self.bias = norm.weight, norm.bias
        self.register_buffer("mean", norm.mean)
        self.register_buffer("var", norm.var)
        self.mean: Tensor
        self.var: Tensor

    def forward(self, x: Tensor, own: Tensor) -> Tensor:
        frames = x.shape[1]
        share = own * frames / (frames + PRIOR_FRAMES)
        seen = x.mean(1, keepdim=True)
        spread = (x - seen).square().mean(1, keepdim=True)
        apart = seen - self.mean
        mean = self.mean + share * apart
        var = self.var + share * (spread - self.var) + share * (1 - share) * apart.square()
        return (x - mean) * (self.weight * torch.rsqrt(var + EPSILON)) + self.bias


class _Front(nn.Module):
    """A `CausalConv` whose past frames are given."""

    def __init__(self, layer: CausalConv) -> None:
        super().__init__()
        self.linear, self.norm = layer.linear, _Norm(layer.norm)
        self.kernel, self.stride, self.context = layer.kernel, layer.stride, layer.context

    def forward(self, x: Tensor, cache: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        padded = torch.cat([cache, x], dim=1)
        count = x.shape[1] // self.stride
        taps = [
            padded[:, k : k + self.stride * (count - 1) + 1 : self.stride]
            for k in range(self.kernel)
        ]
        y = self.linear(torch.cat(taps, dim=2))
        return F.silu(self.norm(y, own)), padded[:, -self.context :]


class _Convolution(nn.Module):
    """A `Convolution` whose past inputs are given."""

    def __init__(self, module: Convolution) -> None:
        super().__init__()
        self.norm, self.gate, self.out = module.norm, module.gate, module.out
        self.taps = module.depthwise
        self.batch_norm = _Norm(module.batch_norm)
        self.kernel = len(module.depthwise)

    def forward(self, x: Tensor, past: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        chunk = x.shape[1]
        padded = torch.cat([past, F.glu(self.gate(self.norm(x)), dim=-1)], dim=1)
        y = padded[:, :chunk] * self.taps[0]
        for i in range(1, self.kernel):
            y = y + padded[:, i : i + chunk] * self.taps[i]
        return self.out(F.silu(self.batch_norm(y, own))), padded[:, chunk:]


class _Block(nn.Module):
    """A conformer block whose past keys, values and convolution inputs are given."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.before, self.after, self.norm = block.before, block.after, block.norm
        self.attention = block.attention
        self.convolution = _Convolution(block.convolution)

    def forward(
        self,
        x: Tensor,
        own: Tensor,
        visible: Tensor,
        turns: Turns,
        keys: Tensor,
        values: Tensor,
        past: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        chunk = x.shape[1]
        x = x + 0.5 * self.before(x)
        q, k, v = self.attention.project(x)
        keys, values = torch.cat([keys, k], dim=1), torch.cat([values, v], dim=1)
        x = x + self.attention(q, keys, values, visible[None, None, None], turns)
        y, past = self.convolution(x, past, own)
        x = x + y
        x = self.norm(x + 0.5 * self.after(x))
        return x, keys[:, chunk:], values[:, chunk:], past


class StreamingConformer(nn.Module):
    """The network as the runtime calls it; batch size 1.

    Inputs: features [1, chunk * 6, BANDS]; own [] (1: normalised by the chunk's statistics, which
    must be all there is of the utterance; 0: by the training data's); visible [left + chunk] (bool:
    which cached and new frames hold audio); front0 [1, 3, BANDS]; front1 [1, 2, width]; keys and
    values [layers, 1, left, width]; convolved [layers, 1, kernel - 1, width]. Outputs: log-probs
    [1, chunk, symbols], then each cache.
    """

    def __init__(self, model: ConformerCTC) -> None:
        super().__init__()
        self.front = nn.ModuleList(_Front(cast(CausalConv, layer)) for layer in model.front)
        self.blocks = nn.ModuleList(_Block(cast(Block, block)) for block in model.blocks)
        self.head = model.head
        self.head_width = model.config.head

    def forward(
        self,
        features: Tensor,
        own: Tensor,
        visible: Tensor,
        front0: Tensor,
        front1: Tensor,
        keys: Tensor,
        values: Tensor,
        convolved: Tensor,
    ) -> tuple[Tensor, ...]:
        x, next0 = self.front[0](features, front0, own)
        x, next1 = self.front[1](x, front1, own)
        turns = Turns.of(visible.shape[0], self.head_width, x.device)
        next_keys, next_values, next_convolved = [], [], []
        for i, block in enumerate(self.blocks):
            x, k, v, c = block(x, own, visible, turns, keys[i], values[i], convolved[i])
            next_keys.append(k)
            next_values.append(v)
            next_convolved.append(c)
        log_probs = self.head(x).log_softmax(-1)
        caches = (torch.stack(next_keys), torch.stack(next_values), torch.stack(next_convolved))
        return log_probs, next0, next1, *caches


def example_inputs(config: ModelConfig) -> tuple[Tensor, ...]:
    """Zeros of every input's shape."""
    width, left, layers = config.width, config.left, config.layers
    return (
        torch.zeros(1, config.chunk * SUBSAMPLING, BANDS),
        torch.zeros(()),
        torch.ones(left + config.chunk, dtype=torch.bool),
        torch.zeros(1, 3, BANDS),
        torch.zeros(1, 2, width),
        torch.zeros(layers, 1, left, width),
        torch.zeros(layers, 1, left, width),
        torch.zeros(layers, 1, config.kernel - 1, width),
    )


def metadata(config: ModelConfig, symbols: tuple[str, ...], emission_delay: float) -> Metadata:
    """What the loader reads instead of assuming."""
    return Metadata(
        symbols=symbols,
        sample_rate=SAMPLE_RATE,
        frame_shift=FRAME_SHIFT,
        frame_features=SUBSAMPLING,
        chunk=config.chunk,
        chunks=CHUNKS,
        left=config.left,
        emission_delay=emission_delay,
    )


def export(
    model: ConformerCTC,
    symbols: tuple[str, ...],
    path: Path,
    *,
    quantise: bool,
    emission_delay: float = 0.0,
) -> None:
    """Write ``model`` to ``path``; ``emission_delay`` is as in `Metadata`."""
    assert STRIDES == (2, 3)
    streaming = StreamingConformer(model.float().eval())
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.onnx"
        with warnings.catch_warnings():
            # The tracing exporter is deprecated, but the new one writes graphs whose matrix
            # products the quantiser does not find.
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.onnx.export(
                streaming,
                example_inputs(model.config),
                str(plain),
                input_names=list(INPUTS),
                output_names=list(OUTPUTS),
                dynamic_axes=CHUNK_DIMENSIONS,
                opset_version=OPSET,
                dynamo=False,
            )
        graph = plain
        if quantise:
            graph = Path(folder) / "int8.onnx"
            quantize_dynamic(
                plain,
                graph,
                weight_type=QuantType.QInt8,
                per_channel=True,
                op_types_to_quantize=["MatMul"],
            )
        proto = onnx.load(str(graph))
    about = metadata(model.config, symbols, emission_delay)
    said = json.dumps(asdict(about), ensure_ascii=False)
    shape = json.dumps(asdict(model.config))
    onnx.helper.set_model_props(proto, {PROPERTY: said, CONFIG: shape})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(proto.SerializeToString())
    path.with_suffix(CHECKSUM).write_text(f"{sha256(path)}  {path.name}\n")


def load_average(path: Path) -> ConformerCTC:
    """The averaged network of a training's ``final.pt`` or checkpoint, or that of an exported file.

    ValueError: it is none of these.
    """
    if path.suffix == ".onnx":
        return recover(path)
    state = torch.load(path, map_location="cpu", weights_only=True)
    model = ConformerCTC(ModelConfig(**state["config"]))
    model.load_state_dict(state["average"])
    return model.eval()


def save_average(network: ConformerCTC, path: Path) -> None:
    """Write what `load_average` reads: the weights in half precision, and the configuration."""
    weights = {name: value.half() for name, value in network.state_dict().items()}
    torch.save({"average": weights, "config": asdict(network.config)}, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="acoustic.export")
    parser.add_argument("--weights", type=Path, required=True, help="a training's final.pt")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--delay", type=float, required=True, help="seconds, as acoustic.delay measures them"
    )
    parser.add_argument("--float", action="store_true", help="32-bit weights")
    args = parser.parse_args()
    symbols = QuranIndex.load().symbols
    export(
        load_average(args.weights),
        symbols,
        args.out,
        quantise=not args.float,
        emission_delay=args.delay,
    )
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
