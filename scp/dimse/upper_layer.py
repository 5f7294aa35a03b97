"""pynetdicom's upper layer (PS3.8), tolerant of odd peers, quick to abort broken requests.

::

    odd but readable    put right (`scp.dimse.negotiation`) and logged
    cannot be read,     A-ABORT, the connection is closed, and whoever waits is told at once:
    or out of turn      nothing is raised, and no slot is held until a timeout
"""

import ssl
import struct
from contextlib import suppress
from enum import StrEnum
from time import monotonic
from typing import Any

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.fsm import TRANSITION_TABLE, StateMachine
from pynetdicom.pdu_primitives import A_ASSOCIATE, A_P_ABORT

from scp.dimse.closing import abort
from scp.dimse.negotiation import (
    MalformedPDU,
    Negotiation,
    read_negotiation,
    renumbered,
    renumbered_answer,
    titles,
)
from scp.dimse.tls import TlsConnection
from scp.dimse.tls_failures import TlsFailure, failure_of

_NEGOTIATION = (0x01, 0x02)
_ANSWERS = (0x01, 0x02, 0x03)  # whose values are checked while they are read
_REJECTION, _P_DATA = 0x03, 0x04
_MOST_BYTES = dict.fromkeys(_NEGOTIATION, 1 << 20)
_SMALL = 64  # bytes; what the other PDUs may have at most, with room for what nobody needs
_PDU_BYTES = 131072  # of a peer to whom we announced no maximum
_READ_BYTES = 1 << 16
_PATIENCE_S = 60.0
_TLS = (0x15, 0x16)  # how an alert and a handshake of TLS begin (RFC 8446 5.1)


class End(StrEnum):
    """What ended an association, or kept it from beginning."""

    MALFORMED = "malformed"
    PEER_ABORTED = "aborted by the peer"
    CLOSED = "connection closed"
    SILENT = "silent"
    TLS = "it speaks TLS"


# PS3.8 9.2.1: A-ABORT came, the connection closed, the ARTIM timer expired
_ENDS = {"Evt16": End.PEER_ABORTED, "Evt17": End.CLOSED, "Evt18": End.SILENT}
_PEER_IS_WRONG = ("AA-1", "AA-7", "AA-8")
_OUR_ABORT = "Evt15"


class _States(StateMachine):  # type: ignore[misc]
    """PS3.8 9.2, without waiting for a peer that has already gone wrong."""

    dul: "UpperLayer"

    def do_action(self, event: str) -> None:
        """Act on an event; whatever is not to be acted on ends the association."""
        before = self.current_state
        action = TRANSITION_TABLE.get((event, before))
        if event == "Evt2":  # the connection that we asked for stands
            self.dul.connected = True
        if event in _ENDS and before != "Sta13":  # there it is what is waited for
            self.dul.note(_ENDS[event])
        if action is None or (action in _PEER_IS_WRONG and event != _OUR_ABORT):
            self.dul.give_up()
            return
        try:
            super().do_action(event)
        except Exception as error:  # pynetdicom on values that it did not expect
            if isinstance(error, MalformedPDU):
                self.dul.detail = str(error)
            self.dul.give_up()
            return
        if before == "Sta2" and self.current_state == "Sta1":
            self.dul.to_user_queue.put(None)  # no request will come


class UpperLayer(DULServiceProvider):  # type: ignore[misc]
    """Reads and writes PDUs.

    Attributes
    ----------
    end
        What ended the association first; None while nothing has, and after a release.
    connected
        Whether a connection that we asked for ever stood.
    heard
        Whether the peer has sent anything.
    negotiation
        The peer's request or acceptance, once it came.
    rejection
        A peer's A-ASSOCIATE-RJ; pynetdicom itself misses one that comes at once.
    titles
        Called and calling AE title of a request, as far as it could be read.
    detail
        What was wrong with what the peer sent; "" when nothing was.
    reported
        Whether the failure of the association was reported.
    began
        When the connection stood, by `time.monotonic`.
    certificate_names
        The names of the peer's certificate; None where the connection has no TLS.
    tls_failure
        Why TLS ended before the peer said anything; None where it did not.
    """

    def __init__(self, assoc: Association) -> None:
        super().__init__(assoc)
        self.state_machine = _States(self)
        self.end: End | None = None
        self.connected = self.heard = False
        self.negotiation = Negotiation()
        self.rejection: A_ASSOCIATE | None = None
        self.titles = ("", "")
        self.detail = ""
        self.reported = False
        self.began = monotonic()
        self.certificate_names: tuple[str, ...] | None = None
        self.tls_failure: TlsFailure | None = None

    def note(self, end: End) -> None:
        """Keep what came first: the rest follows from it."""
        if not self.assoc.is_released:
            self.end = self.end or end

    def note_tls(self, error: OSError) -> None:
        """Keep why TLS ended; with TLS 1.3 a certificate may be refused after the handshake."""
        if isinstance(error, ssl.SSLError) and not self.heard:
            self.tls_failure = failure_of(error)

    def give_up(self) -> None:
        """A-ABORT, close, and tell whoever waits for this peer."""
        self.note(End.MALFORMED)
        waits_for_request = self.state_machine.current_state == "Sta2"
        connection = self.socket
        if connection is not None and connection.socket is not None:
            abort(connection.socket)
            connection.close()
        self.assoc.is_aborted = True
        self.assoc.is_established = False
        self.state_machine.current_state = "Sta1"
        evt.trigger(self.assoc, evt.EVT_CONN_CLOSE, {"address": None})
        self.assoc.dimse.msg_queue.put((None, None))
        self.to_user_queue.put(None if waits_for_request else A_P_ABORT())
        self.artim_timer.stop()
        self.kill_dul()

    def _is_transport_event(self) -> bool:
        """Read on only when what was read has been acted on: it may have ended everything."""
        if not self.event_queue.empty() or self.socket is None:
            return False
        if self._has_data():
            self._read_pdu_data()
            return True
        if self.state_machine.current_state == "Sta13":  # all was read that was still to come
            self.socket.close()
            return True
        return False

    def _has_data(self) -> bool:
        """Say whether a PDU begins: what can be read of TLS need not be data."""
        assert self.socket is not None
        if not self.socket.ready:
            return False
        connection = self.socket.socket
        return not isinstance(connection, TlsConnection) or connection.has_data()

    def _read_pdu_data(self) -> None:
        """Read one PDU; queue the event that it is (PS3.8 9.2.1)."""
        try:
            self.event_queue.put(self._read())
        except TimeoutError:
            self.note(End.SILENT)
            self.event_queue.put("Evt17")
        except OSError as error:
            self.note_tls(error)
            self.event_queue.put("Evt17")
        except Exception as error:  # whatever is wrong with the bytes
            self.detail = str(error) if isinstance(error, MalformedPDU) else "it cannot be read"
            self.event_queue.put("Evt19")

    def _read(self) -> str:
        assert self.socket is not None
        # the request is to come within the timeout from the beginning; else a PDU, once it begins
        waits_for_request = self.state_machine.current_state == "Sta2"
        begins = self.began if waits_for_request else monotonic()
        deadline = begins + (self.network_timeout or _PATIENCE_S)
        head = self._receive(6, deadline)
        self.heard = self.heard or bool(head)
        if len(head) < 6:
            return "Evt17"
        kind, length = struct.unpack(">BxL", head)
        if kind in _TLS:
            self.note(End.TLS)
        if not 1 <= kind <= 7:
            raise MalformedPDU(f"no PDU begins with 0x{kind:02X}: it is not DICOM")
        if length > self._most_bytes(kind):
            raise MalformedPDU(
                f"a PDU of type {kind} and of {length} bytes; {self._most_bytes(kind)} are allowed"
            )
        body = self._receive(length, deadline)
        if len(body) < length:
            self._note_cut(head + body, length)
            return "Evt17"
        pdu, event = self._decode_pdu(bytearray(head + body))
        self._recv_pdu.put(pdu)
        return event

    def _most_bytes(self, kind: int) -> int:
        """Return the largest length of a PDU that is read: for P-DATA-TF what we announced."""
        if kind != _P_DATA:
            return _MOST_BYTES.get(kind, _SMALL)
        ours = self.assoc.acceptor if self.assoc.is_acceptor else self.assoc.requestor
        return int(ours.maximum_length or _PDU_BYTES)

    def _receive(self, size: int, deadline: float) -> bytes:
        """Read so many bytes, or as many as come before the connection closes.

        Raises TimeoutError at the deadline, however busily the peer sends byte after byte.
        """
        assert self.socket is not None
        connection, data = self.socket.socket, bytearray()
        try:
            while len(data) < size:
                if (left := deadline - monotonic()) <= 0:
                    raise TimeoutError
                connection.settimeout(left)
                more = connection.recv(min(size - len(data), _READ_BYTES))
                if not more:
                    break
                data += more
        finally:
            with suppress(OSError):
                connection.settimeout(self.network_timeout)
        return bytes(data)

    def _note_cut(self, data: bytes, length: int) -> None:
        """Keep who it was and what came of a request whose connection closed within it."""
        if data[0] == _NEGOTIATION[0]:
            self.titles = titles(data)
            self.detail = f"the request is cut short: {len(data) - 6} of {length} bytes came"

    def _decode_pdu(self, bytestream: bytearray) -> tuple[Any, str]:
        data = bytes(bytestream)
        if data[0] in _NEGOTIATION:
            self.titles = titles(data)
            self.negotiation = read_negotiation(data)
            data = self.negotiation.data
        elif data[0] == _P_DATA:
            data = renumbered(data, self.negotiation.context_ids)
        pdu, event = super()._decode_pdu(bytearray(data))
        if data[0] in _ANSWERS:
            primitive = pdu.to_primitive()  # raises here, where it can be answered
            self.rejection = primitive if data[0] == _REJECTION else None
        return pdu, event

    def _send(self, pdu: Any) -> None:
        """Write a PDU, with the context IDs that the peer knows."""
        assert self.socket is not None
        inner = {odd: number for number, odd in self.negotiation.context_ids.items()}
        data = pdu.encode()
        if data[0] == _P_DATA:
            data = renumbered(data, inner)
        elif data[0] == 0x02:
            data = renumbered_answer(data, inner)
        self.socket.send(data)
        evt.trigger(self.assoc, evt.EVT_PDU_SENT, {"pdu": pdu})


def use_upper_layer(association: Association) -> UpperLayer:
    """Give an association that has not begun this upper layer."""
    layer, before = UpperLayer(association), association.dul
    layer.socket, layer.event_queue = before.socket, before.event_queue
    association.dul = layer
    association.acse_timeout = association.acse_timeout  # its timers are the layer's
    association.network_timeout = association.network_timeout
    return layer


def layer_of(association: Association) -> UpperLayer:
    """Return the upper layer of an association."""
    layer = association.dul
    assert isinstance(layer, UpperLayer)
    return layer
