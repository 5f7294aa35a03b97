"""The roles of the service, each a process: receive, work, dashboard."""

import fcntl
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from time import monotonic
from uuid import uuid4

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from scp.archive import Archive
from scp.config.load import Settings
from scp.errors import ServiceError
from scp.index.database import migrate, open_database
from scp.index.heartbeats import BEAT_S, Role, beat, begin, deregister
from scp.index.similar_ids import mark_placeholders
from scp.pipeline.queue import Jobs

log = structlog.get_logger(__name__)

START_ID = "ROLE_START_ID"  # of the environment (not HILUM_: no setting): names a life
DRAIN_S = 5.0  # how long running work may continue after a stop was requested


def now() -> datetime:
    """Return the time. The service's only clock."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class ServiceContext:
    """What every role needs."""

    settings: Settings
    engine: sa.Engine
    archive: Archive
    jobs: Jobs


@contextmanager
def open_context(settings: Settings) -> Iterator[ServiceContext]:
    """Open archive, database and queue, and bring the tables up to date."""
    archive = Archive(settings.data_dir, settings.archive)
    engine = open_database(settings.database_url)
    migrate(engine)
    with Session(engine) as session, session.begin():
        mark_placeholders(session, settings.patients.placeholders)
    jobs = Jobs(engine)
    try:
        yield ServiceContext(settings, engine, archive, jobs)
    finally:
        jobs.close()
        engine.dispose()


def default_name(role: str, number: int = 1) -> str:
    """Return a name that is the same after a restart and different on every host."""
    return f"{role}-{socket.gethostname()}-{number}"


@contextmanager
def only_one(archive: Archive, name: str) -> Iterator[None]:
    """Hold a role's name: two workers of one name would do each other's films over again.

    Raises
    ------
    ServiceError
        Another process holds it.
    """
    folder = archive.data_dir / "locks"
    folder.mkdir(exist_ok=True)
    with (folder / f"{name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ServiceError(
                f"{name} is already running on {archive.data_dir}: stop it, or give this one"
                " another --name"
            ) from error
        yield


class Stop:
    """Set by SIGTERM, SIGINT, or the death of the supervisor; the main thread waits for it."""

    def __init__(self, supervisor: int | None = None) -> None:
        self._event = Event()
        self._supervisor = supervisor
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._event.set())

    def wait(self, timeout_s: float) -> bool:
        """Wait, and return whether it is time to stop."""
        orphaned = self._supervisor is not None and os.getppid() != self._supervisor
        return orphaned or self._event.wait(timeout_s)


def beat_file(archive: Archive, name: str) -> Path:
    """Return the file that a role touches at each heartbeat, for health checks."""
    return archive.data_dir / "beats" / name


def this_start() -> str:
    """Return what tells this life of a role from others: the supervisor's word, or one of ours."""
    return os.environ.get(START_ID) or uuid4().hex


def begin_role(context: ServiceContext, name: str, role: str, start_id: str) -> None:
    """Say that a role starts: what an earlier life of it said no longer counts."""
    beat_file(context.archive, name).unlink(missing_ok=True)
    with Session(context.engine) as session, session.begin():
        begin(session, Role(name, role, os.getpid(), {}, start_id), now())


def beat_until(
    stop: Stop,
    context: ServiceContext,
    role: Role,
    *,
    every_beat: Callable[[], None] = lambda: None,
    works: Callable[[], bool] = lambda: True,
) -> None:
    """Say every few seconds that a role is alive, until it is to stop; then take leave.

    A database that is away for a while is waited for, not died of.

    Parameters
    ----------
    works
        Whether the thread of this heartbeat still runs.

    Raises
    ------
    ServiceError
        It has ended by itself: this process is of no use, and must not say that it is.
    """
    file = beat_file(context.archive, role.name)
    while works():
        try:
            with Session(context.engine) as session, session.begin():
                if not beat(session, role, now()):
                    log.error("another process sends heartbeats under this name", name=role.name)
            file.parent.mkdir(exist_ok=True)
            file.touch()
            every_beat()
        except (SQLAlchemyError, OSError):
            log.exception("no heartbeat")
        if stop.wait(BEAT_S):
            break
    ended = not works()
    file.unlink(missing_ok=True)
    with suppress(SQLAlchemyError), Session(context.engine) as session, session.begin():
        deregister(session, role.name, role.start_id)
    if ended:
        raise ServiceError(
            f"{role.name}: the thread that does its work has ended; the log before this says why."
            " Start it again ('hilum serve' does so by itself)"
        )


def wait_until(done: Callable[[], bool], timeout_s: float = DRAIN_S) -> bool:
    """Wait for something that nobody announces; return whether it came."""
    tick, deadline = Event(), monotonic() + timeout_s
    while not done():
        if monotonic() > deadline:
            return False
        tick.wait(0.05)
    return True
