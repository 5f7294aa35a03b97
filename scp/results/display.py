"""How a presentation state shows its film: the film's own proportions, shutter and overlays.

A presentation state takes the place of the film's own shutter, and of its own choice of overlays
(PS3.4 N.2.3.1): what it does not repeat is not shown.

References
----------
PS3.3 C.7.6.11 and C.7.6.15 (shutters), C.10.4 (Displayed Area), C.11.7 (Overlay Activation),
C.11.12 (Presentation State Shutter).
"""

from fractions import Fraction

import numpy as np
from highdicom import pr
from pydicom.dataset import Dataset

from inference.image.film import Film
from inference.image.overlays import Overlays
from inference.image.shutter import Shutter

OVERLAY_LAYER = "FILM_OVERLAYS"
_FINEST = 10_000  # largest part of a ratio: both are integer strings


def overlay_layers(film: Film) -> list[pr.GraphicLayer]:
    """Return the layer in which the film's own overlays are shown; none without overlays."""
    if film.presentation.overlays is None:
        return []
    return [pr.GraphicLayer(layer_name=OVERLAY_LAYER, order=2, description="Overlays of the film")]


def show_as_film(ds: Dataset, film: Film) -> None:
    """Give a presentation state the film's proportions, shutter and overlays."""
    how = film.presentation
    ratio = Fraction(how.aspect).limit_denominator(_FINEST)
    for area in ds.DisplayedAreaSelectionSequence:
        area.PresentationPixelAspectRatio = [ratio.numerator, ratio.denominator]
    if how.shutter is not None:
        _restate_shutter(ds, how.shutter)
    if how.overlays is not None:
        _activate(ds, how.overlays)


def _restate_shutter(ds: Dataset, shutter: Shutter) -> None:
    """Repeat a shutter; one with a bit-map as the bit-map of all its shapes (C.7.6.15)."""
    if shutter.group is None:
        ds.update(shutter.elements)
        return
    ds.ShutterShape, ds.ShutterOverlayGroup = "BITMAP", shutter.group
    ds.ShutterPresentationValue = shutter.elements.ShutterPresentationValue
    rows, columns = shutter.occluded.shape
    packed = np.packbits(shutter.occluded.ravel(), bitorder="little").tobytes()
    for element, representation, value in (
        (0x0010, "US", rows),
        (0x0011, "US", columns),
        (0x0040, "CS", "G"),
        (0x0050, "SS", [1, 1]),
        (0x0100, "US", 1),
        (0x0102, "US", 0),
        (0x3000, "OW", packed + b"\0" * (len(packed) % 2)),
    ):
        ds.add_new((shutter.group, element), representation, value)


def _activate(ds: Dataset, overlays: Overlays) -> None:
    """Have a viewer draw the overlays that the film holds."""
    for group in overlays.groups:
        ds.add_new((group, 0x1001), "CS", OVERLAY_LAYER)
