"""`hilum train`: the network learns the findings from labelled films."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import ignite.distributed as idist
import numpy as np
import numpy.typing as npt
import torch
from ignite.distributed.launcher import Parallel
from torch import nn
from torch.utils.data import Dataset

from inference.model.engine import find_device
from inference.model.network import FindingNetwork
from inference.model.preprocessing import Preprocessing
from training.classifier.initial_weights import initialise
from training.classifier.losses import objective
from training.data.augmentation import Augmentation
from training.data.film_list import BadFilmList, Source
from training.data.film_set import MARGIN, FilmSet, load_films
from training.data.record import Record
from training.evaluation.statistics import aucs
from training.loop import OtherRun, Task, fit
from training.settings import LoopSettings, TrainSettings

RUN = "run.json"
FILMS = "films_sha256"

Ready = TypeVar("Ready", bound=LoopSettings)

# A finding with fewer validation films says more about those films than about the network.
MIN_POSITIVES = 5


class VariedFilms(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Train films, varied anew each epoch: ``(epoch, index)`` -> pixels in [0, 1] and labels."""

    def __init__(self, films: FilmSet, settings: TrainSettings) -> None:
        self.films, self.settings = films, settings

    def __len__(self) -> int:
        return len(self.films)

    def __getitem__(self, at: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Vary one film; the same seed, epoch and index give the same pixels."""
        epoch, index = at
        seed = hash((self.settings.seed, epoch, index))
        return _augmentation(self.settings.side_at(epoch))(
            self.films.pixels[index], seed
        ), self.films.labels[index]


@lru_cache(maxsize=2)
def _augmentation(size_px: int) -> Augmentation:
    """Make one for each side: it costs a third of what it does to a film."""
    return Augmentation(size_px)


def train(source: Source, out: Path, settings: TrainSettings) -> Path:
    """Train, or go on with, the run in ``out``; return its best weights' file.

    Started by ``torchrun``, each process trains on its share of every epoch.

    Raises
    ------
    BadFilmList, NoWeights, OtherRun
    """
    records = source.records()
    return learn(records, out, settings, _said(source, records))


def learn(
    records: Sequence[Record], out: Path, settings: TrainSettings, said: Mapping[str, str]
) -> Path:
    """Train on the train films of a list; ``said`` is what the run's folder keeps of it.

    Raises
    ------
    BadFilmList, NoWeights, OtherRun
    """
    refuse_too_few(records)
    refuse_other_films(out, said)
    # before films are decoded: weights may be missing
    network, began = begin(labels_of(records, "train"), settings)
    seen, held = decoded(records, settings.size_px)
    if idist.get_rank() == 0:
        out.mkdir(parents=True, exist_ok=True)
        (out / RUN).write_text(json.dumps(said) + "\n")
    learning = replace(task(network, seen, held, settings), about=about(seen, began))
    return fit(learning, settings, out)


def refuse_too_few(records: Sequence[Record]) -> None:
    """Raise BadFilmList without train films, or if val cannot say which epoch is best."""
    labels = {split: np.array(labels_of(records, split)) for split in ("train", "val")}
    for split, known in labels.items():
        if not len(known):
            raise BadFilmList(f"no film is in split {split!r}")
    if not counted(labels["val"]).any():
        raise BadFilmList(
            f"no finding has {MIN_POSITIVES} films with it and one without it in split 'val': "
            "nothing would say which epoch is the best"
        )


def labels_of(records: Sequence[Record], split: str) -> list[tuple[int, ...]]:
    """Return the labels of the films of one split."""
    return [record.labels for record in records if record.split == split]


def counted(labels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return which findings, (14,), have enough films in (films, 14) to speak of an AUC."""
    positives = labels.sum(axis=0)
    enough: npt.NDArray[np.bool_] = (positives >= MIN_POSITIVES) & (positives < len(labels))
    return enough


def begin(labels: Sequence[Sequence[int]], settings: TrainSettings) -> tuple[FindingNetwork, str]:
    """Return the network as it is before the first step, and what it has learnt from.

    Parameters
    ----------
    labels
        Of the train films, (films, outputs).

    Raises
    ------
    NoWeights
    """
    torch.manual_seed(settings.seed)
    network = FindingNetwork(settings.architecture, len(labels[0]), settings.pooling)
    begin_at_frequency(network, labels)
    return network, initialise(network, settings)


def about(seen: FilmSet, began: str) -> str:
    """Say what a network learns from."""
    patients = {record.patient for record in seen.records}
    return f"{len(seen)} frontal films of {len(patients)} patients, beginning with {began}"


def decoded(records: Sequence[Record], size_px: int) -> tuple[FilmSet, FilmSet]:
    """Return the train films, with room for crops, and the val films."""
    cache = Preprocessing(size_px=round(size_px * MARGIN))
    held = Preprocessing(size_px=size_px)
    return load_films(records, "train", cache), load_films(records, "val", held)


def begin_at_frequency(network: FindingNetwork, labels: Sequence[Sequence[int]]) -> None:
    """Let the head say how frequent each finding is, or an epoch is spent on learning that."""
    frequency = torch.tensor(labels, dtype=torch.float32).mean(dim=0).clamp(1e-3, 1 - 1e-3)
    nn.init.zeros_(network.head.weight)
    network.head.bias = nn.Parameter(torch.logit(frequency))


def _said(source: Source, records: Sequence[Record]) -> dict[str, str]:
    """Return where the films are listed, and a hash of which they are, in which split."""
    paths = {kind: str(path.resolve()) for kind, path in vars(source).items() if path}
    return paths | {FILMS: hash_of(records)}


def hash_of(records: Sequence[Record]) -> str:
    """Return a hash of which films these are, in which split, with which labels."""
    lines = sorted(f"{record.name} {record.split} {record.labels}" for record in records)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def refuse_other_films(out: Path, said: Mapping[str, str]) -> None:
    """Raise OtherRun if the run in ``out`` learns from other films, splits or labels."""
    known = json.loads((out / RUN).read_text()).get(FILMS) if (out / RUN).exists() else None
    if known and known != said[FILMS]:
        raise OtherRun(f"{out} holds a run on other films; choose another folder")


def source_of(run: Path) -> Source:
    """Return the films that a run learnt from."""
    said = json.loads((run / RUN).read_text())
    return Source(**{kind: Path(path) for kind, path in said.items() if kind != FILMS})


def on_devices(work: Callable[[Ready], Path], settings: Ready, device: str) -> Path:
    """Run ``work`` here, or, under ``torchrun``, as one of several processes.

    Raises
    ------
    UnknownDevice
    """
    kind = find_device(device).type
    ready = settings.model_copy(update={"device": kind})
    if "LOCAL_RANK" not in os.environ:
        return work(ready)
    with Parallel(backend="nccl" if kind == "cuda" else "gloo"):
        return work(ready)


def task(
    network: FindingNetwork,
    seen: FilmSet,
    held: FilmSet,
    settings: TrainSettings,
    enough: Callable[[int, float], bool] | None = None,
) -> Task:
    """Say what is learnt: the findings of ``seen``, judged by the macro AUC on ``held``."""
    loss_of = objective(settings.objective, seen.labels, settings.device)
    preprocessing = Preprocessing(settings.size_px)

    def loss(network: nn.Module, batch: Any) -> torch.Tensor:
        pixels, labels = batch
        pixels = preprocessing.normalise(pixels)  # (b, 1, side, side)
        logits, _ = network(
            pixels.to(settings.device, memory_format=torch.channels_last)
        )  # (b, 14)
        return loss_of(logits.float(), labels.to(settings.device))

    return Task(
        network,
        VariedFilms(seen, settings),
        loss,
        score=lambda average: macro_auc(average, held, settings.device),
        weights=weights_of(seen, settings),
        enough=enough,
    )


def weights_of(films: FilmSet, settings: TrainSettings) -> torch.Tensor | None:
    """Return how often each film is shown, (films,); None: each once an epoch."""
    if not settings.balance and not settings.source_balance:
        return None
    sources = Counter(record.source for record in films.records)
    counts = torch.tensor([float(sources[record.source]) for record in films.records])
    return shares(films.labels, settings.balance) * counts**-settings.source_balance


def shares(labels: torch.Tensor, balance: float) -> torch.Tensor:
    """Return how often each film is shown, (films,): as its rarest finding asks.

    ``balance`` is the exponent of a finding's rarity; a film without one counts as the finding
    "none".
    """
    none = (labels.sum(dim=1, keepdim=True) == 0).float()
    said = torch.cat([labels, none], dim=1)  # (films, 15)
    rarity = said.sum(dim=0).clamp(min=1) ** -balance
    return (said * rarity).amax(dim=1)


@torch.inference_mode()
def logits_of(
    network: nn.Module, films: FilmSet, device: str = "cpu", batch_size: int = 32
) -> npt.NDArray[np.float64]:
    """Return the logits of films, (films, 14), as inference would compute them."""
    network.eval()
    normalise = Preprocessing(1).normalise
    batches = [
        network(normalise(pixels.float() / 255).to(device, memory_format=torch.channels_last))[
            0
        ].cpu()
        for pixels in films.batches(batch_size)
    ]
    return torch.cat(batches).double().numpy()


def macro_auc(network: nn.Module, films: FilmSet, device: str) -> float:
    """Return the macro AUC over the findings with enough positive films."""
    labels = films.labels.double().numpy()
    return float(aucs(logits_of(network, films, device), labels)[counted(labels)].mean())
