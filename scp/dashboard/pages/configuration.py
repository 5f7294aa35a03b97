"""The part of the configuration that pages show; without passwords and database URL."""

from dataclasses import dataclass, field
from pathlib import Path

from inference.model.metadata import CARD, bundle_folder
from inference.settings import RegionSettings
from scp.config.destinations import DestinationSettings
from scp.config.load import Settings
from scp.config.priors import PriorsSettings
from scp.dashboard.pages.model_card import Card, read_card


@dataclass(frozen=True)
class ServiceInfo:
    """Who we are, with whom we speak, where the model lies, and what it says of itself.

    ``regions`` is the rule by which findings are outlined; ``certificates`` are the files of ours
    that TLS shows, by who uses them.
    """

    ae_title: str = "HILUM"
    destinations: tuple[DestinationSettings, ...] = ()
    priors: PriorsSettings = field(default_factory=PriorsSettings)
    bundle: Path = field(default_factory=bundle_folder)
    regions: RegionSettings = field(default_factory=RegionSettings)
    time_zone: str = ""
    certificates: dict[str, str] = field(default_factory=dict)
    card: Card | None = field(init=False)

    def __post_init__(self) -> None:  # once: a bundle does not change under a running service
        object.__setattr__(self, "card", read_card(self.bundle))

    @property
    def model_card(self) -> Path:
        """What the makers of the model say of it (`inference.model.bundle` has the layout)."""
        return self.bundle / CARD


def about(settings: Settings) -> ServiceInfo:
    """Take what pages show out of the settings."""
    return ServiceInfo(
        settings.receiver.ae_title,
        settings.destinations,
        settings.priors,
        bundle_folder(settings.inference.bundle),
        settings.results.regions,
        settings.time_zone,
        {name: certificate for name, (certificate, _) in settings.certificates().items()},
    )
