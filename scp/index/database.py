"""Open the database, and bring its tables up to date."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from dbos import DBOS
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import event

from scp.errors import ConfigError

# one key for everybody who migrates the same PostgreSQL database at the same time
_MIGRATION_LOCK = 0x68696C756D


class DatabaseSettings(BaseModel):
    """Where the index and the queue live, together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(
        "",
        description="empty: SQLite in data_dir, right for one machine;"
        " postgresql+psycopg://user:password@host/name when several share the work",
    )

    def resolved(self, data_dir: Path) -> str:
        """Return the URL that is meant: SQLite in ``data_dir`` when none was given."""
        return self.url or f"sqlite:///{data_dir / 'hilum.sqlite'}"


def open_database(url: str) -> sa.Engine:
    """Return an engine for index and queue.

    Raises
    ------
    ConfigError
        The URL is of another database than SQLite or PostgreSQL, or cannot be read.
    """
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise ConfigError(f"[database] url cannot be read: {error}") from error
    if parsed.drivername == "sqlite":
        return _open_sqlite(parsed)
    if parsed.drivername == "postgresql+psycopg":
        return sa.create_engine(parsed, pool_pre_ping=True, pool_size=20)
    raise ConfigError(
        f"[database] url starts with {parsed.drivername!r}: hilum knows sqlite:///FILE and"
        " postgresql+psycopg://user:password@host/name"
    )


def _open_sqlite(url: sa.URL) -> sa.Engine:
    """Open SQLite as several processes need it: WAL, writers wait, a commit is on the disk."""
    engine = sa.create_engine(url, pool_size=20)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = "IMMEDIATE"  # a reader that turns writer would deadlock
        connection.execute("PRAGMA busy_timeout = 30000")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # durable before the sender is answered
        connection.execute("PRAGMA foreign_keys = ON")

    return engine


def migrate(engine: sa.Engine) -> None:
    """Bring index and queue to this release's tables; safe from many processes at once."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    DBOS.migrate(engine.url.render_as_string(hide_password=False))
