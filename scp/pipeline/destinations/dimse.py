"""A destination that is spoken to by C-STORE (PS3.4 B)."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from scp.config.destinations import DestinationSettings
from scp.dimse import sender
from scp.outcomes.sending import Object, Sent


@dataclass(frozen=True)
class DimseDestination:
    """A storage SCP; ``calling_ae_title`` is what we call ourselves there."""

    settings: DestinationSettings
    calling_ae_title: str

    def send(self, objects: Sequence[Object]) -> Generator[Sent]:
        """C-STORE each object (`scp.dimse.sender.send`)."""
        return sender.send(self.settings, self.calling_ae_title, objects)

    def echo(self) -> None:
        """C-ECHO."""
        sender.echo(self.settings, self.calling_ae_title)

    def refused(self, contexts: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Propose presentation contexts, and return those that are not accepted."""
        return sender.refused(self.settings, self.calling_ae_title, contexts)
