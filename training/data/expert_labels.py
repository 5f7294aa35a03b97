"""Radiologists' own labels in place of mined ones, where a list has them.

NIH's labels were mined from reports by a program. Of some films the majority of board-certified
radiologists is known.

References
----------
Majkowska et al., Chest Radiograph Interpretation with Deep Learning Models, Radiology 294, 2020;
Nabulsi et al., Deep learning for distinguishing normal versus abnormal chest radiographs,
Scientific Reports 11, 2021.
"""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from inference.findings import LABELS
from training.data.record import Record
from training.errors import BadFilmList

FILM = "image_index"


def read_expert_labels(path: Path) -> dict[str, tuple[int, ...]]:
    """Read a CSV with the column ``image_index`` and the 14 labels, 0 or 1, by the film's name.

    Raises
    ------
    BadFilmList
        The file cannot be read, a column is missing, or a label is neither 0 nor 1.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            rows = list(csv.DictReader(lines))
        known = {PurePath(row[FILM]).stem: tuple(int(row[one]) for one in LABELS) for row in rows}
    except OSError as error:
        raise BadFilmList(f"{path}: {error.strerror}") from error
    except KeyError as error:
        raise BadFilmList(f"{path}: column {error} is missing") from error
    except ValueError as error:
        raise BadFilmList(f"{path}: {error}") from error
    wrong = next((name for name, labels in known.items() if not set(labels) <= {0, 1}), None)
    if wrong is not None:
        raise BadFilmList(f"{path}: {wrong}: a label is 0 or 1")
    return known


def expert_films(records: Sequence[Record], path: Path) -> list[Record]:
    """Return the films that radiologists labelled, with their labels.

    Raises
    ------
    BadFilmList
        Also when there is none.
    """
    known = read_expert_labels(path)
    labelled = [replace(one, labels=known[one.name]) for one in records if one.name in known]
    if not labelled:
        raise BadFilmList(f"{path}: has none of the {len(records)} films")
    return labelled


def with_expert_labels(records: Sequence[Record], path: Path | None) -> list[Record]:
    """Return the films with the radiologists' labels where there are some; all as they are: None.

    Raises
    ------
    BadFilmList
    """
    if path is None:
        return list(records)
    known = read_expert_labels(path)
    return [replace(record, labels=known.get(record.name, record.labels)) for record in records]
