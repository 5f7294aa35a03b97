"""What the configuration says that pages show; no password and no database URL is in it."""

from dataclasses import dataclass, field
from pathlib import Path

import inference
from scp.config import Settings
from scp.dimse.priors import PriorsSettings
from scp.dimse.sender import DestinationSettings

_SHIPPED = Path(inference.__file__).parent / "bundles" / "chest14"


@dataclass(frozen=True)
class About:
    """Who we are, with whom we speak, and where the model lies."""

    ae_title: str = "HILUM"
    destinations: tuple[DestinationSettings, ...] = ()
    priors: PriorsSettings = field(default_factory=PriorsSettings)
    bundle: Path = _SHIPPED

    @property
    def model_card(self) -> Path:
        """What the makers of the model say of it (`inference.bundle` has the layout)."""
        return self.bundle / "docs" / "README.md"


def about(settings: Settings) -> About:
    """Take what pages show out of the settings."""
    bundle = settings.inference.bundle
    return About(
        settings.receiver.ae_title,
        settings.destinations,
        settings.priors,
        Path(bundle) if bundle else _SHIPPED,
    )
