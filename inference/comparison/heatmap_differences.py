"""Where a finding's heat map differs from that of the prior, and whether at the same place."""

import numpy as np
import numpy.typing as npt

from inference.comparison.alignment import on_grid
from inference.comparison.transform import Alignment
from inference.findings import FloatArray, Prediction

# of a map's greatest value: where it points, as its outline does (inference/drawing/outlines.py)
POINTS_AT = 0.5


def compare_heatmaps(
    current: Prediction, prior: Prediction, alignment: Alignment
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Subtract the aligned prior's heat maps, and say whether both point at one place.

    Heat maps are scaled to their own maximum, so each is weighted by its finding's probability
    first: the map of a film on which a finding is hardly there must not outshine that on which
    it is. In units of the larger of both probabilities: a threshold may be 4 %, and the map of a
    finding that is new at 5 % must be seen all the same.

    Returns
    -------
    tuple
        (14, h, w) in [-1, 1], 0 outside the overlap; and (14,): whether half or more of the
        smaller of the two places lies in the other. A finding without a map has no place.
    """
    here = on_grid(current.heatmaps, alignment.shape)
    before = alignment.move(prior.heatmaps) * alignment.overlap
    largest = np.maximum(current.probabilities, prior.probabilities)
    largest = np.where(largest > 0, largest, 1)  # where neither speaks there is nothing to scale
    now, then = ((p.probabilities / largest)[:, None, None] for p in (current, prior))
    change: FloatArray = (here * now - before * then) * alignment.overlap
    return np.clip(change, -1, 1).astype(np.float32), _same_places(here, before)


def _same_places(here: FloatArray, before: FloatArray) -> npt.NDArray[np.bool_]:
    places = [
        (maps > 0) & (maps >= POINTS_AT * maps.max(axis=(1, 2), keepdims=True))
        for maps in (here, before)
    ]
    both = np.logical_and(*places).sum(axis=(1, 2))  # (14,)
    smaller = np.minimum(*(place.sum(axis=(1, 2)) for place in places))
    same: npt.NDArray[np.bool_] = (smaller > 0) & (both >= smaller / 2)
    return same
