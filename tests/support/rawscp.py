"""A peer that accepts every association and answers as it is told, byte for byte (PS3.7 9.3)."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO

from pydicom import Dataset
from pynetdicom.dsutils import decode
from rawscu import command_set, item, pdu

Reply = Callable[[int, Dataset], bytes]  # of context ID and command set
NO_DATA_SET = 0x0101


def response(number: int, request: Dataset, **changed: int) -> bytes:
    """Return a final response of Success; ``changed``: field, message_id, context, status."""
    elements = {
        0x0002: str(request.AffectedSOPClassUID).encode(),
        0x0100: struct.pack("<H", changed.get("field", request.CommandField | 0x8000)),
        0x0120: struct.pack("<H", changed.get("message_id", request.MessageID)),
        0x0800: struct.pack("<H", NO_DATA_SET),
        0x0900: struct.pack("<H", changed.get("status", 0)),
    }
    body = command_set(elements)
    number = changed.get("context", number)
    return pdu(4, struct.pack(">LBB", len(body) + 2, number, 3) + body)


ABORT = pdu(7, bytes(4))


@contextmanager
def raw_scp(
    reply: Reply, *, after_acceptance: bytes = b"", most_bytes: int | None = None
) -> Iterator[int]:
    """Serve on a port of this machine; yield it.

    With ``most_bytes`` each connection is closed after so many bytes of the acceptance.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        arguments = (server, reply, after_acceptance, most_bytes)
        thread = threading.Thread(target=_serve, args=arguments, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def _serve(
    server: socket.socket, reply: Reply, after_acceptance: bytes, most_bytes: int | None
) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:  # it was shut down
            return
        with connection, suppress(OSError, EOFError):
            _, body = _pdu(connection)
            connection.sendall((_acceptance(body) + after_acceptance)[:most_bytes])
            if most_bytes is None:
                _answer(connection, reply)


def _answer(connection: socket.socket, reply: Reply) -> None:
    request = b""
    while True:
        kind, body = _pdu(connection)
        if kind == 5:  # A-RELEASE-RQ
            connection.sendall(pdu(6, bytes(4)))
            return
        if kind != 4:
            return
        for number, control, fragment in _values(body):
            request += fragment if control & 1 else b""
            asked = decode(BytesIO(request), True, True) if control & 2 else None
            if asked and (not control & 1 or asked.CommandDataSetType == NO_DATA_SET):
                request = b""
                connection.sendall(reply(number, asked))


def _values(body: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield context ID, message control header and fragment of each PDV (PS3.8 9.3.5.1)."""
    while body:
        (length,) = struct.unpack(">L", body[:4])
        yield body[4], body[5], body[6 : 4 + length]
        body = body[4 + length :]


def _acceptance(request: bytes) -> bytes:
    """Accept each presentation context in the first of its transfer syntaxes (PS3.8 9.3.3)."""
    items = item(0x10, b"1.2.840.10008.3.1.1.1")
    for kind, body in _items(request[68:]):
        if kind == 0x20:
            syntax = next(value for sub, value in _items(body[4:]) if sub == 0x40)
            items += item(0x21, struct.pack(">B3x", body[0]) + item(0x40, syntax))
    items += item(0x50, item(0x51, struct.pack(">L", 16384)) + item(0x52, b"1.2.3"))
    return pdu(2, struct.pack(">HH64x", 1, 0) + items)


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        kind, length = struct.unpack(">BxH", data[:4])
        yield kind, data[4 : 4 + length]
        data = data[4 + length :]


def _pdu(connection: socket.socket) -> tuple[int, bytes]:
    kind, length = struct.unpack(">BxL", _exactly(connection, 6))
    return kind, _exactly(connection, length)


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data
