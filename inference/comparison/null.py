"""How far the network's words about one unchanged chest differ from film to film.

A change may be named only where it is larger than that. `hilum null` measures it for a bundle, on
films that are exposed again (turned, shifted, scaled, windowed, grained, cropped, compressed) and
on pairs of real films between which no label changed.
"""

from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from inference.findings import LABELS, FloatArray

SHARES = (0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99)
BAND = 0.95  # of films without change; a change is named only beyond it

_NEAREST = 1e-6  # probabilities are kept this far from 0 and 1, where the logit has no end


class Null(BaseModel):
    """The null distribution of a bundle, by finding.

    Differences are of log odds, ``log(p / (1 - p))``: near 0 a probability hardly moves even when
    the network has changed its mind, and a site's prevalences shift both films alike.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shares: tuple[float, ...] = Field(description="of films without change, ascending")
    differences: dict[str, tuple[float, ...]] = Field(
        description="by label: the difference in log odds that such a share of them stays within"
    )
    exposures: int = Field(ge=1, description="films exposed again")
    pairs: int = Field(ge=0, description="pairs of real films without change of labels")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if tuple(self.differences) != LABELS:
            raise ValueError(f"hilum needs, in this order, {', '.join(LABELS)}")
        if BAND not in self.shares or list(self.shares) != sorted(set(self.shares)):
            raise ValueError(f"shares must ascend, and {BAND} must be one of them")
        for label, row in self.differences.items():
            if len(row) != len(self.shares) or list(row) != sorted(row) or row[0] < 0:
                raise ValueError(f"differences of {label} do not ascend with the shares")
        return self

    def band(self, label: str) -> float:
        """Return the difference in log odds that 95 % of films without change stay within."""
        return self.differences[label][self.shares.index(BAND)]

    def confidence(self, label: str, difference: float) -> float:
        """Return the share of films without change that differ less, in [0, 1].

        Parameters
        ----------
        difference
            In log odds, of either sign.
        """
        sizes, shares = (0.0, *self.differences[label]), (0.0, *self.shares)
        return float(np.interp(abs(difference), sizes, shares))


def log_odds(probabilities: FloatArray) -> FloatArray:
    """Return ``log(p / (1 - p))`` of each, in float64."""
    kept = np.clip(probabilities.astype(np.float64), _NEAREST, 1 - _NEAREST)
    return np.asarray(np.log(kept / (1 - kept)))
