"""How an output of the network becomes a probability, and a finding positive.

References
----------
Platt, Probabilistic Outputs for Support Vector Machines, 1999.
"""

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Localisation = Literal["better than chance", "no better than chance", "not measured"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ReliabilityBin(_Frozen):
    """Validation films of like probability: what was said, and what held."""

    probability: float = Field(ge=0, le=1, description="mean of what was said")
    frequency: float = Field(ge=0, le=1, description="share of the films with the finding")
    films: int = Field(ge=1)


class Reading(_Frozen):
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
    localisation: Localisation = Field(
        default="not measured",
        description="whether the heat map meets radiologists' boxes more often than a control; "
        "one that does not is not shown",
    )

    @property
    def decision(self) -> float:
        """The logit at which the probability reaches the threshold."""
        return (math.log(self.threshold / (1 - self.threshold)) - self.intercept) / self.slope
