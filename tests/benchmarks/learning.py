"""What a training step costs beyond the bare forward pass, backward pass and optimizer step.

    python tests/benchmarks/learning.py                                    # resnet18, seconds
    python tests/benchmarks/learning.py --full                             # resnet50, 128 px, 32
    films
    python tests/benchmarks/learning.py --full --workers 2 --device cuda

Runs the real loop (films kept in memory, augmentation, loader, step, average) in turn with the same
network on random tensors, and prints films per second of both and their ratio within this run.
The goal: loading costs less than 10 % of the bare step. Times depend on the machine, ratios less.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn

from inference.model.network import FindingNetwork
from training.classifier.train import task
from training.data.film_set import MARGIN, FilmSet
from training.data.record import Record
from training.loop import Task, fit, loader, start
from training.settings import TrainSettings

BEGUN = 2  # steps left out: the first ones load libraries and plan convolutions


def films_in_memory(count: int, size_px: int) -> FilmSet:
    """Make films of noise: what is measured does not look at them."""
    side = round(size_px * MARGIN)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 1, side, side), dtype=torch.uint8, generator=generator)
    labels = (torch.rand((count, 14), generator=generator) < 0.1).float()
    record = Record(Path("none.png"), patient="1", split="train", labels=(0,) * 14)
    return FilmSet((record,) * count, list(pixels), labels)  # type: ignore[arg-type]


def made(settings: TrainSettings, steps: int) -> Task:
    films = films_in_memory(settings.batch_size * steps, settings.size_px)
    torch.manual_seed(0)
    learnt = task(FindingNetwork(settings.architecture), films, films, settings)
    return replace(learnt, score=lambda _: 0.0)


def wait(settings: TrainSettings) -> float:
    """Return seconds; of this process alone where all work is its own: others do not count then."""
    if settings.device == "cuda":
        torch.cuda.synchronize()
    alone = settings.device == "cpu" and not settings.workers
    return time.process_time() if alone else time.perf_counter()


def loop_s(settings: TrainSettings, steps: int) -> float:
    """Return the seconds of a step of the real loop: from one forward pass to the next."""
    learnt, stamps = made(settings, steps), []

    def loss(network: nn.Module, batch: Any) -> torch.Tensor:
        stamps.append(wait(settings))
        return learnt.loss(network, batch)

    with tempfile.TemporaryDirectory() as out:
        fit(replace(learnt, loss=loss), settings, Path(out))
    return median(b - a for a, b in zip(stamps[BEGUN:], stamps[BEGUN + 1 :], strict=False))


def bare_s(settings: TrainSettings, steps: int) -> float:
    """Return the seconds of the same step on random tensors that lie ready."""
    learnt = made(settings, 1)
    run = start(learnt.network, settings)
    shape = (settings.batch_size, 1, settings.size_px, settings.size_px)
    batch = torch.rand(shape), (torch.rand(settings.batch_size, 14) < 0.1).float()

    def step() -> None:
        run.network.train()
        with torch.autocast(settings.device, torch.bfloat16, enabled=settings.bf16):
            loss = learnt.loss(run.network, batch)
        run.optimizer.zero_grad()
        loss.backward()
        run.optimizer.step()

    return repeated_s(step, settings, steps)


def repeated_s(work: Callable[[], object], settings: TrainSettings, steps: int) -> float:
    times = []
    for _ in range(steps):
        begun = wait(settings)
        work()
        times.append(wait(settings) - begun)
    return median(times[BEGUN:])


def loading_s(settings: TrainSettings, steps: int) -> float:
    """Return the seconds in which the loader makes a batch, alone."""
    batches = iter(loader(made(settings, steps), settings))
    return repeated_s(lambda: next(batches), settings, steps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="resnet50 at 128 px")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    options = parser.parse_args()
    size = {"size_px": 128, "start_px": 128} if options.full else {"size_px": 64, "start_px": 64}
    settings = TrainSettings(
        architecture="resnet50" if options.full else "resnet18",
        epochs=1,
        workers=options.workers,
        device=options.device,
        **size,
    )
    measures = (bare_s, loop_s, loading_s)
    rounds = [[work(settings, options.steps) for work in measures] for _ in range(options.rounds)]
    bare, loop, loading = (min(column) for column in zip(*rounds, strict=True))
    films = settings.batch_size
    print(f"{settings.architecture}, {films} films of {settings.size_px} px, {options.device}")
    print(f"bare step     {1000 * bare:8.1f} ms  {films / bare:8.1f} films/s")
    print(f"real loop     {1000 * loop:8.1f} ms  {films / loop:8.1f} films/s")
    print(f"loading alone {1000 * loading:8.1f} ms  {loading / bare:.1%} of the bare step")
    print(f"the loop keeps {bare / loop:.1%} of the bare rate")


if __name__ == "__main__":
    main()
