"""The model card of a bundle, for pages."""

from dataclasses import dataclass, field
from pathlib import Path

from inference.errors import BundleError
from inference.model.calibration import ReliabilityBin
from inference.model.metadata import read_metadata

# MONAI's keys of metadata.json that a page shows
_SHOWN = ("name", "version", "task", "intended_use", "data_source")


@dataclass(frozen=True)
class Card:
    """A model's own statements; ``reliability`` by label of the finding."""

    name: str
    version: str
    intended_use: str
    training_data: str
    reliability: dict[str, tuple[ReliabilityBin, ...]] = field(default_factory=dict)
    statements: dict[str, str] = field(default_factory=dict)

    def is_of(self, model: str) -> bool:
        """Say whether this is the card of a model called "name version"."""
        return model == f"{self.name} {self.version}"

    def held(self, label: str, probability: float) -> ReliabilityBin | None:
        """Return the validation films that were given the likest probability."""
        known = self.reliability.get(label, ())
        return min(known, key=lambda one: abs(one.probability - probability), default=None)


def read_card(folder: Path) -> Card | None:
    """Return the card of the bundle in a folder; None if there is none.

    A worker that cannot load its bundle says so by itself, and better.
    """
    try:
        metadata = read_metadata(folder)
    except (BundleError, OSError):
        return None
    stated = metadata.model_dump()
    return Card(
        metadata.name,
        metadata.version,
        str(stated.get("intended_use", "")),
        metadata.hilum.training_data,
        {label: reading.reliability for label, reading in metadata.hilum.readings.items()},
        {key: str(stated[key]) for key in _SHOWN if key in stated},
    )
