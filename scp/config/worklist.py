"""Settings of the order of the worklist."""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from inference.findings import LABELS


class WorklistSettings(BaseModel):
    """In which order a reader is shown what to look at."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    longest_wait_min: int = Field(
        default=60,
        ge=1,
        le=1440,
        description="minutes: in the order of urgency, no film is listed after one that arrived "
        "so much"
        " later, whatever was found",
    )
    urgent_h: int = Field(
        default=24,
        ge=1,
        le=720,
        description="hours: the order of urgency has the films received within them; older ones"
        " are assumed to have been read elsewhere",
    )
    weights: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        default={},
        description="how urgent findings are, from 0 to 1, in place of the defaults"
        " (docs/decisions/039-most-urgent-first.md), as in { Mass = 0.9 }",
    )

    @field_validator("weights")
    @classmethod
    def _are_findings(cls, weights: dict[str, float]) -> dict[str, float]:
        if unknown := sorted(set(weights) - set(LABELS)):
            raise ValueError(f"{unknown[0]} is not a finding; the findings are {', '.join(LABELS)}")
        return weights

    @property
    def longest_wait(self) -> timedelta:
        """How long the least urgent film may wait."""
        return timedelta(minutes=self.longest_wait_min)

    def due_at(self, received_at: datetime, urgency: float) -> datetime:
        """Return when a film should have been seen: the more urgent, the sooner after it came.

        It stays as it is, so that an index sorts by it; and nothing starves: a film that came
        ``longest_wait`` later is due later, were it the most urgent of all.
        """
        return received_at + self.longest_wait * (1 - urgency)
