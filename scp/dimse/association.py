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
from pynetdicom.transport import AssociationSocket

from scp.dimse.incoming import Limits
from scp.dimse.responses import MatchedResponses
from scp.dimse.upper_layer import End, layer_of, use_upper_layer

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


_ENDS = {
    End.MALFORMED: Reason.NOT_UNDERSTOOD,
    End.PEER_ABORTED: Reason.ABORTED,
    End.CLOSED: Reason.CLOSED,
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
        What the operating system said of the host's name; "" of anything else.
    """

    def __init__(
        self, reason: Reason, *, rejection: A_ASSOCIATE | None = None, text: str = ""
    ) -> None:
        super().__init__(reason.value)
        self.reason, self.rejection, self.text = reason, rejection, text


class RequestingAE(AE):  # type: ignore[misc]
    """An application entity whose requested associations have our upper layer and DIMSE."""

    def _create_socket(self, assoc: Association, *where: object) -> AssociationSocket:
        use_upper_layer(assoc)
        assoc.dimse = MatchedResponses(assoc, Limits())
        return super()._create_socket(assoc, *where)


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
    with suppress(OSError, AttributeError):  # it may have closed this very moment
        association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
