"""The exported network, fed hop by hop, gives what the training network gives for the whole."""

from pathlib import Path

import numpy as np
import pytest
import torch

from acoustic import Encoder, ModelError
from acoustic.augment import FeatureExtractor
from acoustic.export import export
from acoustic.model import ConformerCTC, MaskedBatchNorm, ModelConfig

SYMBOLS = ("<blank>", *"ابتثجحخ")


def random_model(config: ModelConfig) -> ConformerCTC:
    """Random weights, with running statistics that folding has to get right."""
    torch.manual_seed(3)
    model = ConformerCTC(config).eval()
    for module in model.modules():
        if isinstance(module, MaskedBatchNorm):
            torch.nn.init.uniform_(module.mean, -0.5, 0.5)
            torch.nn.init.uniform_(module.var, 0.5, 2.0)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
    return model


@pytest.mark.parametrize("left", [8, 40])
def test_streaming_equals_offline(tmp_path: Path, left: int) -> None:
    config = ModelConfig(symbols=len(SYMBOLS), width=32, layers=3, heads=2, left=left)
    model = random_model(config)
    rng = np.random.default_rng(1)
    wave = (0.1 * rng.standard_normal(7680 * 9 + 960 * 3)).astype(np.float32)
    features = FeatureExtractor().plain(torch.from_numpy(wave))[None]
    with torch.no_grad():
        logits, _, frames = model(features, torch.tensor([features.shape[1]]))
    offline = logits.log_softmax(-1)[0, : int(frames[0])].numpy()

    export(model, SYMBOLS, tmp_path / "model.onnx", quantise=False)
    encoder = Encoder.load(tmp_path / "model.onnx")
    assert encoder.symbols == SYMBOLS
    assert (encoder.hop, encoder.samples_per_frame) == (7680, 960)
    np.testing.assert_allclose(encoder.encode(wave), offline, atol=1e-4)


def test_streams_do_not_share_state(tmp_path: Path) -> None:
    config = ModelConfig(symbols=len(SYMBOLS), width=32, layers=2, heads=2)
    export(random_model(config), SYMBOLS, tmp_path / "model.onnx", quantise=True)
    encoder = Encoder.load(tmp_path / "model.onnx")
    rng = np.random.default_rng(2)
    hops = rng.standard_normal((4, encoder.hop)).astype(np.float32)
    alone, mixed, other = encoder.start(), encoder.start(), encoder.start()
    expected = [encoder.step(alone, hop) for hop in hops]
    for hop, want in zip(hops, expected, strict=True):
        encoder.step(other, -hop)
        np.testing.assert_array_equal(encoder.step(mixed, hop), want)


def test_unusable_models_say_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no acoustic model"):
        Encoder.load(tmp_path / "missing.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelError, match="not a readable ONNX model"):
        Encoder.load(tmp_path / "broken.onnx")


def test_wrong_hop_is_refused(tmp_path: Path) -> None:
    config = ModelConfig(symbols=len(SYMBOLS), width=32, layers=1, heads=2)
    export(random_model(config), SYMBOLS, tmp_path / "model.onnx", quantise=False)
    encoder = Encoder.load(tmp_path / "model.onnx")
    with pytest.raises(ValueError, match="takes 7680 samples"):
        encoder.step(encoder.start(), np.zeros(100, np.float32))
