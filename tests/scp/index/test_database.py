"""Opening the database and making its tables: SQLite and PostgreSQL alike."""

import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from threading import Barrier

import databases
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from scp.config.storage import DatabaseSettings
from scp.errors import ConfigError
from scp.index.acquisition import acquired
from scp.index.database import migrate, migrations, open_database
from scp.index.schema.tables import (
    Base,
    Delivery,
    DeliveryState,
    FilmFinding,
    FilmState,
    Heartbeat,
    Instance,
    Patient,
    PriorChoice,
    Quarantined,
    Result,
    SearchWord,
    Series,
    Study,
)
from scp.pipeline.job_ids import film_job
from scp.pipeline.queue import Jobs

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SECRET = "PID-7734-SECRET"


@pytest.fixture
def empty(database_url):
    """An engine on a database without tables."""
    engine = open_database(database_url)
    yield engine
    engine.dispose()


def tables(engine, schema=None):
    return set(sa.inspect(engine).get_table_names(schema))


def queue_tables(engine):
    """DBOS keeps its tables in a schema of their own where the database has such."""
    return tables(engine, "dbos" if engine.dialect.name == "postgresql" else None)


def differences(connection):
    context = MigrationContext.configure(connection, opts={"compare_server_default": True})
    return compare_metadata(context, Base.metadata)


def film(**more):
    series = Series(uid="1.2.3.2", modality="DX", study=Study(uid="1.2.3.1"))
    values = {
        "uid": "1.2.3",
        "sop_class_uid": "1.2",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "path": "archive/ab/film.dcm",
        "sha256": "0" * 64,
        "size_bytes": 10,
        "calling_ae_title": "XRAY1",
        "received_at": NOW,
        "acquired_from": "",
        "view": "PA",
        "state": FilmState.RECEIVED,
        "series": series,
    }
    return Instance(**(values | more))


# -- migrations


def test_the_migrations_make_exactly_the_tables_of_the_schema(empty):
    with empty.begin() as connection:
        command.upgrade(migrations(connection), "head")
        assert differences(connection) == []
    assert tables(empty) == {*Base.metadata.tables, "alembic_version"}


def test_every_step_can_be_undone_and_done_again(empty):
    with empty.begin() as connection:
        command.upgrade(migrations(connection), "head")
        command.downgrade(migrations(connection), "base")
    assert tables(empty) == {"alembic_version"}
    with empty.begin() as connection:
        command.upgrade(migrations(connection), "head")
        assert differences(connection) == []


def inserter(connection):
    """Return what inserts a row into a table as it is now: a filler in what is not named."""
    old = sa.MetaData()
    old.reflect(connection)
    fillers = {"BIGINT": 1, "INTEGER": 1, "JSON": [], "BYTEA": b"", "BLOB": b""}

    def insert(table, **values):
        rest = {
            c.name: fillers.get(str(c.type).split("(")[0], "")
            for c in old.tables[table].columns
            if not c.nullable and c.name != "id"
        }
        moments = dict.fromkeys((n for n in rest if n.endswith("_at")), NOW)
        row = sa.insert(old.tables[table]).values(**(rest | moments | values))
        return connection.execute(row).inserted_primary_key[0]

    return insert


def test_films_answered_before_keep_their_prior_and_their_job(empty):
    """From the first release's tables, filled, to the second's."""
    uids = ("1.2.1", "1.2.2", "1.2.3")
    with empty.begin() as connection:
        command.upgrade(migrations(connection), "0001")
        insert = inserter(connection)
        study = insert("study", uid="1.2")
        series = insert("series", uid="1.3", study_id=study)
        films = [
            insert("instance", uid=uid, series_id=series, patient_id=None, state=state)
            for uid, state in zip(uids, ("answered", "answered", "received"), strict=True)
        ]
        said = [insert("analysis", instance_id=film) for film in films[:2]]
        insert(
            "comparison", current_id=said[1], prior_id=said[0], comparable=True, quality=1, ssim=1
        )
        result = insert("result", uid="1.4", instance_id=films[1])
        for name, state, attempts in (
            ("new", "pending", 0),
            ("waits", "pending", 3),
            ("done", "delivered", 2),
            ("dead", "dead letter", 9),
        ):
            insert("delivery", result_id=result, destination=name, state=state, attempts=attempts)
        command.upgrade(migrations(connection), "head")
        assert differences(connection) == []
    with Session(empty) as session:
        chosen = session.scalars(sa.select(PriorChoice).order_by(PriorChoice.id)).all()
        assert [(c.instance_id, c.prior_id) for c in chosen] == [
            (films[0], None),
            (films[1], films[0]),
        ]
        assert all("earlier release" in c.sentence and c.rejected == [] for c in chosen)
        jobs = {row.destination: row.job for row in session.scalars(sa.select(Delivery))}
        assert jobs == {"new": 1, "waits": 4, "done": 2, "dead": 9}


def test_films_of_before_are_found_by_patient_id_finding_and_change(empty):
    """From the third release's tables, filled, to the fourth's; names are in the archive."""
    with empty.begin() as connection:
        command.upgrade(migrations(connection), "0003")
        insert = inserter(connection)
        series = insert("series", uid="1.3", study_id=insert("study", uid="1.2"))
        patient = insert("patient", patient_id="PAT-07", issuer="")
        states = ("answered", "answered", "not analysed")
        films = [
            insert("instance", uid=f"1.2.{n}", series_id=series, patient_id=patient, state=state)
            for n, state in enumerate(states)
        ]
        weak, strong = [0.1] * 14, [0.1, 0.9, *[0.1] * 12]
        line = [0.5] * 14
        insert("analysis", instance_id=films[0], probabilities=strong, thresholds=line)
        old = insert("analysis", instance_id=films[1], probabilities=strong, thresholds=line)
        new = insert(
            "analysis",
            instance_id=films[1],
            probabilities=weak,
            thresholds=line,
            model_sha256="other",
        )
        changes = [
            {"label": "Cardiomegaly", "change": "resolved"},
            {"label": "Mass", "change": "unchanged"},
        ]
        insert(
            "comparison",
            current_id=new,
            prior_id=old,
            comparable=True,
            changes=changes,
            quality=1,
            ssim=1,
        )
        command.upgrade(migrations(connection), "head")
        assert differences(connection) == []
    with Session(empty) as session:
        rows = session.scalars(sa.select(Instance).order_by(Instance.id)).all()
        assert [row.due_at for row in rows] == [NOW + timedelta(minutes=30)] * 2 + [None]
        assert {row.patient_name for row in rows} == {None}
        words = session.execute(sa.select(SearchWord.word, SearchWord.instance_id)).all()
        assert set(words) == {(word, film) for word in ("pat", "07", "pat07") for film in films}
        told = sa.select(FilmFinding).order_by(FilmFinding.instance_id)
        assert [
            (row.instance_id, row.label, row.positive, row.change) for row in session.scalars(told)
        ] == [
            (films[0], "Cardiomegaly", True, ""),
            (films[1], "Cardiomegaly", False, "resolved"),
        ]


def test_failures_of_before_lose_the_names_of_classes(empty):
    old = {"1.1": "FileNotFoundError", "1.2": "DBOSMaxStepRetriesExceeded", "1.3": "Cancelled"}
    with empty.begin() as connection:
        command.upgrade(migrations(connection), "0005")
        insert = inserter(connection)
        series = insert("series", uid="1.3", study_id=insert("study", uid="1.2"))
        for uid, reason in old.items():
            insert("instance", uid=uid, series_id=series, state="failed", reason=reason)
        insert("instance", uid="1.4", series_id=series, state="not analysed", reason="too_small")
        command.upgrade(migrations(connection), "head")
        rows = connection.execute(sa.text("SELECT uid, reason FROM instance ORDER BY uid"))
        reasons = ["file_missing", "fault", "cancelled", "too_small"]
        assert [row.reason for row in rows] == reasons


# what an earlier release noted of a delivery -> state, cause, kind, status, the peer's words
SENTENCES = {
    "": ("pending", "", "", None, ""),
    "PACS at 10.0.0.5:104 does not answer": ("dead", "no-connection", "transient", None, ""),
    "PACS at h:1 rejected the association: Called AE title not recognised": (
        "dead",
        "called-ae-title-not-recognized",
        "transient",
        None,
        "",
    ),
    "the destination accepts no X Storage as Explicit VR": (
        "dead",
        "no-accepted-context",
        "permanent",
        None,
        "X Storage as Explicit VR",
    ),
    "C-STORE answered 0xC123 (Failure): Missing\nattribute": (
        "dead",
        "status",
        "permanent",
        0xC123,
        "Missing\nattribute",
    ),
    "C-STORE answered 0xA700 (Failure)": ("dead", "status", "transient", 0xA700, ""),
    "C-STORE answered 0xB000 (Warning)": ("delivered", "status", "warning", 0xB000, ""),
    "the result cannot be read: No such file: 1.2.dcm": (
        "dead",
        "result-not-readable",
        "transient",
        None,
        "No such file",
    ),
    "PACS is on fire": ("dead", "earlier-release", "transient", None, "PACS is on fire"),
}


def test_what_was_noted_of_deliveries_is_kept_as_codes_and_words(empty):
    """From the tables of before, filled, and back."""
    with empty.begin() as connection:
        command.upgrade(migrations(connection), "0008")
        insert = inserter(connection)
        series = insert("series", uid="1.3", study_id=insert("study", uid="1.2"))
        film = insert("instance", uid="1.2.3", series_id=series, state="answered")
        result = insert("result", uid="1.4", instance_id=film)
        for number, sentence in enumerate(SENTENCES):
            state = "dead letter" if sentence else "pending"
            values = {"state": state, "last_error": sentence, "last_attempt_at": NOW}
            insert("delivery", result_id=result, destination=f"d{number}", **values)
        insert("delivery", result_id=result, destination="took", state="delivered")
        command.upgrade(migrations(connection), "head")
        assert differences(connection) == []
    with Session(empty) as session:
        *rows, took = session.scalars(sa.select(Delivery).order_by(Delivery.id))
        assert [
            (row.state.value.split()[0], row.cause, row.kind, row.store_status, row.peer_text)
            for row in rows
        ] == list(SENTENCES.values())
        assert (took.cause, took.kind, took.store_status) == ("status", "success", 0)
        assert all(row.delivered_at == NOW for row in rows if row.kind == "warning")
    with empty.begin() as connection:
        command.downgrade(migrations(connection), "0008")
        noted = sa.text("SELECT last_error FROM delivery ORDER BY id")
        assert "C-STORE answered 0xA700 (Failure)" in list(connection.scalars(noted))


TAKEN_BEFORE = {
    # what an earlier release kept -> what is known of it now
    datetime(2024, 1, 2, 10, 15, 30, 250_000): ("2024-01-02 10:15", "second"),
    datetime(2024, 1, 2): ("2024-01-02", "day"),  # a day without a time was kept as its midnight
    datetime(1900, 1, 1): (None, None),
    datetime(1753, 1, 1): (None, None),
    datetime(1970, 1, 1): (None, None),
    datetime(2099, 12, 31, 12, 0): (None, None),  # long after the film came
}


def test_films_of_before_keep_when_they_were_taken_and_lose_what_was_no_date(empty):
    with empty.begin() as connection:
        command.upgrade(migrations(connection), "0005")
        insert = inserter(connection)
        series = insert("series", uid="1.3", study_id=insert("study", uid="1.2"))
        for number, at in enumerate(TAKEN_BEFORE):
            row = {"acquired_at": at, "acquired_from": "AcquisitionDate", "state": "answered"}
            insert("instance", uid=f"1.2.{number}", series_id=series, patient_id=None, **row)
        command.upgrade(migrations(connection), "head")
        assert differences(connection) == []
    with Session(empty) as session:
        rows = session.scalars(sa.select(Instance).order_by(Instance.id)).all()
        for row, (said, precision) in zip(rows, TAKEN_BEFORE.values(), strict=True):
            taken = acquired(row, UTC)
            assert row.acquired_precision is None  # `hilum reindex` looks at them all
            assert (taken and str(taken), taken and taken.precision) == (said, precision)


def test_the_steps_are_one_line_without_branches(tmp_path):
    engine = open_database(f"sqlite:///{tmp_path / 'index.sqlite'}")
    with engine.begin() as connection:
        assert len(ScriptDirectory.from_config(migrations(connection)).get_heads()) == 1
    engine.dispose()


def test_a_column_that_no_step_makes_is_noticed(empty):
    """The test above can fail."""
    with empty.begin() as connection:
        command.upgrade(migrations(connection), "head")
        connection.execute(sa.text("ALTER TABLE study ADD COLUMN modality VARCHAR"))
        assert [change[0] for change in differences(connection)] == ["remove_column"]


def test_migrating_again_changes_nothing_and_the_queue_lies_beside_the_index(empty):
    migrate(empty)
    before = tables(empty), queue_tables(empty)
    with Session(empty) as session, session.begin():
        session.add(Patient(patient_id="1", issuer=""))
    migrate(empty)
    assert (tables(empty), queue_tables(empty)) == before
    assert before[0] >= set(Base.metadata.tables)
    assert "workflow_status" in before[1]
    with Session(empty) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Patient)) == 1


def test_many_may_open_a_new_sqlite_file_in_the_same_moment(tmp_path):
    for number in range(30):  # without waiting, one in some hundred failed
        together = Barrier(8)

        def one(_, url=f"sqlite:///{tmp_path / str(number)}", together=together):
            own = open_database(url)
            together.wait()
            with own.connect() as connection:
                return connection.exec_driver_sql("PRAGMA journal_mode").scalar()

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(one, range(8))) == {"wal"}


def test_four_threads_may_migrate_at_once(empty, database_url):
    def one(_):
        own = open_database(database_url)
        migrate(own)
        own.dispose()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(4)))
    assert tables(empty) >= set(Base.metadata.tables)
    assert "workflow_status" in queue_tables(empty)


MIGRATE_WHEN_TOLD = """
import sys
from scp.index.database import migrate, open_database
print("ready", flush=True)
migrate(open_database(sys.stdin.readline().strip()))
"""


def test_two_processes_may_migrate_at_once(empty, database_url):
    with subprocess.Popen(
        [sys.executable, "-c", MIGRATE_WHEN_TOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    ) as other:
        assert other.stdout.readline() == "ready\n"
        other.stdin.write(f"{database_url}\n")
        other.stdin.flush()
        migrate(empty)
    assert other.returncode == 0
    assert "workflow_status" in queue_tables(empty)
    with empty.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM alembic_version")) == 1


def test_the_package_may_lie_in_a_folder_with_a_percent_sign(empty, monkeypatch, tmp_path):
    """Alembic reads % in its configuration as the start of a placeholder."""
    from scp.index import database

    monkeypatch.setattr(database, "__file__", str(tmp_path / "100%s" / "database.py"))
    with empty.connect() as connection:
        found = migrations(connection).get_main_option("script_location")
    assert found == str(tmp_path / "100%s" / "migrations")


# -- transactions


def test_index_row_and_job_are_committed_together_or_not_at_all(engine):
    jobs = Jobs(engine)
    with Session(engine) as session:
        session.add(film(uid="1.2.3.4"))
        session.flush()
        jobs.answer_film(session, "1.2.3.4")
        session.rollback()
    assert jobs.status(film_job("1.2.3.4")) is None
    with Session(engine) as session, session.begin():
        session.add(film(uid="1.2.3.4"))
        session.flush()
        jobs.answer_film(session, "1.2.3.4")
    assert jobs.status(film_job("1.2.3.4")).status == "ENQUEUED"
    jobs.close()


def test_a_row_that_belongs_to_nothing_is_refused(engine):
    of_no_film = {"kind": "", "sop_class_uid": "", "path": "", "sha256": "", "size_bytes": 1}
    for row in (
        Series(uid="1.2.3", modality="DX", study_id=7),
        Result(instance_id=7, uid="1.2.4", created_at=NOW, **of_no_film),
        Delivery(result_id=7, destination="pacs", state=DeliveryState.PENDING),
    ):
        with Session(engine) as session, session.no_autoflush:
            session.add(row)
            with pytest.raises(sa.exc.IntegrityError, match=r"(?i)foreign key"):
                session.flush()


def test_a_study_with_series_cannot_be_deleted_from_under_them(engine):
    with Session(engine) as session, session.begin():
        session.add(Series(uid="1.2.3", modality="DX", study=Study(uid="1.2")))
    with Session(engine) as session, pytest.raises(sa.exc.IntegrityError):
        session.execute(sa.delete(Study))


def test_a_commit_is_on_the_disk_before_it_returns(tmp_path):
    engine = open_database(f"sqlite:///{tmp_path / 'index.sqlite'}")
    with engine.connect() as one, engine.connect() as other:
        for connection in (one, other):  # every connection, not only the first

            def asked(name, connection=connection):
                return connection.exec_driver_sql(f"PRAGMA {name}").scalar()

            assert asked("journal_mode") == "wal"
            assert asked("synchronous") == 2  # FULL: fsync at each commit
            assert asked("foreign_keys") == 1
            assert asked("busy_timeout") == 30_000
    engine.dispose()


def test_a_reader_does_not_wait_for_a_writer(engine):
    with Session(engine) as writer, Session(engine) as reader:
        writer.add(Patient(patient_id="1", issuer=""))
        writer.flush()
        assert reader.scalar(sa.select(sa.func.count()).select_from(Patient)) == 0


# -- values


def test_a_moment_without_a_time_zone_is_refused(engine):
    with Session(engine) as session:
        session.add(film(received_at=NOW.replace(tzinfo=None)))
        with pytest.raises(sa.exc.StatementError, match="without a time zone"):
            session.flush()


@settings(
    max_examples=25,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    naive=st.datetimes(datetime(1901, 1, 1), datetime(2200, 1, 1)),
    minutes=st.integers(-14 * 60, 14 * 60),
)
def test_a_moment_comes_back_as_the_same_moment_in_utc(engine, naive, minutes):
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    with Session(engine) as session:
        row = film(received_at=moment, acquired_at=naive)
        session.add(row)
        session.flush()
        session.expire_all()
        assert row.received_at == moment
        assert row.received_at.tzinfo is UTC
        assert row.acquired_at == naive  # the sender's own clock, as it stood
        assert row.acquired_at.tzinfo is None
        assert row.finished_at is None
        earlier = sa.select(Instance.id).where(Instance.received_at < moment + timedelta(minutes=1))
        assert session.scalars(earlier).all() == [row.id]
        session.rollback()


def test_a_server_in_another_zone_changes_no_moment(engine):
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            assert connection.scalar(sa.text("SHOW timezone")) == databases.SERVER_ZONE
    with Session(engine) as session, session.begin():
        session.add(film())
    with Session(engine) as session:
        assert session.scalars(sa.select(Instance)).one().received_at.isoformat() == NOW.isoformat()


def test_every_state_is_stored_as_its_own_word(engine):
    with Session(engine) as session:
        row = film()
        session.add(row)
        for state in FilmState:
            row.state = state
            session.flush()
            session.expire(row)
            assert session.scalar(sa.text("SELECT state FROM instance")) == state.value
            assert row.state is state


def test_a_delivery_state_is_stored_as_its_own_word(engine):
    with Session(engine) as session, session.begin():
        result = Result(
            instance=film(),
            kind="report",
            uid="1.2.5",
            sop_class_uid="1.2",
            path="x",
            sha256="",
            size_bytes=1,
            created_at=NOW,
        )
        session.add(Delivery(result=result, destination="pacs", state=DeliveryState.DEAD))
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT state FROM delivery")) == "dead letter"


def test_a_size_above_two_gigabytes_fits(engine):
    """A received file may be larger than a 32-bit integer tells, and is refused only later."""
    with Session(engine) as session, session.begin():
        session.add(film(size_bytes=3_000_000_000))
    with Session(engine) as session:
        assert session.scalars(sa.select(Instance)).one().size_bytes == 3_000_000_000


def test_the_largest_status_fits(engine):
    with Session(engine) as session, session.begin():
        session.add(
            Quarantined(
                path="x",
                sha256="",
                sop_instance_uid="",
                calling_ae_title="",
                status=0xFFFF,
                reason="",
                received_at=NOW,
            )
        )
    with Session(engine) as session:
        assert session.scalars(sa.select(Quarantined)).one().status == 0xFFFF


# -- errors


def whole_text(error):
    """Everything that a log would show of an error: it, and what it came from."""
    return "".join(traceback.format_exception(error))


def test_no_error_quotes_a_patient_id(engine):
    with Session(engine) as session, session.begin():
        session.add(Patient(patient_id=SECRET, issuer="WARD"))
    with Session(engine) as session:
        session.add(Patient(patient_id=SECRET, issuer="WARD"))
        with pytest.raises(sa.exc.IntegrityError) as caught:
            session.flush()
        assert "patient" in whole_text(caught.value)
        assert SECRET not in whole_text(caught.value)
        session.rollback()
        with pytest.raises(sa.exc.DBAPIError) as caught:
            session.execute(
                sa.text("INSERT INTO no_such_table VALUES (:secret)"), {"secret": SECRET}
            )
        assert SECRET not in whole_text(caught.value)
        session.rollback()
        session.add(Heartbeat(name=SECRET, role=None, pid=1, details={}, beat_at=NOW))
        with pytest.raises(sa.exc.IntegrityError, match="role") as caught:
            session.flush()
        assert SECRET not in whole_text(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://hilum:secret@host/name",
        "postgresql//hilum:secret@host/name",
        "postgresql+psycopg2://hilum:secret@host/name",
        "postgresql+psycopg://hilum:x@host:secret/name",
        "postgresql+psycopg://hilum:se@secret@host/name",
        "sqlite+aiosqlite:///secret.sqlite",
        "secret",
        "://secret",
    ],
)
def test_a_url_that_cannot_be_used_is_named_by_its_key_and_shows_no_password(url):
    with pytest.raises(ConfigError, match=r"^\[database\] url ") as caught:
        open_database(url)
    assert "secret" not in str(caught.value)
    assert "secret" not in "".join(traceback.format_exception_only(caught.value))
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_sqlite_in_memory_is_refused_because_no_other_process_would_see_it(url):
    with pytest.raises(ConfigError, match="names no file"):
        open_database(url)


@pytest.mark.parametrize("start", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_postgresql_url_may_be_written_as_every_manual_writes_it(start):
    engine = open_database(f"{start}://hilum:p%40ss@host/name")
    assert engine.url.drivername == "postgresql+psycopg"
    assert engine.url.password == "p@ss"


@databases.ON_POSTGRESQL
def test_a_wrong_password_is_not_shown(postgresql_server):
    engine = open_database(
        postgresql_server.set(password="wrong-SECRET").render_as_string(hide_password=False)
    )
    with pytest.raises(sa.exc.OperationalError, match="password authentication failed") as caught:
        engine.connect()
    assert "SECRET" not in whole_text(caught.value)
    engine.dispose()


@databases.ON_POSTGRESQL
def test_a_connection_that_the_server_has_cut_is_replaced(postgresql_server):
    with databases.new_database(postgresql_server) as url:
        engine, other = open_database(url), open_database(url)
        with engine.connect() as connection:
            pid = connection.scalar(sa.text("SELECT pg_backend_pid()"))
        with other.connect() as connection:
            connection.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        with engine.connect() as connection:
            assert connection.scalar(sa.text("SELECT pg_backend_pid()")) != pid
        engine.dispose()
        other.dispose()


def test_without_a_url_the_database_is_in_data_dir(tmp_path):
    assert DatabaseSettings().resolved(tmp_path) == f"sqlite:///{tmp_path / 'hilum.sqlite'}"
    named = "postgresql+psycopg://host/name"
    assert DatabaseSettings(url=named).resolved(tmp_path) == named
