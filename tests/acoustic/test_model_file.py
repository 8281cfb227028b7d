"""What a model's file says of itself, and what is said of files that are none."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from acoustic import Encoder, HopError, ModelError, load_model
from acoustic.encoder import WEIGHTS
from acoustic.model_file import CHECKSUM, ModelFile
from acoustic.onnx_properties import read_properties
from quran_index import QuranIndex


def save(path: Path, **properties: str) -> Path:
    """A model that passes its input on."""
    signal = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    same = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    node = helper.make_node("Identity", ["x"], ["y"])
    graph = helper.make_graph([node], "g", [signal], [same])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, properties)
    onnx.save(model, str(path))
    return path


def test_properties_are_those_that_onnx_runtime_tells(tmp_path: Path) -> None:
    properties = {"tasmi": "ءب" * 200, "empty": "", "a": "b"}
    path = save(tmp_path / "model.onnx", **properties)
    session = onnxruntime.InferenceSession(str(path))
    assert session.get_modelmeta().custom_metadata_map == properties
    assert read_properties(path) == properties
    assert read_properties(save(tmp_path / "bare.onnx")) == {}


def test_any_part_of_a_file_is_read_or_refused(tmp_path: Path) -> None:
    whole = save(tmp_path / "model.onnx", tasmi="{}").read_bytes()
    noise = np.random.default_rng(5)
    part = tmp_path / "part.onnx"
    found = 0
    for end in range(len(whole)):
        part.write_bytes(whole[:end] + noise.bytes(end % 3))
        try:
            found += read_properties(part) == {"tasmi": "{}"}
        except ValueError:
            continue
    assert found < 3  # noise may happen to be right


def test_a_checksum_beside_a_model_is_held_to(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    shutil.copy(WEIGHTS, model)
    shutil.copy(WEIGHTS.with_suffix(CHECKSUM), tmp_path)
    (tmp_path / f"conformer{CHECKSUM}").rename(model.with_suffix(CHECKSUM))
    assert ModelFile.open(model).metadata is not None
    with open(model, "r+b") as file:
        file.seek(1 << 20)
        file.write(b"damage")
    with pytest.raises(ModelError, match=r"model\.onnx is damaged: it is not what model\.sha256"):
        ModelFile.open(model)
    model.with_suffix(CHECKSUM).write_text("")
    with pytest.raises(ModelError, match="is damaged"):
        ModelFile.open(model)


@pytest.mark.parametrize("said", ["{}", "[]", "no JSON", '{"symbols": 1, "chunks": []}'])
def test_metadata_of_another_version_are_told(tmp_path: Path, said: str) -> None:
    with pytest.raises(ModelError, match="not of this version of Tasmi"):
        ModelFile.open(save(tmp_path / "model.onnx", tasmi=said))


def test_a_model_of_others_is_no_encoder_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="carries no Tasmi metadata"):
        Encoder.load(save(tmp_path / "model.onnx"))


def test_a_model_takes_the_longest_of_its_hops_that_fits(index: QuranIndex) -> None:
    for wanted, hop in ((None, 7680), (960, 960), (7680, 7680), (11520, 3840), (30720, 15360)):
        encoder, graph = load_model(None, index, wanted)
        assert (encoder.hop, graph) == (hop, index.graph)
    for wanted in (0, -960, 1000):
        with pytest.raises(HopError, match=f"a hop of {wanted} samples"):
            load_model(None, index, wanted)
    with pytest.raises(HopError, match="one of"):
        Encoder.load(None, 11520)  # exactly, where an encoder is asked itself
