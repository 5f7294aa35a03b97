"""A server on a socket that is already listening, and that others may listen on too."""

import socket
from functools import partial
from time import monotonic
from typing import Any

import structlog
from pynetdicom.association import Association
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from scp.dimse.callers import Callers
from scp.dimse.incoming import LimitedMessages, Limits
from scp.dimse.tls import ServerTls, TlsConnection, names_of
from scp.dimse.upper_layer import layer_of, use_upper_layer

log = structlog.get_logger(__name__)


class _Handler(RequestHandler):  # type: ignore[misc]
    """Looks at the address before a connection becomes an association."""

    server: "InheritedServer"
    request: socket.socket

    def handle(self) -> None:
        """Turn strangers away, and begin an association with all others."""
        address, callers, tls = str(self.client_address[0]), self.server.callers, self.server.tls
        self._began = monotonic()
        if not callers.admits(address):
            callers.turn_away(self.request, address)
            return
        if tls is not None:
            # here, in the connection's own thread: a slow handshake holds up nobody
            timeout_s = self.server.ae.network_timeout
            secured = callers.secure(self.request, address, tls.context(), timeout_s)
            if secured is None:
                return
            self.request = secured
        super().handle()
        callers.slots.connect(self._association, address)

    def _create_association(self) -> Association:
        self._association = association = super()._create_association()
        layer = use_upper_layer(association)
        layer.began = self._began
        if isinstance(self.request, TlsConnection):
            layer.certificate_names = names_of(self.request.getpeercert())
        association.dimse = LimitedMessages(association, self.server.limits)
        association.run = partial(_run, association)
        return association


def _run(association: Association) -> None:
    """Run an association's thread; whatever ends it, it leaves neither connection nor file."""
    try:
        Association.run(association)
    except Exception:
        log.exception("association broken off")
        layer_of(association).give_up()
    finally:
        association.dimse.discard()


class InheritedServer(ThreadedAssociationServer):  # type: ignore[misc]
    """Accepts on a socket that it was given; a shutdown ends nobody else's listening.

    With ``tls`` each connection has TLS before it becomes an association.
    """

    socket: Any  # of the module's name: a socket.socket

    def __init__(
        self,
        *args: Any,
        listening: socket.socket,
        callers: Callers,
        limits: Limits,
        tls: ServerTls | None = None,
        **kwargs: Any,
    ) -> None:
        self._listening = listening
        self.callers, self.limits, self.tls = callers, limits, tls
        super().__init__(*args, request_handler=_Handler, **kwargs)

    def server_bind(self) -> None:
        """Take the socket as it is."""
        self.socket.close()
        self.socket = self._listening
        # two processes may wake for one connection: who comes second must not wait
        self.socket.setblocking(False)
        self.server_address = self.socket.getsockname()

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection; a peer that falls silent within a PDU must not hold a thread."""
        connection, address = super().get_request()
        connection.settimeout(self.ae.network_timeout)
        return connection, address

    def handle_error(self, *_: Any) -> None:
        """Log what kept a connection from becoming an association; it is closed."""
        log.exception("connection not served")

    def server_activate(self) -> None:
        """Do nothing: it is listening."""

    def server_close(self) -> None:
        """Close our handle; a shutdown would end the others' listening too."""
        self.socket.close()
