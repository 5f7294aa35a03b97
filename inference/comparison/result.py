"""The outcome of a comparison."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.findings import CALLED, NOT_ASSESSED, Change, FloatArray
from inference.image.presentation import Sides
from inference.statements import more_than_by_chance

MARK = 0.6
"""Structural difference from which a place is marked. What that marks of films without change,
and of opacities painted into them, tests/benchmarks/opacity_sizes.py measures."""


SHOWN = 0.3
"""Heat-map difference from which a reader sees a place coloured (`inference.drawing.layers`)."""
BARE = 0.1
"""Of each edge: corners where markers are, and nothing is painted (`inference.drawing.layers`)."""


@dataclass(frozen=True)
class FindingChange:
    """One finding's change.

    Attributes
    ----------
    prior, current
        Probabilities in [0, 1].
    confidence
        Share of pairs of films without change in which no finding differs as much, in [0, 1]: a
        change is named only above 0.95. It is not the probability that the change is real, and is
        nowhere without the words of `inference.statements.more_than_by_chance`. None where that
        cannot be said.
    threshold
        Of the site when the films were compared; None where nothing was concluded.
    words
        What the change is called by any other threshold: at ``2 * was + is_now``, whether the
        finding was positive on the prior and is on the current film. Empty where it is uncertain
        whatever the threshold.
    assessed
        Whether the finding is assessed on both films; otherwise no change is named.
    verified
        Whether its maps were shown to point at it (`inference.findings.Prediction`).
    """

    label: str
    prior: float
    current: float
    change: Change
    confidence: float | None
    threshold: float | None = None
    words: tuple[Change, ...] = ()
    assessed: bool = True
    verified: bool = True

    @property
    def called(self) -> bool:
        """Whether a change is named."""
        return self.change in CALLED

    @property
    def text(self) -> str:
        """The word, with what the confidence means where a change is named."""
        if not self.assessed:
            return NOT_ASSESSED
        if self.confidence is None or not self.called:
            return str(self.change)
        return f"{self.change}: {more_than_by_chance(self.confidence)}"


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
        Correlation of the aligned, locally normalised pair inside their overlap, in [-1, 1].
    ssim
        Structural similarity of the aligned pair inside their overlap, in [-1, 1].
    current, prior
        (h, w) in [0, 1]: the current film, and the prior moved onto it (0 outside its field).
    overlap
        (h, w) bool: where both films have a field.
    lungs
        (h, w) bool: the lung fields of either film; all of it when the bundle cannot tell.
    places
        (2, h, w): where each pixel of the current film lies on the prior, x and y as shares of its
        width and height; outside [0, 1] where the prior has no field.
    inverted
        Whether bright and dark are exchanged between the films.
    structural
        (h, w) signed, in [-1, 1], 0 outside ``lungs`` and ``overlap``: above 0 more opaque than
        before, below 0 more lucent.
    heatmap_differences
        (14, h, w) signed, in [-1, 1]: current minus aligned prior heat map, each weighted by
        its finding's probability, in units of the larger of the two probabilities.
    same_places
        (14,): whether the finding's maps point at one place on both films.
    changes
        One per finding, in the order of `FINDINGS`.
    prior_graphics
        (h, w) bool: the prior's overlays, moved as the prior; None without any.
    prior_sides
        Letters of the left and right edge of ``prior``; None where its header states none.
    """

    comparable: bool
    reason: str
    quality: float
    ssim: float
    current: FloatArray
    prior: FloatArray
    overlap: npt.NDArray[np.bool_]
    lungs: npt.NDArray[np.bool_]
    places: FloatArray
    inverted: bool
    structural: FloatArray
    heatmap_differences: FloatArray
    same_places: npt.NDArray[np.bool_]
    changes: tuple[FindingChange, ...]
    prior_graphics: npt.NDArray[np.bool_] | None = None
    prior_sides: Sides | None = None

    @property
    def limited(self) -> str:
        """What limits a comparison that could be made, as a sentence; "" when nothing does."""
        return f"Limited comparison: {self.reason}" if self.comparable and self.reason else ""


def shows(change: Change, difference: FloatArray) -> bool:
    """Say whether a heat-map difference (h, w) shows the change that it is named by.

    A finding that is new or has increased needs a place that speaks more than before, one that
    has decreased or resolved a place that speaks less. Maps are withheld, or lie outside of what
    both films show, or point at one place as strongly as before.
    """
    if change not in CALLED:
        return False
    signed = difference if change in (Change.NEW, Change.INCREASED) else -difference
    rows, columns = (math.ceil(BARE * side) for side in signed.shape)
    middle = signed[rows:-rows].max(initial=0), signed[:, columns:-columns].max(initial=0)
    return bool(max(middle) >= SHOWN)
