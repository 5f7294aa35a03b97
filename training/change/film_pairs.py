"""Pairs of films of one patient, an earlier and a later one."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inference.comparison.change_null import Condition
from training.data.record import Record
from training.errors import TrainingError
from training.evaluation.statistics import Doubles

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

    @property
    def still(self) -> bool:
        """Whether no label changed."""
        return self.prior.labels == self.current.labels

    @property
    def condition(self) -> Condition | None:
        """How the two were taken; None where a view is not stated."""
        views = {self.prior.view, self.current.view}
        if not views <= {Condition.PA, Condition.AP}:
            return None
        return Condition.PA_AP if len(views) > 1 else Condition(views.pop())


def read_pairs(tables: Sequence[Path], records: Sequence[Record]) -> list[FilmPair]:
    """Read lists of pairs, whose columns ``prior`` and ``current`` name films of ``records``.

    Pairs with a film that is not in the list, or was made from a small picture, are left out; a
    pair that is in two lists counts once.

    Raises
    ------
    BadPairList
        One cannot be read or has no such columns, or no pair is left.
    """
    known = {record.name: record for record in records if is_large(record)}
    named = dict.fromkeys(pair for table in tables for pair in _named(table))
    pairs = [
        FilmPair(known[one], known[two]) for one, two in named if one in known and two in known
    ]
    if not pairs:
        raise BadPairList(
            f"{', '.join(map(str, tables))}: no pair of films of {LEAST_PX} px or more is in the "
            "film list"
        )
    return pairs


def _named(table: Path) -> list[tuple[str, str]]:
    try:
        with table.open(newline="", encoding="utf-8") as file:
            return [
                (Path(row["prior"]).stem, Path(row["current"]).stem) for row in csv.DictReader(file)
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadPairList(f"{table}: {getattr(error, 'strerror', None) or error}") from error
    except KeyError as error:
        raise BadPairList(f"{table}: there is no column {error}") from error


def is_large(record: Record) -> bool:
    """Whether a film was made from a picture of a size that hospitals send, as far as is known."""
    return record.source_px is None or record.source_px >= LEAST_PX
