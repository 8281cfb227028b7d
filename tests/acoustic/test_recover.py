"""An exported network comes back as it was."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from acoustic import Encoder
from acoustic.evaluate import hear
from acoustic.export import export, load_average
from acoustic.model import ConformerCTC, ModelConfig
from quran_index import QuranIndex


@pytest.mark.parametrize("quantise", [False, True])
def test_an_exported_network_comes_back(quantise: bool, index: QuranIndex, tmp_path: Path) -> None:
    torch.manual_seed(1)
    config = ModelConfig(symbols=len(index.symbols), width=48, layers=2, heads=2)
    network = ConformerCTC(config).eval()
    with torch.no_grad():
        for values in network.state_dict().values():  # so that no two are equal
            values.add_(0.05 * torch.rand_like(values))
    path = tmp_path / "m.onnx"
    export(network, index.symbols, path, quantise=quantise)
    back = load_average(path)
    assert back.config == config
    wave = np.random.default_rng(0).normal(0, 0.1, 4 * 16_000).astype(np.float32)
    heard, there = hear(back, wave), hear(network, wave)
    assert np.abs(heard - there).max() < (0.2 if quantise else 1e-4)
    assert np.abs(heard - Encoder.load(path).encode(wave)[: len(heard)]).max() < 0.3


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    graph = onnx.helper.make_graph([], "g", [], [])
    onnx.save(onnx.helper.make_model(graph), path)
    with pytest.raises(ValueError, match=r"no network that acoustic\.export wrote"):
        load_average(path)
