"""What lies over a prior film, and its sides, where the prior was laid onto the current one."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from inference.comparison.result import Comparison
from inference.findings import FloatArray
from inference.image.film import Film
from inference.image.overlays import shrunk
from inference.image.presentation import Sides


def presented(made: Comparison, prior: Film) -> Comparison:
    """Add the prior's overlays and letters to a comparison.

    Both follow from where the current film's pixels lie on the prior (``made.places``), so they are
    right whatever was done to lay it there, a mirroring among it.

    Parameters
    ----------
    prior
        As it is stored.
    """
    return replace(
        made,
        prior_graphics=_graphics(made.places, prior),
        prior_sides=_sides(made.places, prior.presentation.sides),
    )


def _graphics(places: FloatArray, prior: Film) -> npt.NDArray[np.bool_] | None:
    graphics = prior.presentation.graphics
    if graphics is None:
        return None
    rows, columns = places.shape[1:]
    small = shrunk(graphics, rows, columns)
    x = np.clip((places[0] * columns).astype(int), 0, columns - 1)
    y = np.clip((places[1] * rows).astype(int), 0, rows - 1)
    inside = ((places >= 0) & (places < 1)).all(axis=0)
    moved: npt.NDArray[np.bool_] = small[y, x] & inside
    return moved


def _sides(places: FloatArray, sides: Sides | None) -> Sides | None:
    """Return the letters of the prior's edges; exchanged where it was turned left to right."""
    across = places[0, places.shape[1] // 2]
    return sides.mirrored() if sides is not None and across[-1] < across[0] else sides
