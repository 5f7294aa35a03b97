"""The storage SCP: C-ECHO and C-STORE.

Each association has its own thread: while one film is taken in, others are, and C-ECHO is answered.
The data set goes to a file as it arrives, undecoded.
"""

import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from threading import Event, Thread

import structlog
from pydicom.uid import UID
from pynetdicom import AE, _config, evt
from pynetdicom.sop_class import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
    Verification,
)

from scp.config.network import ReceiverSettings
from scp.dimse.association import hang_up
from scp.dimse.callers import Callers
from scp.dimse.incoming import Limits
from scp.dimse.peers import TRANSFER_SYNTAXES
from scp.dimse.request import Take, received_file, request_of, take_in
from scp.dimse.server import InheritedServer
from scp.dimse.slots import Slots
from scp.dimse.tls import ServerTls
from scp.errors import CANNOT_UNDERSTAND, Refused
from scp.outcomes.associations import FailedAssociation

log = structlog.get_logger(__name__)

_PDU_BYTES = 131072  # the largest that DCMTK uses; small ones cost a round of Python each


class Receiver:
    """Answers C-ECHO and C-STORE on listening sockets until it is stopped.

    What becomes of an object is not known here: it is given to ``take``.

    Parameters
    ----------
    settings
        AE title, limits and peers.
    take
        Takes in what others send.
    listening
        A listening socket; other receivers may listen on it too. None: nothing without TLS.
    incoming
        Folder for files that are not whole yet.
    secondary_captures
        Whether Secondary Captures are accepted.
    take_prior
        Takes in what the PACS sends because hilum asked for it by C-MOVE; by default ``take``.
    moved_by
        AE title of the PACS that is asked by C-MOVE; None where none is.
    tls_listening
        A listening socket for DICOM over TLS; None: without.
    tell
        Called for each failed association.
    require_space
        Raises ArchiveFull or OSError where there is no room for another object; asked as one comes.

    Raises
    ------
    CertificateUnusable
        A file that TLS needs cannot be used.
    """

    def __init__(
        self,
        settings: ReceiverSettings,
        take: Take,
        listening: socket.socket | None,
        incoming: Path,
        *,
        secondary_captures: bool,
        tls_listening: socket.socket | None = None,
        take_prior: Take | None = None,
        moved_by: str | None = None,
        tell: Callable[[FailedAssociation], None] = lambda _: None,
        require_space: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings
        self.take, self.take_prior = take, take_prior or take
        self.secondary_captures = secondary_captures
        self.moved_by = moved_by
        self.incoming = incoming
        _config.STORE_RECV_CHUNKED_DATASET = True
        tempfile.tempdir = str(incoming)  # where pynetdicom puts those files
        self.ae = self._entity()
        slots = Slots(settings.max_associations, settings.at_most_each, hang_up)
        self.callers = Callers(settings.peers, settings.ae_title, tell, slots)
        self._limits = Limits(settings.max_object_mb * 1_000_000, require_space)
        self.servers: list[InheritedServer] = []
        if listening is not None:
            self.servers.append(self._server(listening, None))
        if tls_listening is not None:
            self.servers.append(self._server(tls_listening, ServerTls(settings.tls)))

    @property
    def open_associations(self) -> int:
        """How many associations are open now, of whatever kind."""
        return len(self.ae.active_associations)

    @property
    def slots_in_use(self) -> int:
        """How many of `max_associations` are open now."""
        return self.callers.slots.in_use

    def serve(self) -> None:
        """Accept associations on all sockets until `stop` is called from another thread.

        Returns too when one of them ends by itself.
        """
        ended = Event()

        def accept(server: InheritedServer) -> None:
            try:
                server.serve_forever(poll_interval=0.2)
            finally:
                ended.set()

        for server in self.servers:
            Thread(target=accept, args=(server,), name="accept", daemon=True).start()
        ended.wait()

    def stop(self, wait: Callable[[Callable[[], bool]], bool]) -> None:
        """Accept no more, let open associations end (``wait`` says how long), hang up on the rest.

        An A-ABORT to a peer that is silent within a PDU would wait for it.
        """
        self.callers.stopping = True
        for server in self.servers:
            server.shutdown()
        self.callers.slots.hang_up_handshakes()
        wait(lambda: not self.ae.active_associations)
        for association in self.ae.active_associations:
            hang_up(association)

    def _server(self, listening: socket.socket, tls: ServerTls | None) -> InheritedServer:
        server: InheritedServer = self.ae.make_server(
            listening.getsockname()[:2],
            evt_handlers=[
                *self.callers.handlers,
                (evt.EVT_C_STORE, self._on_store),
                (evt.EVT_CONN_CLOSE, self._on_closed),
            ],
            server_class=InheritedServer,
            listening=listening,
            callers=self.callers,
            limits=self._limits,
            tls=tls,
        )
        self.ae._servers.append(server)  # as AE.start_server does: shutdown() expects it
        return server

    def _entity(self) -> AE:
        ae = AE(ae_title=self.settings.ae_title)
        ae.maximum_associations = sys.maxsize  # the slots are counted by `Slots`
        ae.maximum_pdu_size = _PDU_BYTES
        ae.network_timeout = self.settings.timeout_s
        ae.acse_timeout = ae.dimse_timeout = self.settings.timeout_s
        ae.add_supported_context(Verification)
        for sop_class in accepted_sop_classes(secondary_captures=self.secondary_captures):
            ae.add_supported_context(sop_class, TRANSFER_SYNTAXES)
        return ae

    def _on_store(self, event: evt.Event) -> int:
        """Take one object in; answer with the status that says what became of it."""
        request = request_of(event, str(event.assoc.requestor.ae_title))
        try:
            received = received_file(event, self.incoming)
        except Refused as refusal:
            log.warning(
                "refused",
                **asdict(request),
                status=f"0x{refusal.status:04X}",
                reason=str(refusal),
            )
            return refusal.status
        if received is None:
            log.warning("C-STORE without a data set", **asdict(request))
            return CANNOT_UNDERSTAND
        take = self.take_prior if self._is_asked_for(event) else self.take
        return take_in(take, received, request)[0]

    def _is_asked_for(self, event: evt.Event) -> bool:
        """Say whether this is part of our own C-MOVE: the request names who began it.

        Films that somebody else moves here, and all that others send, get an answer.

        References
        ----------
        PS3.7 9.1.1.1 (Move Originator Application Entity Title).
        """
        originator = str(event.request.MoveOriginatorApplicationEntityTitle or "").strip()
        caller = str(event.assoc.requestor.ae_title).strip()
        return caller == self.moved_by and originator == self.settings.ae_title

    def _on_closed(self, event: evt.Event) -> None:
        """Delete what was received of an object when its association broke off."""
        event.assoc.dimse.discard_half()


def accepted_sop_classes(*, secondary_captures: bool) -> tuple[UID, ...]:
    """Return what is taken in; FOR PROCESSING too, so that its skipping is a stated outcome."""
    classes = (
        ComputedRadiographyImageStorage,
        DigitalXRayImageStorageForPresentation,
        DigitalXRayImageStorageForProcessing,
    )
    return (*classes, SecondaryCaptureImageStorage) if secondary_captures else classes
