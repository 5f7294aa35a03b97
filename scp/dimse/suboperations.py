"""The storage SCP within C-GET: what the PACS stores on the association that we asked for."""

from collections.abc import Sequence
from pathlib import Path

import structlog
from pynetdicom import evt

from scp.dimse.deadline import Deadline
from scp.dimse.priors import Image
from scp.dimse.request import Request, Take, received_file, request_of, take_in
from scp.errors import (
    CANNOT_UNDERSTAND,
    NOT_AUTHORIZED,
    PROCESSING_FAILURE,
    SUCCESS,
    Refused,
)

log = structlog.get_logger(__name__)


class SubOperations:
    """The storage SCP of C-GET: takes in what was asked for, and adds its UID to ``arrived``."""

    def __init__(
        self,
        images: Sequence[Image],
        take: Take,
        folder: Path,
        deadline: Deadline,
        arrived: list[str],
    ) -> None:
        self._asked = {image.sop_uid for image in images}
        self._take, self._folder, self._deadline = take, folder, deadline
        self._arrived = arrived
        self.refused: dict[str, str] = {}

    def on_store(self, event: evt.Event) -> int:
        """Take one object in; answer with the status that says what became of it."""
        event.assoc.dimse_timeout = self._deadline.remaining_s  # no response resets it meanwhile
        uid = str(event.request.AffectedSOPInstanceUID)
        if uid not in self._asked:
            log.warning("an object that was not asked for", pacs=event.assoc.acceptor.ae_title)
            return NOT_AUTHORIZED
        request = request_of(event, str(event.assoc.acceptor.ae_title))
        status = self._status_of(event, request)
        if status == SUCCESS and uid not in self._arrived:
            self._arrived.append(uid)
        return status

    def _status_of(self, event: evt.Event, request: Request) -> int:
        try:
            received = received_file(event, self._folder)
        except Refused as refusal:
            self.refused[request.sop_instance_uid] = f"was not taken in: {refusal}"
            return refusal.status
        except Exception:  # the disk, or a data set that is none: the PACS keeps the film
            log.exception("not received", sop_instance_uid=request.sop_instance_uid)
            self.refused[request.sop_instance_uid] = "was not taken in: the log says why"
            return PROCESSING_FAILURE
        if received is None:
            self.refused[request.sop_instance_uid] = "came without a data set"
            return CANNOT_UNDERSTAND
        status, why = take_in(self._take, received, request)
        received.unlink(missing_ok=True)
        if why:
            self.refused[request.sop_instance_uid] = why
        return status
