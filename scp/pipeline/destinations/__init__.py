"""The kinds of destination, by their ``type`` in config.toml.

Another kind is one file beside `dimse`, a settings class in `scp.config.destinations`, and a line
in ``TYPES``.
"""

from collections.abc import Callable

from scp.config.destinations import DestinationSettings
from scp.pipeline.destinations.base import Destination
from scp.pipeline.destinations.dimse import DimseDestination

# settings and our AE title -> the destination
TYPES: dict[str, Callable[[DestinationSettings, str], Destination]] = {"dimse": DimseDestination}


def destination_of(settings: DestinationSettings, calling_ae_title: str) -> Destination:
    """Return the destination that a site's settings describe."""
    return TYPES[settings.type](settings, calling_ae_title)
