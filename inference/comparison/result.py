"""The outcome of a comparison."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.findings import Change, FloatArray


@dataclass(frozen=True)
class FindingChange:
    """One finding's change: probabilities in [0, 1], and the word for the change."""

    label: str
    prior: float
    current: float
    change: Change


@dataclass(frozen=True, eq=False)
class Comparison:
    """The current film against its prior.

    All maps lie on one working grid (h, w) that spans the current film edge to edge.

    Attributes
    ----------
    comparable
        False: nothing below may be drawn, and ``reason`` says why.
    reason
        Why the films are not comparable, or what limits the comparison (another view); may be "".
    quality
        Correlation of the aligned pair inside their overlap, in [-1, 1].
    ssim
        Structural similarity of the aligned pair inside their overlap, in [-1, 1].
    current, prior
        (h, w) in [0, 1]: the current film, and the prior moved onto it (0 outside its field).
    overlap
        (h, w) bool: where both films show something.
    structural
        (h, w) signed, in [-1, 1]: above 0 more opaque than before, below 0 more lucent.
    heatmap_differences
        (14, h, w) signed, in [-1, 1]: current minus aligned prior heat map, each weighted by
        its finding's probability.
    changes
        One per finding, in the order of `FINDINGS`.
    """

    comparable: bool
    reason: str
    quality: float
    ssim: float
    current: FloatArray
    prior: FloatArray
    overlap: npt.NDArray[np.bool_]
    structural: FloatArray
    heatmap_differences: FloatArray
    changes: tuple[FindingChange, ...]
