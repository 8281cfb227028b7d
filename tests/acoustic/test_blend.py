"""Weights on the line between two trainings."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from acoustic.blend import blend
from acoustic.export import load_average, save_average
from acoustic.model import ConformerCTC, ModelConfig


def final(path: Path, seed: int, **shape: int) -> ConformerCTC:
    """A network such as training leaves it."""
    config = ModelConfig(symbols=5, **{"width": 16, "layers": 1, "heads": 2} | shape)
    torch.manual_seed(seed)
    network = ConformerCTC(config)
    save_average(network, path)
    return network


def test_a_blend_lies_between_two_networks(tmp_path: Path) -> None:
    old, new, out = (tmp_path / name for name in ("old.pt", "new.pt", "mix.pt"))
    first, second = final(old, 1), final(new, 2)
    blend(old, new, 0.75, out)
    mixed = load_average(out).state_dict()
    for name, value in first.state_dict().items():
        expected = 0.25 * value + 0.75 * second.state_dict()[name]
        torch.testing.assert_close(mixed[name], expected, atol=2e-3, rtol=2e-3)


def test_networks_of_different_shapes_cannot_be_blended(tmp_path: Path) -> None:
    final(tmp_path / "a.pt", 1)
    final(tmp_path / "b.pt", 1, layers=2)
    with pytest.raises(ValueError, match="different shapes"):
        blend(tmp_path / "a.pt", tmp_path / "b.pt", 0.5, tmp_path / "c.pt")
    assert not (tmp_path / "c.pt").exists()
