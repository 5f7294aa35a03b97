"""Who may log in to the dashboard, and who is logged in, as tables.

Neither a password nor a session's token is here, only what they are checked by: who reads the
database can log in as nobody.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from scp.index.schema.states import Base, as_text


class Access(StrEnum):
    """What a person may do: a viewer looks; an operator also retries, cancels and discards."""

    VIEWER = "viewer"
    OPERATOR = "operator"


class DashboardUser(Base):
    """A person with a password."""

    __tablename__ = "dashboard_user"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]
    access: Mapped[Access] = mapped_column(as_text(Access))
    created_at: Mapped[datetime]


class DashboardSession(Base):
    """A browser in which somebody is logged in; ``token_sha256`` is the hash of its cookie."""

    __tablename__ = "dashboard_session"

    id: Mapped[int] = mapped_column(primary_key=True)
    token_sha256: Mapped[str] = mapped_column(unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("dashboard_user.id"), index=True)
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    user: Mapped[DashboardUser] = relationship()
