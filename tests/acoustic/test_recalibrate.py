"""The statistics of batch normalisation become those of recordings as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from acoustic.augment import FeatureExtractor
from acoustic.corpus import load
from acoustic.export import load_average, save_average
from acoustic.lessons import load as load_lessons
from acoustic.model import ConformerCTC, MaskedBatchNorm, ModelConfig
from acoustic.recalibrate import main, recalibrate
from quran_index import QuranIndex


@pytest.fixture
def network(index: QuranIndex) -> ConformerCTC:
    torch.manual_seed(0)
    return ConformerCTC(ModelConfig(symbols=len(index.symbols), width=16, layers=1, heads=2)).eval()


def norms(network: ConformerCTC) -> list[MaskedBatchNorm]:
    return [module for module in network.modules() if isinstance(module, MaskedBatchNorm)]


def strangeness(network: ConformerCTC, folder: Path) -> float:
    """How far from normal the first layer's channels are, of a corpus as it is."""
    channels: list[Tensor] = []
    kept = norms(network)[0].register_forward_hook(lambda _, given, out: channels.append(out[0]))
    extract = FeatureExtractor()
    for utterance in load(folder):
        features = extract.plain(torch.from_numpy(utterance.wave()))[None]
        network(features, torch.tensor([features.shape[1]]))
    kept.remove()
    said = torch.cat(channels).detach()
    return float((said.mean(0).square() + said.std(0).log().square()).mean())


def test_what_is_heard_is_normal_then(
    network: ConformerCTC, corpus_folder: Path, index: QuranIndex
) -> None:
    weights = {name: value.clone() for name, value in network.named_parameters()}
    for norm in norms(network):
        norm.mean += 3.0
        norm.var *= 9.0
    before = strangeness(network, corpus_folder)
    recalibrate(network, [(load_lessons(corpus_folder, index), 1.0)], minutes=5)
    assert strangeness(network, corpus_folder) < 0.05 * before
    for name, value in network.named_parameters():
        assert torch.equal(value, weights[name]), name
    assert not network.training
    assert {norm.momentum for norm in norms(network)} == {0.05}


def test_the_command_writes_weights_to_go_on_with(
    network: ConformerCTC, corpus_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, out = tmp_path / "given.pt", tmp_path / "out.pt"
    save_average(network, given)
    command = ["recalibrate", str(given), "--data", f"{corpus_folder}*0.5", "--out", str(out)]
    monkeypatch.setattr("sys.argv", [*command, "--minutes", "1"])
    main()
    first, last = load_average(given).state_dict(), load_average(out).state_dict()
    changed = {
        name.rpartition(".")[2] for name in first if not torch.equal(first[name], last[name])
    }
    assert changed == {"mean", "var"}
