"""A sender that speaks byte by byte: PS3.8 9.3 (PDUs), PS3.7 6.3 and E.1 (command sets)."""

import socket
import struct
from contextlib import suppress
from io import BytesIO

from pynetdicom.dsutils import decode
from pynetdicom.sop_class import Verification

DEADLINE_S = 60.0
_PIECE_BYTES = 100_000  # less than a receiver's largest PDU


class RawScu:
    """An association on a socket of its own, which may also break the rules."""

    def __init__(
        self,
        port: int,
        sop_class: str,
        syntax: str,
        *,
        calling: str = "RAW",
        address: str = "127.0.0.1",
    ) -> None:
        contexts = context(1, sop_class, syntax) + context(3, Verification, syntax)
        user = item(0x51, struct.pack(">L", 1 << 16)) + item(0x52, b"1.2.3")
        self._sop_class = sop_class
        self._ask(
            port,
            pdu(
                1,
                struct.pack(">HH16s16s32x", 1, 0, b"HILUM".ljust(16), calling.encode().ljust(16))
                + item(0x10, b"1.2.840.10008.3.1.1.1")
                + contexts
                + item(0x50, user),
            ),
            address,
        )

    @classmethod
    def on(cls, port: int, request: bytes) -> "RawScu":
        """Ask for an association by these very bytes, and have it accepted."""
        peer = cls.__new__(cls)
        peer._ask(port, request)
        return peer

    def _ask(self, port: int, request: bytes, address: str = "127.0.0.1") -> None:
        where = ("127.0.0.1", port)
        self._socket = socket.create_connection(where, DEADLINE_S, (address, 0))
        self.send(request)
        kind, _ = self._receive()
        assert kind == 2, "the association was not accepted"

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def pdv(self, fragment: bytes, control: int, number: int = 1) -> None:
        """Send one fragment. ``control``: 1 command (else data set), 2 the last one."""
        body = struct.pack(">LBB", len(fragment) + 2, number, control) + fragment
        self.send(pdu(4, body))

    def begin_store(self, data: bytes | None, uid: str, sop_class: str | None = None) -> None:
        """Send a C-STORE-RQ and a first piece of its data set; None: it says there is none."""
        command = {
            0x0002: (sop_class or self._sop_class).encode(),
            0x0100: struct.pack("<H", 0x0001),
            0x0110: struct.pack("<H", 7),
            0x0700: struct.pack("<H", 2),
            0x0800: struct.pack("<H", 0x0101 if data is None else 0x0001),
            0x1000: uid.encode(),
        }
        self.pdv(command_set(command), 0x03)
        if data is not None:
            self.go_on(data)

    def go_on(self, data: bytes, *, last: bool = False) -> None:
        self.pdv(data, 0x02 if last else 0x00)

    def store(self, data: bytes | None, uid: str, sop_class: str | None = None) -> int:
        self.begin_store(None if data is None else data[:_PIECE_BYTES], uid, sop_class)
        if data is not None:
            for at in range(_PIECE_BYTES, len(data), _PIECE_BYTES):
                self.go_on(data[at : at + _PIECE_BYTES])
            self.go_on(b"", last=True)
        return self.status()

    def echo(self, number: int = 3) -> int:
        command = {
            0x0002: Verification.encode(),
            0x0100: struct.pack("<H", 0x0030),
            0x0110: struct.pack("<H", 8),
            0x0800: struct.pack("<H", 0x0101),
        }
        self.pdv(command_set(command), 0x03, number)
        return self.status()

    def status(self) -> int:
        """Return the status of the next response."""
        kind, body = self._receive()
        assert kind == 4, f"a PDU of type {kind} instead of an answer"
        return decode(BytesIO(body[6:]), True, True).Status

    def release(self) -> None:
        self.send(pdu(5, bytes(4)))
        assert self._receive()[0] == 6
        self.close()

    def abort(self) -> None:
        self.send(pdu(7, bytes(4)))
        self.close()

    def reset(self) -> None:
        """Close as a crashed machine does."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        self._socket.close()

    def is_closed(self) -> bool:
        """Wait for the other side to abort or close."""
        try:
            return self._receive()[0] == 7
        except OSError:
            return True

    def ended(self) -> None:
        """Wait for the other side to close, whatever it says before."""
        with suppress(ConnectionError):
            while self._socket.recv(65536):
                pass

    def _receive(self) -> tuple[int, bytes]:
        kind, length = struct.unpack(">BxL", self._read(6))
        return kind, self._read(length)

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._socket.recv(size - len(data))
            if not more:
                raise ConnectionError("the connection was closed")
            data += more
        return data


def pdu(kind: int, body: bytes) -> bytes:
    """A PDU of this type (PS3.8 9.3.1)."""
    return struct.pack(">BxL", kind, len(body)) + body


def item(kind: int, body: bytes) -> bytes:
    """An item or a sub-item of a PDU."""
    return struct.pack(">BxH", kind, len(body)) + body


def context(number: int, abstract: str, *syntaxes: str) -> bytes:
    """A presentation context of a request (PS3.8 9.3.2.2)."""
    names = item(0x30, abstract.encode())
    names += b"".join(item(0x40, syntax.encode()) for syntax in syntaxes)
    return item(0x20, struct.pack(">B3x", number) + names)


def command_set(elements: dict[int, bytes]) -> bytes:
    """Encode group 0000 in Implicit VR Little Endian."""
    body = b""
    for element, value in elements.items():
        padded = value + b"\0" * (len(value) % 2)
        body += struct.pack("<HHL", 0, element, len(padded)) + padded
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body
