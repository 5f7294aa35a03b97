"""A disk or a database that goes away is waited for; a film never fails of it."""

import shutil
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from films import make_film_ds
from network import open_stores, request_for, save
from ports import free_port

from scp.archive import Archive
from scp.errors import ArchiveFull
from scp.outcomes.failures import Cause, Step, StepFailed
from scp.pipeline.patience import Patience


class Waits:
    """Stands for the clock: what happens during each pause, and how long each is."""

    def __init__(self, *happens):
        self.happens = list(happens)
        self.seconds = []

    def __call__(self, seconds):
        self.seconds.append(seconds)
        self.happens.pop(0)()


def nothing():
    """Let a pause pass."""


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path / "data")


def test_a_full_disk_is_waited_for_with_growing_pauses(archive):
    goal = ["/dev/full"]
    waits = Waits(nothing, nothing, lambda: goal.append("/dev/null"))
    done = Patience(archive, waits).until_done(
        Step.WRITE, lambda: Path(goal[-1]).write_text("an answer")
    )
    assert done == len("an answer")
    assert waits.seconds == [1, 2, 4]


def test_no_pause_is_longer_than_a_minute(archive):
    goal = ["/dev/full"]
    waits = Waits(*[nothing] * 9, lambda: goal.append("/dev/null"))
    Patience(archive, waits).until_done(Step.WRITE, lambda: Path(goal[-1]).write_text("x"))
    assert waits.seconds[5:] == [32, 60, 60, 60, 60]


def test_a_disk_that_is_no_longer_mounted_is_waited_for(archive, tmp_path):
    film = archive.data_dir / "archive" / "film.dcm"
    film.write_bytes(b"film")
    archive.data_dir.rename(tmp_path / "elsewhere")
    archive.data_dir.mkdir()  # the mount point

    def mount():
        archive.data_dir.rmdir()
        (tmp_path / "elsewhere").rename(archive.data_dir)

    assert Patience(archive, Waits(mount)).until_done(Step.READ, film.read_bytes) == b"film"


def test_a_file_that_is_gone_from_a_disk_that_is_there_fails_at_once(archive):
    with pytest.raises(StepFailed) as caught:
        Patience(archive, Waits()).until_done(Step.READ, (archive.data_dir / "gone").read_bytes)
    assert caught.value.cause is Cause.FILE_MISSING


@pytest.fixture
def sqlite(tmp_path):
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'index'}", connect_args={"timeout": 0})
    with engine.begin() as connection:
        connection.execute(sa.text("create table film (uid text unique)"))
    yield engine
    engine.dispose()


def insert(engine, statement="insert into film values ('1.2.3')"):
    with engine.begin() as connection:
        connection.execute(sa.text(statement))
    return "kept"


def test_a_database_that_another_process_has_locked_is_waited_for(archive, sqlite):
    other = sqlite3.connect(sqlite.url.database)
    other.execute("begin exclusive")
    waits = Waits(nothing, other.rollback)
    assert Patience(archive, waits).until_done(Step.WRITE, lambda: insert(sqlite)) == "kept"
    assert waits.seconds == [1, 2]


def test_a_database_server_that_is_not_there_is_waited_for(archive, sqlite):
    nobody = sa.create_engine(f"postgresql+psycopg://hilum@127.0.0.1:{free_port()}/hilum")
    engines = [nobody]
    waits = Waits(lambda: engines.append(sqlite))
    assert Patience(archive, waits).until_done(Step.WRITE, lambda: insert(engines[-1])) == "kept"


@pytest.mark.parametrize("statement", ["insert into film values (nothing)", "insert twice"])
def test_a_statement_that_is_wrong_is_a_fault_and_not_waited_for(archive, sqlite, statement):
    with pytest.raises(StepFailed) as caught:
        Patience(archive, Waits()).until_done(Step.WRITE, lambda: insert(sqlite, statement))
    assert caught.value.cause is Cause.DATABASE


def test_a_film_is_refused_as_out_of_resources_where_the_disk_is_not_mounted(tmp_path):
    ds = make_film_ds(rows=16, columns=16)
    with open_stores(tmp_path) as stores:
        received = save(ds, stores.archive.incoming / "film.dcm")
        shutil.rmtree(stores.archive.data_dir / "archive")
        with pytest.raises(ArchiveFull, match="not mounted"):
            stores.intake.ingest(received, request_for(ds))
    assert received.is_file(), "the sender keeps it, and so do we until then"
