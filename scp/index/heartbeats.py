"""Which roles run, and when each last wrote a heartbeat."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from scp.index.schema.tables import Heartbeat

BEAT_S = 2.0
FRESH = timedelta(seconds=15)  # seven missed beats: busy is not yet dead
STARTING = "starting"


def fresh_since(now: datetime) -> datetime:
    """Return since when a role that is alive has been heard of."""
    return now - FRESH


@dataclass(frozen=True)
class Role:
    """A running role as it describes itself; ``start_id`` is this life's alone."""

    name: str
    role: str
    pid: int
    details: dict[str, Any]
    start_id: str = ""


def begin(session: Session, role: Role, now: datetime) -> None:
    """Say that a role starts: what an earlier life of it said no longer counts."""
    session.merge(
        Heartbeat(
            name=role.name,
            role=role.role,
            pid=role.pid,
            start_id=role.start_id,
            details={STARTING: True},
            beat_at=fresh_since(now),
        )
    )


def beat(session: Session, role: Role, now: datetime) -> bool:
    """Say that a role is alive and ready; False when another process says so under its name."""
    values = {"pid": role.pid, "start_id": role.start_id, "details": role.details, "beat_at": now}
    ours = or_(Heartbeat.start_id == role.start_id, Heartbeat.beat_at <= fresh_since(now))
    beaten = session.scalar(
        update(Heartbeat)
        .where(Heartbeat.name == role.name, ours)
        .values(values)
        .returning(Heartbeat.name)
    )
    if beaten is not None:
        return True
    if session.get(Heartbeat, role.name) is not None:
        return False
    session.add(Heartbeat(name=role.name, role=role.role, **values))
    return True


def deregister(session: Session, name: str, start_id: str = "") -> None:
    """Say that this life of a role has stopped; another one's word stays."""
    session.execute(delete(Heartbeat).where(Heartbeat.name == name, Heartbeat.start_id == start_id))


def alive(session: Session, now: datetime) -> list[Role]:
    """Return the roles with a recent heartbeat."""
    rows = session.scalars(
        select(Heartbeat).where(Heartbeat.beat_at > fresh_since(now)).order_by(Heartbeat.name)
    )
    return [Role(row.name, row.role, row.pid, row.details, row.start_id or "") for row in rows]
