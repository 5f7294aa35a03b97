"""The database of index and queue, into a backup and back.

SQLite by its online backup, PostgreSQL by pg_dump and pg_restore. Neither holds up the service:
both read one state of the database while others write.
"""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.orm import Session

from scp.backup.manifest import DATABASES, BackupFailed
from scp.errors import ServiceError
from scp.index.database import migrations


@contextmanager
def snapshot(engine: sa.Engine, folder: Path) -> Iterator[Session]:
    """Write the database of now into a folder, and read what was written in the session yielded.

    Raises
    ------
    BackupFailed
        The database is damaged, or pg_dump is missing or failed.
    """
    file = folder / DATABASES[engine.dialect.name]
    if engine.dialect.name == "sqlite":
        _copy_sqlite(Path(str(engine.url.database)), file)
        copy = sa.create_engine(f"sqlite:///{file}")
        try:
            with Session(copy) as session:
                yield session
        finally:
            copy.dispose()
        return
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        exported = connection.scalar(sa.text("SELECT pg_export_snapshot()"))
        _run(engine, "pg_dump", f"--snapshot={exported}", "--format=custom", f"--file={file}")
        with Session(connection) as session:
            yield session


def _copy_sqlite(source: Path, file: Path) -> None:
    """Copy by the online backup, in one step: a copy in parts begins anew at each commit."""
    file.unlink(missing_ok=True)
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=30)) as live,
        closing(sqlite3.connect(file)) as copy,
    ):
        try:
            live.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
            (found,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            raise BackupFailed(f"{source} cannot be copied ({error})") from error
    if found != "ok":
        raise BackupFailed(f"{source} is damaged ({found}): restore the newest backup")


def load(engine: sa.Engine, file: Path) -> None:
    """Make a backup's database the one that is configured; all of it, or nothing.

    Raises
    ------
    BackupFailed
        pg_restore is missing or failed.
    """
    if engine.dialect.name == "sqlite":
        target = Path(str(engine.url.database))
        engine.dispose()
        part = target.with_name(f"{target.name}.part")
        shutil.copyfile(file, part)
        part.chmod(0o600)
        for left in (f"{target.name}-wal", f"{target.name}-shm"):
            target.with_name(left).unlink(missing_ok=True)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(target)
        return
    once = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges")
    _run(engine, "pg_restore", *once, str(file))


def _run(engine: sa.Engine, program: str, *arguments: str) -> None:
    """Run a program of PostgreSQL; the password is in its environment, and not seen in `ps`."""
    of = engine.url  # its `set(password=None)` would change nothing
    url = sa.URL.create("postgresql", of.username, None, of.host, of.port, of.database, of.query)
    command = [program, "--no-password", f"--dbname={url.render_as_string()}", *arguments]
    password = {"PGPASSWORD": str(of.password)} if of.password else {}
    environment = os.environ | password
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, errors="replace"
        )
    except FileNotFoundError as error:
        raise BackupFailed(
            f"{program} is not installed: install PostgreSQL's client of the server's version"
            " (Debian: apt-get install postgresql-client)"
        ) from error
    if done.returncode:
        first = done.stderr.partition("\n")[0]  # what follows may quote rows
        raise BackupFailed(f"{program} failed: {first}")


def require_current(engine: sa.Engine) -> str:
    """Return the revision of the tables, which is this release's.

    Raises
    ------
    ServiceError
        It is another, or there are no tables: no service ever ran here.
    """
    with engine.connect() as connection:
        revision = MigrationContext.configure(connection).get_current_revision()
    newest = ScriptDirectory.from_config(migrations()).get_current_head()
    if revision is None:
        raise ServiceError("the database has no tables: there is nothing to back up")
    if revision != newest:
        raise ServiceError(
            f"the database is of another release (its tables are {revision}, ours {newest}): back"
            " it up with the release that runs on it"
        )
    return revision


def require_known(revision: str, release: str) -> None:
    """Raise `BackupFailed` for tables of a newer release than this."""
    try:
        ScriptDirectory.from_config(migrations()).get_revision(revision)
    except CommandError as error:
        raise BackupFailed(
            f"the backup is of a newer release ({release}, tables {revision}): restore it with that"
        ) from error


def has_tables(engine: sa.Engine) -> bool:
    """Say whether anything is in the configured database.

    Raises
    ------
    ServiceError
        It cannot be reached.
    """
    if engine.dialect.name == "sqlite" and not Path(str(engine.url.database)).exists():
        return False
    try:
        inspector = sa.inspect(engine)
        schemas = [None, "dbos"] if engine.dialect.name == "postgresql" else [None]
        return any(inspector.get_table_names(schema) for schema in schemas)
    except sa.exc.OperationalError as error:
        raise ServiceError(
            f"the database cannot be reached ({type(error.orig).__name__}): is it running, and is"
            " [database] url right?"
        ) from error
    except sa.exc.DatabaseError:  # a damaged file is not empty
        return True
