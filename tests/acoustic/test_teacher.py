"""A tiny Whisper, from its ONNX file to what it thinks of recordings."""

import json
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from onnxruntime.quantization import quantize_dynamic
from rapidfuzz.distance import Levenshtein
from torch import Tensor

from acoustic import corpus, lessons, quality, teacher
from acoustic.corpus import SAMPLE_RATE
from acoustic.mel import slaney_filters
from acoustic.whisper import WhisperConfig, WhisperCTC, WhisperEncoder, WhisperFeatures
from quran_index import QuranIndex
from tests.beeper import beeps
from tests.wav import write_wav

POSITIONS = 1500


class Exported(WhisperEncoder):
    """The encoder as Optimum exports it, with [B, 80, 3000] for input: all positions are used."""

    def forward(self, input_features: Tensor) -> Tensor:  # type: ignore[override]
        x = F.gelu(self.conv2(F.gelu(self.conv1(input_features)))).transpose(1, 2)
        x = x + self.embed_positions.weight
        for layer in self.layers:
            x = layer(x, torch.zeros(()))
        return self.layer_norm(x)


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    encoder = Exported(WhisperConfig(symbols=0, width=128, layers=2, positions=POSITIONS)).eval()
    with torch.no_grad():
        # What was never trained loses the sounds: let it hand them on.
        encoder.embed_positions.weight *= 0.02
        encoder.conv1.weight.zero_()
        encoder.conv1.weight[:80, :, 1] = 4 * torch.eye(80)
        encoder.conv2.weight[:, :, 1] += torch.eye(128)
        for parameter in encoder.parameters():
            if parameter.ndim == 1:  # equal ones would be stored once
                parameter += 0.01 * torch.randn_like(parameter)
    path = tmp_path_factory.mktemp("whisper") / "encoder_model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter that Optimum uses
        torch.onnx.export(
            encoder,
            (torch.zeros(1, 80, 2 * POSITIONS),),
            str(path),
            input_names=["input_features"],
            dynamo=False,
        )
    return path


@pytest.mark.parametrize("quantised", [False, True])
def test_weights_are_those_of_the_file(whisper: Path, quantised: bool, tmp_path: Path) -> None:
    path = whisper
    if quantised:
        path = tmp_path / "encoder_model_quantized.onnx"
        quantize_dynamic(whisper, path, op_types_to_quantize=["MatMul", "Conv"])
    network = WhisperCTC.pretrained(path, 36).eval()
    features = torch.from_numpy(np.random.default_rng(0).normal(0, 0.3, (1, 3000, 80))).float()
    with torch.no_grad():
        mine = network.encoder(features, torch.tensor([3000])).numpy()
    theirs = onnxruntime.InferenceSession(whisper).run(
        None, {"input_features": features.transpose(1, 2).numpy()}
    )[0]
    assert np.abs(mine - theirs).mean() < (0.05 if quantised else 1e-4)


def test_another_network_is_refused() -> None:
    shipped = Path(corpus.__file__).parent / "weights" / "conformer.onnx"
    with pytest.raises(ValueError, match="not an encoder of Whisper"):
        WhisperCTC.pretrained(shipped, 36)


def test_features_are_whispers() -> None:
    # Of noise, whose power at finer points is the same; Whisper pads and frames it otherwise.
    noise = np.random.default_rng(0).normal(0, 0.1, 40 * SAMPLE_RATE).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(noise, 400)[::160] * np.hanning(401)[:-1]
    power = np.abs(np.fft.rfft(frames)) ** 2
    logs = np.log10(power @ slaney_filters(1.0, 400).T)
    theirs = (np.maximum(logs, logs.max() - 8.0) + 4.0) / 4.0
    mine = WhisperFeatures().plain(torch.from_numpy(noise)).numpy()
    assert np.abs(mine.mean(axis=0) - theirs.mean(axis=0)).max() < 0.02


def test_a_teacher_learns_and_listens(
    whisper: Path, corpus_folder: Path, index: QuranIndex, tmp_path: Path
) -> None:
    recipe = teacher.Recipe(
        steps=200,
        encoder_rate=1e-3,
        warmup_steps=20,
        batch_seconds=8.0,
        augmentation=None,
    )
    taught = teacher.fit(whisper, [(corpus_folder, 1.0)], corpus_folder, recipe)
    teacher.save(taught, tmp_path / "teacher.pt")

    first, end = index.first_word[index.verse_of(113, 1) :][:2].tolist()
    labels = index.spell(first, end - 1).tolist()
    write_wav(tmp_path / "a.wav", beeps(labels))
    rng = np.random.default_rng(0)
    write_wav(tmp_path / "noise.wav", rng.normal(0, 1000, SAMPLE_RATE).astype("<i2"))
    (tmp_path / "none.wav").write_bytes(b"no audio")
    rows = [{"file": f"{n}.wav", "reciter": "somebody"} for n in ("a", "noise", "none")]
    (tmp_path / "list.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    others = tmp_path / "others"
    report = corpus.build(list(corpus.read_list(tmp_path / "list.jsonl")), others, index)
    assert report.dropped() == {quality.UNREADABLE: 1}
    assert not lessons.load(others, index)  # nobody knows what they say

    folders = [str(folder) for folder in (corpus_folder, others)]
    teacher.main(["listen", str(tmp_path / "teacher.pt"), "--data", *folders])
    ((said, lesson),) = lessons.load(others, index).items()
    assert (said.reciter, said.start) == ("somebody", 0)
    assert Levenshtein.distance(lesson.labels.tolist(), labels) <= 0.2 * len(labels)
    for folder in (corpus_folder, others):
        for utterance, lesson in lessons.load(folder, index).items():
            assert lesson.taught is not None
            assert lesson.taught.shape == (utterance.samples // lessons.FRAME, lessons.DIMENSIONS)
            assert 0.1 < lesson.taught.astype(np.float32).std() < 3.0
