"""The training loop: readable, resumable after a kill, and chosen by validation alone."""

import copy
import json
import math
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress
from torch import nn

from inference.model import FindingNetwork
from inference.preprocessing import Preprocessing
from training.augment import Augmentation
from training.data import FilmSet, load_films, read_film_list
from training.evaluation import aucs
from training.settings import TrainSettings

CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"
RUN = "run.json"

# A finding with fewer validation films says more about those films than about the network.
MIN_POSITIVES = 5

console = Console(stderr=True)


class OtherRun(ValueError):
    """The folder holds a run made with other settings."""


@dataclass
class Run:
    """The state of a training run: all that a checkpoint holds."""

    settings: TrainSettings
    network: FindingNetwork
    average: FindingNetwork
    optimizer: torch.optim.Optimizer
    epoch: int = 0
    best: float = -math.inf
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
                "history": self.history,
            },
        )

    def load(self, path: Path) -> None:
        """Go on from a checkpoint; only the device and the number of epochs may be others."""
        state = torch.load(path, map_location=self.settings.device, weights_only=True)
        free = {"epochs": None, "device": None}
        if self.settings.model_dump() | free != state["settings"] | free:
            raise OtherRun(f"{path} was made with other settings: {state['settings']}")
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.best, self.history = state["epoch"], state["best"], state["history"]


def write_whole(path: Path, state: dict[str, Any]) -> None:
    """Write a file under another name, sync it, then rename it: a kill leaves no half file."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def train(films: Path, out: Path, settings: TrainSettings) -> Path:
    """Train, or go on with, the run in ``out``; return its best weights' file."""
    out.mkdir(parents=True, exist_ok=True)
    records = read_film_list(films)
    (out / RUN).write_text(json.dumps({"films": str(films.resolve())}) + "\n")
    cache = Preprocessing(size_px=round(settings.size_px * 1.15))  # room for random crops
    seen = load_films(records, "train", cache)
    held = load_films(records, "val", Preprocessing(size_px=settings.size_px))
    run = start(settings, seen)
    if (out / CHECKPOINT).exists():
        run.load(out / CHECKPOINT)
    with Progress(console=console, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("train", total=settings.epochs, completed=run.epoch)
        while run.epoch < settings.epochs:
            loss = train_epoch(run, seen)
            _keep(run, loss, score(run.average, held, settings.device), out)
            progress.advance(task)
    return out / BEST


def start(settings: TrainSettings, films: FilmSet) -> Run:
    """Make a run at epoch 0, its weights drawn from the seed."""
    torch.manual_seed(settings.seed)
    network = FindingNetwork(settings.architecture, labels=films.labels.shape[1])
    # begin at the findings' frequency, or the first epoch is spent on learning that most are rare
    frequency = films.labels.mean(dim=0).clamp(1e-3, 1 - 1e-3)
    nn.init.zeros_(network.head.weight)
    network.head.bias = nn.Parameter(torch.logit(frequency))
    network.to(settings.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in network.parameters() if p.ndim > 1]},
        {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(
        groups,
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        fused=True,  # a fourth of the time on a processor
    )
    average = copy.deepcopy(network).eval().requires_grad_(False)
    return Run(settings, network, average, optimizer)


def train_epoch(run: Run, films: FilmSet) -> float:
    """Show every film once; return the mean loss. All randomness is the seed's and epoch's."""
    settings = run.settings
    seed = settings.seed * 100_003 + run.epoch
    order = torch.randperm(len(films), generator=torch.Generator().manual_seed(seed))
    augment = Augmentation(settings.side_at(run.epoch), seed)
    loss_of = nn.BCEWithLogitsLoss(pos_weight=rarity(films.labels).to(settings.device))
    steps = max(1, len(films) // settings.batch_size)
    total = 0.0
    run.network.train()
    for step in range(steps):
        chosen = order[step * settings.batch_size : (step + 1) * settings.batch_size]
        for group in run.optimizer.param_groups:
            group["lr"] = settings.rate_at(run.epoch + step / steps)
        pixels = Preprocessing(settings.size_px).normalise(augment(films.pixels[chosen]))
        pixels = pixels.to(settings.device, memory_format=torch.channels_last)  # (b, 1, side, side)
        with torch.autocast(settings.device, torch.bfloat16, enabled=settings.bf16):
            logits, _ = run.network(pixels)  # (b, labels)
        loss = loss_of(logits.float(), films.labels[chosen].to(settings.device))
        run.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(run.network.parameters(), settings.clip_norm)
        run.optimizer.step()
        seen = run.epoch * steps + step
        follow(run.average, run.network, min(settings.average_decay, (1 + seen) / (10 + seen)))
        total += loss.item()
    run.epoch += 1
    return total / steps


def rarity(labels: torch.Tensor) -> torch.Tensor:
    """Return each finding's weight, (14,): the root of its negatives per positive, at most 6.

    The root, because the full ratio lets a dozen Hernias drown everything else.
    """
    positives = labels.sum(dim=0).clamp(min=1)
    return ((len(labels) - positives) / positives).sqrt().clamp(1, 6)


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the running average a step towards the network."""
    states = zip(average.state_dict().values(), network.state_dict().values(), strict=True)
    for mean, current in states:
        if mean.is_floating_point():
            mean.lerp_(current, 1 - decay)
        else:
            mean.copy_(current)


@torch.inference_mode()
def logits_of(
    network: nn.Module, films: FilmSet, device: str = "cpu", batch_size: int = 32
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the logits of films, (films, 14), as inference would compute them."""
    network.eval()
    normalise = Preprocessing(films.pixels.shape[-1]).normalise
    batches = [
        network(normalise(pixels.float() / 255).to(device, memory_format=torch.channels_last))[
            0
        ].cpu()
        for pixels in torch.split(films.pixels, batch_size)
    ]
    return torch.cat(batches).double().numpy()


def score(network: nn.Module, films: FilmSet, device: str) -> float:
    """Return the macro AUC over the findings with enough positive films."""
    labels = films.labels.double().numpy()
    counted = labels.sum(axis=0) >= MIN_POSITIVES
    return float(np.nanmean(aucs(logits_of(network, films, device), labels)[counted]))


def _keep(run: Run, loss: float, macro: float, out: Path) -> None:
    """Record an epoch; the best weights first, so that a kill between the two loses nothing."""
    run.history.append({"epoch": run.epoch, "loss": loss, "val_macro_auc": macro})
    better = macro > run.best
    run.best = max(run.best, macro)
    if better:
        best = {"settings": run.settings.model_dump(), "weights": run.average.state_dict()}
        write_whole(out / BEST, best | {"epoch": run.epoch, "val_macro_auc": macro})
    run.save(out / CHECKPOINT)
    console.log(f"epoch {run.epoch}: loss {loss:.4f}, val macro AUC {macro:.4f}", "*" * better)
