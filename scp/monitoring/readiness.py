"""Is hilum ready to receive and read films? And which roles run.

Everything is read from the database and the disk, so any process can tell. Only sums leave: no
UID, no patient.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select
from sqlalchemy.orm import Session

from scp.archive import Archive
from scp.errors import ArchiveFull
from scp.index.heartbeats import STARTING, fresh_since
from scp.index.schema.tables import Heartbeat

FORGOTTEN = timedelta(days=1)  # a role silent for longer was taken away, and did not just break

_RECEIVE, _WORK = "receive", "work"


@dataclass(frozen=True)
class RoleState:
    """A role that runs, or ran until recently. ``up``: its last heartbeat is recent."""

    name: str
    role: str
    pid: int
    details: dict[str, Any]
    beat_at: datetime
    up: bool


@dataclass(frozen=True)
class Check:
    """One thing that must hold. ``text`` says what is so; if not, what is wrong and the cure."""

    name: str
    ok: bool
    text: str


@dataclass(frozen=True)
class Readiness:
    """Whether films sent now will be taken and read."""

    checks: tuple[Check, ...]

    @property
    def ready(self) -> bool:
        """True when every check holds."""
        return all(check.ok for check in self.checks)

    @property
    def problems(self) -> tuple[Check, ...]:
        """The checks that do not hold."""
        return tuple(check for check in self.checks if not check.ok)


def roles(session: Session, now: datetime) -> list[RoleState]:
    """Return the roles with a heartbeat within a day, by role and name."""
    rows = session.scalars(
        select(Heartbeat)
        .where(Heartbeat.beat_at > now - FORGOTTEN)
        .order_by(Heartbeat.role, Heartbeat.name)
    )
    return [
        RoleState(r.name, r.role, r.pid, r.details, r.beat_at, r.beat_at > fresh_since(now))
        for r in rows
    ]


def readiness(engine: sa.Engine, archive: Archive, now: datetime) -> Readiness:
    """Check database, receiver, model and disk; a check that fails is an answer, not an error."""
    try:
        with Session(engine) as session:
            running = roles(session, now)
    except sa.exc.SQLAlchemyError:
        text = "The database does not answer: check that it runs and that [database] url is right."
        unknown = "Unknown while the database does not answer."
        return Readiness(
            (
                Check("database", False, text),
                Check("receiver", False, unknown),
                Check("model", False, unknown),
                _disk(archive),
            )
        )
    return Readiness(
        (
            Check("database", True, "The database answers."),
            _receiver(running, now),
            _model(running, now),
            _disk(archive),
        )
    )


def _receiver(running: list[RoleState], now: datetime) -> Check:
    """Check that somebody takes films."""
    up = [role for role in running if role.role == _RECEIVE and role.up]
    if up and all(_is_full(role.details) for role in up):
        most = up[0].details["at_most"]
        text = f"New associations are rejected: all  {most} associations of each receiver are open."
        return Check(
            "receiver", False, f"{text} If this persists, raise [receiver] max_associations."
        )
    if up:
        return Check("receiver", True, f"Listening: {', '.join(role.name for role in up)}.")
    wrong = f"No film can be received: {_silence(running, _RECEIVE, now)}"
    return Check("receiver", False, f"{wrong}. Start it with 'hilum serve' and read its log.")


def _is_full(details: dict[str, Any]) -> bool:
    return bool(details.get("at_most")) and details.get("associations", 0) >= details["at_most"]


def _model(running: list[RoleState], now: datetime) -> Check:
    """Check that somebody reads films, with a model in memory."""
    up = [role for role in running if role.role == _WORK and role.up]
    loaded = [role for role in up if role.details.get("model")]
    if loaded:
        models = ", ".join(sorted({_model_text(role.details) for role in loaded}))
        return Check("model", True, f"Loaded: {models}.")
    if up:
        text = "Films wait: a worker runs, but its model is not loaded yet. If this lasts, read its"
        return Check("model", False, f"{text} log: it names the model folder that it cannot read.")
    wrong = f"Films wait and are not read: {_silence(running, _WORK, now)}"
    return Check("model", False, f"{wrong}. Start it with 'hilum serve' and read its log.")


def _model_text(details: dict[str, Any]) -> str:
    """Return which model runs where."""
    named = f"{details['model']} {details.get('version', '')}".strip()
    return f"{named} on {details['device']}" if details.get("device") else named


def _silence(running: list[RoleState], role: str, now: datetime) -> str:
    """Say since when a role is gone, or that it starts."""
    if any(state.details.get(STARTING) for state in running if state.role == role):
        return f"role '{role}' is starting"
    last = max((state.beat_at for state in running if state.role == role), default=None)
    if last is None:
        return f"no process of role '{role}' sent a heartbeat in the last day"
    return f"role '{role}' sent its last heartbeat {(now - last).total_seconds():.0f} s ago"


def _disk(archive: Archive) -> Check:
    """Check that there is room for another film."""
    try:
        archive.require_space()
        free = archive.disk.free
    except ArchiveFull as error:
        return Check("disk", False, f"Films are refused: {error}.")
    except OSError:
        text = (
            "data_dir cannot be reached: check that its disk is mounted at the path in config.toml."
        )
        return Check("disk", False, text)
    return Check("disk", True, f"{free // 1_000_000} MB are free.")
