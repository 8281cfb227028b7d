"""Labels for speech of which nobody wrote down the phonemes, from a teacher.

    python -m acoustic.teacher fit WHISPER.onnx --data CORPUS... --held-out CORPUS --out TEACHER.pt
    python -m acoustic.teacher label TEACHER.pt LIST.jsonl --out LABELLED.jsonl

The first fine-tunes Whisper's encoder (`acoustic.whisper`) to the phonemes of recitation, on the
corpora, labels and augmentation that the streaming network learns from. The second writes down what
it hears in recordings of anybody, in any language, as rows with ``phonemes`` for
`acoustic.corpus`: pseudo-labels (Lee 2013), through which the streaming network hears thousands of
voices. ``LIST.jsonl`` has a row per recording: ``file``, and ``reciter``, who speaks. Files are
found beside the list.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from acoustic import corpus
from acoustic.augment import Augmentation
from acoustic.batches import Batch, Collator, Sampler
from acoustic.corpus import SAMPLE_RATE
from acoustic.evaluate import HeldOut
from acoustic.features import SHIFT
from acoustic.train import Budget, as_pronounced, ctc, device, weighted
from acoustic.whisper import LONGEST, WhisperConfig, WhisperCTC, WhisperFeatures
from decoders import greedy
from quran_index import QuranIndex

_LEAST_RATE = 0.02  # share of the peak that is left at the end
_LONGEST_EXAMPLE = 18.0  # seconds at its own tempo; slowed down it must not be `LONGEST`
_LOG_STEPS = 25
_LABELLED_SECONDS = 60.0  # of a batch
_PIECE_SECONDS = 20.0  # what is longer is labelled in pieces
_POOL = 96  # pieces sorted by length at a time, so that batches need little padding
_LEAST_SECONDS = 0.5
_LEAST_CONFIDENCE = 0.45
# Log prior of a blank. Unsure of a sound the teacher says nothing, and of foreign speech it often
# is unsure: without it a third of the sounds are missing, and who learns from that learns silence.
_BLANK = -2.0
_LEAST_PHONEMES = 3

Float = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Recipe(Budget):
    """How to fine-tune."""

    encoder_rate: float = 1.5e-4
    head_rate: float = 1e-3
    warmup_steps: int = 100
    one_breath_steps: int = 150
    """Steps until it hears enough to say how a passage was pronounced."""
    batch_seconds: float = 48.0
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    seed: int = 1


class Piece(NamedTuple):
    """A stretch of a recording, in seconds, and its features [T, BANDS]."""

    row: dict[str, Any]
    start: float
    end: float
    features: Tensor


def hear(teacher: WhisperCTC, features: Sequence[Tensor]) -> list[Float]:
    """Log-probs [T, symbols] of each of several recordings' features."""
    where = next(teacher.parameters()).device
    lengths = torch.tensor([len(f) for f in features], device=where)
    padded = nn.utils.rnn.pad_sequence(list(features), batch_first=True)
    with torch.no_grad(), torch.autocast(where.type, dtype=torch.bfloat16):
        logits, frames = teacher(padded, lengths)
    log_probs = logits.float().log_softmax(-1).cpu().numpy()
    return [heard[:count] for heard, count in zip(log_probs, frames.tolist(), strict=True)]


def update(
    teacher: WhisperCTC, optimizer: torch.optim.Optimizer, batch: Batch, index: QuranIndex | None
) -> float:
    """One optimiser step; the loss in nats per label.

    ``index``: learn the pronunciation that was heard; None: one breath a verse.
    """
    with torch.autocast(batch.features.device.type, dtype=torch.bfloat16):
        logits, frames = teacher(batch.features, batch.lengths)
    if index is not None:
        batch = as_pronounced(index.graph, logits, frames, batch)
    loss = ctc(logits, frames, batch)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(teacher.parameters(), 1.0)
    optimizer.step()
    return loss.item()


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
    collate = Collator(extract.device, index, rng, extract)
    losses: list[float] = []
    for step, batch in enumerate(_batches(data, collate, rng, recipe)):
        if done(step) >= 1:
            break
        heard = index if step >= recipe.one_breath_steps else None
        losses.append(update(teacher, optimizer, batch, heard))
        schedule.step()
        if len(losses) == _LOG_STEPS:
            print(f"step {step + 1}: {np.mean(losses):.3f} nats a phoneme", file=sys.stderr)
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
    data: Sequence[tuple[Path, float]],
    collate: Collator,
    rng: np.random.Generator,
    recipe: Recipe,
) -> Iterator[Batch]:
    """Batches of what Whisper can hear at once, without end."""
    sampler = Sampler([(corpus.load(folder), factor) for folder, factor in data], rng)
    settings = recipe.augmentation
    while True:
        for examples in sampler.batches(_LONGEST_EXAMPLE, recipe.batch_seconds, settings):
            if max(e.rendered for e in examples) > LONGEST:
                continue
            batch = collate(examples, settings)
            if batch is not None:
                yield batch


def label(
    teacher: WhisperCTC, rows: Iterable[dict[str, Any]], index: QuranIndex
) -> Iterator[dict[str, Any]]:
    """Rows with the ``phonemes`` heard in the recordings of ``rows``, in pieces of up to 20 s.

    Pieces of which little was heard, or little of it surely, are left out.
    """
    pool: list[Piece] = []
    extract = WhisperFeatures(next(teacher.parameters()).device)
    for row in rows:
        pool += _pieces(row, extract)
        if len(pool) >= _POOL:
            yield from _labelled(teacher, pool, index)
            pool.clear()
    yield from _labelled(teacher, pool, index)


def _pieces(row: dict[str, Any], extract: WhisperFeatures) -> Iterator[Piece]:
    import av

    try:
        pcm = corpus.decode(Path(row["file"]))
    except (OSError, av.FFmpegError) as error:
        print(f"{row['file']}: {error}", file=sys.stderr)
        return
    count = math.ceil(len(pcm) / (_PIECE_SECONDS * SAMPLE_RATE))
    bounds = np.linspace(0, len(pcm), count + 1).astype(int).tolist()
    for start, end in pairwise(bounds):
        if end - start >= _LEAST_SECONDS * SAMPLE_RATE:
            wave = torch.from_numpy(corpus.to_float(pcm[start:end]))
            features = extract.plain(wave.to(extract.device))
            yield Piece(row, start / SAMPLE_RATE, end / SAMPLE_RATE, features)


def _labelled(
    teacher: WhisperCTC, pool: list[Piece], index: QuranIndex
) -> Iterator[dict[str, Any]]:
    pool = sorted(pool, key=lambda piece: len(piece.features))
    while pool:
        longest = len(pool[-1].features)
        several = max(1, round(_LABELLED_SECONDS * SAMPLE_RATE / SHIFT) // longest)
        batch, pool = pool[-several:], pool[:-several]
        for piece, log_probs in zip(batch, hear(teacher, [p.features for p in batch]), strict=True):
            log_probs[:, 0] += _BLANK
            symbols, odds = greedy(log_probs), np.exp(log_probs)
            sure = (odds.max(axis=1) / odds.sum(axis=1))[odds.argmax(axis=1) != 0]
            if len(symbols) >= _LEAST_PHONEMES and sure.mean() >= _LEAST_CONFIDENCE:
                yield {
                    "file": str(Path(piece.row["file"]).resolve()),
                    "reciter": piece.row["reciter"],
                    "start": round(piece.start, 3),
                    "end": round(piece.end, 3),
                    "phonemes": "".join(index.symbols[s] for s in symbols),
                }


def save(teacher: WhisperCTC, path: Path) -> None:
    """Write weights in half precision, and the configuration."""
    weights = {name: value.half() for name, value in teacher.state_dict().items()}
    torch.save({"weights": weights, "config": asdict(teacher.config)}, path)


def load(path: Path) -> WhisperCTC:
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
    labelling = commands.add_parser("label", help="write down what it hears")
    labelling.add_argument("teacher", type=Path)
    labelling.add_argument("list", type=Path, help="lines of JSON: file, reciter")
    labelling.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    try:
        if args.command == "fit":
            recipe = Recipe(minutes=args.minutes)
            save(fit(args.whisper, args.data, args.held_out, recipe), args.out)
            return
        rows = list(corpus.read_list(args.list, labelled=False))
        with open(args.out, "w", encoding="utf-8") as out:
            for row in label(load(args.teacher), rows, QuranIndex.load()):
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
    except (OSError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
