"""Train the acoustic model: ``python -m acoustic.train --data CORPUS ... --out FOLDER``.

The same code runs on one GPU and on CPU processes that average their gradients over gloo
(``--processes 2``; one thread each is faster than two threads in one process). The learning rate
follows the time budget, and training resumes from the last checkpoint in ``--out``. SIGTERM and
Ctrl-C end it after the present step, with a checkpoint. At the end the exponential moving average
of the weights is left in ``--out`` as ``final.pt``, in half precision: it is what is exported, and
what ``--init`` starts another training from.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from acoustic.augment import FULL, GENTLE, Augmentation, FeatureExtractor
from acoustic.batches import Batch, Lectures, Lessons, Renderer, load
from acoustic.encoder import WEIGHTS
from acoustic.evaluate import HeldOut, hear
from acoustic.export import load_average, save_average
from acoustic.lessons import DIMENSIONS
from acoustic.lessons import load as load_lessons
from acoustic.model import CHUNKS, FRAME_SHIFT, ConformerCTC, ModelConfig
from acoustic.processes import share_work
from acoustic.stopping import StopSignals
from quran_index import QuranIndex

SHIPPED = WEIGHTS.with_suffix(".pt")
"""The averaged weights of the shipped model, in half precision."""

EMA_DECAY, EMA_EVERY = 0.98, 5  # taken every few steps: it costs a pass over the weights
_ALL = 1024  # frames, more than any example has: the network that sees everything, to compare with
LOOK_AHEADS = (*CHUNKS, _ALL)
LOOK_AHEAD_SHARES = (0.06, 0.1, 0.6, 0.12, 0.12)
LOG_STEPS, SAVE_SECONDS, EVALUATE_SECONDS = 50, 240.0, 600.0
STOP_SECONDS = 90.0
"""How long processes that are to stop may take for what they are at: a measurement, at most."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to train: so many minutes, or so many steps if given."""

    minutes: float = 0.0
    steps: int = 0

    def spent(self, step: int, seconds: float) -> float:
        """How much of it is spent after so many steps and seconds, 0 to 1."""
        return min(1.0, step / self.steps if self.steps else seconds / (60 * self.minutes))


@dataclass(frozen=True, slots=True)
class Recipe(Budget):
    """How to train; lengths in seconds of audio."""

    peak_rate: float = 1.2e-3
    init_rate: float = 4e-4
    """The peak where training starts from weights that learned before: at the full one they forget
    first, and it takes 75 hours of audio until they are where they were."""
    final_rate: float = 2e-5
    warmup_steps: int = 300
    batch_seconds: float = 64.0
    longest: float = 30.0
    first_fraction: float = 0.05
    """The share of the time that hears short verses only, and plainly."""
    longest_first: float = 7.0
    middle_weight: float = 0.3
    augmentation: Augmentation = FULL
    seed: int = 1


def device() -> torch.device:
    """Where to compute: the GPU, if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def ctc(logits: Tensor, batch: Batch) -> Tensor:
    """CTC loss in nats per label."""
    log_probs = logits.float().log_softmax(-1).transpose(0, 1)
    loss = F.ctc_loss(
        log_probs,
        batch.labels,
        batch.label_frames,
        batch.counts,
        reduction="sum",
        zero_infinity=True,
    )
    return loss / int(batch.counts.sum())


def average_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Mean of every gradient over the processes, in one message."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    means = torch.split(flat, [g.numel() for g in gradients])
    for gradient, mean in zip(gradients, means, strict=True):
        gradient.copy_(mean.view_as(gradient))


def average_weights(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the moving average, weights and running statistics alike, towards the model."""
    with torch.no_grad():
        mine, theirs = average.state_dict().values(), model.state_dict().values()
        torch._foreach_lerp_(list(mine), list(theirs), 1 - decay)


def learning_rate(recipe: Recipe, peak: float, step: int, fraction: float) -> float:
    """Linear warm-up by steps to the peak, cosine decay over the budget."""
    cosine = 0.5 * (1 + np.cos(np.pi * fraction))
    rate = recipe.final_rate + (peak - recipe.final_rate) * cosine
    return float(rate * min(1.0, (step + 1) / recipe.warmup_steps))


class Understanding(nn.Module):
    """What a teacher thinks, told from the middle of the network (Hinton et al. 2015, with hidden
    states in place of probabilities): a linear layer after two thirds of the blocks.

    It is there for training alone.
    """

    def __init__(self, network: ConformerCTC) -> None:
        super().__init__()
        self.linear = nn.Linear(network.config.width, DIMENSIONS)
        self._hidden = torch.empty(0)
        block = network.blocks[round(len(network.blocks) * 2 / 3) - 1]
        block.register_forward_hook(self._keep)

    def _keep(self, block: nn.Module, given: tuple[object, ...], hidden: Tensor) -> None:
        self._hidden = hidden

    def loss(self, taught: Tensor, known: Tensor) -> Tensor:
        """Mean squared error of what was heard last; ``taught`` and ``known`` as in `Batch`."""
        told = self.linear(self._hidden.float())
        errors = (told - taught.float()).square().mean(-1)
        mean: Tensor = (errors * known).sum() / known.sum().clamp(min=1)
        return mean


class Trainer:
    """The network, its moving average and its optimiser, with the file they are kept in."""

    def __init__(
        self,
        config: ModelConfig,
        recipe: Recipe,
        checkpoint: Path,
        begun: ConformerCTC | None = None,
    ) -> None:
        """``begun``: a network of the same shape to go on from, unless there is a checkpoint."""
        self.device = device()
        torch.manual_seed(recipe.seed)
        self.model = ConformerCTC(config).to(self.device)
        self.average = ConformerCTC(config).to(self.device)
        self.average.load_state_dict(self.model.state_dict())
        self.step = 0
        self.heard = 0.0  # hours of audio, in this process
        self._started = time.monotonic()
        self._recipe = recipe
        self._peak_rate = recipe.peak_rate if begun is None else recipe.init_rate
        self._checkpoint = checkpoint
        self._understanding = Understanding(self.model).to(self.device)
        self._parameters = [*self.model.parameters(), *self._understanding.parameters()]
        matrices = [p for p in self._parameters if p.ndim > 1]
        vectors = [p for p in self._parameters if p.ndim <= 1]
        self._optimizer = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": 0.02},
                {"params": vectors, "weight_decay": 0.0},
            ],
            betas=(0.9, 0.98),
            fused=True,
        )
        if checkpoint.exists():
            self._resume()
        elif begun is not None:
            self.model.load_state_dict(begun.state_dict())
            self.average.load_state_dict(begun.state_dict())
        self.model.train()
        self.average.eval()

    def _resume(self) -> None:
        state = torch.load(self._checkpoint, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self._understanding.load_state_dict(state["understanding"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.step, self.heard = state["step"], state["heard"]
        self._started -= state["spent"]

    @property
    def seconds(self) -> float:
        """Time spent training, over restarts."""
        return time.monotonic() - self._started

    @property
    def fraction(self) -> float:
        """How much of the budget is spent."""
        return self._recipe.spent(self.step, self.seconds)

    def save(self) -> None:
        """Write the checkpoint so that a crash leaves the old one."""
        part = self._checkpoint.with_suffix(".part")
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "understanding": self._understanding.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "step": self.step,
            "heard": self.heard,
            "spent": self.seconds,
            "config": asdict(self.model.config),
        }
        torch.save(state, part)
        part.replace(self._checkpoint)

    def update(self, batch: Batch, chunk: int) -> Tensor:
        """One optimiser step; the loss in nats per label, and that of `Understanding`, nan if
        nothing was taught.

        They need not have been computed yet.
        """
        self._optimizer.zero_grad()
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            logits, middle, _ = self.model(batch.features, batch.lengths, chunk)
        batch.ready()
        loss = ctc(logits, batch)
        weight = self._recipe.middle_weight
        total = (1 - weight) * loss + weight * ctc(middle, batch)
        misunderstood = torch.full_like(loss, torch.nan)
        if batch.taught is not None and batch.known is not None:
            misunderstood = self._understanding.loss(batch.taught, batch.known)
            total = total + misunderstood
        total.backward()  # type: ignore[no-untyped-call]
        for parameter in self._understanding.parameters():
            if parameter.grad is None:  # nothing was taught, but processes average all gradients
                parameter.grad = torch.zeros_like(parameter)
        self.heard += int(batch.label_frames.sum()) * FRAME_SHIFT / 3600
        if dist.is_initialized():
            average_gradients(self._parameters)
        nn.utils.clip_grad_norm_(self._parameters, 1.0)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(self._recipe, self._peak_rate, self.step, self.fraction)
        self._optimizer.step()
        self.step += 1
        if self.step % EMA_EVERY == 0:
            decay = min(EMA_DECAY, self.step / (self.step + 100))
            average_weights(self.average, self.model, decay)
        return torch.stack([loss, misunderstood]).detach()


class _End(IntEnum):
    """How training ended; the later ones take precedence."""

    NOT_YET, STOPPED, FINISHED = range(3)


def _agreed_end(trainer: Trainer, stop: StopSignals) -> _End:
    """What any process has come to: all end together."""
    mine = _End.STOPPED if stop.asked else _End.NOT_YET
    if trainer.fraction >= 1.0:
        mine = _End.FINISHED
    end = torch.tensor(int(mine))
    if dist.is_initialized():
        dist.all_reduce(end, op=dist.ReduceOp.MAX)
    return _End(int(end))


class _Log:
    """Rank 0's lines of JSON: losses, and error rates on the held-out corpus."""

    def __init__(self, path: Path, trainer: Trainer, held_out: HeldOut | None) -> None:
        self._path, self._trainer, self._held_out = path, trainer, held_out
        self._losses: list[Tensor] = []
        self._saved = self._evaluated = time.monotonic()

    def _write(self, **values: float) -> None:
        row = {"step": self._trainer.step, "minutes": self._trainer.seconds / 60, **values}
        with open(self._path, "a", encoding="utf-8") as lines:
            lines.write(json.dumps({k: round(v, 5) for k, v in row.items()}) + "\n")

    def after_step(self, losses: Tensor) -> None:
        self._losses.append(losses)
        now = time.monotonic()
        if self._trainer.step % LOG_STEPS == 0:
            hours = self._trainer.heard * (dist.get_world_size() if dist.is_initialized() else 1)
            loss, misunderstood = torch.stack(self._losses).nanmean(0).tolist()
            taught = {} if np.isnan(misunderstood) else {"taught": misunderstood}
            self._write(hours=hours, loss=loss, **taught)
            self._losses.clear()
        if now - self._evaluated > EVALUATE_SECONDS:
            self.evaluate()
            self._evaluated = now
        if now - self._saved > SAVE_SECONDS:
            self._trainer.save()
            self._saved = now

    def evaluate(self) -> None:
        if self._held_out is not None:
            network = self._trainer.average
            self._write(per=self._held_out.per(lambda wave: hear(network, wave)))


def _batches(
    trainer: Trainer,
    corpora: Sequence[tuple[Lessons, float]],
    recipe: Recipe,
    rng: np.random.Generator,
    rank: int,
    *,
    plainly: bool,
) -> Iterator[Batch]:
    """What there is to learn: at first short and plain, if so, later as the recipe augments it.

    One batch ahead: a GPU renders the next one while this process still prepares a step.
    """
    render = Renderer(FeatureExtractor(trainer.device), rng)
    coming: Batch | None = None
    for first in (True, False) if plainly else (False,):
        settings = None if first else recipe.augmentation
        lectures = Lectures(
            corpora,
            recipe.longest_first if first else recipe.longest,
            recipe.batch_seconds,
            settings,
            (recipe.seed, rank, trainer.step),
        )
        for lecture in load(lectures, trainer.device):
            ready, coming = coming, render(lecture, settings)
            if ready is not None:
                yield ready
            if first and trainer.fraction >= recipe.first_fraction:
                break


def train(
    data: Sequence[tuple[Path, float]],
    held_out: Path | None,
    out: Path,
    recipe: Recipe,
    shape: dict[str, int],
    init: Path | None = None,
    rank: int = 0,
    world: int = 1,
) -> bool:
    """One process's share of training; rank 0 logs, evaluates and saves.

    ``data``: corpora, and how many times as often as its voices deserve each is to be heard.
    ``init``: weights to start from; the network then has their shape. Whether it came to its end:
    False if any process was asked to stop (`StopSignals`) before.
    """
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("high")
    if world > 1:
        dist.init_process_group("gloo", rank=rank, world_size=world)
    index = QuranIndex.load()
    begun = None if init is None else load_average(init)
    config = ModelConfig(symbols=len(index.symbols), **shape) if begun is None else begun.config
    trainer = Trainer(config, recipe, out / "checkpoint.pt", begun)
    corpora = [(load_lessons(folder, index), factor) for folder, factor in data]
    rng = np.random.default_rng((recipe.seed, rank, trainer.step))
    batches = _batches(trainer, corpora, recipe, rng, rank, plainly=init is None)
    log = None
    if rank == 0:
        held = HeldOut.load(held_out, index) if held_out is not None else None
        log = _Log(out / "log.jsonl", trainer, held)
        if init is not None and not trainer.step:
            log.evaluate()  # what there is to lose
    with StopSignals() as stop:
        while (end := _agreed_end(trainer, stop)) is _End.NOT_YET:
            chunk = int(rng.choice(LOOK_AHEADS, p=LOOK_AHEAD_SHARES))
            losses = trainer.update(next(batches), chunk)
            if log is not None:
                log.after_step(losses)
        if log is not None:
            trainer.save()
            if end is _End.FINISHED:
                save_average(trainer.average, out / "final.pt")
                log.evaluate()
        if world > 1:
            dist.barrier()
            dist.destroy_process_group()
    return end is _End.FINISHED


def weighted(argument: str) -> tuple[Path, float]:
    """A corpus and its factor, as ``CORPUS*FACTOR`` on a command line."""
    folder, star, factor = argument.rpartition("*")
    return (Path(folder), float(factor)) if star else (Path(argument), 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="acoustic.train")
    parser.add_argument(
        "--data",
        type=weighted,
        nargs="+",
        required=True,
        metavar="CORPUS[*FACTOR]",
        help="corpus folders, and how many times as often as others they are to be heard",
    )
    parser.add_argument("--held-out", type=Path, help="corpus folder to measure on")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--init",
        type=lambda name: SHIPPED if name == "shipped" else Path(name),
        metavar="shipped|PATH",
        help="the shipped weights, a training's final.pt, or an exported .onnx, to start from, "
        "in their shape",
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--batch-seconds", type=float, default=64.0, help="of audio, a process")
    parser.add_argument("--rate", type=float, help="peak learning rate")
    parser.add_argument(
        "--gentle",
        action="store_true",
        help="half the rooms, noise and masks: for the last of several trainings",
    )
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--layers", type=int, default=10)
    parser.add_argument("--heads", type=int, default=4)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rates = {} if args.rate is None else {"peak_rate": args.rate, "init_rate": args.rate}
    recipe = Recipe(
        minutes=args.minutes,
        batch_seconds=args.batch_seconds,
        augmentation=GENTLE if args.gentle else FULL,
        **rates,
    )
    shape = {"width": args.width, "layers": args.layers, "heads": args.heads}
    share = partial(train, args.data, args.held_out, args.out, recipe, shape, args.init)
    if args.processes == 1:
        finished = share(0, 1)
    else:
        os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
        os.environ.setdefault("MASTER_PORT", "29517")
        os.environ["OMP_NUM_THREADS"] = "1"
        finished = share_work(share, args.processes, STOP_SECONDS)
    if not finished:
        raise SystemExit("stopped: the same command goes on from the checkpoint")


if __name__ == "__main__":
    main()
