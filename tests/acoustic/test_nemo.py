"""Models of NVIDIA's contracts, as small as they get: each piece is a chord that they know."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from acoustic import Encoder, ModelError, NemoEncoder, load_model
from acoustic.encoder import WEIGHTS
from acoustic.mel import BANDS, slaney_filters
from acoustic.model_file import ModelFile
from acoustic.nemo import FRAME, HOPS, LEFT
from acoustic.nemo_features import log_mel
from acoustic.pieces import Vocabulary
from quran_index import QuranIndex
from stream import Engine, Recognizer, UnsupportedHopError, UnsupportedModelError
from tests.wav import write_wav

Float = npt.NDArray[np.float32]
RATE = 16_000
PAUSE = 12  # frames between verses
PUNCTUATION = "،"


@pytest.fixture(scope="module")
def verses(index: QuranIndex) -> list[str]:
    """Every verse as Tanzil spells it in the modern way, 1:1 first."""
    from quran_transcript import Aya

    library = Aya(1, 1).quran_dict
    references = [index.reference(v) for v in index.verses[: index.istiadha]]
    return [Aya(*reference, quran_dict=library).get().imlaey for reference in references]


def train(verses: list[str], folder: Path, size: int, kind: str) -> SentencePieceProcessor:
    SentencePieceTrainer.train(
        sentence_iterator=(f"{verse}{PUNCTUATION}" for verse in verses),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=size,
        model_type=kind,
        character_coverage=1.0,
        bos_id=-1,
        eos_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    return SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))


def write_tokens(pieces: SentencePieceProcessor, path: Path) -> None:
    lines = [f"{pieces.IdToPiece(i)} {i}" for i in range(len(pieces))]
    path.write_text("\n".join([*lines, f"<blk> {len(pieces)}"]) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Voice:
    """Says pieces as chords of two tones, each lasting two frames; a frame of silence between."""

    hertz: npt.NDArray[np.float64]
    pieces: SentencePieceProcessor

    @property
    def chords(self) -> list[tuple[int, int]]:
        tones = itertools.combinations(range(len(self.hertz)), 2)
        return list(itertools.islice(tones, len(self.pieces)))

    def says(self, ids: list[int]) -> Float:
        time = np.arange(2 * FRAME) / RATE
        silence = np.zeros(FRAME)
        sounds = []
        for i in ids:
            low, high = self.hertz[list(self.chords[i])]
            sounds += [0.1 * np.sin(2 * np.pi * low * time) + 0.1 * np.sin(2 * np.pi * high * time)]
            sounds += [silence]
        return np.concatenate(sounds).astype(np.float32)

    def recites(self, verses: list[str]) -> tuple[Float, list[list[float]]]:
        """The audio of verses with pauses around them, and when each word of each begins."""
        audio, starts = [np.zeros(PAUSE * FRAME, np.float32)], []
        frames = PAUSE
        for verse in verses:
            starts.append([])
            for word in verse.split():
                starts[-1].append(frames * FRAME / RATE)
                audio.append(self.says(self.pieces.EncodeAsIds(word)))
                frames += len(audio[-1]) // FRAME
            audio.append(np.zeros(PAUSE * FRAME, np.float32))
            frames += PAUSE
        noise = np.random.default_rng(3).standard_normal(frames * FRAME) * 3e-4
        return (np.concatenate(audio) + noise).astype(np.float32), starts

    def pairs(self) -> Float:
        """[tones, pieces + 1]: 1 where a tone is of a piece's chord; none is of the blank."""
        chosen = np.zeros((len(self.hertz), len(self.pieces) + 1), np.float32)
        for piece, chord in enumerate(self.chords):
            chosen[list(chord), piece] = 1.0
        return chosen


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    constants: dict[str, npt.NDArray[np.generic]],
    signal: list[int | str],
    output: str = "logprobs",
    length: int = TensorProto.INT64,
) -> Path:
    inputs = [
        helper.make_tensor_value_info("audio_signal", TensorProto.FLOAT, signal),
        helper.make_tensor_value_info("length", length, [1]),
    ]
    outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, [1, "frames", "pieces"])]
    initial = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "nemo", inputs, outputs, initial)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), str(path))
    return path


def chords_heard(
    voice: Voice, gain: float, blank: float, output: str
) -> tuple[list[onnx.NodeProto], dict[str, npt.NDArray[np.generic]]]:
    """From how loud each tone is in each frame, [1, frames, tones], to log-probs.

    ``frames`` is an int64 [1]. A frame hears a little of those three before and after it.
    """
    tones = len(voice.hertz)
    kernel = np.zeros((tones, 1, 7), np.float32)
    kernel[:, 0, [0, 3, 6]] = 0.1, 1.0, 0.1
    bias = np.zeros(len(voice.pieces) + 1, np.float32)
    bias[-1] = blank
    nodes = [
        helper.make_node("Transpose", ["loudness"], ["by_tone"], perm=[0, 2, 1]),
        helper.make_node("Conv", ["by_tone", "kernel"], ["near"], group=tones, pads=[3, 3]),
        helper.make_node("Transpose", ["near"], ["by_frame"], perm=[0, 2, 1]),
        helper.make_node("Slice", ["by_frame", "zero", "frames", "one"], ["valid"]),
        helper.make_node("MatMul", ["valid", "pairs"], ["chords"]),
        helper.make_node("Add", ["chords", "bias"], ["logits"]),
        helper.make_node("LogSoftmax", ["logits"], [output], axis=2),
    ]
    constants = {
        "kernel": kernel,
        "pairs": gain * voice.pairs(),
        "bias": bias,
        "zero": np.array([0]),
        "one": np.array([1]),
    }
    return nodes, constants


def save_waveform_model(path: Path, voice: Voice, frame: int = FRAME) -> Path:
    """Power at each of the voice's tones, frame by frame."""
    angle = 2 * np.pi * np.outer(np.arange(frame), voice.hertz) / RATE
    nodes, constants = chords_heard(voice, gain=10.0, blank=15.0, output="logprobs")
    constants |= {
        "cosine": (np.cos(angle) * 20 / frame).astype(np.float32),
        "sine": (np.sin(angle) * 20 / frame).astype(np.float32),
        "shape": np.array([1, -1, frame]),
        "frame": np.array([frame]),
    }
    front = [
        helper.make_node("Reshape", ["audio_signal", "shape"], ["framed"]),
        helper.make_node("MatMul", ["framed", "cosine"], ["even"]),
        helper.make_node("MatMul", ["framed", "sine"], ["odd"]),
        helper.make_node("Mul", ["even", "even"], ["even_power"]),
        helper.make_node("Mul", ["odd", "odd"], ["odd_power"]),
        helper.make_node("Add", ["even_power", "odd_power"], ["loudness"]),
        helper.make_node("Div", ["length", "frame"], ["frames"]),
    ]
    return save(path, front + nodes, constants, [1, "samples"])


def save_features_model(path: Path, voice: Voice, bands: list[int]) -> Path:
    """The features at the bands of the voice's tones, eight to a frame."""
    nodes, constants = chords_heard(voice, gain=4.0, blank=14.0, output="log_probs")
    select = np.zeros((BANDS, len(bands)), np.float32)
    select[bands, np.arange(len(bands))] = 1.0
    constants |= {
        "shape": np.array([1, BANDS, -1, 8]),
        "select": select,
        "eight": np.array([8]),
    }
    front = [
        helper.make_node("Reshape", ["audio_signal", "shape"], ["grouped"]),
        helper.make_node("ReduceMean", ["grouped"], ["mean"], axes=[3], keepdims=0),
        helper.make_node("Transpose", ["mean"], ["framed"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["framed", "select"], ["loudness"]),
        helper.make_node("Div", ["length", "eight"], ["frames"]),
    ]
    return save(path, front + nodes, constants, [1, BANDS, "time"], output="log_probs")


@pytest.fixture(scope="module")
def waveform(tmp_path_factory: pytest.TempPathFactory, verses: list[str]) -> tuple[Path, Voice]:
    """A model of 1,024 pieces that takes the waveform, beside its tokenizer.model."""
    folder = tmp_path_factory.mktemp("waveform")
    pieces = train(verses, folder, 1024, "bpe")
    tones = (20 + 9 * np.arange(64)) * RATE / FRAME  # a whole number of periods a frame
    voice = Voice(tones, pieces)
    return save_waveform_model(folder / "model.onnx", voice), voice


@pytest.fixture(scope="module")
def recognizer(waveform: tuple[Path, Voice]) -> Recognizer:
    return Recognizer.load(model=waveform[0])


def check_recitation(
    recognizer: Recognizer, voice: Voice, index: QuranIndex, verses: list[str], folder: Path
) -> None:
    """Recites al-Ikhlas and al-Falaq, and looks for each verse and the times of its words."""
    references = [(112, ayah) for ayah in range(1, 5)] + [(113, ayah) for ayah in range(1, 6)]
    audio, starts = voice.recites([verses[index.verse_of(*ref)] for ref in references])
    ended = recognizer.recognize(write_wav(folder / "recitation.wav", audio * 32767))
    assert [(final.surah, final.ayah) for final in ended.finals] == references
    for final, expected in zip(ended.finals, starts, strict=True):
        assert [word.start for word in final.words] == pytest.approx(expected, abs=0.1)


def test_the_waveform_contract(recognizer, waveform, index, verses, tmp_path) -> None:
    check_recitation(recognizer, waveform[1], index, verses, tmp_path)


def test_the_features_contract_with_a_list_of_pieces(index, verses, tmp_path) -> None:
    pieces = train(verses, tmp_path, 400, "bpe")
    write_tokens(pieces, tmp_path / "tokens.txt")
    (tmp_path / "tokenizer.model").unlink()
    bands = list(range(20, BANDS, 2))
    peaks = slaney_filters().argmax(axis=1)[bands]
    voice = Voice(peaks * RATE / 512, pieces)
    model = save_features_model(tmp_path / "model.onnx", voice, bands)
    check_recitation(Recognizer.load(model=model), voice, index, verses, tmp_path)


def test_overlapping_stretches_give_what_the_whole_gives(recognizer, waveform, verses) -> None:
    """The tiny model hears three frames around each: less than what stretches overlap by."""
    path, voice = waveform
    encoder = recognizer.engine.encoder
    assert isinstance(encoder, NemoEncoder)
    audio, _ = voice.recites(verses[:4])
    audio = audio[: len(audio) // FRAME * FRAME - FRAME // 2]  # the last frame is not full
    assert len(audio) > (LEFT + 30) * FRAME
    padded = np.pad(audio, (0, FRAME // 2))
    whole = (
        ModelFile.open(path)
        .session()
        .run(None, {"audio_signal": padded[None], "length": np.array([len(padded)])})[0][0]
    )
    heard = encoder.encode(audio)
    assert heard.shape == (len(whole), len(encoder.symbols))
    np.testing.assert_allclose(np.logaddexp.reduce(heard, axis=1), 0.0, atol=1e-4)
    numbers = [voice.pieces.PieceToId(symbol) for symbol in encoder.symbols[1:]]
    np.testing.assert_allclose(heard[:, 1:], whole[:, numbers], atol=1e-3)
    np.testing.assert_allclose(encoder.whole(audio), heard, atol=1e-3)


def test_a_stream_keeps_no_more_audio_than_it_needs(recognizer) -> None:
    encoder = recognizer.engine.encoder
    state = encoder.start()
    for _ in range(12):
        encoder.step(state, np.zeros(encoder.hop, np.float32))
    assert len(state.audio) == LEFT * FRAME + 6 * FRAME
    with pytest.raises(ValueError, match="a step takes"):
        encoder.step(state, np.zeros(encoder.hop - 1, np.float32))
    with pytest.raises(ValueError, match="less than a hop"):
        encoder.flush(state, np.zeros(encoder.hop, np.float32))


def test_punctuation_is_silence(recognizer, waveform) -> None:
    encoder, voice = recognizer.engine.encoder, waveform[1]
    assert PUNCTUATION not in encoder.symbols
    assert len(encoder.symbols) == recognizer.engine.graph.symbols < 1025
    letter, comma = voice.pieces.PieceToId("ب"), voice.pieces.PieceToId(PUNCTUATION)
    best = encoder.encode(voice.says([letter, comma])).argmax(axis=1).tolist()
    assert best == [encoder.symbols.index("ب")] * 2 + [0] * 4


def test_hops(waveform) -> None:
    engine = Engine.load(480, waveform[0])
    assert (engine.hop, engine.encoder.hop) == (HOPS[0], HOPS[0])
    with pytest.raises(UnsupportedHopError, match="multiple of 480 ms"):
        Engine.load(500, waveform[0])


def test_a_model_of_our_own_by_its_path(index) -> None:
    encoder, graph = load_model(WEIGHTS, index)
    assert isinstance(encoder, Encoder)
    assert graph is index.graph


def test_features_agree_with_nemos_definition() -> None:
    """As `FilterbankFeatures` computes them with torch; the filters are tested by themselves."""
    wave_ = torch.from_numpy((0.1 * np.random.default_rng(0).standard_normal(20_077))[None])
    emphasised = torch.cat((wave_[:, :1], wave_[:, 1:] - 0.97 * wave_[:, :-1]), dim=1)
    window = torch.hann_window(400, periodic=False, dtype=torch.float64)
    spectrum = torch.stft(
        emphasised, 512, 160, 400, window, center=True, pad_mode="constant", return_complex=True
    )
    power = torch.view_as_real(spectrum).pow(2).sum(-1)[0, :, : 20_077 // 160]
    logs = torch.log(torch.from_numpy(slaney_filters()).double() @ power + 2**-24)
    mean, deviation = logs.mean(1, keepdim=True), logs.std(1, keepdim=True)
    expected = ((logs - mean) / (deviation + 1e-5)).numpy()
    features = log_mel(wave_[0].numpy().astype(np.float32))
    np.testing.assert_allclose(features, expected, atol=1e-3)
    with pytest.raises(ValueError, match="two frames"):
        log_mel(np.zeros(319, np.float32))


def test_filters_are_slaneys() -> None:
    """Values of librosa.filters.mel(sr=16000, n_fft=512, n_mels=80)."""
    filters = slaney_filters()
    assert filters[0, :4] == pytest.approx([0, 0.02253456, 0.00863771, 0], abs=1e-7)
    assert (filters[40].argmax(), filters[79].argmax()) == (55, 246)
    assert filters[[40, 79]].max(axis=1) == pytest.approx([0.01444418, 0.00325215], abs=1e-7)


@pytest.mark.parametrize(("kind", "least"), [("bpe", 1.0), ("unigram", 0.98)])
def test_pieces_alone_cut_words_nearly_as_the_library_does(
    kind: str, least: float, verses: list[str], tmp_path: Path
) -> None:
    library = train(verses[:1500], tmp_path, 600, kind)
    by_library = Vocabulary.read(tmp_path)
    write_tokens(library, tmp_path / "tokens.txt")
    (tmp_path / "tokenizer.model").unlink()
    by_pieces = Vocabulary.read(tmp_path)
    assert by_pieces.pieces == by_library.pieces
    words = " ".join(verses[:1500]).split()
    same = [by_pieces.segment(word) == by_library.segment(word) for word in words]
    assert np.mean(same) >= least
    assert by_pieces.segment("x") == []


# What cannot be used


def refused(path: Path, because: str) -> None:
    with pytest.raises(UnsupportedModelError, match=because) as raised:
        Recognizer.load(model=path)
    assert "name another model" in str(raised.value)


def test_files_that_are_no_models(tmp_path: Path) -> None:
    refused(tmp_path / "none.onnx", "no acoustic model at")
    (tmp_path / "text.onnx").write_text("not a model")
    refused(tmp_path / "text.onnx", "not a readable ONNX model")


def test_an_unknown_contract_is_told_with_what_is_supported(tmp_path: Path) -> None:
    identity = [helper.make_node("Identity", ["audio_signal"], ["tokens"])]
    model = save(tmp_path / "model.onnx", identity, {}, [1, "n", "c"], output="tokens")
    refused(model, r"inputs audio_signal float \[1, 'n', 'c'\], length int64 \[1\]; outputs tokens")
    refused(model, r"supported are .* audio_signal float32 \[1, samples\] or \[1, 80, frames\]")
    identity = [helper.make_node("Identity", ["audio_signal"], ["logprobs"])]
    refused(save(model, identity, {}, [1, 64, "n"]), "an unknown kind of model")
    refused(save(model, identity, {}, [1, 80, "n"], length=TensorProto.INT32), "length int32")


def test_vocabularies_that_do_not_fit(waveform, verses, tmp_path: Path) -> None:
    path, voice = waveform
    model = tmp_path / "model.onnx"
    model.write_bytes(path.read_bytes())
    refused(model, "neither tokenizer.model nor tokens.txt in")
    tokens = tmp_path / "tokens.txt"
    tokens.write_text("▁ 0\n<blk> 1\n")
    refused(model, r"gives \[25, 1025\] for 25 frames, but its vocabulary has 1 pieces")
    tokens.write_bytes(b"\xff 0\n")
    refused(model, "tokens.txt cannot be read")
    tokens.write_text("▁\n")
    refused(model, "expected a piece and its number, found '▁'")
    tokens.write_text("▁ 0\nا 2\n")
    refused(model, "do not count up from 0")
    tokens.write_text("<blk> 0\nا 1\n")
    refused(model, "the blank must be the last piece")
    write_tokens(voice.pieces, tokens)
    tokens.write_text(tokens.read_text(encoding="utf-8").replace("ق", "q"), encoding="utf-8")
    refused(model, "pieces cannot spell .*ق")
    (tmp_path / "tokenizer.model").write_bytes(b"nothing")
    refused(model, "is not a SentencePiece model")


def test_a_model_of_other_frames(waveform, tmp_path: Path) -> None:
    path, voice = waveform
    (tmp_path / "tokenizer.model").write_bytes((path.parent / "tokenizer.model").read_bytes())
    model = save_waveform_model(tmp_path / "model.onnx", voice, frame=640)
    refused(model, "gives 50 frames for 32000 samples; only models of 80 ms a frame")


def test_hops_that_the_model_lacks(waveform, index: QuranIndex) -> None:
    with pytest.raises(ModelError, match="a hop of 1000 samples"):
        load_model(waveform[0], index, 1000)
