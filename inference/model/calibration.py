"""From an output of the network to a probability, and when a finding is positive.

References
----------
Platt, Probabilistic Outputs for Support Vector Machines, 1999.
"""

import math
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ReliabilityBin(_Frozen):
    """Validation films of like probability: what was said, and what held."""

    probability: float = Field(ge=0, le=1, description="mean of what was said")
    frequency: float = Field(ge=0, le=1, description="share of the films with the finding")
    films: int = Field(ge=1)


class MapEvidence(_Frozen):
    """How often a finding's map points into radiologists' boxes, beside three controls.

    All figures are shares of the same boxes, on films that did not teach the network
    (`training.evaluation.pointing`).
    """

    boxes: int = Field(ge=0, description="on films that did not teach")
    pointing: float = Field(ge=0, le=1, description="boxes that hold the map's peak")
    random_box: float = Field(ge=0, le=1, description="the same peak, boxes of the size anywhere")
    mean_map: float = Field(ge=0, le=1, description="peak of the finding's mean map")
    other_film: float = Field(ge=0, le=1, description="peak of another film's map")
    verified: bool = Field(description="whether the map beats each of the three controls")


class Discrimination(_Frozen):
    """How well films with a finding are discriminated from others of their source, on unseen films.

    ``auc`` is the share of pairs, one film with and one without the finding and both of one
    source, that are in the right order; ``low`` and ``high`` are its 95 % interval. None where
    no such pair is known; no interval where too few films have the finding.
    """

    films: int = Field(ge=0, description="that did not teach")
    positives: int = Field(ge=0, description="of them with the finding")
    auc: float | None = Field(default=None, ge=0, le=1)
    low: float | None = Field(default=None, ge=0, le=1)
    high: float | None = Field(default=None, ge=0, le=1)

    @property
    def assessed(self) -> bool:
        """Whether the finding is discriminated at all: the whole interval is above 0.5."""
        return self.low is not None and self.low > 0.5


class OutputCalibration(_Frozen):
    """How one output of the network is to be read.

    The probability is ``1 / (1 + exp(-(slope * logit + intercept)))``, for films among which the
    finding is as frequent as ``prevalence``.
    """

    slope: float = Field(gt=0, description="above 0: calibration must not reorder films")
    intercept: float
    threshold: float = Field(gt=0, lt=1, description="operating point, as a probability")
    prevalence: float = Field(ge=0, le=1, description="assumed by slope and intercept")
    reliability: tuple[ReliabilityBin, ...] = Field(
        default=(), description="the reliability curve on the validation films"
    )
    maps: MapEvidence | None = Field(
        default=None, description="where its maps point; without it no map is verified"
    )
    unseen: Discrimination | None = Field(
        default=None, description="how well it is discriminated; None: not measured"
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_old_verdict(cls, stated: Any) -> Any:
        """Leave out what bundles before 0.5 say of their maps: films that taught were its judge."""
        if isinstance(stated, dict):
            return {key: value for key, value in stated.items() if key != "localisation"}
        return stated

    @property
    def map_verified(self) -> bool:
        """Whether the map was shown to point at the finding."""
        return self.maps is not None and self.maps.verified

    @property
    def assessed(self) -> bool:
        """Whether a statement about the finding is allowed.

        One whose discrimination was never measured is assessed, and the answers say so
        (`inference.image.limitations.bundle_limitations`).
        """
        return self.unseen is None or self.unseen.assessed

    @property
    def decision_logit(self) -> float:
        """The logit at which the probability reaches the threshold."""
        return (math.log(self.threshold / (1 - self.threshold)) - self.intercept) / self.slope
