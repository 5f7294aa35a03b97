"""The training loop of every network: resumable after a kill, on one device or several.

A task says what is learnt (network, films, loss, score); the loop knows nothing of films.
Everything random follows from the seed and the epoch, so a run that was killed goes on as if it
had not been.
"""

import copy
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from torch import nn
from torch.utils.data import DataLoader, Dataset, Sampler

from training.errors import TrainingError
from training.progress import RunProgress
from training.settings import LoopSettings

CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"


class OtherRun(TrainingError, ValueError):
    """The folder holds a run made with other settings."""


@dataclass(frozen=True)
class Task:
    """What a loop must know of what it learns.

    Attributes
    ----------
    network
        What is trained.
    films
        Gives a batch's part for ``(epoch, index)``.
    weights
        How often each film is shown, relative to the others; None shows each once an epoch.
    provenance
        What the network learns from, in a sentence that goes with its weights.
    should_stop
        Told each epoch's number and score, says whether to stop.
    loss
        The network and a batch -> what is to be made small.
    score
        The averaged network -> what is to be made large, on films that do not teach. None: all
        films teach, and the last epoch is kept.
    """

    network: nn.Module
    films: Dataset[Any]
    loss: Callable[[nn.Module, Any], torch.Tensor]
    score: Callable[[nn.Module], float] | None
    weights: torch.Tensor | None = None
    provenance: str = ""
    should_stop: Callable[[int, float], bool] | None = None


class EpochSampler(Sampler[list[tuple[int, int]]]):
    """Batches of ``(epoch, index)`` in an order that follows from seed and epoch alone."""

    def __init__(self, task: Task, settings: LoopSettings) -> None:
        self.films = len(task.films)  # type: ignore[arg-type]
        self.weights = task.weights
        self.seed = settings.seed
        self.batch_size = settings.batch_size
        self.epoch = 0

    def __len__(self) -> int:
        return max(1, self.films // (self.batch_size * idist.get_world_size()))

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """Yield this process's share of the epoch; a last batch that is not full is left out."""
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        if self.weights is None:
            order = torch.randperm(self.films, generator=generator)
        else:
            order = torch.multinomial(self.weights, self.films, True, generator=generator)
        mine = order[idist.get_rank() :: idist.get_world_size()].tolist()
        for step in range(len(self)):
            chosen = mine[step * self.batch_size : (step + 1) * self.batch_size]
            yield [(self.epoch, index) for index in chosen]


@dataclass
class Run:
    """The state of a training run: all that a checkpoint holds."""

    settings: LoopSettings
    network: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    epoch: int = 0
    best: float = -math.inf
    best_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write the checkpoint whole or not at all."""
        write_whole(
            path,
            {
                "settings": self.settings.model_dump(),
                "network": self.network.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "epoch": self.epoch,
                "best": self.best,
                "best_epoch": self.best_epoch,
                "history": self.history,
            },
        )

    def load(self, path: Path) -> None:
        """Go on from a checkpoint, or raise `OtherRun`; device, workers and epochs may differ."""
        state = torch.load(path, map_location=self.settings.device, weights_only=True)
        free = {"epochs": None, "device": None, "workers": None}
        if self.settings.model_dump() | free != state["settings"] | free:
            raise OtherRun(f"{path} was made with other settings: {state['settings']}")
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.history = state["epoch"], state["history"]
        self.best, self.best_epoch = state["best"], state["best_epoch"]

    def record(self, loss: float, score: float) -> None:
        """Write down what an epoch led to."""
        self.epoch += 1
        rate = self.optimizer.param_groups[0]["lr"]
        entry = {"epoch": self.epoch, "loss": loss, "score": score, "learning_rate": rate}
        self.history.append(entry)
        if score > self.best or math.isnan(score):
            self.best, self.best_epoch = score, self.epoch

    @property
    def done(self) -> bool:
        """Whether all epochs ran, or the score has not risen for long."""
        waited = self.epoch - self.best_epoch
        return self.epoch >= self.settings.epochs or waited >= self.settings.patience


def write_whole(path: Path, state: dict[str, Any]) -> None:
    """Write a file under another name, sync it, then rename it: a kill leaves no half file."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def fit(task: Task, settings: LoopSettings, out: Path) -> Path:
    """Train, or go on with, the run in ``out``; return the file of its best averaged weights.

    Raises
    ------
    OtherRun
        ``out`` holds a run made with other settings.
    """
    out.mkdir(parents=True, exist_ok=True)
    run = start(task.network, settings)
    if (out / CHECKPOINT).exists():
        run.load(out / CHECKPOINT)
    if not run.done:
        batches = loader(task, settings)
        with RunProgress(out, settings.epochs, begun=run.epoch) as progress:
            trainer = _trainer(task, run, batches, _Keeper(task, run, out, progress))
            if run.epoch:
                begun = {"epoch": run.epoch, "max_epochs": settings.epochs}
                trainer.load_state_dict(begun | {"epoch_length": len(batches)})
            trainer.run(batches, max_epochs=settings.epochs)
    return out / BEST


def loader(task: Task, settings: LoopSettings) -> DataLoader[Any]:
    """Return the batches of ``task``; its sampler knows the epoch."""
    return DataLoader(
        task.films,
        batch_sampler=EpochSampler(task, settings),
        num_workers=settings.workers,
        persistent_workers=settings.workers > 0,
    )


def start(network: nn.Module, settings: LoopSettings) -> Run:
    """Make a run at epoch 0."""
    network.to(settings.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    named = list(network.named_parameters())
    trunk = [p for name, p in named if not name.startswith("head.")]
    head = [p for name, p in named if name.startswith("head.")]
    optimizer = torch.optim.AdamW(
        [*_groups(trunk, 1.0), *_groups(head, settings.head_rate)],
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        fused=True,  # a fourth of the time on a processor
    )
    average = copy.deepcopy(network).eval().requires_grad_(False)
    return Run(settings, network, average, optimizer)


def _groups(parameters: Sequence[nn.Parameter], factor: float) -> list[dict[str, Any]]:
    """Return an optimizer's groups: matrices and kernels decay; ``factor`` is of the rate."""
    return [
        {"params": [p for p in parameters if p.ndim > 1], "factor": factor},
        {"params": [p for p in parameters if p.ndim <= 1], "factor": factor, "weight_decay": 0.0},
    ]


def _trainer(task: Task, run: Run, batches: DataLoader[Any], keeper: "_Keeper") -> Engine:
    settings, steps = run.settings, len(batches)
    parallel = idist.auto_model(run.network) if idist.get_world_size() > 1 else run.network

    def step(engine: Engine, batch: Any) -> float:
        done = engine.state.iteration - 1
        for group in run.optimizer.param_groups:
            group["lr"] = settings.rate_at(done / steps) * group["factor"]
        parallel.train()
        with torch.autocast(settings.device, torch.bfloat16, enabled=settings.bf16):
            loss = task.loss(parallel, batch)
        run.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(run.network.parameters(), settings.clip_norm)
        run.optimizer.step()
        update_ema(run.average, run.network, min(settings.average_decay, (1 + done) / (10 + done)))
        return loss.item()

    def tell_the_epoch(engine: Engine) -> None:
        cast(EpochSampler, batches.batch_sampler).epoch = engine.state.epoch - 1

    def end_the_epoch(engine: Engine) -> None:
        keeper.end_epoch()
        score = run.history[-1]["score"]
        if run.done or (task.should_stop is not None and task.should_stop(run.epoch, score)):
            engine.terminate()

    trainer = Engine(step)
    trainer.add_event_handler(Events.EPOCH_STARTED, tell_the_epoch)
    trainer.add_event_handler(
        Events.ITERATION_COMPLETED,
        lambda engine: keeper.count(engine.state.output, engine.state.iteration / steps),
    )
    trainer.add_event_handler(Events.EPOCH_COMPLETED, end_the_epoch)
    return trainer


@dataclass
class _Keeper:
    """Judges and keeps what each epoch led to."""

    task: Task
    run: Run
    out: Path
    progress: RunProgress
    losses: list[float] = field(default_factory=list)

    def count(self, loss: float, epochs: float) -> None:
        self.losses.append(loss)
        self.progress.step(epochs)

    def end_epoch(self) -> None:
        """Record an epoch; the best weights first: a kill between the two then loses nothing."""
        run = self.run
        first = idist.get_rank() == 0
        judged = self.task.score(run.average) if first and self.task.score else math.nan
        score = torch.tensor(judged, dtype=torch.float64)
        if idist.get_world_size() > 1:
            score = cast(torch.Tensor, idist.broadcast(score, src=0))
        run.record(sum(self.losses) / len(self.losses), float(score))
        self.losses.clear()
        if first and run.best_epoch == run.epoch:
            best: dict[str, Any] = {"settings": run.settings.model_dump()}
            best |= {"weights": run.average.state_dict(), "about": self.task.provenance}
            best |= {"epoch": run.epoch, "score": run.best}
            write_whole(self.out / BEST, best)
        if first:
            run.save(self.out / CHECKPOINT)
        self.progress.epoch(run.history[-1], best=run.best)


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the running average a step towards the network."""
    states = zip(average.state_dict().values(), network.state_dict().values(), strict=True)
    for mean, current in states:
        if mean.is_floating_point():
            mean.lerp_(current, 1 - decay)
        else:
            mean.copy_(current)
