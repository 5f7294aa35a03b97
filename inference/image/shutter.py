"""The display shutter: what of a film its maker keeps from view.

References
----------
PS3.3 C.7.6.11 (Display Shutter), C.7.6.15 (Bitmap Display Shutter).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset

from inference.image.header import number, numbers, texts
from inference.image.overlays import BoolArray, read_overlay

LEAST_VISIBLE = 0.2
"""Share of the film that a shutter must leave: no adult chest is smaller. One that leaves less is
taken for a mistake (wrong units, another matrix) and is not applied."""
WORTH_A_NOTE = 0.5  # share of the film: a shutter that leaves less is named in the answer

_FAR = 100_000  # pixels: what is farther off the film is as far for Pillow
_Shape = Callable[[Dataset, tuple[int, int], float], "tuple[BoolArray, Dataset]"]


class Malformed(ValueError):
    """A shape cannot be applied; the text says why."""


@dataclass(frozen=True, eq=False)
class Shutter:
    """A shutter that is applied.

    Attributes
    ----------
    occluded
        (rows, columns), True where nothing may be seen.
    elements
        The shapes that were applied, as another object restates them. The bit-map of a BITMAP is
        ``occluded`` itself and is not among them.
    group
        Group of the overlay that is the bit-map; None without one.
    """

    occluded: BoolArray
    elements: Dataset
    group: int | None = None


def read_shutter(
    ds: Dataset, shape: tuple[int, int], aspect: float = 1.0
) -> tuple[Shutter | None, tuple[str, ...]]:
    """Read the shutter of a film (rows, columns); several shapes occlude together.

    A shape that is malformed is left out, and a shutter that leaves less than `LEAST_VISIBLE` of
    the film is not applied: a film never turns black in silence.

    Parameters
    ----------
    aspect
        Height of a pixel over its width: a circle is one on the screen.

    Returns
    -------
    tuple
        The shutter, or None where nothing is occluded; and what a reader must know of it.
    """
    stated = tuple(dict.fromkeys(one.upper() for one in texts(ds, "ShutterShape") if one))
    occluded = np.zeros(shape, np.bool_)
    elements, applied, problems, group = Dataset(), [], [], None
    for name in stated:
        try:
            covered, restated = _shape_of(name)(ds, shape, aspect)
        except Malformed as error:
            problems.append(f"the display shutter {name} is not applied: {error}")
            continue
        occluded |= covered
        elements.update(restated)
        applied.append(name)
        if name == "BITMAP":
            group = int(number(ds, "ShutterOverlayGroup") or 0)
    if not occluded.any():
        return None, tuple(problems)
    visible = 1 - float(occluded.mean())
    if visible < LEAST_VISIBLE:
        left = f"it would leave {visible:.0%} of the film"
        return None, (*problems, f"the display shutter is not applied: {left}")
    if visible < WORTH_A_NOTE:
        problems.append(f"the display shutter hides {1 - visible:.0%} of the film")
    elements.ShutterShape = applied
    elements.ShutterPresentationValue = _presentation_value(ds)
    return Shutter(occluded, elements, group), tuple(problems)


def _shape_of(name: str) -> _Shape:
    if name not in _SHAPES:
        raise Malformed("the shape is none of " + ", ".join(_SHAPES))
    return _SHAPES[name]


def _presentation_value(ds: Dataset) -> int:
    value = number(ds, "ShutterPresentationValue") or 0
    return int(value) if 0 <= value <= 0xFFFF else 0


def _rectangular(ds: Dataset, shape: tuple[int, int], _aspect: float) -> tuple[BoolArray, Dataset]:
    keywords = [
        f"Shutter{side}Edge"
        for side in ("LeftVertical", "RightVertical", "UpperHorizontal", "LowerHorizontal")
    ]
    edges = [number(ds, keyword) for keyword in keywords]
    if None in edges:
        raise Malformed("an edge is missing")
    left, right, upper, lower = (int(edge) for edge in edges if edge is not None)
    rows, columns = shape
    left, right = max(1, left), min(columns, right)
    upper, lower = max(1, upper), min(rows, lower)
    if left > right or upper > lower:
        raise Malformed("its rectangle has no area on the film")
    occluded = np.ones(shape, np.bool_)
    occluded[upper - 1 : lower, left - 1 : right] = False
    restated = Dataset()
    for keyword, edge in zip(keywords, (left, right, upper, lower), strict=True):
        setattr(restated, keyword, edge)
    return occluded, restated


def _circular(ds: Dataset, shape: tuple[int, int], aspect: float) -> tuple[BoolArray, Dataset]:
    """Occlude what lies outside a circle, whose radius is in pixels along a row."""
    centre, radius = numbers(ds, "CenterOfCircularShutter"), number(ds, "RadiusOfCircularShutter")
    if len(centre) != 2 or radius is None:
        raise Malformed("the centre or the radius is missing")
    if radius < 1:
        raise Malformed("its circle has no area")
    down = (np.arange(1, shape[0] + 1, dtype=np.float32) - centre[0]) * aspect
    across = np.arange(1, shape[1] + 1, dtype=np.float32) - centre[1]
    occluded: BoolArray = down[:, None] ** 2 + across**2 > radius**2
    if occluded.all():
        raise Malformed("its circle lies beside the film")
    restated = Dataset()
    restated.CenterOfCircularShutter = [int(value) for value in centre]
    restated.RadiusOfCircularShutter = int(radius)
    return occluded, restated


def _polygonal(ds: Dataset, shape: tuple[int, int], _aspect: float) -> tuple[BoolArray, Dataset]:
    values = numbers(ds, "VerticesOfThePolygonalShutter")
    if len(values) % 2:
        raise Malformed("a corner has no column")
    far = np.clip(values, -_FAR, _FAR).astype(int).tolist()
    corners = list(zip(far[1::2], far[::2], strict=True))  # x, y
    if len(set(corners)) < 3:
        raise Malformed("its polygon has fewer than 3 corners")
    if not _area(corners):
        raise Malformed("its polygon has no area")
    page = Image.new("1", (shape[1], shape[0]), 1)
    ImageDraw.Draw(page).polygon([(x - 1, y - 1) for x, y in corners], fill=0)
    occluded = np.asarray(page)
    if occluded.all():
        raise Malformed("its polygon lies beside the film")
    restated = Dataset()
    restated.VerticesOfThePolygonalShutter = [int(value) for value in values]
    return occluded, restated


def _area(corners: Sequence[tuple[int, int]]) -> float:
    """Return the area of a polygon in pixels."""
    x, y = np.array(corners, dtype=np.float64).T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def _bitmap(ds: Dataset, shape: tuple[int, int], _aspect: float) -> tuple[BoolArray, Dataset]:
    """Occlude where an overlay of the object has a 1."""
    group = number(ds, "ShutterOverlayGroup")
    covered = None if group is None else read_overlay(ds, int(group), shape)
    if covered is None or group is None:
        raise Malformed("its overlay is missing, or cannot be read")
    restated = Dataset()
    restated.ShutterOverlayGroup = int(group)
    return covered, restated


_SHAPES: dict[str, _Shape] = {
    "RECTANGULAR": _rectangular,
    "CIRCULAR": _circular,
    "POLYGONAL": _polygonal,
    "BITMAP": _bitmap,
}
