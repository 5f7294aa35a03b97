"""Both databases that hilum knows, as fixtures: one contract, and each test runs on each."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa
from ports import free_port

from scp.index.database import migrate, open_database

# a password that must be written with care in a URL, and never shows in an error
USER, PASSWORD = "hilum", "p@ss/w:rd-SECRET"
# a session zone that is not UTC, as many a hospital's server has it
SERVER_ZONE = "Asia/Kolkata"
# one worker of pytest-xdist, one server; for every test that starts one
ON_POSTGRESQL = pytest.mark.xdist_group("postgresql")


def postgresql_folder() -> Path | None:
    """Where PostgreSQL's programs are: on the PATH, or where Debian puts the newest."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = sorted(debian, key=lambda path: float(path.parts[-3]))
    return newest[-1].parent if newest else None


@contextmanager
def postgresql(*, durable: bool = False) -> Iterator[sa.URL]:
    """Run a PostgreSQL server of one's own on a free port of loopback.

    It refuses to run as root, so root lends it to the user postgres; its folder is no child of
    pytest's, which only root may enter.
    """
    temporary = tempfile.TemporaryDirectory(prefix="hilum-postgresql-", ignore_cleanup_errors=True)
    with temporary as made:
        folder = Path(made)
        owner = _owner(folder)
        (folder / "password").write_text(PASSWORD)
        by_password = ("--auth=scram-sha-256", f"--pwfile={folder / 'password'}")
        plain = ("--no-sync", "--encoding=UTF8", "--locale=C")
        _run(owner, "initdb", folder / "data", f"--username={USER}", *by_password, *plain)
        port = free_port()
        with (folder / "data" / "postgresql.conf").open("a") as file:
            file.write(_settings(port, durable=durable))
        _run(owner, "pg_ctl", "-D", folder / "data", "-l", folder / "log", "-w", "start")
        with _stopped_at_the_end(folder, owner):
            yield sa.URL.create(
                "postgresql+psycopg", USER, PASSWORD, "127.0.0.1", port, database="postgres"
            )


@contextmanager
def _stopped_at_the_end(folder: Path, owner: dict[str, object]) -> Iterator[None]:
    """Stop the server when this block ends, or this process: a killed one closes the pipe too."""
    stop = (
        f"read _; {postgresql_folder()}/pg_ctl -D data -w -m immediate stop >log; rm -rf {folder}"
    )
    with subprocess.Popen(
        ["/bin/sh", "-c", stop], stdin=subprocess.PIPE, start_new_session=True, **owner
    ):
        yield  # leaving Popen closes the pipe and waits


def _owner(folder: Path) -> dict[str, object]:
    """As whom the server is to run, in subprocess's words."""
    if os.geteuid() != 0:
        return {"cwd": folder}
    account = pwd.getpwnam("postgres")
    os.chown(folder, account.pw_uid, account.pw_gid)
    return {"cwd": folder, "user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _run(owner: dict[str, object], program: str, *arguments: object) -> None:
    folder = postgresql_folder()
    assert folder is not None
    # into a file and not a pipe: the server that pg_ctl leaves behind would hold the pipe open
    with tempfile.TemporaryFile("w+") as said:
        command = [folder / program, *map(str, arguments)]
        code = subprocess.run(command, stdout=said, stderr=said, check=False, **owner).returncode
        said.seek(0)
        assert code == 0, said.read()


def _settings(port: int, *, durable: bool) -> str:
    switch = "on" if durable else "off"
    return f"""
port = {port}
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = {switch}
synchronous_commit = {switch}
full_page_writes = {switch}
timezone = '{SERVER_ZONE}'
"""


def _connect(server: sa.URL) -> psycopg.Connection:
    dsn = server.set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(dsn, autocommit=True)


@contextmanager
def new_database(server: sa.URL, template: str = "template1") -> Iterator[str]:
    """Make a database, give its URL, and drop it."""
    name = f"test_{uuid4().hex}"
    with _connect(server) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield server.set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgresql_server():
    """The URL of one server for the session; none is a skip here and a failure in CI."""
    if postgresql_folder() is None:
        reason = "PostgreSQL is not installed (Debian: apt-get install postgresql)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with postgresql() as url:
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory):
    """A database file with all tables, to be copied."""
    file = tmp_path_factory.mktemp("sqlite") / "template.sqlite"
    engine = open_database(f"sqlite:///{file}")
    migrate(engine)
    engine.dispose()  # its last connection folds the write-ahead log into the file
    return file


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server):
    """The name of a database with all tables: a copy of it is made faster than the tables are."""
    with new_database(postgresql_server) as url:
        engine = open_database(url)
        migrate(engine)
        engine.dispose()
        yield sa.make_url(url).database


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=ON_POSTGRESQL)])
def backend(request):
    """Each database in turn."""
    return request.param


@pytest.fixture
def database_url(backend, request, tmp_path):
    """The URL of an empty database."""
    if backend == "sqlite":
        yield f"sqlite:///{tmp_path / 'index.sqlite'}"
        return
    with new_database(request.getfixturevalue("postgresql_server")) as url:
        yield url


@pytest.fixture
def migrated_url(backend, request, tmp_path):
    """The URL of a database with all tables, of index and queue."""
    if backend == "postgresql":
        server = request.getfixturevalue("postgresql_server")
        with new_database(server, request.getfixturevalue("postgresql_template")) as url:
            yield url
        return
    file = shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "index.sqlite")
    yield f"sqlite:///{file}"


@pytest.fixture
def engine(migrated_url):
    """An engine on a database with all tables."""
    engine = open_database(migrated_url)
    yield engine
    engine.dispose()
