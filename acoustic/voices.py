"""Neural voices that read IPA: Piper's and Kokoro's, as ONNX files that are brought along.

A voice says the sounds of the tongues that it was trained on; any other sound is said as the
nearest one that it has. So a voice of another tongue speaks with its accent.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import soxr

from acoustic.corpus import SAMPLE_RATE, Int16
from acoustic.model_file import ModelFile

Person = Callable[[str], Int16]
"""Says IPA; mono int16 at 16 kHz."""

LONG, STOP = "ː", " "
_NEAREST = {
    **{"ħ": "h x", "χ": "x k h", "x": "k h", "h": "x", "q": "k", "ɣ": "ɡ", "ʁ": "ɣ ɡ", "ʕ": "ʔ"},
    **{"θ": "s", "ð": "z d", "z": "s", "f": "p", "ʒ": "ɟ ʃ", "ʤ": "ɟ", "ʈ": "t", "ɖ": "d"},
    **{"d": "ɗ", "ɫ": "l", "ɾ": "r ɹ", "r": "ɾ ɹ", "ɹ": "r ɾ", "w": "ʋ v", "v": "ʋ w", "ŋ": "n"},
    **{"æ": "a ɛ", "ʌ": "a ɐ", "ɐ": "a ʌ", "ɑ": "a ɔ", "a": "ɑ æ", "ɔ": "o", "o": "ɔ"},
    **{"ʊ": "u", "ɪ": "i", "e": "ɛ", "ɛ": "e", "ə": "a"},
}
# The sounds of a tongue, as espeak-ng writes them, which its Piper voices were trained on.
_TONGUES = {
    "en": "b d f h i j k l m n p s t u v w z æ ð ŋ ɑ ɐ ɔ ə ɛ ɡ ɪ ɹ ʃ ʊ ʌ ʒ θ ɾ e o ː",
    "hi": "a ʌ ə e ɾ n ɪ s h o b l t m i ʋ ʈ d ʊ ɛ ɔ p ʃ ɖ ɟ f ɡ z ŋ u j k ː",
    "id": "a t ə u m r i l k d s n b p ɛ ŋ ʃ o h ɡ ʒ ɲ j ɪ w ɔ ʊ v f z",
    "ne": "a ʌ ə e ɾ n ɪ s h o b l t m i ʋ ʈ d ʊ ɛ ɔ p ʃ ɖ ɟ ɡ ŋ u j k ː",
}
# How people differ: how long they are at it, against how the voice speaks by itself, and how lively
# sound and rhythm are.
_LENGTHS = (0.85, 1.7)
_SPEEDS = (0.55, 1.25)
_LIVELINESS = (0.1, 0.5)


class Voice(Protocol):
    """Many people, or one who reads in many ways."""

    @property
    def name(self) -> str: ...

    def person(self, rng: random.Random) -> Person:
        """One of them, who goes on reading in the same way."""
        ...


def nearest(ipa: str, said: Collection[str]) -> str:
    """``ipa`` in the sounds of ``said``; what has nothing near it is left out.

    Where sounds cannot be held they are repeated.
    """
    near = ""
    for symbol in ipa:
        if symbol == STOP or symbol in said:
            near += symbol
        elif symbol == LONG:
            near += near[-1:]
        elif symbol == "ʤ" and "ʒ" in said:
            near += "dʒ"
        else:
            near += next((s for s in _NEAREST.get(symbol, "").split() if s in said), "")
    return near


class Piper:
    """A voice of Piper (VITS, Kim et al. 2021): ``NAME.onnx`` with ``NAME.onnx.json`` beside it."""

    def __init__(self, path: Path) -> None:
        """Raises OSError where the settings cannot be read, ValueError for a tongue not known here,
        ModelError where the model cannot be run."""
        settings = json.loads(Path(f"{path}.json").read_text("utf-8"))
        tongue = settings["espeak"]["voice"][:2]
        if tongue not in _TONGUES:
            raise ValueError(f"{path}: its tongue is {tongue!r}, known are {sorted(_TONGUES)}")
        self.name = path.stem
        self._ids: dict[str, list[int]] = settings["phoneme_id_map"]
        self._said = set(_TONGUES[tongue].split()) & self._ids.keys()
        self._rate = int(settings["audio"]["sample_rate"])
        self._speakers = int(settings["num_speakers"])
        self._session = ModelFile.open(path).session()

    def person(self, rng: random.Random) -> Person:
        scales = [rng.uniform(*r) for r in (_LIVELINESS, _LENGTHS, _LIVELINESS)]
        return partial(self._say, np.array(scales, np.float32), rng.randrange(self._speakers))

    def _say(self, scales: npt.NDArray[np.float32], speaker: int, ipa: str) -> Int16:
        ids = [*self._ids["^"]]
        for symbol in nearest(ipa, self._said):
            ids += [*self._ids["_"], *self._ids[symbol]]
        ids += [*self._ids["_"], *self._ids["$"]]
        inputs: dict[str, npt.NDArray[Any]] = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": scales,
        }
        if self._speakers > 1:
            inputs["sid"] = np.array([speaker], np.int64)
        return _audio(self._session.run(None, inputs)[0], self._rate)


class Kokoro:
    """Kokoro-82M: a folder with ``model.onnx``, its ``config.json`` (of which the ``vocab`` is
    read), and ``voices/*.bin``, two of which make a person."""

    _RATE, _STYLE, _LONGEST = 24_000, 256, 508

    def __init__(self, folder: Path) -> None:
        """Raises OSError where its vocabulary cannot be read, ValueError for fewer than two voices,
        ModelError where the model cannot be run."""
        self.name = folder.name
        self._ids: dict[str, int] = json.loads((folder / "config.json").read_text("utf-8"))["vocab"]
        self._styles = [
            np.fromfile(path, np.float32).reshape(-1, self._STYLE)
            for path in sorted((folder / "voices").glob("*.bin"))
        ]
        if len(self._styles) < 2:
            raise ValueError(f"{folder}: it needs two voices at least in {folder / 'voices'}")
        self._session = ModelFile.open(folder / "model.onnx").session()

    def person(self, rng: random.Random) -> Person:
        one, other = rng.sample(self._styles, 2)
        share = np.float32(rng.random())
        return partial(self._say, one * share + other * (1 - share), rng.uniform(*_SPEEDS))

    def _say(self, style: npt.NDArray[np.float32], speed: float, ipa: str) -> Int16:
        sounds = nearest(ipa, self._ids)[: self._LONGEST]
        ids = [0, *(self._ids[symbol] for symbol in sounds), 0]
        inputs: dict[str, npt.NDArray[Any]] = {
            "tokens": np.array([ids], np.int64),
            "style": style[len(ids)][None],
            "speed": np.array([speed], np.float32),
        }
        return _audio(self._session.run(None, inputs)[0], self._RATE)


def load(path: Path) -> Voice:
    """The voice of a file (`Piper`) or a folder (`Kokoro`); raises as they do."""
    return Kokoro(path) if path.is_dir() else Piper(path)


def _audio(wave: npt.NDArray[np.float32], rate: int) -> Int16:
    audio = soxr.resample(np.asarray(wave, np.float32).ravel(), rate, SAMPLE_RATE)
    peak = max(float(np.abs(audio).max(initial=0.0)), 1e-6)
    scaled: Int16 = (audio * (0.7 * 32767 / peak)).astype(np.int16)
    return scaled
