"""Reject callers that may have no association at all, before they take one.

Their address is no peer's, or they come without TLS where it is needed.
"""

import socket
import struct
from contextlib import suppress
from threading import BoundedSemaphore
from time import monotonic, sleep

from scp.dimse.negotiation import A_ASSOCIATE_RQ, titles

_PATIENCE_S = 5.0  # for the whole of a request
# pynetdicom as requestor takes a rejection that comes sooner for a failed connection
_PAUSE_S = 0.1
_AT_ONCE = 20  # more than these are hung up on without a word
_TITLES_END = 74  # bytes of an A-ASSOCIATE-RQ before its items
_MOST_BYTES = 1 << 17
# Result, source, reason of an A-ASSOCIATE-RJ: permanent, by the service user, calling AE title not
# recognized (PS3.8 9.3.4)
_UNKNOWN = (0x01, 0x01, 0x03)
_ABORT = struct.pack(">BxLxxBB", 0x07, 4, 0x02, 0x00)  # by the service provider (PS3.8 9.3.8)
_CLIENT_HELLO = 0x16
_ACCESS_DENIED = bytes.fromhex("15 0303 0002 02 31")  # an alert of TLS, fatal (RFC 8446 6)


class Strangers:
    """Turns callers away; some at once, so that they hold up nobody."""

    def __init__(self) -> None:
        self._free = BoundedSemaphore(_AT_ONCE)

    def turn_away(
        self, connection: socket.socket, how: tuple[int, int, int] = _UNKNOWN
    ) -> tuple[str, str] | None:
        """Reject a request and close; return called and calling AE title as far as they came.

        ``how`` are result, source and reason of the rejection. None: it closed without a word, as a
        look at the port does.
        """
        with connection:
            if not self._free.acquire(blocking=False):
                return "", ""
            try:
                return _reject(connection, how)
            except OSError:
                return "", ""
            finally:
                self._free.release()


def _reject(connection: socket.socket, how: tuple[int, int, int]) -> tuple[str, str] | None:
    deadline = monotonic() + _PATIENCE_S
    data = _read(connection, 1, deadline)
    if not data:
        return None
    if data[0] != A_ASSOCIATE_RQ:
        connection.sendall(_ACCESS_DENIED if data[0] == _CLIENT_HELLO else _ABORT)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(_PAUSE_S)
        connection.recv(_MOST_BYTES)  # unread bytes would make a reset of the closing
        return "", ""
    data += _read(connection, _TITLES_END - len(data), deadline)
    if len(data) < _TITLES_END:
        return titles(data)
    (length,) = struct.unpack(">L", data[2:6])
    _read(connection, min(6 + length - len(data), _MOST_BYTES), deadline)
    sleep(_PAUSE_S)
    connection.sendall(struct.pack(">BxLxBBB", 0x03, 4, *how))
    connection.shutdown(socket.SHUT_WR)
    with suppress(OSError):  # until it hangs up: a closing before that may overtake the rejection
        _read(connection, 1, deadline)
    return titles(data)


def _read(connection: socket.socket, size: int, deadline: float) -> bytes:
    """Read until ``size`` bytes are there, the other side closes, or time is up."""
    data = b""
    while len(data) < size and (left := deadline - monotonic()) > 0:
        connection.settimeout(left)
        more = connection.recv(size - len(data))
        if not more:
            break
        data += more
    return data
