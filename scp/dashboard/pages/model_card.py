"""What a model's bundle says of itself, read without loading the network."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

METADATA = Path("configs/metadata.json")  # as `inference.model.bundle` has it, which needs torch


@dataclass(frozen=True)
class Bin:
    """Validation films of like probability: what was said of them, and what held, in [0, 1]."""

    probability: float
    frequency: float
    films: int


@dataclass(frozen=True)
class Card:
    """A model's own statements; ``reliability`` by label of the finding."""

    name: str
    version: str
    intended_use: str
    training_data: str
    reliability: dict[str, tuple[Bin, ...]] = field(default_factory=dict)

    def is_of(self, model: str) -> bool:
        """Say whether this is the card of a model called "name version"."""
        return model == f"{self.name} {self.version}"

    def held(self, label: str, probability: float) -> Bin | None:
        """Return the validation films that were given the likest probability."""
        known = self.reliability.get(label, ())
        return min(known, key=lambda one: abs(one.probability - probability), default=None)


def read_card(bundle: Path) -> Card | None:
    """Return the card in a bundle's folder; None if it has none.

    A worker that cannot load its bundle says so by itself, and better.
    """
    try:
        said = json.loads((bundle / METADATA).read_text("utf-8"))
        ours = said["hilum"]
        readings = ours["readings"].items()
        return Card(
            said["name"],
            said["version"],
            said["intended_use"],
            ours["training_data"],
            {label: _bins(reading) for label, reading in readings},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _bins(reading: dict[str, Any]) -> tuple[Bin, ...]:
    return tuple(Bin(**one) for one in reading.get("reliability", ()))
