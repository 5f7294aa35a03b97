"""How a connection is closed so that what was said last arrives.

Unread bytes would make a reset of the closing, which may overtake it.
"""

import socket
from contextlib import suppress
from time import monotonic

from pynetdicom.pdu import A_ABORT_RQ

_DRAINED = 1 << 20
_PAUSE_S = 1.0


def abort(connection: socket.socket) -> None:
    """Send A-ABORT (PS3.8 9.3.8), read what is there, and write no more."""
    pdu = A_ABORT_RQ()
    pdu.source, pdu.reason_diagnostic = 0x02, 0x00
    with suppress(OSError):
        connection.settimeout(_PAUSE_S)
        connection.sendall(pdu.encode())
        connection.shutdown(socket.SHUT_WR)
        connection.setblocking(False)
        drained = 0
        while drained < _DRAINED and (data := socket.socket.recv(connection, 65536)):
            drained += len(data)


def close(connection: socket.socket) -> None:
    """Write no more, wait a moment until the other side has closed, and close."""
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_WR)
        connection.settimeout(_PAUSE_S)
        drained, deadline = 0, monotonic() + _PAUSE_S
        while drained < _DRAINED and monotonic() < deadline:
            data = socket.socket.recv(connection, 65536)
            if not data:
                break
            drained += len(data)
    connection.close()
