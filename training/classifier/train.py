"""`hilum train`: the network learns the findings from labelled films."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import ignite.distributed as idist
import numpy as np
import numpy.typing as npt
import torch
from ignite.distributed.launcher import Parallel
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d

from inference.model.engine import find_device
from inference.model.network import FindingNetwork
from inference.model.preprocessing import Preprocessing
from training.classifier.examples import VariedFilms
from training.classifier.initial_weights import initialise
from training.classifier.losses import objective, outside_boxes
from training.data.film_list import BadFilmList, Source
from training.data.film_set import MARGIN, FilmSet, load_films
from training.data.record import Record
from training.evaluation.discrimination import is_sharp
from training.evaluation.statistics import aucs
from training.loop import OtherRun, Task, fit
from training.settings import LoopSettings, TrainSettings

RUN = "run.json"
FILMS = "films_sha256"

Ready = TypeVar("Ready", bound=LoopSettings)

# A finding with fewer validation films says more about those films than about the network.
MIN_POSITIVES = 5


def train(source: Source, out: Path, settings: TrainSettings) -> Path:
    """Train, or go on with, the run in ``out``; return its best weights' file.

    Started by ``torchrun``, each process trains on its share of every epoch.

    Raises
    ------
    BadFilmList, NoWeights, OtherRun
    """
    records = source.records()
    return learn(records, out, settings, _source_record(source, records))


def learn(
    records: Sequence[Record], out: Path, settings: TrainSettings, source: Mapping[str, Any]
) -> Path:
    """Train on the train films of a list; ``source`` is what the run's folder keeps of it.

    Raises
    ------
    BadFilmList, NoWeights, OtherRun
    """
    records = teachers(records, settings)
    refuse_too_few(records, settings)
    refuse_other_films(out, source)
    # before films are decoded: weights may be missing
    network, initial = begin(labels_of(records, "train"), settings)
    if settings.teach_val:
        seen, held = load_teachers(records, settings.size_px), None
    else:
        seen, held = decoded(records, settings.size_px)
    if idist.get_rank() == 0:
        out.mkdir(parents=True, exist_ok=True)
        (out / RUN).write_text(json.dumps(source) + "\n")
    learning = replace(task(network, seen, held, settings), provenance=provenance(seen, initial))
    return fit(learning, settings, out)


def teachers(records: Sequence[Record], settings: TrainSettings) -> list[Record]:
    """Return the films of a list as these settings use them."""
    if settings.teach_val:
        records = [replace(r, split="train") if r.split == "val" else r for r in records]
    if settings.sharp_only:
        records = [record for record in records if record.split != "train" or is_sharp(record)]
    return list(records)


def refuse_too_few(records: Sequence[Record], settings: TrainSettings) -> None:
    """Raise BadFilmList without train films, or if val cannot say which epoch is best."""
    splits = ("train",) if settings.teach_val else ("train", "val")
    labels = {split: np.array(labels_of(records, split)) for split in splits}
    for split, known in labels.items():
        if not len(known):
            raise BadFilmList(f"no film is in split {split!r}")
    if "val" in labels and not counted(labels["val"]).any():
        raise BadFilmList(
            f"no finding has {MIN_POSITIVES} films with it and one without it in split 'val': "
            "nothing would say which epoch is the best"
        )


def labels_of(records: Sequence[Record], split: str) -> list[tuple[int, ...]]:
    """Return the labels of the films of one split."""
    return [record.labels for record in records if record.split == split]


def counted(labels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return which findings, (14,), have enough films in (films, 14) for an AUC."""
    positives = labels.sum(axis=0)
    known: npt.NDArray[np.bool_] = (positives >= MIN_POSITIVES) & (positives < len(labels))
    return known


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


def provenance(seen: FilmSet, initial: str) -> str:
    """Say what a network learns from."""
    patients = {record.patient for record in seen.records}
    return f"{len(seen)} frontal films of {len(patients)} patients, beginning with {initial}"


def decoded(records: Sequence[Record], size_px: int) -> tuple[FilmSet, FilmSet]:
    """Return the train films and the val films."""
    held = load_films(records, "val", Preprocessing(size_px))
    return load_teachers(records, size_px), held


def load_teachers(records: Sequence[Record], size_px: int) -> FilmSet:
    """Return the train films, with room for crops."""
    return load_films(records, "train", Preprocessing(round(size_px * MARGIN)))


def begin_at_frequency(network: FindingNetwork, labels: Sequence[Sequence[int]]) -> None:
    """Let the head say how frequent each finding is, or an epoch is spent on learning that."""
    frequency = torch.tensor(labels, dtype=torch.float32).mean(dim=0).clamp(1e-3, 1 - 1e-3)
    nn.init.zeros_(network.head.weight)
    network.head.bias = nn.Parameter(torch.logit(frequency))


def _source_record(source: Source, records: Sequence[Record]) -> dict[str, Any]:
    """Return where the films are listed, and a hash of which they are, in which split."""
    lists = {"films": source.films, "nih": source.nih, "experts": source.experts}
    record: dict[str, Any] = {kind: str(path.resolve()) for kind, path in lists.items() if path}
    if source.boxes:
        record["boxes"] = [str(path.resolve()) for path in source.boxes]
    return record | {FILMS: hash_of(records)}


def hash_of(records: Sequence[Record]) -> str:
    """Return a hash of which films these are, in which split, with which labels and boxes."""
    lines = sorted(
        f"{record.name} {record.split} {record.labels} {record.boxes or ''}".rstrip()
        for record in records
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def refuse_other_films(out: Path, source: Mapping[str, Any]) -> None:
    """Raise OtherRun if the run in ``out`` learns from other films, splits or labels."""
    known = json.loads((out / RUN).read_text()).get(FILMS) if (out / RUN).exists() else None
    if known and known != source[FILMS]:
        raise OtherRun(f"{out} holds a run on other films; choose another folder")


def source_of(run: Path) -> Source:
    """Return the films that a run learnt from."""
    record = json.loads((run / RUN).read_text())
    boxes = tuple(Path(path) for path in record.pop("boxes", ()))
    return Source(
        boxes=boxes, **{kind: Path(path) for kind, path in record.items() if kind != FILMS}
    )


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
    held: FilmSet | None,
    settings: TrainSettings,
    should_stop: Callable[[int, float], bool] | None = None,
) -> Task:
    """Say what is learnt: the findings of ``seen``, judged by the macro AUC on ``held``.

    ``held`` None: nothing judges, and the last epoch is kept.
    """
    loss_of = objective(settings.objective, seen.labels, settings.device)
    preprocessing = Preprocessing(settings.size_px)

    def loss(network: nn.Module, batch: Any) -> torch.Tensor:
        pixels, labels, places = batch
        pixels = preprocessing.normalise(pixels)  # (b, 1, side, side)
        # (b, 14) and (b, 14, h, w)
        logits, maps = network(pixels.to(settings.device, memory_format=torch.channels_last))
        missed = loss_of(logits.float(), labels.to(settings.device))
        if settings.box_weight:
            inside = adaptive_avg_pool2d(places, maps.shape[2:]).to(settings.device)
            missed = missed + settings.box_weight * outside_boxes(maps, inside)
        return missed

    return Task(
        network,
        VariedFilms(seen, settings),
        loss,
        score=None if held is None else lambda one: macro_auc(one, held, settings.device),
        weights=weights_of(seen, settings),
        should_stop=should_stop,
    )


def weights_of(films: FilmSet, settings: TrainSettings) -> torch.Tensor | None:
    """Return how often each film is shown, (films,); None: each once an epoch."""
    if not settings.balance and not settings.source_balance:
        return None
    sources = Counter(record.source for record in films.records)
    counts = torch.tensor([float(sources[record.source]) for record in films.records])
    return sampling_weights(films.labels, settings.balance) * counts**-settings.source_balance


def sampling_weights(labels: torch.Tensor, balance: float) -> torch.Tensor:
    """Return how often each film is shown, (films,): as its rarest finding asks.

    ``balance`` is the exponent of a finding's rarity; a film without one counts as the finding
    "none".
    """
    none = (labels.sum(dim=1, keepdim=True) == 0).float()
    present = torch.cat([labels, none], dim=1)  # (films, 15)
    rarity = present.sum(dim=0).clamp(min=1) ** -balance
    return (present * rarity).amax(dim=1)


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
