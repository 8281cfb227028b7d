"""The exported network, fed hop by hop, gives what the training network gives for the whole."""

from pathlib import Path

import numpy as np
import pytest
import torch

from acoustic import Encoder, ModelError
from acoustic.augment import FeatureExtractor
from acoustic.evaluate import hear
from acoustic.export import export
from acoustic.model import GROUP, ConformerCTC, MaskedBatchNorm, ModelConfig
from acoustic.quiet import hiss

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


@pytest.mark.parametrize(("left", "chunk"), [(8, 8), (40, 8), (40, 1), (40, 16)])
def test_streaming_equals_offline(tmp_path: Path, left: int, chunk: int) -> None:
    config = ModelConfig(symbols=len(SYMBOLS), width=32, layers=3, heads=2, left=left)
    model = random_model(config)
    rng = np.random.default_rng(1)
    wave = (0.1 * rng.standard_normal(7680 * 9 + 960 * 3)).astype(np.float32)
    quiet = hiss(max(8, chunk) * 960)
    features = FeatureExtractor().plain(torch.from_numpy(np.concatenate((quiet, wave))))[None]
    with torch.no_grad():
        logits, _, frames = model(features, torch.tensor([features.shape[1]]), chunk)
    offline = logits.log_softmax(-1)[0, max(8, chunk) : int(frames[0])].numpy()

    export(model, SYMBOLS, tmp_path / "model.onnx", quantise=False)
    encoder = Encoder.load(tmp_path / "model.onnx", chunk * 960)
    assert encoder.symbols == SYMBOLS
    assert (encoder.hop, encoder.samples_per_frame) == (chunk * 960, 960)
    np.testing.assert_allclose(encoder.encode(wave), offline, atol=1e-4)
    np.testing.assert_allclose(hear(model, wave, chunk), offline, atol=1e-4)


def test_streams_do_not_hear_each_other(tmp_path: Path) -> None:
    config = ModelConfig(symbols=len(SYMBOLS), width=32, layers=3, heads=2, left=8)
    export(random_model(config), SYMBOLS, tmp_path / "model.onnx", quantise=False)
    encoder = Encoder.load(tmp_path / "model.onnx")
    one, other = np.random.default_rng(1).normal(0, 0.1, (2, 7680 * 4)).astype(np.float32)
    alone = encoder.encode(one)
    encoder.encode(other)
    np.testing.assert_array_equal(encoder.encode(one), alone)


def test_what_is_heard_at_once_equals_the_training_network(tmp_path: Path) -> None:
    config = ModelConfig(symbols=len(SYMBOLS), width=32, layers=3, heads=2, left=8)
    model = random_model(config)
    rng = np.random.default_rng(1)
    # Louder and louder, so that its statistics are not the training data's.
    wave = (rng.standard_normal(960 * 75) * np.geomspace(0.01, 0.5, 960 * 75)).astype(np.float32)
    longer = torch.from_numpy(np.concatenate((hiss(17 * 960), wave)))
    features = FeatureExtractor().plain(longer)[None]
    lengths = torch.tensor([features.shape[1]])
    with torch.no_grad():
        logits, _, _ = model(features, lengths, whole=True)
        all_seen, _, _ = model(features, lengths, chunk=92)
    at_once = logits.log_softmax(-1)[0, 17:].numpy()
    assert np.abs(at_once - all_seen.log_softmax(-1)[0, 17:].numpy()).max() > 0.1

    export(model, SYMBOLS, tmp_path / "model.onnx", quantise=False)
    encoder = Encoder.load(tmp_path / "model.onnx")
    np.testing.assert_allclose(encoder.whole(wave), at_once, atol=1e-4)
    np.testing.assert_allclose(hear(model, wave, whole=True), at_once, atol=1e-4)
    assert encoder.whole(wave[:1500]).shape == (2, len(SYMBOLS))
    assert encoder.whole(wave[:0]).shape == (0, len(SYMBOLS))


def test_groups_of_a_large_batch_are_normalised_like_small_batches() -> None:
    torch.manual_seed(0)
    x = torch.randn(2 * GROUP, 50, 4) * torch.rand(2 * GROUP, 1, 4)
    mask = torch.arange(50)[None] < torch.randint(5, 51, (2 * GROUP, 1))
    large, *small = (MaskedBatchNorm(4, momentum=1.0) for _ in range(3))
    y = large(x, mask)
    for norm, half in zip(small, (slice(GROUP), slice(GROUP, None)), strict=True):
        torch.testing.assert_close(norm(x[half], mask[half]), y[half])
    torch.testing.assert_close(large.mean, torch.stack([n.mean for n in small]).mean(0))
    torch.testing.assert_close(large.var, torch.stack([n.var for n in small]).mean(0))


def test_own_statistics_are_those_of_the_utterance_alone() -> None:
    torch.manual_seed(0)
    norm = MaskedBatchNorm(4).eval()
    torch.nn.init.uniform_(norm.mean, -0.5, 0.5)
    x = torch.randn(2, 400, 4) * torch.tensor([[[3.0]], [[0.2]]]) + torch.tensor(
        [[[5.0]], [[-2.0]]]
    )
    mask = torch.arange(400)[None] < torch.tensor([[400], [40]])
    y = norm(x, mask, own=True)
    torch.testing.assert_close(norm(x[1:, :40], mask[1:, :40], own=True), y[1:, :40])
    # The training data's statistics count like twenty frames that have them.
    spread = norm.var.sqrt()
    prior = torch.stack([norm.mean - spread, norm.mean + spread]).repeat(10, 1)
    for row, normalised, count in zip(x, y, (400, 40), strict=True):
        pooled = torch.cat([row[:count], prior])
        expected = (row[:count] - pooled.mean(0)) / pooled.std(0, correction=0)
        torch.testing.assert_close(normalised[:count], expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(norm(x, mask), (x - norm.mean) / (norm.var + 1e-5).sqrt())


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
