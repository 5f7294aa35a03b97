"""How much the aligned pair agrees, and where it has become more or less opaque.

Two exposures of one chest differ in brightness and contrast, over the whole film and from place
to place. What counts is a structure against its surroundings, so both films are normalised
locally before they are subtracted.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from skimage.metrics import structural_similarity

from inference.comparison.local import blur, locally_normalised, tensor
from inference.findings import FloatArray

LOCAL_SHARE = 1 / 16  # Gaussian window, sigma as a share of the long edge: about a rib's distance
SMOOTH_SHARE = 1 / 100  # smoothing of the difference: finer than the smallest nodule worth a look
FULL_SCALE = 2.0  # local standard deviations of difference that the map shows as 1


@dataclass(frozen=True, eq=False)
class AlignedPair:
    """Two films on one grid, (h, w), with what they share."""

    current: FloatArray
    prior: FloatArray
    overlap: npt.NDArray[np.bool_]
    local_current: FloatArray
    local_prior: FloatArray


def aligned_pair(
    current: FloatArray, prior: FloatArray, overlap: npt.NDArray[np.bool_]
) -> AlignedPair:
    """Normalise both films locally inside their overlap."""
    inside = tensor(overlap)
    local = [
        locally_normalised(tensor(film), LOCAL_SHARE * max(film.shape), inside)[0, 0].numpy()
        for film in (current, prior)
    ]
    return AlignedPair(current, prior, overlap, *local)


def quality(pair: AlignedPair) -> float:
    """Return the correlation of the locally normalised films inside the overlap, in [-1, 1].

    It tells whether ribs lie on ribs, not whether both are chests: without the normalisation any
    two chests correlate. 0 when there is no overlap or nothing to see in it.
    """
    if pair.overlap.sum() < 2:
        return 0.0
    ours, theirs = (_standard(f[pair.overlap]) for f in (pair.local_current, pair.local_prior))
    return float(np.clip((ours * theirs).mean(), -1, 1))


def similarity(pair: AlignedPair) -> float:
    """Return the mean structural similarity inside the overlap, in [-1, 1].

    The prior first gets the mean and the contrast of the current film: exposure is no structure.

    References
    ----------
    Wang et al., Image quality assessment, IEEE Trans. Image Processing 13(4), 2004.
    """
    overlap = pair.overlap
    if min(overlap.shape) < 7 or not overlap.any():  # 7 pixels: the window of the measure
        return 0.0
    ours = pair.current[overlap]
    matched = np.zeros_like(pair.prior)
    matched[overlap] = _standard(pair.prior[overlap]) * ours.std() + ours.mean()
    shown = np.where(overlap, pair.current, np.float32(0))
    _, where = structural_similarity(shown, matched, data_range=1.0, full=True)
    return float(where[overlap].mean())


def difference(pair: AlignedPair) -> FloatArray:
    """Return (h, w) in [-1, 1]: above 0 more opaque than before; 0 outside the overlap.

    1 means `FULL_SCALE` local standard deviations or more.
    """
    weight = tensor(pair.overlap)
    smooth = SMOOTH_SHARE * max(pair.overlap.shape)
    raw = blur(tensor(pair.local_current - pair.local_prior) * weight, smooth)
    shown = raw / blur(weight, smooth).clamp_min(1e-3) / FULL_SCALE
    return np.asarray((shown.clamp(-1, 1) * weight)[0, 0].numpy())


def _standard(values: FloatArray) -> FloatArray:
    standard: FloatArray = (values - values.mean()) / max(float(values.std()), 1e-6)
    return standard
