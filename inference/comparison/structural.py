"""How much the aligned pair agrees, and where it has become more or less opaque.

Two exposures of one chest differ in brightness and contrast, over the whole film and from place
to place. What counts is a structure against its surroundings, so both films are normalised
locally before they are subtracted.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk  # noqa: N813 - the name its documentation uses
from skimage.metrics import structural_similarity

from inference.findings import FloatArray

LOCAL_SHARE = 1 / 16  # Gaussian window, sigma as a share of the long edge: about a rib's distance
SMOOTH_SHARE = 1 / 100  # smoothing of the difference: finer than the smallest nodule worth a look
FLAT = 0.02  # grey levels in [0, 1] added to the local deviation: keeps noise of flat air small
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
    sigma = LOCAL_SHARE * max(current.shape)
    return AlignedPair(
        current,
        prior,
        overlap,
        locally_normalised(current, sigma, overlap),
        locally_normalised(prior, sigma, overlap),
    )


def locally_normalised(
    film: FloatArray, sigma: float, inside: npt.NDArray[np.bool_] | None = None
) -> FloatArray:
    """Subtract the local mean and divide by the local standard deviation.

    Parameters
    ----------
    sigma
        Of the Gaussian window, in pixels.
    inside
        Where the film counts; everywhere when None. Outside, the result means nothing.
    """
    weight = np.ones_like(film) if inside is None else inside.astype(np.float32)
    covered = np.maximum(_blur(weight, sigma), 1e-3)
    centred = film - _blur(film * weight, sigma) / covered
    variance = np.maximum(_blur(centred**2 * weight, sigma) / covered, 0)
    normal: FloatArray = (centred / (np.sqrt(variance) + FLAT)).astype(np.float32)
    return normal


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
    weight = pair.overlap.astype(np.float32)
    smooth = SMOOTH_SHARE * max(weight.shape)
    raw = _blur((pair.local_current - pair.local_prior) * weight, smooth)
    shown = raw / np.maximum(_blur(weight, smooth), 1e-3) / FULL_SCALE
    changed: FloatArray = (np.clip(shown, -1, 1) * weight).astype(np.float32)
    return changed


def _standard(values: FloatArray) -> FloatArray:
    standard: FloatArray = (values - values.mean()) / max(float(values.std()), 1e-6)
    return standard


def _blur(values: FloatArray, sigma: float) -> FloatArray:
    """Smooth with a recursive Gaussian, whose time does not depend on ``sigma``."""
    image = sitk.GetImageFromArray(values.astype(np.float32))
    blurred: FloatArray = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(image, sigma))
    return blurred
