"""What a network that heard everybody thinks of recordings, for the streaming one to learn.

    python -m acoustic.teacher fit WHISPER.onnx --data CORPUS... --held-out CORPUS --out TEACHER.pt
    python -m acoustic.teacher listen TEACHER.pt --data CORPUS...

The first fine-tunes Whisper's encoder (`acoustic.whisper`) to the phonemes of recitation, on the
corpora, labels and augmentation that the streaming network learns from. The second lets it hear
corpora, and leaves beside them what it thinks in every frame, and the phonemes that it hears where
nobody wrote the words down (pseudo-labels, Lee 2013), in any language (`acoustic.lessons`). Through
both the streaming network hears thousands of voices.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from acoustic import corpus
from acoustic.augment import Augmentation
from acoustic.batches import Batch, Lectures, Lessons, Renderer, load
from acoustic.corpus import Utterance
from acoustic.evaluate import HeldOut
from acoustic.lessons import (
    DIMENSIONS,
    FRAME,
    Labels,
    Thoughts,
    by_file,
    by_length,
    save_said,
    taught_file,
)
from acoustic.lessons import load as load_lessons
from acoustic.train import Budget, ctc, device, weighted
from acoustic.whisper import LONGEST, STACKED, WhisperConfig, WhisperCTC, WhisperFeatures
from decoders import greedy
from quran_index import QuranIndex

_LEAST_RATE = 0.02  # share of the peak that is left at the end
_LONGEST_EXAMPLE = 17.0  # seconds at its own tempo; slowed down it must not be `LONGEST`
_LOG_STEPS = 25
_HEARD_SECONDS = 240.0  # of a batch
_LEAST_CONFIDENCE = 0.45
# Log prior of a blank. Unsure of a sound the teacher says nothing, and of foreign speech it often
# is unsure: without it a third of the sounds are missing, and who learns from that learns silence.
_BLANK = -2.0
_LEAST_PHONEMES = 3
_THINKING_LAYERS = 0.75
"""How far up thoughts are taken: the last layers think of phonemes alone."""
_SURVEYED = 6000  # utterances of which the directions of thought are taken

Float = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Recipe(Budget):
    """How to fine-tune."""

    encoder_rate: float = 1.5e-4
    head_rate: float = 1e-3
    warmup_steps: int = 100
    batch_seconds: float = 48.0
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    seed: int = 1


def hear(teacher: WhisperCTC, features: Sequence[Tensor]) -> list[Float]:
    """Log-probs [T, symbols] of each of several recordings' features."""
    where = next(teacher.parameters()).device
    lengths = torch.tensor([len(f) for f in features], device=where)
    padded = nn.utils.rnn.pad_sequence(list(features), batch_first=True)
    with torch.no_grad(), torch.autocast(where.type, dtype=torch.bfloat16):
        logits, frames = teacher(padded, lengths)
    log_probs = logits.float().log_softmax(-1).cpu().numpy()
    return [heard[:count] for heard, count in zip(log_probs, frames.tolist(), strict=True)]


def update(teacher: WhisperCTC, optimizer: torch.optim.Optimizer, batch: Batch) -> Tensor:
    """One optimiser step; the loss in nats per label."""
    with torch.autocast(batch.features.device.type, dtype=torch.bfloat16):
        logits, _ = teacher(batch.features, batch.lengths)
    batch.ready()
    loss = ctc(logits, batch)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(teacher.parameters(), 1.0)
    optimizer.step()
    return loss.detach()


def fit(
    whisper: Path,
    data: Sequence[tuple[Path, float]],
    held_out: Path | None,
    recipe: Recipe,
) -> WhisperCTC:
    """A teacher; ``data`` and ``held_out`` as for `acoustic.train`."""
    torch.manual_seed(recipe.seed)
    index, rng = QuranIndex.load(), np.random.default_rng(recipe.seed)
    teacher = WhisperCTC.pretrained(whisper, len(index.symbols)).to(device())
    groups = [
        {"params": [p for p in part.parameters() if p.requires_grad], "lr": rate}
        for part, rate in (
            (teacher.encoder, recipe.encoder_rate),
            (teacher.head, recipe.head_rate),
        )
    ]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)

    started = time.monotonic()

    def done(step: int) -> float:
        return recipe.spent(step, time.monotonic() - started)

    def rate(step: int) -> float:
        cosine = 0.5 * (1 + math.cos(math.pi * done(step)))
        return max(_LEAST_RATE, cosine) * min(1.0, (step + 1) / recipe.warmup_steps)

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    extract = WhisperFeatures(device())
    corpora = [(load_lessons(folder, index), factor) for folder, factor in data]
    losses: list[Tensor] = []
    for step, batch in enumerate(_batches(corpora, Renderer(extract, rng), recipe)):
        if done(step) >= 1:
            break
        losses.append(update(teacher, optimizer, batch))
        schedule.step()
        if len(losses) == _LOG_STEPS:
            mean = float(torch.stack(losses).mean())
            print(f"step {step + 1}: {mean:.3f} nats a phoneme", file=sys.stderr, flush=True)
            losses.clear()
    teacher.eval()
    if held_out is not None:
        held = HeldOut.load(held_out, index)
        rate_of_errors = held.per(
            lambda wave: hear(teacher, [extract.plain(torch.from_numpy(wave).to(extract.device))])[
                0
            ]
        )
        print(f"phoneme errors on {held_out}: {rate_of_errors:.1%}", file=sys.stderr)
    return teacher


def _batches(
    corpora: Sequence[tuple[Lessons, float]], render: Renderer, recipe: Recipe
) -> Iterator[Batch]:
    """Batches of what Whisper can hear at once, without end."""
    lectures = Lectures(
        corpora, _LONGEST_EXAMPLE, recipe.batch_seconds, recipe.augmentation, (recipe.seed,)
    )
    for lecture in load(lectures, device()):
        batch = render(lecture, recipe.augmentation)
        if batch.features.shape[1] <= LONGEST * 100:
            yield batch


def listen(teacher: WhisperCTC, folders: Sequence[Path], index: QuranIndex) -> None:
    """Leave beside the corpora what it thinks of them and, where there are no words, hears."""
    rng = np.random.default_rng(0)
    files = [file for folder in folders for file in by_file(corpus.load(folder))]
    everything = [u for _, utterances in files for u in utterances]
    surveyed = [everything[i] for i in rng.permutation(len(everything))[:_SURVEYED]]
    states = (hidden[heard] for _, _, hidden, heard in _heard(teacher, surveyed))
    basis = _directions([some[::3].cpu() for some in states])
    for file, utterances in files:
        first = np.cumsum([0] + [u.samples // FRAME for u in utterances])
        thoughts = np.zeros((int(first[-1]), DIMENSIONS), np.float16)
        at = {utterance: i for i, utterance in enumerate(utterances)}
        said: list[Labels] = [np.zeros(0, np.int16)] * len(utterances)
        for batch, log_probs, hidden, _ in _heard(teacher, utterances):
            for utterance, heard, told in zip(batch, log_probs, basis.of(hidden), strict=True):
                i = at[utterance]
                thoughts[first[i] : first[i + 1]] = told[: len(heard)]
                said[i] = _labels(heard)
        np.save(taught_file(file), thoughts)
        if not any(u.worded for u in utterances):
            save_said(file, said)
        print(f"{file}: {len(utterances)} utterances", file=sys.stderr, flush=True)


def _heard(
    teacher: WhisperCTC, utterances: Sequence[Utterance]
) -> Iterator[tuple[list[Utterance], list[Float], Tensor, Tensor]]:
    """Batches of utterances: log-probs [T, symbols] of each, hidden states [B, T, width], and in
    which frames [B, T] something was heard; not of what is too long."""
    extract = WhisperFeatures(device())
    short = [u for u in utterances if u.samples <= LONGEST * corpus.SAMPLE_RATE]
    hidden: list[Tensor] = []
    layers = teacher.encoder.layers
    layer = layers[round(len(layers) * _THINKING_LAYERS) - 1]
    hook = layer.register_forward_hook(lambda module, given, told: hidden.append(told))
    for batch in by_length(short, _HEARD_SECONDS):
        features = [extract.plain(torch.from_numpy(u.wave()).to(extract.device)) for u in batch]
        log_probs = hear(teacher, features)
        states = hidden.pop().float()
        count = states.shape[1] // STACKED
        states = states[:, : count * STACKED].reshape(len(batch), count, STACKED, -1).mean(2)
        frames = torch.tensor([len(heard) for heard in log_probs], device=states.device)
        within = torch.arange(count, device=states.device)[None] < frames[:, None]
        yield batch, log_probs, states, within
    hook.remove()


class _Directions(NamedTuple):
    """Principal components [width, DIMENSIONS] of hidden states, of mean variance 1."""

    mean: Tensor
    components: Tensor

    def of(self, hidden: Tensor) -> Thoughts:
        """Hidden states [..., width] in these directions."""
        told: Thoughts = ((hidden - self.mean) @ self.components).half().cpu().numpy()
        return told


def _directions(hidden: Sequence[Tensor]) -> _Directions:
    every = torch.cat(list(hidden)).double()
    mean = every.mean(0)
    values, vectors = torch.linalg.eigh((every - mean).T @ (every - mean) / len(every))
    share = values[-DIMENSIONS:].sum() / values.sum()
    print(f"{DIMENSIONS} directions hold {share:.1%} of the variance", file=sys.stderr)
    components = vectors[:, -DIMENSIONS:] / values[-DIMENSIONS:].mean().sqrt()
    return _Directions(mean.float().to(device()), components.float().to(device()))


def _labels(log_probs: Float) -> Labels:
    """What was heard; nothing where that is little, or little of it sure."""
    log_probs[:, 0] += _BLANK
    symbols, odds = greedy(log_probs), np.exp(log_probs)
    sure = (odds.max(axis=1) / odds.sum(axis=1))[odds.argmax(axis=1) != 0]
    if len(symbols) < _LEAST_PHONEMES or sure.mean() < _LEAST_CONFIDENCE:
        symbols = []
    return np.array(symbols, np.int16)


def save(teacher: WhisperCTC, path: Path) -> None:
    """Write weights in half precision, and the configuration."""
    weights = {name: value.half() for name, value in teacher.state_dict().items()}
    torch.save({"weights": weights, "config": asdict(teacher.config)}, path)


def load_teacher(path: Path) -> WhisperCTC:
    """What `save` wrote, ready to hear."""
    state = torch.load(path, map_location=device(), weights_only=True)
    teacher = WhisperCTC(WhisperConfig(**state["config"])).to(device())
    teacher.load_state_dict(state["weights"])
    return teacher.eval()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="acoustic.teacher")
    commands = parser.add_subparsers(dest="command", required=True)
    fitting = commands.add_parser("fit", help="fine-tune Whisper's encoder to recitation")
    fitting.add_argument("whisper", type=Path, help="encoder_model.onnx, quantised or not")
    fitting.add_argument("--data", type=weighted, nargs="+", required=True)
    fitting.add_argument("--held-out", type=Path, help="corpus folder to measure on")
    fitting.add_argument("--minutes", type=float, default=40.0)
    fitting.add_argument("--out", type=Path, required=True)
    fitting.add_argument("--batch-seconds", type=float, default=48.0, help="of audio")
    listening = commands.add_parser("listen", help="leave beside corpora what it thinks of them")
    listening.add_argument("teacher", type=Path)
    listening.add_argument("--data", type=Path, nargs="+", required=True)
    args = parser.parse_args(arguments)
    try:
        if args.command == "fit":
            recipe = Recipe(minutes=args.minutes, batch_seconds=args.batch_seconds)
            save(fit(args.whisper, args.data, args.held_out, recipe), args.out)
        else:
            listen(load_teacher(args.teacher), args.data, QuranIndex.load())
    except (OSError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
