"""The connection to a peer that we call; with TLS where that is set, and then never without."""

import socket
import ssl
from dataclasses import dataclass
from time import monotonic

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.transport import T_CONNECT, AddressInformation, AssociationSocket

from scp.config.tls import ClientTlsSettings
from scp.dimse.tls import client_context, names_of
from scp.dimse.tls_failures import WrongName, failure_of
from scp.dimse.upper_layer import layer_of

_PATIENCE_S = 1.0


@dataclass(frozen=True)
class ClientTls:
    """How a peer is called over TLS: with which files, by which host name, and which name it has.

    ``name`` "": that of the host, as a browser compares it.
    """

    context: ssl.SSLContext
    host: str
    name: str

    @classmethod
    def of(cls, settings: ClientTlsSettings, host: str) -> "ClientTls | None":
        """Return what a peer's settings ask for; None where it is called without TLS.

        The files are read each time, so renewed ones count. Raises CertificateUnusable.
        """
        if not settings.enabled:
            return None
        return cls(client_context(settings), host, settings.name)

    def secured(self, plain: socket.socket) -> ssl.SSLSocket:
        """Shake hands within the socket's timeout. Raises OSError; the socket is then closed."""
        secured = self.context.wrap_socket(plain, server_hostname=self.host)
        if self.name:
            names = names_of(secured.getpeercert())
            if self.name not in names:
                secured.close()
                raise WrongName(
                    f"its certificate is made out to {', '.join(names[:4])}, not to {self.name}"
                )
        return secured


class TlsAssociationSocket(AssociationSocket):  # type: ignore[misc]
    """An association's connection over TLS; its layer keeps why there is none."""

    socket: socket.socket | None

    def __init__(self, assoc: Association, address: AddressInformation, tls: ClientTls) -> None:
        super().__init__(assoc, address=address)
        self._tls = tls

    def connect(self, primitive: T_CONNECT) -> None:
        """Connect and shake hands within the connection timeout, before anything is said."""
        timeout_s = self.assoc.connection_timeout
        deadline = None if timeout_s is None else monotonic() + timeout_s
        plain, is_connected = self.socket, False
        assert plain is not None
        try:
            plain.settimeout(timeout_s)
            plain.connect(primitive.address_info.as_tuple)
            is_connected = True
            if deadline is not None:
                plain.settimeout(max(0.001, deadline - monotonic()))
            self.socket = secured = self._tls.secured(plain)
            secured.settimeout(None)
        except OSError as error:
            layer_of(self.assoc).tls_failure = failure_of(error) if is_connected else None
            plain.close()
            self.socket, primitive.result = None, "Evt17"
        else:
            here = AddressInformation.from_tuple(secured.getsockname())
            self.assoc.requestor.address_info = here
            self._is_connected = True
            where = {"address": primitive.address_info.as_tuple}
            evt.trigger(self.assoc, evt.EVT_CONN_OPEN, where)
            primitive.result = "Evt2"
        self.provider_queue.put(primitive)
        self._ready.set()

    def send(self, bytestream: bytes) -> None:
        """Send; where that fails, look what the peer said before it closed.

        With TLS 1.3 a client is through with its handshake before its certificate is looked at.
        """
        connection = self.socket
        assert connection is not None
        try:
            connection.sendall(bytestream)
        except OSError as error:
            layer_of(self.assoc).note_tls(_said(connection) or error)
            self.event_queue.put("Evt17")


def _said(connection: socket.socket) -> OSError | None:
    """Return the alert that a peer sent before it closed."""
    try:
        connection.settimeout(_PATIENCE_S)
        connection.recv(1)
    except ssl.SSLError as error:
        return error
    except OSError:
        pass
    return None
