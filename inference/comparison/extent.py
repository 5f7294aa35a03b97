"""How far a difference reaches: an opacity that is wider than the window which finds its edge.

The structural difference is what the surroundings do not explain. The middle of a large opacity is
explained by its own surroundings, so only its rim would be marked. A mark therefore grows over the
place that it lies in, as far as the grey there has changed the same way against the whole film.
"""

import numpy as np
import numpy.typing as npt
from scipy.ndimage import label

from inference.comparison.filters import blur, tensor
from inference.comparison.result import MARK
from inference.findings import FloatArray

BoolArray = npt.NDArray[np.bool_]

# chosen on the first of the pairs of tests/benchmarks/opacities.py, as everything of the difference
SMOOTH_SHARE = 1 / 48  # of the long edge: ribs and vessels do not end a place
LEAST = 0.03  # grey levels in [0, 1]: what has changed less is exposure
PART = 0.4  # of what has changed under the marks: a place ends where less has changed
SEEDED = 0.02  # of a place must be marked to begin with, or it is not of the mark
STEP = 17  # every so many pixels are looked at for the exposure of the whole film
FITS = 10
GAINS = (0.3, 3.0)  # contrast of one film over that of the other


def whole(
    marked: FloatArray,
    current: FloatArray,
    prior: FloatArray,
    overlap: BoolArray,
    inside: BoolArray,
) -> FloatArray:
    """Return a difference (h, w) in [-1, 1] whose marks cover the whole place that has changed.

    Parameters
    ----------
    marked
        (h, w), the structural difference.
    inside
        (h, w), where differences count.
    """
    changed = np.where(inside, _changed(current, prior, overlap), np.float32(0))
    grown = marked.copy()
    for sign in (1, -1):
        marks = sign * marked >= MARK
        if not marks.any():
            continue
        enough = max(LEAST, PART * float(np.quantile(sign * changed[marks], 0.75)))
        places, count = label(inside & (sign * changed >= enough))
        size = np.bincount(places.ravel(), minlength=count + 1)
        seeded = np.bincount(places.ravel(), marks.ravel(), minlength=count + 1) >= SEEDED * size
        seeded[0] = False
        within = seeded[places]
        grown[within] = sign * np.maximum(sign * grown[within], np.float32(MARK))
    return grown


def _changed(current: FloatArray, prior: FloatArray, overlap: BoolArray) -> FloatArray:
    """Return (h, w) the grey that another exposure of the whole film does not explain.

    Each film is fitted to the other; the better fit is the one that a large opacity pulls less.
    """
    weight = tensor(overlap)
    sigma = SMOOTH_SHARE * max(overlap.shape)
    covered = blur(weight, sigma).clamp_min(1e-3)
    now, before = (
        (blur(tensor(film) * weight, sigma) / covered)[0, 0].numpy() for film in (current, prior)
    )
    grown, scale = _left(now, before, overlap)
    gone, other = _left(before, now, overlap)
    return grown if scale <= other else -gone


def _left(film: FloatArray, other: FloatArray, overlap: BoolArray) -> tuple[FloatArray, float]:
    """Return what is left of a film (h, w) when a line is fitted to it, and its usual size.

    What has changed counts little (Cauchy weights; Holland and Welsch, Communications in
    Statistics A6, 1977).
    """
    y, x = (one[overlap][::STEP].astype(np.float64) for one in (film, other))
    gain, offset, scale, weights = 1.0, 0.0, 0.0, np.ones(len(y))
    for _ in range(FITS if len(y) > 2 else 0):
        middle_x, middle_y = np.average(x, weights=weights), np.average(y, weights=weights)
        spread = np.average((x - middle_x) ** 2, weights=weights) + 1e-6
        slope = np.average((x - middle_x) * (y - middle_y), weights=weights) / spread
        gain = float(np.clip(slope, *GAINS))
        offset = float(middle_y - gain * middle_x)
        left = y - gain * x - offset
        scale = 2 * (1.4826 * float(np.median(np.abs(left))) + 1e-3)
        weights = 1 / (1 + (left / scale) ** 2)
    return np.asarray(film - np.float32(gain) * other - np.float32(offset)), scale
