"""Labelled films: the list, the split by patient, and the films decoded once into memory."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from inference.film import Film
from inference.findings import LABELS
from inference.preprocessing import Preprocessing
from training.settings import SPLITS

SPLIT_COLUMN = "chexnet_7_1_2_split"


class BadFilmList(ValueError):
    """The list of films cannot be used; the text says why."""


@dataclass(frozen=True)
class Record:
    """One labelled film of the list."""

    path: Path
    patient: str
    split: str
    source_px: int
    labels: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class FilmSet:
    """Films of one split, in memory.

    Attributes
    ----------
    records
        One per film.
    pixels
        (films, 1, size, size) uint8: 255 is the film's 1.0.
    labels
        (films, 14) float32, 0 or 1, in the order of `FINDINGS`.
    """

    records: tuple[Record, ...]
    pixels: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.records)


def read_film_list(path: Path) -> list[Record]:
    """Read films.csv; the films lie beside it.

    Raises
    ------
    BadFilmList
        A column is missing, a split is unknown, or a patient is in more than one split.
    """
    with path.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    if not rows:
        raise BadFilmList(f"{path}: lists no film")
    needed = ("file", "source_px", "patient_id", SPLIT_COLUMN, *LABELS)
    missing = [column for column in needed if column not in rows[0]]
    if missing:
        raise BadFilmList(f"{path}: column {', '.join(missing)} is missing")
    records = [_record(path, row) for row in rows]
    refuse_leaks(records)
    return records


def _record(path: Path, row: Mapping[str, str]) -> Record:
    if row[SPLIT_COLUMN] not in SPLITS:
        raise BadFilmList(
            f"{path}: {row['file']} is in split {row[SPLIT_COLUMN]!r}, not one of {SPLITS}"
        )
    return Record(
        path=path.parent / row["file"],
        patient=row["patient_id"],
        split=row[SPLIT_COLUMN],
        source_px=int(row["source_px"]),
        labels=tuple(int(row[label]) for label in LABELS),
    )


def refuse_leaks(records: Sequence[Record]) -> None:
    """Raise BadFilmList if a patient's films lie in more than one split."""
    splits: dict[str, set[str]] = {}
    for record in records:
        splits.setdefault(record.patient, set()).add(record.split)
    leaking = sum(len(found) > 1 for found in splits.values())
    if leaking:
        raise BadFilmList(
            f"{leaking} of {len(splits)} patients have films in more than one split: "
            "what is measured on them would be memory, not reading; split by patient"
        )


def read_picture(path: Path) -> Film:
    """Read an 8-bit grey JPEG or PNG as a film."""
    with Image.open(path) as picture:
        grey = np.asarray(picture.convert("L"), dtype=np.float32)
    return Film(pixels=grey / np.float32(255))


def load_films(records: Sequence[Record], split: str, preprocessing: Preprocessing) -> FilmSet:
    """Decode the films of a split once, through the preprocessing that inference uses.

    Raises
    ------
    BadFilmList
        The split holds no film.
    """
    chosen = tuple(record for record in records if record.split == split)
    if not chosen:
        raise BadFilmList(f"no film is in split {split!r}")
    size = preprocessing.size_px
    pixels = torch.empty((len(chosen), 1, size, size), dtype=torch.uint8)
    for film, record in zip(pixels, chosen, strict=True):
        film.copy_((preprocessing.resize(read_picture(record.path)) * 255).round())
    labels = torch.tensor([record.labels for record in chosen], dtype=torch.float32)
    return FilmSet(chosen, pixels, labels)
