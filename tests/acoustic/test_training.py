"""A tiny training run, end to end: corpus, training, resuming, export, and the runtime encoder."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from rapidfuzz.distance import Levenshtein

from acoustic import Encoder, corpus, lessons
from acoustic.augment import Augmentation
from acoustic.corpus import SAMPLE_RATE, Utterance
from acoustic.curve import curve
from acoustic.export import export, load_average
from acoustic.lessons import FRAME, one_breath
from acoustic.pronounce import pronounce, said
from acoustic.train import SHIPPED, Recipe, train
from decoders import greedy
from quran_index import QuranIndex
from tests.beeper import beeps
from tests.texts import spoken

SHAPE = {"width": 48, "layers": 2, "heads": 2}


def test_a_voice_is_learned_resumed_and_exported(
    corpus_folder: Path, index: QuranIndex, tmp_path: Path
) -> None:
    # Plainly heard to the end: a few hundred small steps must learn the voice.
    def recipe(steps: int) -> Recipe:
        return Recipe(
            steps=steps, peak_rate=4e-3, warmup_steps=20, batch_seconds=8.0, first_fraction=1.0
        )

    train([(corpus_folder, 1.0)], corpus_folder, tmp_path, recipe(20), SHAPE)
    first = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()][-1]
    train([(corpus_folder, 1.0)], corpus_folder, tmp_path, recipe(400), SHAPE)
    last = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()][-1]
    assert (first["step"], last["step"]) == (20, 400)
    assert last["per"] < min(first["per"], 0.2)

    curve(tmp_path / "log.jsonl").savefig(tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")

    again = tmp_path / "again"
    again.mkdir()
    train([(corpus_folder, 1.0)], corpus_folder, again, recipe(2), SHAPE, tmp_path / "final.pt")
    started = json.loads((again / "log.jsonl").read_text().splitlines()[0])
    assert (started["step"], started["per"]) == (0, pytest.approx(last["per"], abs=0.02))

    export(
        load_average(tmp_path / "final.pt"),
        index.symbols,
        tmp_path / "m.onnx",
        quantise=True,
    )
    encoder = Encoder.load(tmp_path / "m.onnx")
    first_word, end = index.first_word[index.verse_of(112, 1) :][:2].tolist()
    labels = index.spell(first_word, end - 1).tolist()
    wave = beeps(labels).astype(np.float32) / 32768.0
    for heard in (encoder.encode(wave), encoder.whole(wave)):
        assert Levenshtein.distance(greedy(heard), labels) <= 0.3 * len(labels)


def test_what_is_heard_is_augmented_as_the_recipe_says(corpus_folder: Path, tmp_path: Path) -> None:
    heard = []
    for tempo in (1.0, 1.5):
        augmentation = Augmentation(tempo=(tempo, tempo), tempo_probability=1.0, plain_speech=0.0)
        recipe = Recipe(steps=6, batch_seconds=16.0, first_fraction=0.0, augmentation=augmentation)
        out = tmp_path / str(tempo)
        out.mkdir()
        train([(corpus_folder, 1.0)], None, out, recipe, SHAPE)
        heard.append(torch.load(out / "checkpoint.pt", weights_only=True)["heard"])
    assert heard[0] / heard[1] == pytest.approx(1.5, rel=0.2)


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    latest = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < latest, "it takes too long"
        time.sleep(0.05)


def steps(checkpoint: Path) -> int:
    return int(torch.load(checkpoint, weights_only=True)["step"])


def test_a_training_that_is_asked_to_stop_saves_and_can_go_on(
    corpus_folder: Path, tmp_path: Path
) -> None:
    def recipe(count: int) -> Recipe:
        return Recipe(steps=count, batch_seconds=8.0, first_fraction=1.0)

    def stop() -> None:
        wait_for((tmp_path / "log.jsonl").exists, 240)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    stopping = threading.Thread(target=stop)
    stopping.start()
    assert not train([(corpus_folder, 1.0)], None, tmp_path, recipe(1_000_000), SHAPE)
    stopping.join()
    assert signal.getsignal(signal.SIGTERM) == before
    stopped = steps(tmp_path / "checkpoint.pt")
    assert stopped >= 50
    assert not (tmp_path / "final.pt").exists()
    assert train([(corpus_folder, 1.0)], None, tmp_path, recipe(stopped + 2), SHAPE)
    assert steps(tmp_path / "checkpoint.pt") == stopped + 2
    assert (tmp_path / "final.pt").exists()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def ancestors(pid: int) -> list[int]:
    """Of a process that runs; nothing of one that has ended."""
    found = []
    while pid > 1:
        try:
            status = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return found
        state, parent = status.rpartition(")")[2].split()[:2]
        if state == "Z":
            return found
        pid = int(parent)
        found.append(pid)
    return found


def running() -> list[int]:
    return [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdecimal()]


@pytest.mark.parametrize("how", ["SIGTERM", "Ctrl-C", "SIGKILL"])
def test_no_process_of_a_training_is_left(corpus_folder: Path, tmp_path: Path, how: str) -> None:
    arguments = ["--data", str(corpus_folder), "--out", str(tmp_path), "--minutes", "60"]
    training = subprocess.Popen(
        [sys.executable, "-m", "acoustic.train", *arguments]
        + ["--processes", "2", "--width", "32", "--layers", "1"],
        env=os.environ | {"MASTER_PORT": str(free_port())},
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        log = tmp_path / "log.jsonl"
        wait_for(lambda: log.exists() or training.poll() is not None, 300)
        workers = [pid for pid in running() if training.pid in ancestors(pid)]
        assert len(workers) >= 2
        if how == "Ctrl-C":
            os.killpg(training.pid, signal.SIGINT)
        else:
            training.send_signal(signal.Signals[how])
        _, told = training.communicate(timeout=120)
        if how != "SIGKILL":
            assert training.returncode == 1
            assert told.endswith("stopped: the same command goes on from the checkpoint\n")
        wait_for(lambda: not any(ancestors(pid) for pid in workers), 120)
        assert steps(tmp_path / "checkpoint.pt") >= 50
        assert not (tmp_path / "final.pt").exists()
    finally:
        if training.poll() is None:
            os.killpg(training.pid, signal.SIGKILL)
            training.communicate()


def test_labels_follow_the_pauses_that_were_heard(index: QuranIndex) -> None:
    """A verse read in two breaths is learned with the pausal form before the pause."""
    first, last = index.passage(112, 1, 1)
    breaths = [index.spell(first, first + 1).tolist(), index.spell(first + 2, last).tolist()]
    spelled = spoken(np.random.default_rng(2), breaths, len(index.symbols)).astype(np.float16)
    verse = Utterance("c", "C", 112, 1, 0, SAMPLE_RATE)
    assert (
        said(verse, spelled).tolist() == breaths[0] + breaths[1] != one_breath(index, first, last)
    )
    # Nor is what is something else, or has no room for the words, taken for them.
    assert not len(said(Utterance("c", "C", 2, 255, 0, SAMPLE_RATE), spelled))
    assert not len(said(Utterance("c", "C", 105, 2, 0, SAMPLE_RATE), spelled))


def test_pronunciations_are_left_beside_the_corpus(
    corpus_folder: Path, index: QuranIndex, tmp_path: Path
) -> None:
    folder = tmp_path / "corpus"
    shutil.copytree(corpus_folder, folder)
    network = load_average(SHIPPED)  # to which chords are no recitation
    pronounce([folder], network)
    assert not lessons.load(folder, index)
    lines = (folder / "beeper.jsonl").read_text(encoding="utf-8").splitlines()
    (folder / "beeper.jsonl").write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match="another state of the corpus"):
        lessons.load(folder, index)


def test_what_a_teacher_thinks_is_learned_as_well(
    corpus_folder: Path, index: QuranIndex, tmp_path: Path
) -> None:
    """Thoughts that are linear in what is heard come out of the middle of the network."""
    folder = tmp_path / "corpus"
    shutil.copytree(corpus_folder, folder)
    utterances = corpus.load(folder)
    levels = [
        np.log10(1 + np.abs(u.pcm()[: u.samples // FRAME * FRAME].reshape(-1, FRAME)).mean(1))
        for u in utterances
    ]
    thoughts = np.concatenate(levels)[:, None].repeat(lessons.DIMENSIONS, 1)
    np.save(lessons.taught_file(str(folder / "beeper")), thoughts.astype(np.float16))
    recipe = Recipe(
        steps=150, peak_rate=4e-3, warmup_steps=10, batch_seconds=8.0, first_fraction=1.0
    )
    train([(folder, 1.0)], None, tmp_path, recipe, SHAPE)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    errors = [row["taught"] for row in log if "taught" in row]
    assert errors[-1] < 0.5 * min(errors[0], np.square(thoughts).mean())
