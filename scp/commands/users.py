"""`hilum user` and `hilum audit`: users of the dashboard, and what people did."""

import getpass
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from sqlalchemy.orm import Session

from scp.commands.actor import actor_of
from scp.config.load import Settings
from scp.dashboard.security import passwords
from scp.index.accounts import users
from scp.index.accounts.tables import Access
from scp.monitoring.audit import Audit
from scp.processes.runtime import now, open_context


def add(settings: Settings, name: str, access: Access, *, stdin: bool) -> None:
    """Add a user, once a good password was given."""
    users.require_name(name)
    password_hash = passwords.hashed(_good_password(name, stdin=stdin))
    with _recorded(settings, "user added", name, access=access.value) as session:
        users.add(session, name, password_hash, access, now())
    Console().print(f"{name} may log in, as {access.value}")


def show(settings: Settings, *, as_json: bool) -> None:
    """Print users, and what each may do."""
    with open_context(settings) as context, Session(context.engine) as session:
        rows = [
            {
                "name": user.name,
                "access": user.access.value,
                "since": user.created_at.isoformat(timespec="seconds"),
            }
            for user in users.everybody(session)
        ]
    if as_json:
        print(json.dumps(rows, indent=2))
    elif not rows:
        Console().print("no user yet: hilum user add NAME --access operator")
    else:
        table = Table("name", "access", "since")
        for row in rows:
            table.add_row(*row.values())
        Console().print(table)


def set_password(settings: Settings, name: str, *, stdin: bool) -> None:
    """Give a user a new password; they are logged out everywhere."""
    password_hash = passwords.hashed(_good_password(name, stdin=stdin))
    with _recorded(settings, "password changed", name) as session:
        users.set_password(session, name, password_hash)
    Console().print(f"{name} has a new password, and is logged out everywhere")


def remove(settings: Settings, name: str) -> None:
    """Remove a user; they are logged out everywhere."""
    with _recorded(settings, "user removed", name) as session:
        users.remove(session, name)
    Console().print(f"{name} may no longer log in")


def print_audit(
    settings: Settings, person: str | None, target: str | None, since: datetime | None
) -> None:
    """Print the audit trail, the oldest line first."""
    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    for line in Audit(settings.data_dir, now).lines(person, target, since):
        print(json.dumps(line))


@contextmanager
def _recorded(settings: Settings, action: str, name: str, **details: str) -> Iterator[Session]:
    """Give a transaction, once what it does is recorded."""
    with (
        open_context(settings) as context,
        actor_of(context).doing(action, name, **details),
        Session(context.engine) as session,
        session.begin(),
    ):
        yield session


def _good_password(name: str, *, stdin: bool) -> str:
    """Ask for a password twice, or read it from stdin. Raises `WeakPassword`."""
    if stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = getpass.getpass(f"Password of {name}: ")
        if getpass.getpass("Again: ") != password:
            raise passwords.WeakPassword("the two passwords differ: nothing was changed")
    passwords.require_good(password, name)
    return password
