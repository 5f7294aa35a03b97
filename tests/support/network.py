"""Index, archive and queue in a folder, and real peers to speak with, for the network's tests."""

import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from time import monotonic

import sqlalchemy as sa
from films import make_film_ds
from pydicom import Dataset, FileDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian
from pynetdicom import AE, _config, evt
from pynetdicom.dsutils import encode, split_dataset
from pynetdicom.sop_class import Verification
from rawscu import RawScu
from service import wait_for
from sqlalchemy import select
from sqlalchemy.orm import Session

from scp.archive import Archive
from scp.config.network import ReceiverSettings
from scp.config.storage import ArchiveSettings
from scp.dimse.peers import TRANSFER_SYNTAXES
from scp.dimse.receiver import Receiver
from scp.dimse.request import Request
from scp.index.database import migrate, open_database
from scp.index.schema.tables import Base, Delivery, Instance, Quarantined
from scp.outcomes.associations import FailedAssociation
from scp.pipeline.intake import Intake
from scp.pipeline.queue import Jobs
from scp.processes.sockets import open_listener

DEADLINE_S = 60.0  # the machine may be busy; nothing below waits for it to pass
ECHO = [(Verification, [ExplicitVRLittleEndian])]
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
class Stores:
    """Database, archive and queue of a service, in a folder of its own."""

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
def open_stores(folder: Path, archive: Archive | None = None) -> Iterator[Stores]:
    """Open a database and an archive; no room is kept free, for the machine may have little."""
    archive = archive or Archive(folder, ArchiveSettings(reserve_mb=0))
    path = folder / "hilum.sqlite"
    if not path.exists():
        path.write_bytes(_empty_database())
    engine = open_database(f"sqlite:///{path}")
    jobs = Jobs(engine)
    try:
        yield Stores(folder, engine, archive, jobs)
    finally:
        jobs.close()
        engine.dispose()


@contextmanager
def database_away(stores: Stores) -> Iterator[None]:
    """Take the database away while this lasts: every statement is an OperationalError."""
    stores.engine.dispose()
    aside = [(p, stores.folder / f"aside-{p.name}") for p in stores.folder.glob("hilum.sqlite*")]
    for path, to in aside:
        path.replace(to)
    (stores.folder / "hilum.sqlite").mkdir()
    try:
        yield
    finally:
        stores.engine.dispose()
        (stores.folder / "hilum.sqlite").rmdir()
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
    stores: Stores,
    *,
    listening: socket.socket | None = None,
    tls_listening: socket.socket | None = None,
    intake: Intake | None = None,
    secondary_captures: bool = False,
    moved_by: str | None = None,
    tell: Callable[[FailedAssociation], None] = lambda _: None,
    **settings: object,
) -> Iterator[Receiver]:
    """Run a receiver on a port of its own."""
    before = tempfile.tempdir, _config.STORE_RECV_CHUNKED_DATASET  # a receiver sets both
    intake = intake or stores.intake
    listening = listening or open_listener("127.0.0.1", 0)
    receiver = Receiver(
        ReceiverSettings(**settings),
        intake.ingest,
        listening,
        intake.archive.incoming,
        take_prior=intake.ingest_prior,
        secondary_captures=secondary_captures,
        moved_by=moved_by,
        tls_listening=tls_listening,
        tell=tell,
        require_space=intake.archive.require_space,
    )
    thread = threading.Thread(target=receiver.serve)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.stop(_is_soon)
        thread.join(DEADLINE_S)
        tempfile.tempdir, _config.STORE_RECV_CHUNKED_DATASET = before
        wait_for(
            lambda: not receiver.ae.active_associations, "the end of all associations", DEADLINE_S
        )


def _is_soon(done: Callable[[], bool]) -> bool:
    """Give open associations a second, as `scp.processes.runtime.wait_until` gives them five."""
    tick, deadline = threading.Event(), monotonic() + 1
    while not done() and monotonic() < deadline:
        tick.wait(0.02)
    return done()


def port_of(receiver: Receiver) -> int:
    """Return where a receiver listens."""
    return receiver.servers[0].server_address[1]


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


def store(port: int, ds: Dataset, originator: str | None = None, **names: str) -> int:
    """C-STORE one film; return the status, or -1 when there was no answer.

    ``originator`` is who began the C-MOVE of which this is said to be part.
    """
    context = [(ds.SOPClassUID, [ds.file_meta.TransferSyntaxUID])]
    with associated(port, context, **names) as association:
        assert association.is_established, "no association"
        return association.send_c_store(ds, originator_aet=originator).get("Status", -1)


def data_set(ds: Dataset) -> bytes:
    """Return an uncompressed film's data set as it goes over the network."""
    return encode(ds, is_implicit_vr=False, is_little_endian=True)


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


@contextmanager
def mute(data: bytes) -> Iterator[int]:
    """A server that accepts, says ``data`` and then nothing more, but stays connected."""
    open_connections = []

    def serve():
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            open_connections.append(connection)
            connection.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(DEADLINE_S)
            for connection in open_connections:
                connection.close()


def film(**more: object) -> FileDataset:
    """Make a small film; the same arguments make the same bytes."""
    return make_film_ds(rows=16, columns=16, **more)


def echo(port: int, **names: str) -> int | None:
    """C-ECHO; return the status, or None without an association."""
    with associated(port, ECHO, **names) as association:
        return association.send_c_echo().get("Status") if association.is_established else None


def rejection(
    port: int, contexts: list[tuple[str, list[str]]] = ECHO, **names: str
) -> tuple[int, int, int]:
    """Return (result, source, reason) of an A-ASSOCIATE-RJ."""
    with associated(port, contexts, **names) as association:
        assert association.is_rejected
        answer = association.acceptor.primitive
        return answer.result, answer.result_source, answer.diagnostic


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
