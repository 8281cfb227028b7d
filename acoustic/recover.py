"""The network in torch, out of the file that `acoustic.export` made of it: to measure and train on.

One file is shipped, not two. Weights come back as they run, those of matrix products from 8 bits;
of the head half-way, which is for training alone, there is a copy of the last one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper

from acoustic.model import ConformerCTC, ModelConfig

CONFIG = "tasmi.network"
"""Property of the file: the network's `ModelConfig`."""

Float = npt.NDArray[np.float32]

_IN_ORDER = (
    "before.1",
    "before.3",
    "attention.qkv",
    "attention.out",
    "convolution.gate",
    "convolution.out",
    "after.1",
    "after.3",
)
"""The matrices of a block in the order of their use: their names are lost in the export."""


def recover(path: Path) -> ConformerCTC:
    """ValueError: `acoustic.export` did not write ``path``."""
    proto = onnx.load(path)
    properties = {p.key: p.value for p in proto.metadata_props}
    if CONFIG not in properties:
        raise ValueError(f"{path} is no network that acoustic.export wrote")
    network = ConformerCTC(ModelConfig(**json.loads(properties[CONFIG])))
    found = {i.name: numpy_helper.to_array(i) for i in proto.graph.initializer}
    matrices, taps = iter(numbered(dequantised(found), "MatMul")), iter(numbered(found, "Mul"))
    weights = {n: torch.tensor(found[n]) for n in network.state_dict() if n in found}
    for name in _products(network.config):
        weights[f"{name}.weight"] = torch.tensor(next(matrices).T)
    for i in range(network.config.layers):
        rows = [next(taps) for _ in range(network.config.kernel)]
        weights[f"blocks.{i}.convolution.depthwise"] = torch.tensor(np.stack(rows))
    for part in ("weight", "bias"):
        weights[f"middle_head.{part}"] = weights[f"head.{part}"]
    network.load_state_dict(weights)
    return network.eval()


def _products(config: ModelConfig) -> list[str]:
    """The modules that are matrix products, in the order of their use."""
    blocks = [f"blocks.{i}.{part}" for i in range(config.layers) for part in _IN_ORDER]
    return ["front.0.linear", "front.1.linear", *blocks, "head"]


def dequantised(found: Mapping[str, Float]) -> dict[str, Float]:
    """Constants of an ONNX file, and beside them in floats those that it has in 8 bits."""
    plain = dict(found)
    for name, value in found.items():
        name, quantised, _ = name.partition("_quantized")
        if quantised:
            zero = found[f"{name}_zero_point"].astype(np.float32)
            plain[name] = (value.astype(np.float32) - zero) * found[f"{name}_scale"]
    return plain


def numbered(found: Mapping[str, Float], operator: str) -> list[Float]:
    """Constants of an operator, in the order of their numbers, which is that of their use."""
    named = ((re.fullmatch(rf"onnx::{operator}_(\d+)", name), name) for name in found)
    return [found[name] for _, name in sorted((int(m[1]), name) for m, name in named if m)]
