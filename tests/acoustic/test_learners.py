"""Accents, and voices as small as they get: each sound is a tone, for a fortieth of a second."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from acoustic import corpus, learners, voices
from acoustic.learners import Accent
from acoustic.synthesize import phonetise

SOUNDS = "_^$ abdefhijklmnoprstuvwzŋɔəɛɡɪɲʃʊʒ"
FRACTION = 40  # of a second


def write_tones(path: Path, ids: str, others: dict[str, tuple[int, list[int]]], rate: int) -> None:
    """A model that says each of the ``ids`` (the name of its input) as a tone of its own."""
    count = rate // FRACTION
    at = np.arange(count) / rate
    tones = np.stack([np.sin(2 * np.pi * (300 + 50 * i) * at) for i in range(len(SOUNDS))])
    inputs = [helper.make_tensor_value_info(ids, TensorProto.INT64, [1, "N"])]
    inputs += [
        helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in others.items()
    ]
    output = helper.make_tensor_value_info("audio", TensorProto.FLOAT, ["samples"])
    nodes = [
        helper.make_node("Gather", ["tones", ids], ["said"]),
        helper.make_node("Reshape", ["said", "flat"], ["audio"]),
    ]
    constants = [
        numpy_helper.from_array(tones.astype(np.float32), "tones"),
        numpy_helper.from_array(np.array([-1]), "flat"),
    ]
    graph = helper.make_graph(nodes, "tones", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path))


@pytest.fixture
def piper(tmp_path: Path) -> Path:
    path = tmp_path / "indonesian.onnx"
    others = {"input_lengths": (TensorProto.INT64, [1]), "scales": (TensorProto.FLOAT, [3])}
    write_tones(path, "input", others, 22_050)
    settings = {
        "audio": {"sample_rate": 22_050},
        "espeak": {"voice": "id"},
        "num_speakers": 1,
        "phoneme_id_map": {sound: [i] for i, sound in enumerate(SOUNDS)},
    }
    Path(f"{path}.json").write_text(json.dumps(settings), "utf-8")
    return path


@pytest.fixture
def kokoro(tmp_path: Path) -> Path:
    folder = tmp_path / "kokoro"
    (folder / "voices").mkdir(parents=True)
    others = {"style": (TensorProto.FLOAT, [1, 256]), "speed": (TensorProto.FLOAT, [1])}
    write_tones(folder / "model.onnx", "tokens", others, 24_000)
    vocabulary = {sound: i for i, sound in enumerate(SOUNDS)}
    (folder / "config.json").write_text(json.dumps({"vocab": vocabulary}), "utf-8")
    for name in "ab":
        np.zeros((510, 256), np.float32).tofile(folder / "voices" / f"{name}.bin")
    return folder


def test_what_a_voice_lacks_is_said_as_the_nearest() -> None:
    indonesian = set("abdhikmnorstuʒʃ")
    assert voices.nearest("ʔamħad θʊr ʤaːr", indonesian) == "amhad sur dʒaar"
    assert voices.nearest("ʤaː", {"ɟ", "a", "ː"}) == "ɟaː"
    assert voices.nearest("ʕaqɪ", set("aki")) == "aki"


def test_an_accent_says_what_it_makes_of_each_sound() -> None:
    accent = replace(
        Accent.draw(random.Random(0)),
        consonants={"ء": "", "ح": "h", "د": "d", "ص": "s", "م": "m", "ل": "l"},
        vowels={"َ": "a", "ُ": "u", "ِ": "i"},
        dark={"َ": "ɑ", "ُ": "ʊ", "ِ": "e"},
        held=0.5,
        doubled=True,
    )
    assert accent.say("ءَحَدڇ صصَمَد") == "ahad ssɑmad"
    # A madd of six counts, half of which beyond the long vowel is kept.
    assert accent.say("لَااااااممم صِۦۦ") == "laːaːmm seː"
    plain = replace(accent, held=0.0, doubled=False)
    assert plain.say("لَااااااممم صصِۦۦ") == "laːm seː"


def test_every_sound_of_recitation_has_one_in_every_accent() -> None:
    # The disjoined letters, an imala, a sakt, an eased hamza, assimilation, madd of six counts.
    verses = [(1, 7), (2, 1), (19, 1), (11, 41), (75, 27), (41, 44), (104, 4), (77, 20)]
    verses += [(99, 2), (94, 3), (107, 7), (99, 1)]
    text = " ".join(phonetise(*verse) for verse in verses)
    accent = Accent.draw(random.Random(1))
    marks = set(" ڇ۪ۜ")
    assert set(text) - marks == accent.consonants.keys() | accent.vowels.keys() | set("اۥۦـ")


def test_people_differ() -> None:
    text = phonetise(112, 4)
    accents = [Accent.draw(random.Random(seed)) for seed in range(20)]
    assert len({accent.say(text) for accent in accents}) > 10
    assert accents[3] == Accent.draw(random.Random(3))


@pytest.mark.parametrize("kind", ["piper", "kokoro"])
def test_corpus_layout(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    voice = request.getfixturevalue(kind)
    out = tmp_path / "corpus"
    learners.main([str(voice), "--out", str(out), "--verses", "6", "--seed", "3"])
    utterances = corpus.load(out)
    assert len(utterances) == len({u.reciter for u in utterances}) == 6
    for utterance in utterances:
        assert utterance.surah
        assert abs(utterance.pcm()).max() > 20_000


def test_every_sound_that_a_voice_has_is_said(piper: Path, kokoro: Path) -> None:
    for path, framing in ((piper, 2 * (3 + 1) + 1), (kokoro, 3 + 2)):
        said = voices.load(path).person(random.Random(0))("bad")
        assert len(said) == pytest.approx(framing * corpus.SAMPLE_RATE / FRACTION, abs=40)


def test_voices_that_cannot_be_used(piper: Path, kokoro: Path) -> None:
    settings = Path(f"{piper}.json")
    settings.write_text(settings.read_text("utf-8").replace('"id"', '"xx"'), "utf-8")
    with pytest.raises(ValueError, match="its tongue is 'xx'"):
        voices.load(piper)
    model = kokoro / "model.onnx"
    whole = model.read_bytes()
    model.write_bytes(whole[:100])
    with pytest.raises(SystemExit):
        learners.main([str(kokoro), "--out", str(kokoro.parent / "corpus")])
    model.write_bytes(whole)
    (kokoro / "voices" / "b.bin").unlink()
    with pytest.raises(ValueError, match="two voices at least"):
        voices.load(kokoro)
    settings.unlink()
    with pytest.raises(SystemExit):
        learners.main([str(piper), "--out", str(piper.parent / "corpus")])
