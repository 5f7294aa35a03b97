"""Index, archive and queue in a folder, and real peers to speak with, for the network's tests."""

import shutil
import socket
import struct
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from io import BytesIO
from pathlib import Path
from time import monotonic

import sqlalchemy as sa
from pydicom import Dataset, FileDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.dsutils import decode, encode, split_dataset
from pynetdicom.sop_class import Verification
from service import wait_for
from sqlalchemy import select
from sqlalchemy.orm import Session

from scp.archive import Archive, ArchiveSettings
from scp.dimse.peers import TRANSFER_SYNTAXES
from scp.dimse.receiver import Receiver, ReceiverSettings, open_listener
from scp.index.database import migrate, open_database
from scp.index.schema import Base, Delivery, Instance, Quarantined
from scp.intake import Intake, Request
from scp.queue import Jobs

DEADLINE_S = 60.0  # the machine may be busy; nothing below waits for it to pass
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@cache
def _empty_database() -> bytes:
    """Make the tables once: that takes longer than most of these tests."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hilum.sqlite"
        engine = open_database(f"sqlite:///{path}")
        migrate(engine)
        engine.dispose()  # the last connection of SQLite folds the log into the file
        return path.read_bytes()


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    at: datetime = NOW

    def __call__(self) -> datetime:
        return self.at

    def forward(self, **delta: float) -> None:
        self.at += timedelta(**delta)


@dataclass
class Ground:
    """What the service stands on, in a folder of its own."""

    folder: Path
    engine: sa.Engine
    archive: Archive
    jobs: Jobs
    clock: Clock = field(default_factory=Clock)

    @property
    def intake(self) -> Intake:
        return Intake(self.engine, self.archive, self.jobs, self.clock)

    def instances(self) -> list[Instance]:
        return self._all(Instance)

    def refused(self) -> list[Quarantined]:
        return self._all(Quarantined)

    def deliveries(self) -> list[Delivery]:
        return self._all(Delivery)

    def jobs_by_id(self) -> dict[str, str]:
        """Return the state of every job that is not done."""
        return {job.workflow_id: job.status for job in self.jobs.unfinished()}

    def files(self, kind: str) -> list[Path]:
        return sorted(path for path in (self.folder / kind).rglob("*") if path.is_file())

    def _all(self, table: type[Base]) -> list:
        with Session(self.engine) as session:
            return list(session.scalars(select(table).order_by(table.id)).unique())


@contextmanager
def open_ground(folder: Path, archive: Archive | None = None) -> Iterator[Ground]:
    """Open a database and an archive; no room is kept free, for the machine may have little."""
    archive = archive or Archive(folder, ArchiveSettings(reserve_mb=0))
    path = folder / "hilum.sqlite"
    if not path.exists():
        path.write_bytes(_empty_database())
    engine = open_database(f"sqlite:///{path}")
    jobs = Jobs(engine)
    try:
        yield Ground(folder, engine, archive, jobs)
    finally:
        jobs.close()
        engine.dispose()


@contextmanager
def database_away(ground: Ground) -> Iterator[None]:
    """Take the database away while this lasts: every statement is an OperationalError."""
    ground.engine.dispose()
    aside = [(p, ground.folder / f"aside-{p.name}") for p in ground.folder.glob("hilum.sqlite*")]
    for path, to in aside:
        path.replace(to)
    (ground.folder / "hilum.sqlite").mkdir()
    try:
        yield
    finally:
        ground.engine.dispose()
        (ground.folder / "hilum.sqlite").rmdir()
        for path, to in aside:
            to.replace(path)


def save(ds: FileDataset, path: Path) -> Path:
    """Write a film as a Part 10 file."""
    path.parent.mkdir(exist_ok=True, parents=True)
    ds.save_as(path, enforce_file_format=True)
    return path


def request_for(ds: Dataset, calling: str = "XRAY1") -> Request:
    """Say of a film what it says of itself."""
    return Request(calling, str(ds.SOPClassUID), str(ds.SOPInstanceUID))


@contextmanager
def receiving(
    ground: Ground,
    *,
    listening: socket.socket | None = None,
    intake: Intake | None = None,
    secondary_captures: bool = False,
    **settings: object,
) -> Iterator[Receiver]:
    """Run a receiver on a port of its own."""
    before = tempfile.tempdir
    listening = listening or open_listener("127.0.0.1", 0)
    receiver = Receiver(
        ReceiverSettings(**settings),
        intake or ground.intake,
        listening,
        secondary_captures=secondary_captures,
    )
    thread = threading.Thread(target=receiver.serve)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.stop(_is_soon)
        thread.join(DEADLINE_S)
        tempfile.tempdir = before
        wait_for(
            lambda: not receiver.ae.active_associations, "the end of all associations", DEADLINE_S
        )


def _is_soon(done: Callable[[], bool]) -> bool:
    """Give open associations a second, as `scp.roles.wait_until` gives them five."""
    tick, deadline = threading.Event(), monotonic() + 1
    while not done() and monotonic() < deadline:
        tick.wait(0.02)
    return done()


def port_of(receiver: Receiver) -> int:
    """Return where a receiver listens."""
    return receiver._server.server_address[1]


@contextmanager
def associated(port: int, contexts: list[tuple[str, list[str]]], **names: str) -> Iterator:
    """Associate as pynetdicom's SCU; yield the association, established or not."""
    ae = AE(ae_title=names.get("calling", "XRAY1"))
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = DEADLINE_S
    for sop_class, syntaxes in contexts:
        ae.add_requested_context(sop_class, syntaxes)
    association = ae.associate("127.0.0.1", port, ae_title=names.get("called", "HILUM"))
    try:
        yield association
    finally:
        if association.is_established:
            association.release()
        wait_for(lambda: not association.is_alive(), "the association to end", DEADLINE_S)


def store(port: int, ds: Dataset, **names: str) -> int:
    """C-STORE one film; return the status, or -1 when there was no answer."""
    context = [(ds.SOPClassUID, [ds.file_meta.TransferSyntaxUID])]
    with associated(port, context, **names) as association:
        assert association.is_established, "no association"
        return association.send_c_store(ds).get("Status", -1)


def data_set(ds: Dataset) -> bytes:
    """Return an uncompressed film's data set as it goes over the network."""
    return encode(ds, is_implicit_vr=False, is_little_endian=True)


class RawScu:
    """A sender that speaks byte by byte, and so can also break the rules (PS3.8 9.3, PS3.7 E.1)."""

    def __init__(self, port: int, sop_class: str, syntax: str) -> None:
        self._sop_class = sop_class
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
        contexts = _context(1, sop_class, syntax) + _context(3, Verification, syntax)
        user = _item(0x51, struct.pack(">L", 1 << 16)) + _item(0x52, b"1.2.3")
        self.send(
            _pdu(
                1,
                struct.pack(">HH16s16s32x", 1, 0, b"HILUM".ljust(16), b"RAW".ljust(16))
                + _item(0x10, b"1.2.840.10008.3.1.1.1")
                + contexts
                + _item(0x50, user),
            )
        )
        kind, _ = self._receive()
        assert kind == 2, "the association was not accepted"

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def pdv(self, fragment: bytes, control: int, context: int = 1) -> None:
        """Send one fragment. ``control``: 1 command (else data set), 2 the last one."""
        body = struct.pack(">LBB", len(fragment) + 2, context, control) + fragment
        self.send(_pdu(4, body))

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
        self.pdv(_command(command), 0x03)
        if data is not None:
            self.go_on(data)

    def go_on(self, data: bytes, *, last: bool = False) -> None:
        self.pdv(data, 0x02 if last else 0x00)

    def store(self, data: bytes | None, uid: str, sop_class: str | None = None) -> int:
        self.begin_store(data, uid, sop_class)
        if data is not None:
            self.go_on(b"", last=True)
        return self.status()

    def echo(self) -> int:
        command = {
            0x0002: Verification.encode(),
            0x0100: struct.pack("<H", 0x0030),
            0x0110: struct.pack("<H", 8),
            0x0800: struct.pack("<H", 0x0101),
        }
        self.pdv(_command(command), 0x03, context=3)
        return self.status()

    def status(self) -> int:
        """Return the status of the next response."""
        kind, body = self._receive()
        assert kind == 4, f"a PDU of type {kind} instead of an answer"
        return decode(BytesIO(body[6:]), True, True).Status

    def release(self) -> None:
        self.send(_pdu(5, bytes(4)))
        assert self._receive()[0] == 6
        self.close()

    def abort(self) -> None:
        self.send(_pdu(7, bytes(4)))
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


def _pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxL", kind, len(body)) + body


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(body)) + body


def _context(number: int, abstract: str, syntax: str) -> bytes:
    names = _item(0x30, abstract.encode()) + _item(0x40, syntax.encode())
    return _item(0x20, struct.pack(">B3x", number) + names)


def _command(elements: dict[int, bytes]) -> bytes:
    """Encode group 0000 in Implicit VR Little Endian."""
    body = b""
    for element, value in elements.items():
        padded = value + b"\0" * (len(value) % 2)
        body += struct.pack("<HHL", 0, element, len(padded)) + padded
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


@contextmanager
def raw(receiver: Receiver, syntax: str = ExplicitVRLittleEndian) -> Iterator[RawScu]:
    """Associate for digital X-rays and C-ECHO; close at the end, politely or not."""
    peer = RawScu(port_of(receiver), DigitalXRayImageStorageForPresentation, syntax)
    try:
        yield peer
    finally:
        peer.close()


class Pacs:
    """A destination: pynetdicom's SCP, whose answer to each C-STORE a function gives."""

    def __init__(
        self,
        sop_classes: list[str],
        answer: Callable[["Pacs", evt.Event], int] = lambda _pacs, _event: 0x0000,
    ) -> None:
        self.received: list[str] = []
        self.stored: list[str] = []
        self._answer = answer
        self._ae = AE(ae_title="PACS")
        for sop_class in sop_classes:
            self._ae.add_supported_context(sop_class, TRANSFER_SYNTAXES)
        self._ae.add_supported_context(Verification)

    def __enter__(self) -> "Pacs":
        self.start(0)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, port: int) -> None:
        self._server = self._ae.start_server(
            ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._on_store)]
        )
        self.port = self._server.socket.getsockname()[1]

    def stop(self) -> None:
        self._ae.shutdown()
        wait_for(
            lambda: not self._ae.active_associations, "the end of the associations", DEADLINE_S
        )

    def _on_store(self, event: evt.Event) -> int:
        self.received.append(event.request.AffectedSOPInstanceUID)
        status = self._answer(self, event)
        if status == 0:
            self.stored.append(event.request.AffectedSOPInstanceUID)
        return status


def data_set_bytes(path: Path) -> bytes:
    """Return a Part 10 file without what stands before the data set."""
    return path.read_bytes()[split_dataset(path)[1] :]


def threads() -> set[threading.Thread]:
    """Return the threads that run now."""
    return set(threading.enumerate())


def open_files() -> int:
    """Return how many file descriptors this process has open."""
    return sum(1 for _ in Path("/proc/self/fd" if sys.platform == "linux" else "/dev/fd").iterdir())


def copy_of(path: Path, folder: Path) -> Path:
    """Return a copy that may be moved away."""
    return Path(shutil.copy(path, folder / "received.dcm"))
