"""How much the aligned pair agrees, and where it has become more or less opaque.

Two exposures of one chest differ in brightness and contrast, over the whole film and from place
to place. What counts is therefore what the surroundings on the other film do not explain.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from skimage.metrics import structural_similarity

from inference.comparison.extent import whole
from inference.comparison.filters import FLAT, locally_normalised, tensor, windowed_mean
from inference.comparison.result import MARK
from inference.findings import FloatArray

LOCAL_SHARE = 1 / 16  # Gaussian window, sigma as a share of the long edge: about a rib's distance

# of the difference; chosen on pairs without change with opacities painted in
# (tests/benchmarks/opacities.py)
WINDOW_SHARE = 1 / 20
WIDE_SHARE, WIDE_MARK = 1 / 8, 0.9  # finds the edge of a large opacity, and must be surer of it
SMOOTH_SHARE = 1 / 72  # finer than the smallest nodule worth a look
STEADY = 0.06  # grey levels in [0, 1]: structure fainter than that is not scaled to fit
MOST_GAIN = 3.0  # contrast of one film over that of the other


@dataclass(frozen=True, eq=False)
class AlignedPair:
    """Two films on one grid, (h, w), with what they share."""

    current: FloatArray
    prior: FloatArray
    overlap: npt.NDArray[np.bool_]


def quality(pair: AlignedPair) -> float:
    """Return the correlation of the locally normalised films inside the overlap, in [-1, 1].

    It tells whether ribs lie on ribs, not whether both are chests: without the normalisation any
    two chests correlate. 0 when there is no overlap or nothing to see in it.
    """
    if pair.overlap.sum() < 2:
        return 0.0
    sigma = LOCAL_SHARE * max(pair.overlap.shape)
    inside = tensor(pair.overlap)
    ours, theirs = (
        _standard(locally_normalised(tensor(film), sigma, inside)[0, 0].numpy()[pair.overlap])
        for film in (pair.current, pair.prior)
    )
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


def difference(pair: AlignedPair, inside: npt.NDArray[np.bool_] | None = None) -> FloatArray:
    """Return (h, w) in [-1, 1]: above 0 more opaque than before, below 0 more lucent.

    What one film shows and the other does not explain, in local standard deviations, each way:
    what is only on the current film counts as more opaque, what is only on the prior as more
    lucent. Exchanging the films changes the sign and hardly anything else. What is wider than the
    window is marked as a whole (`inference.comparison.extent`).

    Parameters
    ----------
    inside
        (h, w), where differences count, such as the lung fields; the whole overlap when None.
        0 elsewhere.
    """
    where = pair.overlap if inside is None else pair.overlap & inside
    shown, wide = (_signed(pair, where, share) for share in (WINDOW_SHARE, WIDE_SHARE))
    seen = np.where((np.abs(wide) >= WIDE_MARK) & (np.abs(shown) < MARK), wide, shown)
    return whole(seen, pair.current, pair.prior, pair.overlap, where)


def _signed(pair: AlignedPair, where: npt.NDArray[np.bool_], share: float) -> FloatArray:
    """Return (h, w) what one film shows and the other does not explain within a window.

    A linear fit of each film to the other in a Gaussian window: another exposure, window or gamma
    is explained; a structure that only one film has is not.

    References
    ----------
    He, Sun, Tang, Guided image filtering, IEEE Trans. PAMI 35(6), 2013.
    """
    weight = tensor(pair.overlap)
    edge = max(pair.overlap.shape)
    mean = windowed_mean(weight, share * edge)
    now, before = (_Window(film, mean) for film in map(tensor, (pair.current, pair.prior)))
    covariance = mean(now.film * before.film) - now.middle * before.middle
    smoothed = windowed_mean(weight, SMOOTH_SHARE * edge)
    grown, gone = (
        smoothed(one.unexplained_by(other, covariance))
        for one, other in ((now, before), (before, now))
    )
    shown = (grown.clamp_min(0) - gone.clamp_min(0)).clamp(-1, 1)[0, 0].numpy()
    return np.asarray(np.where(where, shown, np.float32(0)))


class _Window:
    """A film (1, 1, h, w), with its mean and variance around each place."""

    def __init__(self, film: torch.Tensor, mean: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self.film, self.middle = film, mean(film)
        self.variance = (mean(film**2) - self.middle**2).clamp_min(0)

    def unexplained_by(self, other: "_Window", covariance: torch.Tensor) -> torch.Tensor:
        """Return what is left when the other is fitted, in local standard deviations."""
        gain = (covariance / (other.variance + STEADY**2)).clamp(0, MOST_GAIN)
        left = self.film - self.middle - gain * (other.film - other.middle)
        return left / (self.variance.sqrt() + FLAT)


def _standard(values: FloatArray) -> FloatArray:
    standard: FloatArray = (values - values.mean()) / max(float(values.std()), 1e-6)
    return standard
