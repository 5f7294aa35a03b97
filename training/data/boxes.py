"""Boxes that radiologists drew around findings: hilum's own list, and NIH's.

References
----------
Wang et al., ChestX-ray8, CVPR 2017, section 4.2: 984 boxes on 880 films; ``BBox_List_2017.csv``.
"""

import csv
import gzip
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from inference.findings import LABELS
from training.errors import TrainingError

NIH_PX = 1024.0  # side of the films on which the boxes were drawn
OWN_HEADER = ["image_index", "finding", "x", "y", "w", "h"]
NIH_HEADER = ["Image Index", "Finding Label", "Bbox [x", "y", "w", "h]"]  # split at its own commas
NIH_NAMES = {"Infiltrate": "Infiltration"}  # NIH's labels have the one, NIH's boxes the other


class BadBoxList(TrainingError, ValueError):
    """The list of boxes cannot be used; the text says why."""


@dataclass(frozen=True)
class Box:
    """Where a radiologist saw a finding.

    Attributes
    ----------
    film
        The film's name without folder and suffix, as `Record.name`.
    label
        One of `LABELS`.
    x, y
        Upper left corner, as fractions of the film's width and height.
    w, h
        Size, as fractions of the same.
    """

    film: str
    label: str
    x: float
    y: float
    w: float
    h: float

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        return self.x, self.y, self.x + self.w, self.y + self.h


def boxes_by_film(paths: Sequence[Path]) -> dict[str, tuple[Box, ...]]:
    """Read lists of boxes; return those of each film by its name.

    Raises
    ------
    BadBoxList
    """
    films = defaultdict[str, list[Box]](list)
    for box in read_box_lists(paths):
        films[box.film].append(box)
    return {film: tuple(boxes) for film, boxes in films.items()}


def box_masks(boxes: Sequence[Box], shape: tuple[int, int]) -> torch.Tensor:
    """Return one mask a box, (boxes, h, w) float32: 1 in the box, 0 outside."""
    height, width = shape
    rows = (torch.arange(height) + 0.5) / height
    columns = (torch.arange(width) + 0.5) / width
    masks = torch.zeros(len(boxes), height, width)
    for mask, box in zip(masks, boxes, strict=True):
        left, top, right, bottom = box.corners
        within = (rows >= top) & (rows <= bottom), (columns >= left) & (columns <= right)
        mask[within[0][:, None] & within[1][None, :]] = 1
    return masks


def read_box_lists(paths: Sequence[Path]) -> list[Box]:
    """Read lists of boxes, one after the other.

    Raises
    ------
    BadBoxList
    """
    return [box for path in paths for box in read_boxes(path)]


def read_boxes(path: Path) -> list[Box]:
    """Read ``boxes.csv`` or NIH's ``BBox_List_2017.csv``, plain or gzipped; the header tells.

    Raises
    ------
    BadBoxList
        The file cannot be read, has another header, or a line that is no box on the film.
    """
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
            rows = [row for row in csv.reader(lines) if any(row)]
    except (OSError, UnicodeDecodeError) as error:
        raise BadBoxList(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if not rows or rows[0][:6] not in (OWN_HEADER, NIH_HEADER):
        raise BadBoxList(
            f"{path}: the header is neither {','.join(OWN_HEADER)} nor {','.join(NIH_HEADER)}"
        )
    if len(rows) == 1:
        raise BadBoxList(f"{path}: lists no box")
    return [_box(path, row) for row in rows[1:]]


def _box(path: Path, row: Sequence[str]) -> Box:
    line = ",".join(row)
    if len(row) < 6:
        raise BadBoxList(f"{path}: {line}: a box has 6 values")
    label = NIH_NAMES.get(row[1], row[1])
    if label not in LABELS:
        raise BadBoxList(f"{path}: {line}: {row[1]!r} is no finding of {', '.join(LABELS)}")
    try:
        x, y, w, h = (float(value) / NIH_PX for value in row[2:6])
    except ValueError as error:
        raise BadBoxList(f"{path}: {line}: {error}") from error
    if not all(map(math.isfinite, (x, y, w, h))) or min(x, y) < 0 or min(w, h) <= 0:
        raise BadBoxList(f"{path}: {line}: this is no box")
    if max(x + w, y + h) > 1:
        raise BadBoxList(f"{path}: {line}: the box leaves the film of {NIH_PX:.0f} px")
    return Box(Path(row[0]).stem, label, x, y, w, h)
