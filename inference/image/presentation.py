"""How a film is to be shown, as its header states it: proportions, sides, shutter, overlays."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from pydicom.dataset import Dataset

from inference.image.header import numbers, text, texts
from inference.image.overlays import BoolArray, Overlays, read_overlays, shrunk
from inference.image.shutter import Shutter, read_shutter

MOST_UNEVEN = 5.0
"""Height of a pixel over its width, or width over height: no detector and no scanner has more."""

_OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "H": "F", "F": "H"}
_AXIS = {"L": "x", "R": "x", "A": "y", "P": "y", "H": "z", "F": "z"}


class Sides(NamedTuple):
    """The direction in the patient that lies beyond the left and the right edge of a picture."""

    left: str
    right: str

    def mirrored(self) -> "Sides":
        """Return the sides of the picture turned left to right."""
        return Sides(self.right, self.left)


@dataclass(frozen=True, eq=False)
class Presentation:
    """How a film is to be shown.

    Attributes
    ----------
    aspect
        Height of a pixel over its width.
    sides
        Letters of the left and the right edge; None where the header does not state them.
    shutter, overlays
        What is kept from view, and what lies over the film; None without any.
    problems
        What of the header could not be obeyed, one sentence each.
    """

    aspect: float = 1.0
    sides: Sides | None = None
    shutter: Shutter | None = None
    overlays: Overlays | None = None
    problems: tuple[str, ...] = ()

    @property
    def occluded(self) -> BoolArray | None:
        """(rows, columns), True where nothing of the film may be seen; None: all of it may."""
        return None if self.shutter is None else self.shutter.occluded

    @property
    def graphics(self) -> BoolArray | None:
        """(rows, columns), True where an overlay is drawn; None without any."""
        return None if self.overlays is None else self.overlays.graphics

    def reduced_to(self, shape: tuple[int, int]) -> "Presentation":
        """Return it for the film at a smaller size (rows, columns); the overlays keep theirs."""
        shutter = self.shutter
        if shutter is None or shutter.occluded.shape == shape:
            return self
        occluded = shrunk(shutter.occluded, *shape, 0.5)
        return replace(self, shutter=replace(shutter, occluded=occluded))

    def mirrored(self) -> "Presentation":
        """Return what belongs to the film when it is turned left to right.

        The shutter's ``elements`` stay those of the film as it is stored.
        """
        shutter, overlays = self.shutter, self.overlays
        return replace(
            self,
            sides=self.sides and self.sides.mirrored(),
            shutter=shutter and replace(shutter, occluded=np.fliplr(shutter.occluded)),
            overlays=overlays and replace(overlays, graphics=np.fliplr(overlays.graphics)),
        )


def read_presentation(ds: Dataset, shape: tuple[int, int]) -> Presentation:
    """Read how an object of one frame (rows, columns) is to be shown. No odd value raises."""
    aspect, uneven = pixel_aspect(ds)
    shutter, shuttered = read_shutter(ds, shape, aspect)
    hides = () if shutter is None or shutter.group is None else (shutter.group,)
    overlays, overlaid = read_overlays(ds, shape, hides)
    return Presentation(aspect, sides_of(ds), shutter, overlays, (*uneven, *shuttered, *overlaid))


def pixel_aspect(ds: Dataset) -> tuple[float, tuple[str, ...]]:
    """Return the height of a pixel over its width, and what a reader must know of it.

    A spacing comes before the ratio, as in DCMTK and OHIF: the ratio is for objects that state no
    spacing (PS3.3 C.7.6.3.1.7). A zero, as some consoles write, states nothing.
    """
    for keyword in (
        "PixelSpacing",
        "ImagerPixelSpacing",
        "NominalScannedPixelSpacing",
        "PixelAspectRatio",
    ):
        values = numbers(ds, keyword)
        if len(values) != 2 or min(values) <= 0:
            continue
        aspect = values[0] / values[1]
        if 1 / MOST_UNEVEN <= aspect <= MOST_UNEVEN:
            return aspect, ()
        return 1.0, (f"{keyword} is implausible: pixels are shown as squares",)
    return 1.0, ()


def sides_of(ds: Dataset) -> Sides | None:
    """Return which sides of the patient lie left and right on the stored picture.

    None where Patient Orientation is absent, is no pair of two axes, or is an animal's.

    References
    ----------
    PS3.3 C.7.6.1.1.1: its first value is the direction in which a row runs.
    """
    directions = [one.upper()[:1] for one in texts(ds, "PatientOrientation")]
    axes = [_AXIS.get(one) for one in directions]
    if len(axes) != 2 or None in axes or axes[0] == axes[1]:
        return None
    if text(ds, "AnatomicalOrientationType").upper() == "QUADRUPED":
        return None
    return Sides(_OPPOSITE[directions[0]], directions[0])
