"""The association that hilum requests as SCU, of a destination or of the PACS with the priors."""

import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Protocol

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE, SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AddressInformation, AssociationSocket

from scp.config.tls import ClientTlsSettings
from scp.dimse.incoming import Limits
from scp.dimse.outgoing import ClientTls, TlsAssociationSocket
from scp.dimse.responses import MatchedResponses
from scp.dimse.tls_failures import TlsFailure
from scp.dimse.upper_layer import End, layer_of, use_upper_layer
from scp.errors import CertificateUnusable

Handler = tuple[object, Callable[[evt.Event], object]]


class Peer(Protocol):
    """Whom to associate with."""

    @property
    def host(self) -> str:
        """Name or address."""

    @property
    def port(self) -> int:
        """Port."""

    @property
    def ae_title(self) -> str:
        """AE title that is called."""

    @property
    def tls(self) -> ClientTlsSettings:
        """Whether by TLS, and how."""


class Reason(StrEnum):
    """Why there is no association."""

    HOST_UNKNOWN = "host unknown"
    NO_CONNECTION = "no connection"
    NO_ANSWER = "no answer"
    NOT_UNDERSTOOD = "answer not understood"
    REJECTED = "rejected"
    ABORTED = "aborted"
    CLOSED = "connection closed"
    NO_CONTEXT = "no context accepted"
    TLS = "TLS failed"
    TLS_WANTED = "the peer speaks TLS"
    OWN_FILES = "our files for TLS cannot be used"


_ENDS = {
    End.MALFORMED: Reason.NOT_UNDERSTOOD,
    End.PEER_ABORTED: Reason.ABORTED,
    End.CLOSED: Reason.CLOSED,
    End.TLS: Reason.TLS_WANTED,
}


class NotAssociated(Exception):
    """There is no association.

    Attributes
    ----------
    reason
        Why.
    rejection
        The peer's A-ASSOCIATE-RJ (PS3.8 9.3.4); None unless it rejected.
    text
        What the operating system said of the host's name, what is wrong with TLS or our files for
        it; "" of anything else.
    tls
        Why TLS failed; None unless it did.
    """

    def __init__(
        self,
        reason: Reason,
        *,
        rejection: A_ASSOCIATE | None = None,
        text: str = "",
        tls: TlsFailure | None = None,
    ) -> None:
        super().__init__(reason.value)
        self.reason, self.rejection, self.tls = reason, rejection, tls
        self.text = tls.text if tls else text


class RequestingAE(AE):  # type: ignore[misc]
    """An application entity whose requested associations have our upper layer and DIMSE.

    Attributes
    ----------
    tls
        How its peers are called over TLS; None: without.
    """

    tls: ClientTls | None = None

    def _create_socket(
        self, assoc: Association, address: AddressInformation, *more: object
    ) -> AssociationSocket:
        use_upper_layer(assoc)
        assoc.dimse = MatchedResponses(assoc, Limits())
        if self.tls is not None:
            return TlsAssociationSocket(assoc, address, self.tls)
        return super()._create_socket(assoc, address, *more)


def associate(
    peer: Peer,
    calling_ae_title: str,
    contexts: Sequence[PresentationContext],
    *,
    timeout_s: float,
    network_timeout_s: float,
    handlers: Sequence[Handler] = (),
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
    max_pdu_bytes: int | None = None,
) -> Association:
    """Request an association; return it established, with at least one context accepted.

    Parameters
    ----------
    timeout_s
        How long connection, negotiation and each DIMSE message are waited for.
    network_timeout_s
        How long the peer may be silent otherwise.
    roles
        For C-GET, which stores on this association (PS3.7 D.3.3.4).
    max_pdu_bytes
        The largest PDU that the peer may send; None for pynetdicom's 16382.

    Raises
    ------
    NotAssociated
        With the reason.
    """
    ae = RequestingAE(ae_title=calling_ae_title)
    ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = timeout_s
    ae.network_timeout = network_timeout_s
    try:
        ae.tls = ClientTls.of(peer.tls, peer.host)
    except CertificateUnusable as error:
        raise NotAssociated(Reason.OWN_FILES, text=str(error)) from error
    try:
        association = ae.associate(
            peer.host,
            peer.port,
            ae_title=peer.ae_title,
            contexts=list(contexts),
            max_pdu=max_pdu_bytes or ae.maximum_pdu_size,
            ext_neg=list(roles),
            evt_handlers=list(handlers),
        )
    except (OSError, UnicodeError) as error:  # the host's name
        text = (error.strerror or "") if isinstance(error, OSError) else ""
        raise NotAssociated(Reason.HOST_UNKNOWN, text=text) from error
    except Exception as error:  # pynetdicom on an acceptance that it did not expect
        raise NotAssociated(Reason.NOT_UNDERSTOOD) from error
    if not association.is_established:
        raise _why_not(association)
    return association


def _why_not(association: Association) -> NotAssociated:
    layer = layer_of(association)
    if layer.rejection is not None:
        return NotAssociated(Reason.REJECTED, rejection=layer.rejection)
    if layer.tls_failure is not None:
        return NotAssociated(Reason.TLS, tls=layer.tls_failure)
    if association.rejected_contexts:
        return NotAssociated(Reason.NO_CONTEXT)
    if not layer.connected:
        return NotAssociated(Reason.NO_CONNECTION)
    return NotAssociated(ended(association) or Reason.NO_ANSWER)


def ended(association: Association) -> Reason | None:
    """Return what ended an association; None while nothing has."""
    end = layer_of(association).end
    return _ENDS.get(end) if end else None


def hang_up(association: Association) -> None:
    """Close an association's connection; its threads see that, and end."""
    with suppress(OSError, AttributeError, TypeError):  # it may have closed this very moment
        socket.socket.shutdown(association.dul.socket.socket, socket.SHUT_RDWR)
