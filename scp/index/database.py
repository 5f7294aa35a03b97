"""Open the database, and bring its tables up to date."""

import sqlite3
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from dbos import DBOS
from sqlalchemy import event

from scp.errors import ConfigError

# one key for everybody who migrates the same PostgreSQL database at the same time
_MIGRATION_LOCK = 0x68696C756D
_BUSY_S = 30  # a writer waits so long for another
_KNOWN = (
    "hilum knows sqlite:///FILE and postgresql+psycopg://user:password@host/name, where / @ : in"
    " a password are written %2F %40 %3A"
)


def open_database(url: str) -> sa.Engine:
    """Return an engine for index and queue, whose errors quote no row: Patient IDs are in them.

    Raises
    ------
    ConfigError
        The URL is of another database than SQLite or PostgreSQL, or cannot be read.
    """
    parsed = _parsed(url)
    if parsed.drivername == "sqlite":
        return _open_sqlite(parsed)
    if parsed.drivername == "postgresql+psycopg":
        return _open_postgresql(parsed)
    raise ConfigError(f"[database] url starts with {parsed.drivername!r}: {_KNOWN}")


def _parsed(url: str) -> sa.URL:
    """Read a URL; nothing of it is in an error's text, for its password may be anywhere."""
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise ConfigError(f"[database] url cannot be read: {_KNOWN}") from None
    if "@" in (parsed.host or ""):
        raise ConfigError("[database] url has two @: write %40 for the one in the password")
    if parsed.drivername in ("postgresql", "postgres"):  # as libpq and every manual write it
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def _open_sqlite(url: sa.URL) -> sa.Engine:
    """Open SQLite as several processes need it: WAL, writers wait, a commit is on the disk."""
    if url.database in (None, "", ":memory:"):
        raise ConfigError("[database] url names no file: write sqlite:///FILE, or nothing at all")
    engine = sa.create_engine(url, pool_size=20, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = "IMMEDIATE"  # a reader that turns writer would deadlock
        connection.execute(f"PRAGMA busy_timeout = {1000 * _BUSY_S}")
        _use_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")  # durable before the sender is answered
        connection.execute("PRAGMA foreign_keys = ON")

    return engine


def _use_wal(connection: Any) -> None:
    """Switch to write-ahead logging; SQLite does not wait when others do so at the same time."""
    tick, deadline = Event(), monotonic() + _BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if monotonic() > deadline:
                raise
            tick.wait(0.02)
        else:
            return


def _open_postgresql(url: sa.URL) -> sa.Engine:
    """Open PostgreSQL; a connection that the server has closed is replaced, not stumbled over."""
    engine = sa.create_engine(url, pool_pre_ping=True, pool_size=20, hide_parameters=True)

    @event.listens_for(engine, "handle_error")
    def shorten(context: sa.engine.ExceptionContext) -> None:
        """Keep the server's first line: its DETAIL quotes the row, whatever the client hides."""
        original = context.original_exception
        if isinstance(original, psycopg.Error) and original.diag.message_primary:
            for error in (original, context.sqlalchemy_exception):
                if error is not None:
                    error.args = (str(error.args[0]).partition("\n")[0], *error.args[1:])

    return engine


def migrate(engine: sa.Engine) -> None:
    """Bring index and queue to this release's tables; safe from many processes at once."""
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        command.upgrade(migrations(connection), "head")
    DBOS.migrate(engine.url.render_as_string(hide_password=False))


def migrations(connection: sa.Connection | None = None) -> Config:
    """Return the index's own migrations, to be run on a connection by `alembic.command`."""
    config = Config()
    # Alembic reads % as the start of a placeholder, and a folder's name may have one
    folder = str(Path(__file__).parent / "migrations").replace("%", "%%")
    config.set_main_option("script_location", folder)
    config.attributes["connection"] = connection
    return config
