"""What every kind of destination can do."""

from collections.abc import Generator, Sequence
from typing import Protocol

from scp.config.destinations import DestinationSettings
from scp.outcomes.sending import Object, Sent


class Destination(Protocol):
    """Where results go."""

    @property
    def settings(self) -> DestinationSettings:
        """What the site has set: name, address, retries, kinds of object."""
        ...

    def send(self, objects: Sequence[Object]) -> Generator[Sent]:
        """Send objects; yield how it went with each as it is known, in their order.

        Raises
        ------
        Unreachable
            None of the rest can be sent now; what was yielded is valid.
        """
        ...

    def echo(self) -> None:
        """Ask whether it is there. Raises `Unreachable`."""
        ...

    def refused(self, contexts: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return which pairs of SOP class and transfer syntax it takes in no way.

        Raises
        ------
        Unreachable
            It is not there.
        """
        ...
