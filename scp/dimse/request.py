"""A C-STORE request, and the type of the function that takes its object in."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from scp.errors import PROCESSING_FAILURE, SUCCESS, Refused

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Request:
    """What the sender said of the object (PS3.7 9.1.1.1)."""

    calling_ae_title: str
    sop_class_uid: str
    sop_instance_uid: str


# Takes a received Part 10 file in. When it returns, the object is durable; where the object is
# not taken in it raises `scp.errors.Refused`, which has the status to answer with.
Take = Callable[[Path, Request], object]


def taken(take: Take, received: Path, request: Request) -> tuple[int, str]:
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
