"""Tables of the service's own operation: what was refused, and which roles run."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from scp.index.schema.states import Base


class Quarantined(Base):
    """Bytes that were refused, and why."""

    __tablename__ = "quarantined"

    id: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str]
    sha256: Mapped[str]
    sop_instance_uid: Mapped[str]
    calling_ae_title: Mapped[str]
    status: Mapped[int]
    reason: Mapped[str]
    received_at: Mapped[datetime] = mapped_column(index=True)


class Heartbeat(Base):
    """A running role: which life of it, what it offers, and when it last said so.

    ``start_id`` tells one start from another: a process id may be the same after a restart, and is
    in a container.
    """

    __tablename__ = "heartbeat"

    name: Mapped[str] = mapped_column(primary_key=True)
    role: Mapped[str]
    pid: Mapped[int]
    start_id: Mapped[str | None]
    details: Mapped[dict[str, Any]]
    beat_at: Mapped[datetime]
