"""Sessions of the dashboard: begin, recognise, end.

A browser holds a random token, the database its hash. Starlette's own sessions are signed cookies,
which no server can end; sessions that end need a row.
"""

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from scp.config.dashboard import Limits
from scp.index.accounts.tables import Access, DashboardSession, DashboardUser

_SEEN_EVERY = timedelta(minutes=1)  # not a write for each picture on a page


def begin(session: Session, name: str, password_hash: str, now: datetime) -> str | None:
    """Log a user in whose password was found right, and return the token.

    Nothing is returned when the password was changed, or the user removed, since
    ``password_hash`` was read.
    """
    user = session.scalars(
        select(DashboardUser).where(DashboardUser.name == name).with_for_update()
    ).one_or_none()
    if user is None or user.password_hash != password_hash:
        return None
    token = secrets.token_urlsafe(32)
    session.add(
        DashboardSession(token_sha256=_sha256(token), user=user, created_at=now, seen_at=now)
    )
    return token


def recognise(
    session: Session, token: str, now: datetime, limits: Limits, *, acts: bool
) -> tuple[str, Access] | None:
    """Return the name and access of whom a token belongs to, while the session lasts.

    Parameters
    ----------
    acts
        Whether a person asks, which keeps the session; a page that looks again by itself does not.
    """
    found = session.scalars(
        select(DashboardSession).where(DashboardSession.token_sha256 == _sha256(token))
    ).one_or_none()
    if found is None:
        return None
    if now >= found.created_at + limits.whole or now >= found.seen_at + limits.idle:
        session.delete(found)
        return None
    if acts and now >= found.seen_at + _SEEN_EVERY:
        found.seen_at = now
    return found.user.name, found.user.access


def end(session: Session, token: str) -> None:
    """Log a browser out."""
    session.execute(delete(DashboardSession).where(DashboardSession.token_sha256 == _sha256(token)))


def sweep(session: Session, now: datetime, limits: Limits) -> None:
    """Delete sessions that are over and were never asked for again."""
    over = or_(
        DashboardSession.created_at <= now - limits.whole,
        DashboardSession.seen_at <= now - limits.idle,
    )
    session.execute(delete(DashboardSession).where(over))


def _sha256(token: str) -> str:
    # no slow hash: there are 256 random bits to guess
    return hashlib.sha256(token.encode()).hexdigest()
