"""Users of the dashboard: add, list, change, remove. Passwords come here hashed."""

import re
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from scp.errors import HilumError
from scp.index.accounts.tables import Access, DashboardSession, DashboardUser

_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_NOT_A_PERSON = "local"  # whom the audit trail names where nobody logs in


class UserRefused(HilumError):
    """A user cannot be added or found; the text says why, and what to do."""


def add(session: Session, name: str, password_hash: str, access: Access, now: datetime) -> None:
    """Add a user. Raises `UserRefused` for a name that cannot be one, or is taken."""
    require_name(name)
    if find(session, name) is not None:
        raise UserRefused(
            f"there is a user {name!r} already: `hilum user password {name}` sets a new password"
        )
    session.add(
        DashboardUser(name=name, password_hash=password_hash, access=access, created_at=now)
    )
    session.flush()


def require_name(name: str) -> None:
    """Raise `UserRefused` unless a name can be a user's."""
    if not _NAME.fullmatch(name) or name == _NOT_A_PERSON:
        raise UserRefused(
            f"{name!r} cannot be a user's name: use lower-case letters, digits and . _ @ - (64 at"
            f" most), beginning with a letter or digit, and not {_NOT_A_PERSON!r}"
        )


def find(session: Session, name: str) -> DashboardUser | None:
    """Return a user, if there is one of this name."""
    if not _NAME.fullmatch(name):  # PostgreSQL takes no NUL, and people type anything
        return None
    return session.scalars(select(DashboardUser).where(DashboardUser.name == name)).one_or_none()


def everybody(session: Session) -> Sequence[DashboardUser]:
    """Return all users by name."""
    return session.scalars(select(DashboardUser).order_by(DashboardUser.name)).all()


def how_many(session: Session) -> int:
    """Return the number of users."""
    return session.scalar(select(func.count()).select_from(DashboardUser)) or 0


def set_password(session: Session, name: str, password_hash: str) -> None:
    """Give a user another password, and log them out everywhere.

    Raises
    ------
    UserRefused
        There is no such user.
    """
    user = _require(session, name)
    user.password_hash = password_hash
    _log_out(session, user)


def remove(session: Session, name: str) -> None:
    """Remove a user, and log them out everywhere.

    Raises
    ------
    UserRefused
        There is no such user.
    """
    user = _require(session, name)
    _log_out(session, user)
    session.delete(user)
    session.flush()


def _require(session: Session, name: str) -> DashboardUser:
    user = find(session, name)
    if user is None:
        raise UserRefused(f"there is no user {name!r}; `hilum user list` prints them")
    return user


def _log_out(session: Session, user: DashboardUser) -> None:
    session.execute(delete(DashboardSession).where(DashboardSession.user_id == user.id))
