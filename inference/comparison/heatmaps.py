"""Where a finding speaks more, or less, than on the prior film."""

import numpy as np

from inference.comparison.align import Alignment, on_grid
from inference.findings import FloatArray, Prediction


def heatmap_differences(current: Prediction, prior: Prediction, alignment: Alignment) -> FloatArray:
    """Subtract the aligned prior's heat maps; (14, h, w) in [-1, 1], 0 outside the overlap.

    Heat maps are scaled to their own maximum, so each is weighted by its finding's probability
    first: a map of a finding that is hardly there must not outshine one that is.
    """
    ours, theirs = (p.heatmaps * p.probabilities[:, None, None] for p in (current, prior))
    here = on_grid(ours, alignment.shape)
    change: FloatArray = (here - alignment.move(theirs)) * alignment.overlap
    return np.clip(change, -1, 1).astype(np.float32)
