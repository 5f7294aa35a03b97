"""How much the aligned pair agrees, and where it has become more or less opaque.

Two exposures of one chest differ in brightness and contrast, over the whole film and from place
to place. What counts is a structure against its surroundings, so both films are normalised
locally before they are subtracted.
"""

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from inference.findings import FloatArray

LOCAL_SHARE = 1 / 16  # Gaussian window, sigma as a share of the long edge: about a rib's distance
SMOOTH_SHARE = 1 / 100  # smoothing of the difference: finer than the smallest nodule worth a look
FLAT = 0.02  # grey levels in [0, 1] added to the local deviation: keeps noise of flat air small
FULL_SCALE = 2.0  # local standard deviations of difference that the map shows as 1


def quality(current: FloatArray, prior: FloatArray, overlap: npt.NDArray[np.bool_]) -> float:
    """Return the correlation of two (h, w) films inside the overlap, in [-1, 1].

    0 when there is no overlap or either is constant there.
    """
    if overlap.sum() < 2:
        return 0.0
    ours, theirs = (_standard(film[overlap]) for film in (current, prior))
    return float(np.clip((ours * theirs).mean(), -1, 1))


def similarity(current: FloatArray, prior: FloatArray, overlap: npt.NDArray[np.bool_]) -> float:
    """Return the mean structural similarity inside the overlap, in [-1, 1].

    The prior first gets the mean and the contrast of the current film: exposure is no structure.

    References
    ----------
    Wang et al., Image quality assessment, IEEE Trans. Image Processing 13(4), 2004.
    """
    if min(current.shape) < 7 or not overlap.any():
        return 0.0
    ours = current[overlap]
    matched = np.zeros_like(prior)
    matched[overlap] = _standard(prior[overlap]) * ours.std() + ours.mean()
    shown = np.where(overlap, current, 0)
    _, where = structural_similarity(shown, matched, data_range=1.0, full=True)
    return float(where[overlap].mean())


def difference(
    current: FloatArray, prior: FloatArray, overlap: npt.NDArray[np.bool_]
) -> FloatArray:
    """Return (h, w) in [-1, 1]: above 0 more opaque than before; 0 outside the overlap.

    1 means `FULL_SCALE` local standard deviations or more.
    """
    weight = overlap.astype(np.float32)
    local, smooth = (share * max(current.shape) for share in (LOCAL_SHARE, SMOOTH_SHARE))
    raw = _local(current, weight, local) - _local(prior, weight, local)
    shown = _mean(raw, weight, smooth) / FULL_SCALE
    changed: FloatArray = np.where(overlap, np.clip(shown, -1, 1), 0).astype(np.float32)
    return changed


def _standard(values: FloatArray) -> FloatArray:
    return (values - values.mean()) / max(float(values.std()), 1e-6)


def _local(film: FloatArray, weight: FloatArray, sigma: float) -> FloatArray:
    """Subtract the local mean and divide by the local standard deviation, inside ``weight``."""
    centred = film - _mean(film, weight, sigma)
    return centred / (np.sqrt(_mean(centred**2, weight, sigma)) + FLAT)


def _mean(values: FloatArray, weight: FloatArray, sigma: float) -> FloatArray:
    """Average locally over what lies inside ``weight`` only."""
    total = gaussian_filter(values * weight, sigma, truncate=3)
    mean: FloatArray = total / np.maximum(gaussian_filter(weight, sigma, truncate=3), 1e-3)
    return mean
