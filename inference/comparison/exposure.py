"""What has changed between two aligned films that another exposure does not explain."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.comparison.filters import tensor, windowed_mean
from inference.findings import FloatArray

BoolArray = npt.NDArray[np.bool_]

SMOOTH_SHARE = 1 / 48  # Gaussian, sigma as a share of the long edge: ribs and vessels are left out
STEP = 11  # the fit uses every so many pixels
FITS = 10
FEWEST = 50  # pixels; with fewer nothing is fitted
RIDGE = 1e-9  # of the pixels; a blank film fits every line


@dataclass(frozen=True, eq=False)
class Residual:
    """The grey that is left when one film is fitted to the other.

    Attributes
    ----------
    grey
        (h, w) in grey levels of [0, 1]: above 0 the current film is more opaque than before.
    scale
        Robust standard deviation of it over the overlap: how well exposure explains the pair.
    """

    grey: FloatArray
    scale: float


def unexplained(current: FloatArray, prior: FloatArray, overlap: BoolArray) -> Residual:
    """Return the change (h, w) that no other exposure of the whole film explains.

    Each film is fitted to the other; the better fit is the one that a large opacity pulls less.
    """
    mean = windowed_mean(tensor(overlap), SMOOTH_SHARE * max(overlap.shape))
    now, before = (mean(tensor(film))[0, 0].numpy() for film in (current, prior))
    grown, gone = _fitted(now, before, overlap), _fitted(before, now, overlap)
    return grown if grown.scale <= gone.scale else Residual(-gone.grey, gone.scale)


def _fitted(film: FloatArray, other: FloatArray, overlap: BoolArray) -> Residual:
    """Fit a tone curve of the other film and a slope across the film, and return what is left.

    The curve is cubic: processing differs by more than contrast. The slope is that of a tilted
    detector or patient. What has changed counts little (Cauchy weights; Holland and Welsch,
    Communications in Statistics A6, 1977).
    """
    at = np.flatnonzero(overlap)[::STEP]
    if len(at) < FEWEST:
        return Residual(np.zeros_like(film), 0.0)
    rows, columns = np.divmod(at, film.shape[1])
    terms = _terms(other.ravel()[at], *(side / max(film.shape) for side in (rows, columns)))
    values = film.ravel()[at].astype(np.float64)
    ridge = RIDGE * len(at) * np.eye(terms.shape[1])
    scale = 0.0
    weights: npt.NDArray[np.float64] = np.ones(len(at))
    found: npt.NDArray[np.float64] = np.zeros(terms.shape[1])
    for _ in range(FITS):
        weighted = terms.T * weights  # (6, n)
        solved = np.linalg.solve(weighted @ terms + ridge, weighted @ values)
        found = np.asarray(solved, dtype=np.float64)
        left = np.abs(values - terms @ found)
        scale = 1.4826 * float(np.median(left)) + 1e-3
        weights = 1 / (1 + (left / scale) ** 2)
    return Residual(film - _surface(found, other), scale)


def _terms(grey: FloatArray, down: FloatArray, across: FloatArray) -> npt.NDArray[np.float64]:
    """Return (n, 6) what a film's grey is fitted by, of pixels and their places."""
    grey = grey.astype(np.float64)
    return np.stack([np.ones_like(grey), grey, grey**2, grey**3, across, down], axis=-1)


def _surface(found: npt.NDArray[np.float64], other: FloatArray) -> FloatArray:
    """Return the fit at each pixel, (h, w)."""
    offset, first, second, third, across, down = found.astype(np.float32)
    height, width = other.shape
    y, x = (np.arange(side, dtype=np.float32) / max(other.shape) for side in (height, width))
    curve = offset + other * (first + other * (second + other * third))
    return np.asarray(curve + down * y[:, None] + across * x)
