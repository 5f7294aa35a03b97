"""Apply a site's prevalences and thresholds to a network's output, in one place.

The output is stored as the network gave it. Whatever answers, compares, lists or shows applies the
settings of now by `OperatingPoints`, so that a changed setting holds for every film at once.

`BadOperatingPoint` is a value for no finding, or outside (0, 1).

References
----------
Saerens, Latinne and Decaestecker, Adjusting the Outputs of a Classifier to New a Priori
Probabilities, Neural Computation 14, 2002.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.findings import LABELS, FloatArray, NetworkOutput, Prediction
from inference.model.calibration import OutputCalibration
from inference.settings import ShownMaps, did_you_mean


class BadOperatingPoint(ValueError):
    """A prevalence or threshold is for no finding, or not between 0 and 1."""


@dataclass(frozen=True)
class OperatingSettings:
    """A site's own values by label, in (0, 1); what is not named is the bundle's.

    Attributes
    ----------
    thresholds
        Probabilities from which a finding is positive.
    prevalences
        How frequent findings are among the site's films.
    maps
        Which maps are shown: those that were verified, or all.
    """

    thresholds: Mapping[str, float] = field(default_factory=dict)
    prevalences: Mapping[str, float] = field(default_factory=dict)
    maps: ShownMaps = "verified"


BUNDLES_OWN = OperatingSettings()


@dataclass(frozen=True, eq=False)
class OperatingPoints:
    """How one network's outputs are read at one site, in the order of `FINDINGS`.

    Attributes
    ----------
    shifts
        (14,), added to the log odds: the site's prevalences instead of the bundle's.
    thresholds
        (14,), probabilities at the site's prevalences; at or above is positive.
    assessed
        (14,), False where the finding is not assessed
        (`inference.model.calibration.OutputCalibration.assessed`).
    verified
        (14,), False where the maps were not shown to point at the finding.
    shown
        Which maps are shown: those that were verified, or all.
    """

    shifts: FloatArray
    thresholds: FloatArray
    assessed: npt.NDArray[np.bool_]
    verified: npt.NDArray[np.bool_]
    shown: ShownMaps = "verified"

    @property
    def withheld(self) -> npt.NDArray[np.bool_]:
        """(14,), True where no map is shown."""
        withheld: npt.NDArray[np.bool_] = ~self.assessed
        return withheld if self.shown == "all" else withheld | ~self.verified

    @property
    def decision_logits(self) -> FloatArray:
        """(14,), the network's log odds from which a finding is positive."""
        return np.array([_logit(float(t)) for t in self.thresholds]) - self.shifts

    def probabilities(self, log_odds: FloatArray | Sequence[float]) -> FloatArray:
        """Return the probabilities (14,) at this site."""
        odds = np.exp(-(np.asarray(log_odds, np.float64) + self.shifts))
        return np.asarray(1 / (1 + odds))

    def apply(self, output: NetworkOutput) -> Prediction:
        """Return a film's findings at this site."""
        return Prediction(
            self.probabilities(output.log_odds),
            self.thresholds,
            heatmaps(output.maps, self.decision_logits, self.withheld),
            output.model,
            self.assessed,
            self.verified,
            ~self.withheld,
            output.ratio,
        )


def operating_points(
    calibrations: Sequence[OutputCalibration], settings: OperatingSettings = BUNDLES_OWN
) -> OperatingPoints:
    """Return how a network's outputs are read at a site; ``calibrations`` are its bundle's.

    Raises
    ------
    BadOperatingPoint
        The text names the finding, and the nearest label where it is unknown.
    """
    here = site_calibrations(calibrations, settings.thresholds, settings.prevalences)
    both = list(zip(here, calibrations, strict=True))
    return OperatingPoints(
        shifts=np.array([now.intercept - own.intercept for now, own in both]),
        thresholds=np.array([now.threshold for now in here]),
        assessed=np.array([own.assessed for own in calibrations]),
        verified=np.array([own.map_verified for own in calibrations]),
        shown=settings.maps,
    )


def heatmaps(
    maps: FloatArray, decision_logits: FloatArray, withheld: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.float32]:
    """Scale class activation maps to [0, 1]; 1 marks the strongest evidence for the finding.

    A cell is evidence for a finding where it lies above the decision logit. So a film at or above
    its operating point always shows something (what the film is given lies between the extremes
    of the map), and a map is all zero where nothing on the film reaches the operating point.

    Parameters
    ----------
    maps
        (..., labels, h, w), on the scale of the decision logits.
    decision_logits
        (labels,), from which on a finding is positive.
    withheld
        (labels,), True where the map is all zero whatever it says.
    """
    evidence: npt.NDArray[Any] = np.clip(maps - decision_logits[:, None, None], 0, None)
    strongest = evidence.max(axis=(-2, -1), keepdims=True)
    least = np.finfo(np.float32).tiny
    hot: npt.NDArray[np.float32] = (evidence / np.maximum(strongest, least)).astype(np.float32)
    if withheld is not None:
        hot[..., withheld, :, :] = 0
    return hot


def site_calibrations(
    calibrations: Sequence[OutputCalibration],
    thresholds: Mapping[str, float],
    prevalences: Mapping[str, float],
) -> tuple[OutputCalibration, ...]:
    """Return how to read each output at this site, in the order of `FINDINGS`.

    A prevalence moves probability and threshold alike: it changes the numbers, not which films
    are flagged. A threshold is meant on the scale that the prevalence leads to.

    Raises
    ------
    BadOperatingPoint
        The text names the finding, and the nearest label where it is unknown.
    """
    _check("threshold", thresholds)
    _check("prevalence", prevalences)
    read = []
    for label, calibration in zip(LABELS, calibrations, strict=True):
        here = (
            at_prevalence(calibration, prevalences[label]) if label in prevalences else calibration
        )
        threshold = thresholds.get(label, here.threshold)
        read.append(here.model_copy(update={"threshold": threshold}))
    return tuple(read)


def at_prevalence(reading: OutputCalibration, prevalence: float) -> OutputCalibration:
    """Return the same reading where the finding is as frequent as ``prevalence``, in (0, 1).

    What films of the finding look like stays; only the odds before looking change.
    """
    assumed = min(max(reading.prevalence, 1e-4), 1 - 1e-4)
    shift = _logit(prevalence) - _logit(assumed)
    threshold = 1 / (1 + math.exp(-(_logit(reading.threshold) + shift)))
    moved = {"intercept": reading.intercept + shift, "threshold": threshold}
    return reading.model_copy(update=moved | {"prevalence": prevalence, "reliability": ()})


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def _check(kind: str, values: Mapping[str, float]) -> None:
    for label, value in values.items():
        if label not in LABELS:
            hint = did_you_mean(label, LABELS) or f"the findings are {', '.join(LABELS)}"
            raise BadOperatingPoint(f"{kind} for unknown finding {label!r}; {hint}")
        if not 0 < value < 1:
            raise BadOperatingPoint(f"{kind} {value} of {label} is not between 0 and 1")
