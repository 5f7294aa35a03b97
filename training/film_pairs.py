"""Pairs of films of one patient, an earlier and a later one."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.errors import TrainingError
from training.records import Record
from training.statistics import Doubles

LEAST_PX = 512  # a film made from a smaller picture is none that a hospital would send


class BadPairList(TrainingError, ValueError):
    """The list of pairs cannot be used; the text says why."""


@dataclass(frozen=True)
class FilmPair:
    """Two films of one patient, in the order in which they were taken."""

    prior: Record
    current: Record

    @property
    def split(self) -> str:
        """That of the patient."""
        return self.current.split

    @property
    def labels(self) -> Doubles:
        """(14,): 1 where a label appeared, -1 where it disappeared, 0 where nothing changed."""
        return np.subtract(self.current.labels, self.prior.labels).astype(np.float64)


def read_pairs(table: Path, records: Sequence[Record]) -> list[FilmPair]:
    """Read a list of pairs, whose columns ``prior`` and ``current`` name films of ``records``.

    Pairs with a film that is not in the list, or was made from a small picture, are left out.

    Raises
    ------
    BadPairList
        It cannot be read, has no such columns, or no pair is left.
    """
    known = {record.name: record for record in records if is_large(record)}
    try:
        with table.open(newline="", encoding="utf-8") as file:
            named = [
                (Path(row["prior"]).stem, Path(row["current"]).stem) for row in csv.DictReader(file)
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadPairList(f"{table}: {getattr(error, 'strerror', None) or error}") from error
    except KeyError as error:
        raise BadPairList(f"{table}: there is no column {error}") from error
    pairs = [
        FilmPair(known[one], known[two]) for one, two in named if one in known and two in known
    ]
    if not pairs:
        raise BadPairList(f"{table}: no pair of films of {LEAST_PX} px or more is in the film list")
    return pairs


def is_large(record: Record) -> bool:
    """Whether a film was made from a picture of a size that hospitals send, as far as is known."""
    return record.source_px is None or record.source_px >= LEAST_PX
