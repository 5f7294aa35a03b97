"""Choices by cross-validation: each film judges a network that never saw its patient.

One val split of a few hundred films says little, and a val split whose sources go with the labels
rewards a network that knows the source. So the films of train and val are dealt into parts by
patient, or by source; for each part a network learns from the others, and reads it. The score is
the mean over the findings of the AUC within source (`training.evaluation.discrimination`), on sharp
films.

Each part keeps the maps of its films (`HELD`), so that `hilum export --folds` can calibrate and
judge the network that learns from all films by their outputs for films that they had not seen.

The weights of the last epoch judge, not those of the best one: the best was chosen by the very
films that are to judge. Test films are in no part.

References
----------
Stone, Cross-Validatory Choice and Assessment of Statistical Predictions, JRSS B 36, 1974.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from inference.findings import FloatArray
from inference.model.calibration import Discrimination
from inference.model.network import FindingNetwork
from inference.model.preprocessing import Preprocessing
from training.classifier.train import FILMS, hash_of, learn
from training.data.film_list import BadFilmList
from training.data.record import Record
from training.errors import TrainingError
from training.evaluation.discrimination import discrimination, is_sharp, macro
from training.evaluation.maps import film_outputs
from training.evaluation.statistics import Doubles
from training.evaluation.text_table import TextTable
from training.loop import BEST, CHECKPOINT
from training.settings import TrainSettings

FOLDS = 5
HELD = "held.npz"  # of a part's folder


class NoFolds(TrainingError, ValueError):
    """A cross-validation is not there or does not fit; the text says why."""


@dataclass(frozen=True)
class Part:
    """One part of the films: those that judge are in split val, all others teach."""

    name: str
    records: tuple[Record, ...]

    @property
    def held(self) -> list[Record]:
        """The films that judge."""
        return [record for record in self.records if record.split == "val"]


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Networks' outputs for films that did not teach them.

    Attributes
    ----------
    records
        The films.
    logits
        (films, 14).
    maps
        (films, 14, h, w), not scaled.
    """

    records: tuple[Record, ...]
    logits: Doubles
    maps: FloatArray


def fold_of(patient: str, folds: int = FOLDS) -> int:
    """Return a patient's fold, counted from 0: drawn by a hash, the same on every machine."""
    return int(hashlib.sha256(patient.encode()).hexdigest(), 16) % folds


def by_patient(records: Sequence[Record], folds: int = FOLDS) -> list[Part]:
    """Deal the films of train and val into folds.

    Raises
    ------
    BadFilmList
        A fold has no film.
    """
    return [
        _part(f"fold-{k}", records, [fold_of(record.patient, folds) == k for record in records])
        for k in range(folds)
    ]


def by_source(records: Sequence[Record]) -> list[Part]:
    """Leave each source out in turn; patients of its films do not teach either.

    Raises
    ------
    BadFilmList
        There is one source only.
    """
    names = sorted({record.source for record in records if record.split != "test"})
    if len(names) < 2:
        raise BadFilmList("all films are of one source: none can be left out")
    return [
        _part(f"source-{k}", records, [record.source == name for record in records])
        for k, name in enumerate(names)
    ]


def _part(name: str, records: Sequence[Record], judges: Sequence[bool]) -> Part:
    patients = {r.patient for r, one in zip(records, judges, strict=True) if one}
    dealt = tuple(
        replace(record, split="val" if one else "train")
        for record, one in zip(records, judges, strict=True)
        if record.split != "test" and (one or record.patient not in patients)
    )
    if not any(record.split == "val" for record in dealt):
        raise BadFilmList(f"{name}: no film would judge; take fewer folds")
    return Part(name, dealt)


def cross_validate(parts: Sequence[Part], out: Path, settings: TrainSettings) -> OutOfFold:
    """Train a network for each part, or go on with it, and let it read the part.

    Raises
    ------
    BadFilmList, NoWeights, OtherRun
    """
    for part in parts:
        run = out / part.name
        learn(part.records, run, settings, {FILMS: hash_of(part.records)})
        if not (run / HELD).exists():
            _read_held(part, run, settings)
    return out_of_fold([record for part in parts for record in part.held], out, settings.size_px)


def _read_held(part: Part, run: Path, settings: TrainSettings) -> None:
    """Let a part's network read the films that judge it, and keep what it says."""
    network = network_of(run, settings)
    reads = Preprocessing(settings.size_px)
    found, logits = film_outputs(network, reads, part.held, settings.device)
    maps = np.stack(list(found.values())).astype(np.float16)
    half = run / f"half-{HELD}"
    np.savez(half, size_px=settings.size_px, names=list(found), logits=logits, maps=maps)
    half.replace(run / HELD)


def out_of_fold(records: Sequence[Record], out: Path, size_px: int) -> OutOfFold:
    """Return the outputs of a cross-validation's networks for films, in the order of ``records``.

    Films that no part held are left out.

    Raises
    ------
    NoFolds
        ``out`` holds no finished part, one that read films of another size, or none of the films.
    """
    parts = [np.load(path) for path in sorted(out.glob(f"*/{HELD}"))]
    other = next((int(part["size_px"]) for part in parts if part["size_px"] != size_px), None)
    if other is not None:
        raise NoFolds(f"{out}: its networks read films of {other} px, not of {size_px} px")
    outputs = {
        str(name): (logits, maps)
        for part in parts
        for name, logits, maps in zip(part["names"], part["logits"], part["maps"], strict=True)
    }
    held = tuple(record for record in records if record.name in outputs)
    if not held:
        raise NoFolds(f"{out}: no network of a cross-validation has read these films")
    logits, maps = zip(*(outputs[record.name] for record in held), strict=True)
    return OutOfFold(held, np.stack(logits), np.stack(maps).astype(np.float32))


def network_of(run: Path, settings: TrainSettings) -> FindingNetwork:
    """Return the averaged network of a run's last epoch."""
    state = torch.load(run / CHECKPOINT, map_location="cpu", weights_only=True)
    network = FindingNetwork(settings.architecture, pooling=settings.pooling)
    network.load_state_dict(state["average"])
    return network


def fold_networks(out: Path) -> Iterator[tuple[frozenset[str], FindingNetwork]]:
    """Return the network of each part with the names of the films that it read and did not learn.

    Raises
    ------
    NoFolds
        ``out`` holds no finished part.
    """
    runs = [held.parent for held in sorted(out.glob(f"*/{HELD}"))]
    if not runs:
        raise NoFolds(f"{out}: no network of a cross-validation is here")
    for run in runs:
        kept = torch.load(run / BEST, map_location="cpu", weights_only=True)["settings"]
        names = np.load(run / HELD)["names"]
        yield frozenset(map(str, names)), network_of(run, TrainSettings.model_validate(kept))


def score(outputs: OutOfFold) -> float:
    """Return the mean over the findings of the AUC within source, on sharp films."""
    return macro(_judged(outputs))


def text_table(seeds: Sequence[OutOfFold]) -> TextTable:
    """Return a table of the findings, a column a seed, with mean and range in the last row."""
    judged = [_judged(one) for one in seeds]
    rows = [
        (label, str(found.positives), *(_auc_text(one[label].auc) for one in judged))
        for label, found in judged[0].items()
    ]
    macros = [macro(one) for one in judged]
    rows.append(("macro average", "", *(f"{one:.3f}" for one in macros)))
    title = (
        f"AUC within source, {len(seeds[0].records)} films out of fold: mean "
        f"{np.mean(macros):.3f}, {min(macros):.3f} to {max(macros):.3f} over {len(seeds)} seeds"
    )
    columns = ("finding", "films with it", *(f"seed {k}" for k in range(len(seeds))))
    return TextTable(title, columns, tuple(rows))


def _judged(outputs: OutOfFold) -> dict[str, Discrimination]:
    sharp = [k for k, record in enumerate(outputs.records) if is_sharp(record)]
    return discrimination(outputs.logits[sharp], [outputs.records[k] for k in sharp])


def _auc_text(auc: float | None) -> str:
    return "-" if auc is None else f"{auc:.3f}"
