"""The whole service on one machine: start the roles as processes, and keep them running.

The listening sockets are opened here, once: while a role restarts, connections queue.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from time import monotonic
from uuid import uuid4

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from scp.config.load import Settings
from scp.errors import CANNOT_START, ServiceError
from scp.index.heartbeats import Role, alive, deregister
from scp.outcomes.backoff import backoff_s
from scp.processes.runtime import (
    START_ID,
    ServiceContext,
    Stop,
    begin_role,
    default_name,
    now,
    open_context,
)
from scp.processes.sockets import ReceiverSockets, open_socket, receiver_sockets

log = structlog.get_logger(__name__)

_READY_WITHIN_S = 120.0  # loading torch from a cold disk takes most of a minute
_STOP_WITHIN_S = 9.0
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0


@dataclass
class _Child:
    """A role's process, started again when it dies; each time after a longer pause."""

    name: str
    command: list[str]
    sockets: tuple[socket.socket, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    deaths: int = 0
    restart_at: float = 0.0
    started_at: float = field(default_factory=monotonic)
    start_id: str = ""

    def start(self, context: ServiceContext) -> None:
        """Start the process, in a session of its own: Ctrl-C reaches it through us alone."""
        self.started_at, self.start_id = monotonic(), uuid4().hex
        with suppress(SQLAlchemyError):  # the role says so itself when the database is back
            begin_role(context, self.name, self.command[0], self.start_id)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "scp.cli", *self.command],
            pass_fds=[listening.fileno() for listening in self.sockets],
            start_new_session=True,
            env=os.environ | {START_ID: self.start_id},
        )

    def revive(self, context: ServiceContext) -> None:
        """Start the process again if it is dead and its pause is over."""
        if self.process is not None and self.process.poll() is not None:
            code, self.process = self.process.returncode, None
            with suppress(SQLAlchemyError), Session(context.engine) as session, session.begin():
                deregister(session, self.name, self.start_id)
            if monotonic() - self.started_at > 60:
                self.deaths = 0
            self.deaths += 1
            pause_s = backoff_s(_FIRST_PAUSE_S, self.deaths, _LONGEST_PAUSE_S)
            self.restart_at = monotonic() + pause_s
            log.error("role died", name=self.name, code=code, again_in_s=pause_s)
        if self.process is None and monotonic() >= self.restart_at:
            self.start(context)


def serve(settings: Settings, config: str, announce: Callable[[str], None]) -> None:
    """Run the service until SIGTERM or SIGINT.

    Raises
    ------
    ServiceError
        A port is taken, or a role cannot start and has said why.
    """
    receiver, web = settings.receiver, settings.dashboard
    with (
        closing(receiver_sockets(receiver)) as dicom,
        open_socket(web.host, web.port, "dashboard") as http,
        open_context(settings) as context,
    ):
        stop = Stop()
        children = _children(settings, config, dicom, http)
        for child in children:
            child.start(context)
        try:
            ready = _await_ready(context, children, stop)
            if ready is not None:
                announce(_ready_line(receiver.ae_title, dicom, http, ready))
            while not stop.wait(0.2):
                for child in children:
                    child.revive(context)
        finally:
            _stop_all(children)
    log.info("stopped")


def _children(
    settings: Settings, config: str, dicom: ReceiverSockets, http: socket.socket
) -> list[_Child]:
    shared_options = ["--config", config, "--supervisor", str(os.getpid())]
    given = [f"--fd={dicom.plain.fileno()}"] if dicom.plain else []
    given += [f"--tls-fd={dicom.tls.fileno()}"] if dicom.tls else []
    receivers = [
        _Child(
            name := default_name("receive", number + 1),
            ["receive", *shared_options, "--name", name, *given],
            dicom.all,
        )
        for number in range(settings.receiver.processes)
    ]
    worker, web = default_name("work"), default_name("dashboard")
    return [
        *receivers,
        _Child(worker, ["work", *shared_options, "--name", worker]),
        _Child(
            web, ["dashboard", *shared_options, "--name", web, "--fd", str(http.fileno())], (http,)
        ),
    ]


def _await_ready(context: ServiceContext, children: list[_Child], stop: Stop) -> list[Role] | None:
    """Wait until each role says that it is alive; None when told to stop before."""
    deadline = monotonic() + _READY_WITHIN_S
    while not stop.wait(0.1):
        for child in children:
            if child.process is not None and child.process.poll() == CANNOT_START:
                raise ServiceError(f"{child.name} cannot start; its message is above")
        with Session(context.engine) as session:
            beating = {(role.name, role.start_id): role for role in alive(session, now())}
        lives = [(child.name, child.start_id) for child in children if child.process is not None]
        if all(life in beating for life in lives) and len(lives) == len(children):
            return [beating[life] for life in lives]
        if monotonic() > deadline:
            raise ServiceError(f"not ready after {_READY_WITHIN_S:.0f} s; the log above says why")
        for child in children:
            child.revive(context)
    return None


def _ready_line(
    ae_title: str, dicom: ReceiverSockets, http: socket.socket, roles: list[Role]
) -> str:
    model = next(role.details for role in roles if role.role == "work")
    http_host, http_port = http.getsockname()[:2]
    return (
        f"hilum is ready: DICOM {ae_title}@{dicom}"
        f" | dashboard http://{http_host}:{http_port}"
        f" | model {model['model']} {model['version']} on {model['device']}"
    )


def _stop_all(children: list[_Child]) -> None:
    """Ask all roles to stop, wait, and end those that do not."""
    running = [child.process for child in children if child.process is not None]
    for process in running:
        process.send_signal(signal.SIGTERM)
    deadline = monotonic() + _STOP_WITHIN_S
    for process in running:
        try:
            process.wait(max(0.0, deadline - monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
