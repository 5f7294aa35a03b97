"""The TLS handshake with a peer that calls us, in the thread of its connection.

::

    nothing, and closed      a look at the port
    A-ASSOCIATE-RQ           plain DICOM on the port of TLS: rejected, with its AE titles told
    anything else            the handshake, within the receiver's timeout from the connection on
"""

import socket
import ssl
from contextlib import suppress
from time import monotonic

from scp.dimse.closing import close
from scp.dimse.negotiation import A_ASSOCIATE_RQ


class PlainDicom(Exception):
    """A request for an association came without TLS."""


class Handshake:
    """A connection on its way to TLS. Ends by its deadline, or when it is hung up on."""

    def __init__(self, connection: socket.socket, timeout_s: float | None) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._over = False

    def is_alive(self) -> bool:
        """Whether it still goes on."""
        return not self._over

    def hang_up(self) -> None:
        """End it, from another thread."""
        with suppress(OSError):
            socket.socket.shutdown(self._connection, socket.SHUT_RDWR)

    def accept(self, context: ssl.SSLContext) -> ssl.SSLSocket | None:
        """Return the connection with TLS; None: it closed without a word.

        Raises
        ------
        PlainDicom
            There is no TLS: the connection is as it was.
        OSError
            The handshake failed; the peer was told, and the connection is closed.
        """
        try:
            return self._accept(context)
        finally:
            self._over = True

    def _accept(self, context: ssl.SSLContext) -> ssl.SSLSocket | None:
        deadline = None if self._timeout_s is None else monotonic() + self._timeout_s
        connection = self._connection
        try:
            connection.settimeout(self._timeout_s)
            first = connection.recv(1, socket.MSG_PEEK)
            if first and first[0] == A_ASSOCIATE_RQ:
                raise PlainDicom
            if not first:
                connection.close()
                return None
            self._connection = secured = context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
            secured.settimeout(None if deadline is None else max(0.001, deadline - monotonic()))
            secured.do_handshake()  # within this timeout as a whole
            secured.settimeout(self._timeout_s)
        except OSError:
            close(self._connection)
            raise
        return secured
