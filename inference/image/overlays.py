"""Overlay planes: markers, letters and regions that lie over a film and are no part of it.

References
----------
PS3.3 C.9.2 (Overlay Plane).
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from inference.image.header import MALFORMED

BoolArray = npt.NDArray[np.bool_]

GROUPS = range(0x6000, 0x6020, 2)
MOST_COVERED = 0.5
"""Share of the film: what covers more is no annotation, and would hide the film."""

_ROWS, _COLUMNS, _TYPE, _ORIGIN, _DATA = 0x0010, 0x0011, 0x0040, 0x0050, 0x3000


@dataclass(frozen=True, eq=False)
class Overlays:
    """All overlays of a film that are drawn.

    Attributes
    ----------
    graphics
        (rows, columns), True where one of them has something: all of a graphic (type G), the edge
        of a region of interest (type R), which would otherwise hide what it marks.
    groups
        Their groups.
    """

    graphics: BoolArray
    groups: tuple[int, ...]


def read_overlays(
    ds: Dataset, shape: tuple[int, int], but: Collection[int] = ()
) -> tuple[Overlays | None, tuple[str, ...]]:
    """Read the overlays of a film (rows, columns), but for some groups.

    Returns
    -------
    tuple
        The overlays, or None where there are none; and what a reader must know of them.
    """
    graphics, groups, problems = np.zeros(shape, np.bool_), [], []
    for group in GROUPS:
        if Tag(group, _DATA) not in ds or group in but:
            continue
        drawn = read_overlay(ds, group, shape)
        if drawn is None:
            problems.append(f"overlay {group:04X} is not drawn: it cannot be read")
            continue
        if _text(ds, group, _TYPE).upper() == "R":
            drawn &= ~_inner(drawn)
        if drawn.mean() > MOST_COVERED:
            problems.append(f"overlay {group:04X} is not drawn: it covers {drawn.mean():.0%}")
            continue
        graphics |= drawn
        groups.append(group)
    return (Overlays(graphics, tuple(groups)) if groups else None), tuple(problems)


def read_overlay(ds: Dataset, group: int, shape: tuple[int, int]) -> BoolArray | None:
    """Return where an overlay has a 1, (rows, columns) of the film; None where it cannot be read.

    Of several frames the first counts: a film has one (PS3.3 C.9.2).
    """
    try:
        plane = _plane(ds, group)
        origin = ds[group, _ORIGIN].value if Tag(group, _ORIGIN) in ds else (1, 1)
        top, left = (int(value) - 1 for value in origin)
    except MALFORMED:
        return None
    placed = np.zeros(shape, np.bool_)
    rows, columns = _inside(top, plane.shape[0], shape[0]), _inside(left, plane.shape[1], shape[1])
    placed[rows, columns] = plane[_moved(rows, -top), _moved(columns, -left)]
    return placed


def _plane(ds: Dataset, group: int) -> BoolArray:
    """Unpack the first frame of an overlay: one bit a pixel, the lowest first (PS3.5 8.1.2)."""
    rows, columns = int(ds[group, _ROWS].value), int(ds[group, _COLUMNS].value)
    packed = np.frombuffer(ds[group, _DATA].value, np.uint8)[: -(-rows * columns // 8)]
    if 8 * packed.size < rows * columns:
        raise ValueError("the overlay is cut short")
    bits = np.unpackbits(packed, count=rows * columns, bitorder="little")
    return bits.reshape(rows, columns).astype(np.bool_)


def _inner(region: BoolArray) -> BoolArray:
    """Return a region without its edge."""
    wide = np.pad(region, 1)
    inner: BoolArray = wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    return inner


def rim(mask: BoolArray) -> BoolArray:
    """Return a mask (rows, columns) with the pixels above, below, left and right of it."""
    wide = np.pad(mask, 1)
    around: BoolArray = wide[:-2, 1:-1] | wide[2:, 1:-1] | wide[1:-1, :-2] | wide[1:-1, 2:] | mask
    return around


def shrunk(mask: BoolArray, rows: int, columns: int, least: float = 0.1) -> BoolArray:
    """Scale a mask to (rows, columns), edge to edge.

    True where at least the share ``least``, in [0, 1], of the pixels beneath is. By default thin
    strokes stay; with 0.5 an area keeps its size.
    """
    picture = Image.fromarray(mask.astype(np.uint8) * np.uint8(255))
    small = picture.resize((columns, rows), Image.Resampling.BOX)
    covered: BoolArray = np.asarray(small) >= max(1.0, 255 * least)
    return covered


def _inside(first: int, length: int, available: int) -> slice:
    """Return the part of a line of the film that a plane covers."""
    start = min(max(first, 0), available)
    return slice(start, max(start, min(first + length, available)))


def _moved(part: slice, by: int) -> slice:
    return slice(max(0, part.start + by), max(0, part.stop + by))


def _text(ds: Dataset, group: int, element: int) -> str:
    try:
        return str(ds[group, element].value).strip()
    except MALFORMED:
        return ""
