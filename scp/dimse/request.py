"""A C-STORE request, and the type of the function that takes its object in."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Request:
    """What the sender said of the object (PS3.7 9.1.1.1)."""

    calling_ae_title: str
    sop_class_uid: str
    sop_instance_uid: str


# Takes a received Part 10 file in. When it returns, the object is durable; where the object is
# not taken in it raises `scp.errors.Refused`, which has the status to answer with.
Take = Callable[[Path, Request], object]
