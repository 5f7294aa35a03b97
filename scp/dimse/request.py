"""A C-STORE request, and the type of the function that takes its object in."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import structlog
from pynetdicom import evt

from scp.dimse.incoming import out_of_room, refusal_of
from scp.errors import PROCESSING_FAILURE, SUCCESS, Refused

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Request:
    """What the sender said of the object (PS3.7 9.1.1.1)."""

    calling_ae_title: str
    sop_class_uid: str
    sop_instance_uid: str


def request_of(event: evt.Event, calling_ae_title: str) -> Request:
    """Return what a C-STORE says of its object, safe to log and to keep in any database."""
    uid = str(event.request.AffectedSOPInstanceUID).strip("\0 ")
    return Request(
        calling_ae_title=calling_ae_title.strip(),
        sop_class_uid=str(event.context.abstract_syntax),  # what was agreed on, not more
        sop_instance_uid="".join(c if c.isascii() and c.isprintable() else "?" for c in uid),
    )


def received_file(event: evt.Event, folder: Path) -> Path | None:
    """Return the object of a C-STORE as a Part 10 file, byte for byte; None without a data set.

    pynetdicom has written it where a receiver runs in this process; else it is put into ``folder``.

    Raises
    ------
    Refused
        It was not kept as it came: too large, or no room.
    """
    if (refusal := refusal_of(event.request)) is not None:
        raise refusal
    if event.request._dataset_file is not None:
        # not event.dataset_path alone: its file is still open and may hold bytes back
        event.request._dataset_file.close()
        return Path(event.dataset_path)
    if event.request.DataSet is None:
        return None
    path = folder / f"{uuid4().hex}.dcm"
    try:
        path.write_bytes(event.encoded_dataset())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise out_of_room(error) from error
    return path


# Takes a received Part 10 file in. When it returns, the object is durable; where the object is
# not taken in it raises `scp.errors.Refused`, which has the status to answer with.
Take = Callable[[Path, Request], object]


def take_in(take: Take, received: Path, request: Request) -> tuple[int, str]:
    """Have an object taken in; return the status to answer with, and why it was not; else "".

    It is the outer edge of an association's thread: whatever goes wrong here, the sender keeps the
    object and is told to.
    """
    try:
        take(received, request)
    except Refused as refusal:
        return refusal.status, f"was not taken in: {refusal}"
    except Exception:
        log.exception("not taken in", sop_instance_uid=request.sop_instance_uid)
        return PROCESSING_FAILURE, "was not taken in: the log says why"
    return SUCCESS, ""
