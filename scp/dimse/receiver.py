"""The storage SCP: C-ECHO and C-STORE.

Each association has its own thread: while one film is taken in, others are, and C-ECHO is answered.
The data set goes to a file as it arrives, undecoded.
"""

import socket
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict, Field
from pydicom.uid import UID
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
    Verification,
)
from pynetdicom.transport import ThreadedAssociationServer

from scp.dimse.callers import Callers
from scp.dimse.peers import TRANSFER_SYNTAXES, AETitle, Peer
from scp.dimse.server import InheritedServer
from scp.errors import CANNOT_UNDERSTAND, PROCESSING_FAILURE, SUCCESS, Refused
from scp.outcomes.associations import FailedAssociation
from scp.pipeline.intake import Intake, Request

log = structlog.get_logger(__name__)

_PDU_BYTES = 131072  # the largest that DCMTK uses; small ones cost a round of Python each


class ReceiverSettings(BaseModel):
    """How films come in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ae_title: AETitle = Field("HILUM", description="what the PACS calls us; checked")
    host: str = Field(
        "127.0.0.1",
        description='address to listen on; "0.0.0.0" for all, once peers are named',
    )
    port: int = Field(
        11112, ge=0, le=65535, description="the registered DICOM port; 0 takes a free one"
    )
    processes: int = Field(
        1, ge=1, le=16, description="receiver processes on the one port; one takes some 20 films/s"
    )
    max_associations: int = Field(
        50, ge=1, description="open associations per process; more are told to come back"
    )
    timeout_s: float = Field(
        60, gt=0, description="seconds of silence after which an association is given up"
    )
    peers: tuple[Peer, ...] = Field((), description="who may send; empty: only this machine itself")


def open_listener(host: str, port: int) -> socket.socket:
    """Return a listening socket; connections queue from now on. Raises OSError.

    "::" listens on all addresses of both families.
    """
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    both = host == "::" and socket.has_dualstack_ipv6()
    listening = socket.create_server(address, family=family, backlog=128, dualstack_ipv6=both)
    # its connections inherit it; asyncio sets it only on sockets of its own, and a page that is
    # written in two parts would wait 40 ms for the browser's delayed acknowledgement
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


class Receiver:
    """Answers C-ECHO and C-STORE on a listening socket until it is stopped.

    ``moved_by`` is the PACS that sends here what hilum asks of it by C-MOVE; None when it is not
    asked. ``tell`` is called for each association that came to nothing.
    """

    def __init__(
        self,
        settings: ReceiverSettings,
        intake: Intake,
        listening: socket.socket,
        *,
        secondary_captures: bool,
        moved_by: str | None = None,
        tell: Callable[[FailedAssociation], None] = lambda _: None,
    ) -> None:
        self.settings = settings
        self.intake = intake
        self.secondary_captures = secondary_captures
        self.moved_by = moved_by
        _config.STORE_RECV_CHUNKED_DATASET = True
        tempfile.tempdir = str(intake.archive.incoming)  # where pynetdicom puts those files
        self.ae = self._entity()
        self.callers = Callers(settings.peers, settings.ae_title, tell)
        self._server: ThreadedAssociationServer = self.ae.make_server(
            listening.getsockname()[:2],
            evt_handlers=[
                *self.callers.handlers,
                (evt.EVT_C_STORE, self._on_store),
                (evt.EVT_CONN_CLOSE, self._on_closed),
            ],
            server_class=InheritedServer,
            listening=listening,
            callers=self.callers,
        )
        self.ae._servers.append(self._server)  # as AE.start_server does: shutdown() expects it

    @property
    def open_associations(self) -> int:
        """How many associations are open now."""
        return len(self.ae.active_associations)

    def serve(self) -> None:
        """Accept associations until `stop` is called from another thread."""
        self._server.serve_forever(poll_interval=0.2)

    def stop(self, wait: Callable[[Callable[[], bool]], bool]) -> None:
        """Accept no more, let open associations end (``wait`` says how long), hang up on the rest.

        An A-ABORT to a peer that is silent within a PDU would wait for it.
        """
        self.callers.stopping = True
        self._server.shutdown()
        wait(lambda: not self.ae.active_associations)
        for association in self.ae.active_associations:
            _hang_up(association)

    def _entity(self) -> AE:
        ae = AE(ae_title=self.settings.ae_title)
        ae.maximum_associations = self.settings.max_associations
        ae.maximum_pdu_size = _PDU_BYTES
        ae.network_timeout = self.settings.timeout_s
        ae.acse_timeout = ae.dimse_timeout = self.settings.timeout_s
        ae.add_supported_context(Verification)
        for sop_class in accepted_sop_classes(secondary_captures=self.secondary_captures):
            ae.add_supported_context(sop_class, TRANSFER_SYNTAXES)
        return ae

    def _on_store(self, event: evt.Event) -> int:
        """Take one object in; answer with the status that says what became of it."""
        request = Request(
            calling_ae_title=str(event.assoc.requestor.ae_title).strip(),
            sop_class_uid=str(event.context.abstract_syntax),  # what was agreed on, not more
            sop_instance_uid=_printable(event.request.AffectedSOPInstanceUID),
        )
        if event.request._dataset_file is None:
            log.warning("C-STORE without a data set", **asdict(request))
            return CANNOT_UNDERSTAND
        # not event.dataset_path alone: its file is still open and may hold bytes back
        event.request._dataset_file.close()
        try:
            take = self.intake.take_prior if self._is_asked_for(event) else self.intake.take
            take(event.dataset_path, request)
        except Refused as refusal:
            return refusal.status
        except Exception:  # a thread's outer edge: the sender keeps the film and is told to
            log.exception("not taken in", sop_instance_uid=request.sop_instance_uid)
            return PROCESSING_FAILURE
        return SUCCESS

    def _is_asked_for(self, event: evt.Event) -> bool:
        """Say whether this is part of our own C-MOVE: who began it stands in the request.

        Films that somebody else moves here, and all that others send, were sent in earnest.

        References
        ----------
        PS3.7 9.1.1.1 (Move Originator Application Entity Title).
        """
        originator = str(event.request.MoveOriginatorApplicationEntityTitle or "").strip()
        caller = str(event.assoc.requestor.ae_title).strip()
        return caller == self.moved_by and originator == self.settings.ae_title

    def _on_closed(self, event: evt.Event) -> None:
        """Delete what was received of an object when its association broke off."""
        message = event.assoc.dimse.message
        if message is not None and message._data_set_file is not None:
            message._data_set_file.close()
            Path(message._data_set_file.name).unlink(missing_ok=True)


def _hang_up(association: Association) -> None:
    """Close an association's connection; its threads see that, and end."""
    with suppress(OSError, AttributeError):  # it may have closed this very moment
        association.dul.socket.socket.shutdown(socket.SHUT_RDWR)


def _printable(value: object) -> str:
    """Return a UID as the network brought it, safe to log and to keep in any database."""
    text = str(value).strip("\0 ")
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text)


def accepted_sop_classes(*, secondary_captures: bool) -> tuple[UID, ...]:
    """Return what is taken in; FOR PROCESSING too, so that its skipping is a stated outcome."""
    classes = (
        ComputedRadiographyImageStorage,
        DigitalXRayImageStorageForPresentation,
        DigitalXRayImageStorageForProcessing,
    )
    return (*classes, SecondaryCaptureImageStorage) if secondary_captures else classes
