"""Which roles run, and when each last said so."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from scp.index.schema import Heartbeat

BEAT_S = 2.0
FRESH = timedelta(seconds=15)  # seven missed beats: busy is not yet dead


@dataclass(frozen=True)
class Role:
    """A running role as it describes itself."""

    name: str
    role: str
    pid: int
    details: dict[str, Any]


def beat(session: Session, role: Role, now: datetime) -> None:
    """Say that a role is alive and ready."""
    session.merge(
        Heartbeat(name=role.name, role=role.role, pid=role.pid, details=role.details, beat_at=now)
    )


def leave(session: Session, name: str) -> None:
    """Say that a role has stopped."""
    session.execute(delete(Heartbeat).where(Heartbeat.name == name))


def alive(session: Session, now: datetime) -> list[Role]:
    """Return the roles that were heard of lately."""
    rows = session.scalars(
        select(Heartbeat).where(Heartbeat.beat_at > now - FRESH).order_by(Heartbeat.name)
    )
    return [Role(row.name, row.role, row.pid, row.details) for row in rows]
