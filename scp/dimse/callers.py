"""Which callers may associate, and the record of associations that failed."""

import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE

from scp.config.network import Peer
from scp.dimse.handshake import Handshake, PlainDicom
from scp.dimse.peers import is_known, is_known_address, matching
from scp.dimse.slots import Slots
from scp.dimse.strangers import Strangers
from scp.dimse.tls_failures import Fault, failure_of
from scp.dimse.upper_layer import End, layer_of
from scp.outcomes.associations import FailedAssociation, Reason

log = structlog.get_logger(__name__)

# A-ASSOCIATE-RJ: permanent, by the service user, calling or called AE title not recognized
# (PS3.8 9.3.4)
_UNKNOWN_CALLER, _WRONG_CALLED_TITLE = (0x01, 0x01, 0x03), (0x01, 0x01, 0x07)
# permanent, by the service user, no reason given
_NO_REASON = (0x01, 0x01, 0x01)
# transient, by the presentation service: local limit exceeded
_TOO_MANY = (0x02, 0x03, 0x02)
_REASONS = {
    End.MALFORMED: Reason.MALFORMED,
    End.PEER_ABORTED: Reason.ABORTED,
    End.CLOSED: Reason.BROKEN,
    End.SILENT: Reason.TIMED_OUT,
    End.TLS: Reason.TLS_NOT_EXPECTED,
}
_TLS_REASONS = {
    Fault.NOT_TLS: Reason.TLS_REQUIRED,
    Fault.VERSION: Reason.TLS_VERSION,
    Fault.CERTIFICATE: Reason.TLS_CERTIFICATE,
    Fault.OWN_CERTIFICATE: Reason.TLS_OWN_CERTIFICATE,
    Fault.SILENT: Reason.TIMED_OUT,
    Fault.CLOSED: Reason.BROKEN,
    Fault.OTHER: Reason.TLS_HANDSHAKE,
}
# what is said where the bytes themselves tell no more
_USUAL = {
    Reason.MALFORMED: "unexpected PDU (PS3.8 9.2)",
    Reason.ABORTED: "the peer sent A-ABORT",
    Reason.BROKEN: "the peer closed the connection without release",
    Reason.TIMED_OUT: "the peer sent nothing more in time",
}
# Result of a presentation context in an A-ASSOCIATE-AC (PS3.8 Table 9-18)
_NOT_TAKEN = {0x03: "not taken", 0x04: "in none of its transfer syntaxes"}
_MOST_TOLD = 4  # of the contexts that were not taken, or of a certificate's names
# AE titles are compared as they stand: only spaces around them do not count (PS3.5 6.2). So does
# DCMTK, and Orthanc where its StrictAetComparison is set
_ONLY_CASE = "; {} differs in upper and lower case only"


class Callers:
    """Lets in who is known, and tells of each failed association, once.

    Parameters
    ----------
    peers
        Who may send; none: only this machine.
    ae_title
        What we are to be called.
    tell
        Called for each failed association; from any thread.
    slots
        How many associations there may be.
    """

    def __init__(
        self,
        peers: Sequence[Peer],
        ae_title: str,
        tell: Callable[[FailedAssociation], None],
        slots: Slots,
    ) -> None:
        self.slots = slots
        self.peers = peers
        self.ae_title = ae_title
        self.stopping = False
        self._tell = tell
        self._strangers = Strangers()

    @property
    def handlers(self) -> list[tuple[Any, Callable[[evt.Event], None]]]:
        """What to bind to the server's associations."""
        return [
            (evt.EVT_REQUESTED, self._on_requested),
            (evt.EVT_ESTABLISHED, self._on_established),
            (evt.EVT_ABORTED, self._on_aborted),
            (evt.EVT_CONN_CLOSE, self._on_closed),
        ]

    def admits(self, address: str) -> bool:
        """Say whether somebody who is known has this address; nobody else gets an association."""
        return is_known_address(self.peers, address)

    def turn_away(self, connection: socket.socket, address: str) -> None:
        """Reject the request of somebody whose address no peer has."""
        named = self._strangers.turn_away(connection)
        if named is None:
            return
        called, calling = named
        others = [peer.host for peer in self.peers if peer.ae_title == calling]
        detail = "no peer has this address"
        if others:
            detail += f"; {calling} is entered with host {', '.join(others)}"
        self._failed(FailedAssociation(Reason.UNKNOWN_CALLER, calling, called, address, detail))

    def secure(
        self,
        connection: socket.socket,
        address: str,
        context: ssl.SSLContext,
        timeout_s: float | None,
    ) -> ssl.SSLSocket | None:
        """Return a connection with TLS; None where there is none, which is told and closed."""
        handshake = Handshake(connection, timeout_s)
        self.slots.begin(handshake, address)
        titles = ("", "")
        try:
            return handshake.accept(context)
        except PlainDicom:
            titles = self._strangers.turn_away(connection, _NO_REASON) or titles
            reason, detail = Reason.TLS_REQUIRED, "DICOM without TLS on the port of TLS"
        except OSError as error:
            failure = failure_of(error)
            reason, detail = _TLS_REASONS[failure.fault], failure.text
        if not self.stopping:
            called, calling = titles
            self._failed(FailedAssociation(reason, calling, called, address, detail))
        return None

    def _on_requested(self, event: evt.Event) -> None:
        """Reject who is not known, or calls somebody else."""
        association = event.assoc
        request = association.requestor.primitive
        if association.is_aborted or not isinstance(request, A_ASSOCIATE):
            return
        calling, called = str(request.calling_ae_title), str(request.called_ae_title)
        try:
            known = is_known(self.peers, calling.strip(), association.requestor.address)
        except Exception:  # pynetdicom would log it and let everybody in
            log.exception("peer not looked up")
            known = False
        if not known:
            detail = self._unknown(calling.strip())
            entered = (peer.ae_title for peer in self.peers if _only_case(peer.ae_title, calling))
            detail += next(map(_ONLY_CASE.format, entered), "")
            if called.strip() != self.ae_title:
                detail += f"; and it calls {called.strip()}, but we are {self.ae_title}"
            self._reject(association, Reason.UNKNOWN_CALLER, detail, _UNKNOWN_CALLER)
        elif insecure := self._insecure(association, calling.strip()):
            self._reject(association, *insecure)
        elif called.strip() != self.ae_title:
            detail = f"we are {self.ae_title}"
            if _only_case(self.ae_title, called):
                detail += _ONLY_CASE.format(self.ae_title)
            self._reject(association, Reason.WRONG_CALLED_TITLE, detail, _WRONG_CALLED_TITLE)
        elif why := self.slots.take(association, calling.strip()):
            self._reject(association, Reason.LOCAL_LIMIT, why, _TOO_MANY)
        elif oddities := layer_of(association).negotiation.oddities:
            where = association.requestor.address
            log.info("odd association request", **_names(association, where), oddities=oddities)

    def _unknown(self, calling: str) -> str:
        """Say what is wrong with a title at an address that a peer has."""
        others = [peer.host for peer in self.peers if peer.ae_title == calling]
        at = f"; {calling} is entered with host {', '.join(others)}" if others else ""
        return f"a peer has this address, under another AE title{at}"

    def _insecure(
        self, association: Association, calling: str
    ) -> tuple[Reason, str, tuple[int, int, int]] | None:
        """Say why a known caller is rejected for want of TLS, and how; None where it is not."""
        names = layer_of(association).certificate_names
        for peer in matching(self.peers, calling, association.requestor.address):
            if peer.must_use_tls and names is None:
                detail = f"{calling} must use TLS, and came without"
                return Reason.TLS_REQUIRED, detail, _NO_REASON
            if peer.certificate_names and not set(peer.certificate_names) & set(names or ()):
                bears = ", ".join((names or ())[:_MOST_TOLD]) or "nobody, or there is none"
                detail = f"its certificate is made out to {bears}"
                return Reason.TLS_CERTIFICATE_NAME, detail, _UNKNOWN_CALLER
        return None

    def _reject(
        self, association: Association, reason: Reason, detail: str, how: tuple[int, int, int]
    ) -> None:
        self._report(association, reason, detail)
        association.acse.send_reject(*how)
        association.kill()  # returns once the rejection is out: else the socket closes before

    def _on_established(self, event: evt.Event) -> None:
        if event.assoc.accepted_contexts:
            return
        refused = (
            f"{UID(str(cx.abstract_syntax)).name} {_NOT_TAKEN.get(cx.result, 'not taken')}"
            for cx in event.assoc.rejected_contexts
        )
        refusals = list(dict.fromkeys(refused))
        more = [f"and {len(refusals) - _MOST_TOLD} more"] if len(refusals) > _MOST_TOLD else []
        detail = (
            "; ".join(refusals[:_MOST_TOLD] + more) or "the request has no presentation context"
        )
        self._report(event.assoc, Reason.NO_COMMON_CONTEXT, detail)

    def _on_aborted(self, event: evt.Event) -> None:
        end = layer_of(event.assoc).end
        # without an end that the peer set, it is we who gave it up for its silence
        self._report(event.assoc, _REASONS[end] if end else Reason.TIMED_OUT)

    def _on_closed(self, event: evt.Event) -> None:
        """Tell of what ended before there was an association; a look at the port is nothing."""
        layer = layer_of(event.assoc)
        if layer.tls_failure is not None:
            failure = layer.tls_failure
            self._report(event.assoc, _TLS_REASONS[failure.fault], failure.text)
            return
        if layer.end is None or (layer.end is End.CLOSED and not layer.heard):
            return
        self._report(event.assoc, _REASONS[layer.end])

    def _report(self, association: Association, reason: Reason, detail: str = "") -> None:
        """Tell of an association, the first time that there is something to tell."""
        layer = layer_of(association)
        if layer.reported or association.is_released or self.stopping:
            return
        layer.reported = True
        names = _names(association, association.requestor.address)
        self._failed(
            FailedAssociation(
                reason, **names, detail=detail or layer.detail or _USUAL.get(reason, "")
            )
        )

    def _failed(self, failed: FailedAssociation) -> None:
        log.warning(
            "association failed",
            reason=failed.reason.value,
            calling_ae_title=failed.calling_ae_title,
            called_ae_title=failed.called_ae_title,
            address=failed.address,
            detail=failed.detail,
        )
        self._tell(failed)


def _only_case(ours: str, theirs: str) -> bool:
    return ours != theirs.strip() and ours.casefold() == theirs.strip().casefold()


def _names(association: Association, address: str) -> dict[str, str]:
    called, calling = layer_of(association).titles
    return {"calling_ae_title": calling, "called_ae_title": called, "address": address}
