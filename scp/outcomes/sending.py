"""An object that goes out, and how it went with it."""

from dataclasses import dataclass
from pathlib import Path

from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info

from scp.config.destinations import DestinationSettings
from scp.errors import HilumError
from scp.outcomes.delivery import Outcome


class Unreachable(HilumError):
    """The destination could not be spoken to at all; ``outcome`` says how it went."""

    def __init__(self, destination: DestinationSettings, outcome: Outcome) -> None:
        super().__init__(
            f"{destination.ae_title} at {destination.host}:{destination.port}: {outcome}"
        )
        self.outcome = outcome


@dataclass(frozen=True)
class Object:
    """A Part 10 file to send."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


@dataclass(frozen=True)
class Sent:
    """How it went with one object."""

    sop_instance_uid: str
    outcome: Outcome


def describe(path: Path) -> Object:
    """Return what a file is.

    Raises
    ------
    InvalidDicomError
        It is no Part 10 file, or does not say what it holds.
    OSError
        It cannot be read.
    """
    try:
        meta = read_file_meta_info(path)
        return Object(
            path,
            str(meta.MediaStorageSOPClassUID),
            str(meta.MediaStorageSOPInstanceUID),
            str(meta.TransferSyntaxUID),
        )
    except (InvalidDicomError, OSError):
        raise
    except Exception as error:  # a parser's answer to odd bytes may be anything
        raise InvalidDicomError(
            f"its file meta information cannot be used ({type(error).__name__})"
        ) from error
