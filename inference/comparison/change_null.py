"""How far a network's probabilities differ between two films of one unchanged chest.

A change may be named only where a probability differs by more. `hilum measure-null` measures it for
a bundle: on films that are exposed again (turned, shifted, scaled, windowed, grained, cropped,
compressed), and on pairs of real films between which no label changed, for each condition under
which two films are compared.

Fourteen findings are looked at in each pair, so the critical value is that of the finding which
differs most: at most 5 % of pairs without change get any change named, not 5 % for each finding
(family-wise error rate; Westfall and Young, Resampling-Based Multiple Testing, 1993).
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from inference.findings import LABELS, FloatArray

SHARES = (0.5, 0.75, 0.9, 0.95, 0.98, 0.99)
BAND = 0.95  # of pairs without change; a change is named only beyond it
FEWEST_PAIRS = 59  # with fewer no bound holds for 95 % of pairs with 95 % confidence (Wilks 1941)

_NEAREST = 1e-6  # probabilities are kept this far from 0 and 1, where the logit has no end


class Condition(StrEnum):
    """How the two films of a pair were taken; one null distribution was measured for each."""

    PA = "PA"  # both standing, from behind
    AP = "AP"  # both from the front, and no header says that the patient lay or was in bed
    PA_AP = "PA/AP"  # one of each
    BEDSIDE = "supine or portable"  # one of them or both, by their headers; PA or AP

    @property
    def films(self) -> str:
        """The pairs that it means, for a sentence."""
        if self is Condition.BEDSIDE:
            return "films of which one is supine or portable"
        return "a PA and an AP film" if self is Condition.PA_AP else f"two {self} films"


class ConditionNull(BaseModel):
    """The null distribution under one condition.

    Attributes
    ----------
    differences
        The difference of the finding that differs most, in units of the finding's ``spread``,
        that such a share of pairs stays within: one for each of ``shares`` for which there were
        pairs enough.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pairs: int = Field(ge=0, description="pairs of real films without change of labels")
    patients: int = Field(ge=0, description="of whom they are")
    differences: tuple[float, ...] = Field(description="ascending, by share of pairs")

    @model_validator(mode="after")
    def _ascends(self) -> Self:
        row = self.differences
        if list(row) != sorted(row) or any(one < 0 for one in row):
            raise ValueError("differences do not ascend with the shares")
        return self


class ChangeNullDistribution(BaseModel):
    """The null distribution of a bundle.

    Differences are of log odds, ``log(p / (1 - p))``: near 0 a probability hardly moves even when
    the network has changed its mind, and a site's prevalences shift both films alike.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shares: tuple[float, ...] = Field(description="of pairs without change, ascending")
    spread: dict[str, float] = Field(
        description="by label: the difference in log odds that 90 % of films without change stay "
        "within, whichever the condition: makes the findings alike"
    )
    conditions: dict[Condition, ConditionNull]
    exposures: int = Field(ge=1, description="films exposed again")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if tuple(self.spread) != LABELS:
            raise ValueError(f"hilum needs, in this order, {', '.join(LABELS)}")
        if BAND not in self.shares or list(self.shares) != sorted(set(self.shares)):
            raise ValueError(f"shares must ascend, and {BAND} must be one of them")
        if min(self.spread.values()) <= 0:
            raise ValueError("a spread must be above 0")
        if any(len(one.differences) > len(self.shares) for one in self.conditions.values()):
            raise ValueError("differences must go with shares")
        return self

    def unnamed(self, condition: Condition) -> str:
        """Say why no change is named under a condition; "" where one may be."""
        known = self.conditions.get(condition)
        if known is not None and len(known.differences) > self.shares.index(BAND):
            return ""
        pairs = 0 if known is None else known.pairs
        return (
            f"no change of a finding is named between {condition.films}: how far this model's "
            f"probabilities differ without change was measured on {pairs} pairs of such films, "
            f"and {FEWEST_PAIRS} are needed"
        )

    def critical(self, label: str, condition: Condition) -> float:
        """Return the difference in log odds beyond which a change of this finding is named.

        Infinite where too few pairs were measured under the condition.
        """
        if self.unnamed(condition):
            return float("inf")
        row = self.conditions[condition].differences
        return self.spread[label] * row[self.shares.index(BAND)]

    def confidence(self, label: str, difference: float, condition: Condition) -> float | None:
        """Return the share of pairs without change in which no finding differs as much.

        A bound that holds with 95 % confidence, in [0, 1]; None where nothing is named.

        Parameters
        ----------
        difference
            In log odds, of either sign.
        """
        if self.unnamed(condition):
            return None
        row = self.conditions[condition].differences
        sizes, shares = (0.0, *row), (0.0, *self.shares[: len(row)])
        return float(np.interp(abs(difference) / self.spread[label], sizes, shares))


def log_odds(probabilities: FloatArray) -> FloatArray:
    """Return ``log(p / (1 - p))`` of probabilities in [0, 1], of any shape, in float64.

    0 and 1 are moved inward first, so that the result is finite.
    """
    inside = np.clip(probabilities.astype(np.float64), _NEAREST, 1 - _NEAREST)
    return np.asarray(np.log(inside / (1 - inside)))


def differences(current: FloatArray, prior: FloatArray) -> FloatArray:
    """Return current minus prior in log odds, of probabilities of the same shape."""
    return log_odds(current) - log_odds(prior)


def greatest(sizes: FloatArray, spread: Sequence[float]) -> FloatArray:
    """Return of each pair the difference of the finding that differs most, in units of spread.

    ``sizes`` is (pairs, 14) in log odds, of either sign; (pairs,) comes back.
    """
    return np.asarray((np.abs(sizes) / np.asarray(spread)).max(axis=1))
