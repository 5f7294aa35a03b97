"""The part of the configuration that pages show; without passwords and database URL."""

from dataclasses import dataclass, field
from pathlib import Path

from inference.model.metadata import CARD, default_bundle
from inference.settings import RegionSettings
from scp.config.destinations import DestinationSettings
from scp.config.load import Settings
from scp.config.priors import PriorsSettings
from scp.dashboard.pages.model_card import Card, read_card


@dataclass(frozen=True)
class About:
    """Who we are, with whom we speak, where the model lies, and what it says of itself.

    ``regions`` is the rule by which findings are outlined.
    """

    ae_title: str = "HILUM"
    destinations: tuple[DestinationSettings, ...] = ()
    priors: PriorsSettings = field(default_factory=PriorsSettings)
    bundle: Path = field(default_factory=default_bundle)
    card: Card | None = None
    regions: RegionSettings = field(default_factory=RegionSettings)
    time_zone: str = ""

    @property
    def model_card(self) -> Path:
        """What the makers of the model say of it (`inference.model.bundle` has the layout)."""
        return self.bundle / CARD


def about(settings: Settings) -> About:
    """Take what pages show out of the settings."""
    bundle = Path(settings.inference.bundle) if settings.inference.bundle else default_bundle()
    return About(
        settings.receiver.ae_title,
        settings.destinations,
        settings.priors,
        bundle,
        read_card(bundle),
        settings.results.regions,
        settings.time_zone,
    )
