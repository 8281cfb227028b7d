"""Train the acoustic model: ``python -m acoustic.train --data CORPUS ... --out FOLDER``.

The same code runs on one GPU and on CPU processes that average their gradients over gloo
(``--processes 2``; one thread each is faster than two threads in one process). The learning rate
follows the time budget, training resumes from the last checkpoint in ``--out``, and the checkpoint
holds the exponential moving average that is exported.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from acoustic import corpus, evaluate
from acoustic.augment import Augmentation, FeatureExtractor
from acoustic.model import SUBSAMPLING, ConformerCTC, ModelConfig
from quran_index import QuranIndex

MAX_LABEL_RATE = 0.8  # labels per frame; past this CTC has no room for its blanks
EMA_DECAY, EMA_EVERY = (
    0.99,
    5,
)  # the average is taken every few steps: it costs a pass over the weights
LOOK_AHEADS = ((8, 0.7), (16, 0.15), (4, 0.15))  # chunks in frames, and how often each is drawn


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train; times in minutes and seconds."""

    minutes: float
    peak_rate: float = 1.2e-3
    final_rate: float = 2e-5
    warmup_steps: int = 300
    batch_seconds: float = 64.0
    longest: float = 30.0
    longest_first: float = 7.0
    first_fraction: float = 0.1
    middle_weight: float = 0.3
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Example:
    """A run of verses of one reciter that is one training utterance."""

    utterances: tuple[corpus.Utterance, ...]
    pauses: tuple[float, ...]
    labels: tuple[int, ...]

    @property
    def seconds(self) -> float:
        spoken = sum(u.samples for u in self.utterances) / corpus.SAMPLE_RATE
        return spoken + sum(self.pauses)


class Sampler:
    """Draws runs of verses: consecutive recordings of one reciter, joined with short pauses."""

    def __init__(
        self, utterances: list[corpus.Utterance], index: QuranIndex, rng: np.random.Generator
    ) -> None:
        self._utterances = utterances
        self._index = index
        self._rng = rng
        self._following = {
            (u.corpus, u.surah, u.ayah): i for i, u in enumerate(utterances) if u.ayah
        }

    def labels(self, utterance: corpus.Utterance) -> list[int]:
        """CTC labels of one utterance: one breath from its first word to its last."""
        index = self._index
        ayahs = [utterance.ayah] if utterance.ayah else range(1, index.ayahs(utterance.surah) + 1)
        labels: list[int] = []
        for ayah in ayahs:
            verse = index.verse_of(utterance.surah, ayah)
            first, last = index.first_word[verse], index.first_word[verse + 1] - 1
            labels += index.spell(int(first), int(last)).tolist()
        return labels

    def draw(self, longest: float) -> Example:
        """A random run of at most ``longest`` seconds."""
        rng = self._rng
        while True:
            at = int(rng.integers(len(self._utterances)))
            run, pauses = [self._utterances[at]], [float(rng.uniform(0, 0.4))]
            seconds = run[0].samples / corpus.SAMPLE_RATE
            wanted = rng.uniform(0.3, 1.0) * longest
            while seconds < wanted and rng.random() < 0.6:
                last = run[-1]
                following = self._following.get((last.corpus, last.surah, last.ayah + 1))
                if following is None:
                    break
                candidate = self._utterances[following]
                seconds += candidate.samples / corpus.SAMPLE_RATE
                if seconds > longest:
                    break
                run.append(candidate)
                pauses.append(float(rng.uniform(0, 0.5)))
            labels = [label for u in run for label in self.labels(u)]
            example = Example(tuple(run), tuple(pauses), tuple(labels))
            if example.seconds <= longest:
                return example


def batches(
    sampler: Sampler, recipe: Recipe, progress: "Progress", rng: np.random.Generator
) -> Iterator[list[Example]]:
    """Batches of similar lengths, short ones first in training."""
    while True:
        early = progress.fraction < recipe.first_fraction
        longest = recipe.longest_first if early else recipe.longest
        pool = sorted((sampler.draw(longest) for _ in range(48)), key=lambda e: e.seconds)
        groups: list[list[Example]] = [[]]
        for example in pool:
            if (len(groups[-1]) + 1) * example.seconds > recipe.batch_seconds and groups[-1]:
                groups.append([])
            groups[-1].append(example)
        for i in rng.permutation(len(groups)):
            yield groups[i]


class Progress:
    """Time spent training, over restarts."""

    def __init__(self, minutes: float, spent: float = 0.0) -> None:
        self._budget, self._spent, self._started = minutes * 60, spent, time.monotonic()

    @property
    def seconds(self) -> float:
        return self._spent + time.monotonic() - self._started

    @property
    def fraction(self) -> float:
        return min(1.0, self.seconds / self._budget)


class Collator:
    """Examples to padded features, labels and lengths."""

    def __init__(self, samples: list[corpus.Samples], device: torch.device, seed: int) -> None:
        self._samples = {name: s for s in samples for name in s.names}
        self._extract = FeatureExtractor(device)
        self._device = device
        self._rng = np.random.default_rng(seed)

    def wave(self, example: Example) -> Tensor:
        """float32 waveform of a run, its pauses filled with faint noise."""
        parts: list[np.ndarray[Any, Any]] = []
        for utterance, pause in zip(example.utterances, example.pauses, strict=True):
            parts.append(self._samples[utterance.corpus](utterance).astype(np.float32) / 32768.0)
            quiet = self._rng.normal(0, 10 ** self._rng.uniform(-5, -3), int(pause * 16_000))
            parts.append(quiet.astype(np.float32))
        return torch.from_numpy(np.concatenate(parts)).to(self._device)

    def __call__(
        self, examples: list[Example], settings: Augmentation | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Features [B, T, BANDS], their lengths, concatenated labels, label counts."""
        kept: list[tuple[Tensor, tuple[int, ...]]] = []
        waves = [self.wave(e) for e in examples]
        for i, (wave, example) in enumerate(zip(waves, examples, strict=True)):
            if settings is None:
                features = self._extract.plain(wave)
            else:
                behind = waves[(i + 1) % len(waves)] if len(waves) > 1 else None
                features = self._extract.augmented(wave, settings, self._rng, behind)
            if len(example.labels) > MAX_LABEL_RATE * (len(features) // SUBSAMPLING):
                features = self._extract.plain(wave)
                if len(example.labels) > MAX_LABEL_RATE * (len(features) // SUBSAMPLING):
                    continue
            kept.append((features, example.labels))
        if not kept:
            empty = torch.zeros(0, dtype=torch.long, device=self._device)
            return torch.zeros(0, 0, 0), empty, empty, empty
        lengths = torch.tensor([len(f) for f, _ in kept], device=self._device)
        labels = torch.tensor([x for _, y in kept for x in y], device=self._device)
        counts = torch.tensor([len(y) for _, y in kept], device=self._device)
        padded = nn.utils.rnn.pad_sequence([f for f, _ in kept], batch_first=True)
        return padded, lengths, labels, counts


def ctc(logits: Tensor, frames: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
    """CTC loss in nats per label, averaged over the batch's labels."""
    log_probs = logits.float().log_softmax(-1).transpose(0, 1)
    loss = F.ctc_loss(log_probs, labels, frames, counts, reduction="sum", zero_infinity=True)
    return loss / counts.sum()


def average_gradients(model: nn.Module) -> None:
    """Mean of every gradient over the processes, in one message."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def average_weights(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the moving average, weights and running statistics alike, towards the model."""
    with torch.no_grad():
        for mine, theirs in zip(
            average.state_dict().values(), model.state_dict().values(), strict=True
        ):
            mine.lerp_(theirs, 1 - decay)


def learning_rate(recipe: Recipe, step: int, fraction: float) -> float:
    """Linear warm-up by steps, cosine decay by time."""
    cosine = 0.5 * (1 + np.cos(np.pi * fraction))
    peak = recipe.final_rate + (recipe.peak_rate - recipe.final_rate) * cosine
    return float(peak * min(1.0, (step + 1) / recipe.warmup_steps))


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint so that a crash leaves the old one."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def train(
    folders: list[Path],
    held_out: Path | None,
    out: Path,
    recipe: Recipe,
    shape: dict[str, int],
    rank: int = 0,
    world: int = 1,
) -> None:
    """One process's share of training; rank 0 logs, evaluates and saves."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        torch.set_num_threads(1)
    if world > 1:
        dist.init_process_group("gloo", rank=rank, world_size=world)
    index = QuranIndex.load()
    torch.manual_seed(recipe.seed)
    config = ModelConfig(symbols=len(index.symbols), **shape)
    model = ConformerCTC(config).to(device)
    average = ConformerCTC(config).to(device)
    average.load_state_dict(model.state_dict())
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}],
        betas=(0.9, 0.98),
        fused=True,
    )
    checkpoint = out / "checkpoint.pt"
    step, spent, heard = 0, 0.0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        if "optimizer" in state:
            optimizer.load_state_dict(state["optimizer"])
        step, spent, heard = state["step"], state["spent"], state["heard"]
    progress = Progress(recipe.minutes, spent)
    seed = recipe.seed * 1000 + rank * 100 + step
    rng = np.random.default_rng(seed)
    utterances = [u for folder in folders for u in corpus.load(folder)]
    sampler = Sampler(utterances, index, rng)
    collate = Collator([corpus.Samples(f) for f in folders], device, seed + 1)
    settings = Augmentation()
    held = evaluate.HeldOut.load(held_out, index) if held_out and rank == 0 else None
    log = open(out / "log.jsonl", "a", encoding="utf-8", buffering=1) if rank == 0 else None
    saved = evaluated = time.monotonic()
    losses: list[float] = []
    model.train()
    for examples in batches(sampler, recipe, progress, rng):
        fraction = progress.fraction
        done = torch.tensor([float(fraction >= 1.0)])
        if world > 1:  # all stop together
            dist.all_reduce(done, op=dist.ReduceOp.MAX)
        if done.item():
            break
        plain = fraction < recipe.first_fraction  # first what is said, then how it may sound
        features, lengths, labels, counts = collate(examples, None if plain else settings)
        optimizer.zero_grad()
        if len(features):
            chunk = int(rng.choice([c for c, _ in LOOK_AHEADS], p=[p for _, p in LOOK_AHEADS]))
            with torch.autocast(device.type, dtype=torch.bfloat16):
                logits, middle, frames = model(features, lengths, chunk)
            loss = ctc(logits, frames, labels, counts)
            (
                (1 - recipe.middle_weight) * loss
                + recipe.middle_weight * ctc(middle, frames, labels, counts)
            ).backward()
            losses.append(loss.item())
            heard += float(lengths.sum()) * 0.01 / 3600
        else:  # every process must have gradients to average
            for parameter in model.parameters():
                parameter.grad = torch.zeros_like(parameter)
        if world > 1:
            average_gradients(model)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        rate = learning_rate(recipe, step, fraction)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        step += 1
        if step % EMA_EVERY == 0:
            average_weights(average, model, min(EMA_DECAY, step / (step + 100)))
        if log is None:
            continue
        if step % 50 == 0:
            row = {"step": step, "minutes": progress.seconds / 60, "hours": heard * world}
            row |= {"loss": float(np.mean(losses)), "rate": rate}
            log.write(json.dumps({k: round(v, 5) for k, v in row.items()}) + "\n")
            losses.clear()
        if held is not None and time.monotonic() - evaluated > 600:
            row = {"step": step, "minutes": progress.seconds / 60, "per": held.per(average)}
            log.write(json.dumps(row) + "\n")
            evaluated = time.monotonic()
        if time.monotonic() - saved > 240:
            _checkpoint(checkpoint, model, average, optimizer, step, progress, heard, config)
            saved = time.monotonic()
    if rank == 0:
        _checkpoint(checkpoint, model, average, optimizer, step, progress, heard, config)
    if log is not None:
        if held is not None:
            log.write(json.dumps({"step": step, "per": held.per(average)}) + "\n")
        log.close()
    if world > 1:
        dist.barrier()
        dist.destroy_process_group()


def _checkpoint(
    path: Path,
    model: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    progress: Progress,
    heard: float,
    config: ModelConfig,
) -> None:
    state = {
        "model": model.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "spent": progress.seconds,
        "heard": heard,
        "config": asdict(config),
    }
    save(path, state)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="acoustic.train")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="corpus folders")
    parser.add_argument("--held-out", type=Path, help="corpus folder to measure on")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--layers", type=int, default=10)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    recipe = Recipe(minutes=args.minutes)
    shape = {"width": args.width, "layers": args.layers}
    if args.processes == 1:
        train(args.data, args.held_out, args.out, recipe, shape)
        return
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", "29517")
    os.environ["OMP_NUM_THREADS"] = "1"
    workers = [
        torch.multiprocessing.get_context("spawn").Process(
            target=train,
            args=(args.data, args.held_out, args.out, recipe, shape, rank, args.processes),
        )
        for rank in range(args.processes)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise SystemExit("a training process failed; its traceback is above")


if __name__ == "__main__":
    main()
