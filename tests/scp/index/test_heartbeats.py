"""Which life of a role a heartbeat speaks for: SQLite and PostgreSQL alike."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from scp.config.load import Settings
from scp.errors import ServiceError
from scp.index import heartbeats
from scp.index.heartbeats import Role
from scp.monitoring.readiness import readiness
from scp.processes.runtime import beat_file, beat_until, begin_role, now, open_context

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)
# in a container every life has the same process id
FIRST = Role("work-a", "work", 1, {"model": "net"}, "first")
SECOND_LIFE = Role("work-a", "work", 1, {"model": "net"}, "second")


@pytest.fixture
def session(engine):
    with Session(engine) as session:
        yield session


def alive(session, at):
    session.flush()
    session.expire_all()
    return [role.start_id for role in heartbeats.alive(session, at)]


def test_what_an_earlier_life_said_does_not_count_once_the_next_begins(session):
    heartbeats.begin(session, FIRST, NOW)
    assert alive(session, NOW) == []  # it loads its model
    assert heartbeats.beat(session, FIRST, NOW + SECOND)
    assert alive(session, NOW + SECOND) == ["first"]
    heartbeats.begin(session, SECOND_LIFE, NOW + 2 * SECOND)  # killed, and started again
    assert alive(session, NOW + 3 * SECOND) == []
    assert heartbeats.beat(session, SECOND_LIFE, NOW + 4 * SECOND)
    assert alive(session, NOW + 4 * SECOND) == ["second"]


def test_an_earlier_life_that_takes_leave_late_takes_nothing_from_the_present_one(session):
    heartbeats.begin(session, SECOND_LIFE, NOW)
    heartbeats.beat(session, SECOND_LIFE, NOW)
    heartbeats.deregister(session, "work-a", "first")
    assert alive(session, NOW) == ["second"]
    heartbeats.deregister(session, "work-a", "second")
    assert alive(session, NOW) == []


def test_two_processes_of_one_name_do_not_speak_for_each_other(session):
    heartbeats.begin(session, FIRST, NOW)
    heartbeats.beat(session, FIRST, NOW)
    assert not heartbeats.beat(session, SECOND_LIFE, NOW + SECOND)
    assert alive(session, NOW + SECOND) == ["first"]
    late = NOW + heartbeats.FRESH + SECOND  # nothing more is heard of the first
    assert heartbeats.beat(session, SECOND_LIFE, late)
    assert alive(session, late) == ["second"]


@pytest.fixture
def stores(tmp_path):
    with open_context(Settings(data_dir=tmp_path, archive={"reserve_mb": 0})) as stores:
        yield stores


def checks(stores):
    found = readiness(stores.engine, stores.archive, now()).checks
    return {check.name: (check.ok, check.text) for check in found}


def test_a_worker_that_is_started_again_is_not_ready_before_it_says_so(stores):
    with Session(stores.engine) as session, session.begin():
        heartbeats.begin(session, FIRST, now())
        heartbeats.beat(session, FIRST, now())
    file = beat_file(stores.archive, "work-a")
    file.parent.mkdir(exist_ok=True)
    file.touch()
    assert checks(stores)["model"][0]
    begin_role(stores, "work-a", "work", "second")  # after SIGKILL, within the same second
    ok, text = checks(stores)["model"]
    assert not ok
    assert "role 'work' is starting" in text
    assert not file.exists()  # the container's health check is of this life, too
    with Session(stores.engine) as session, session.begin():
        heartbeats.beat(session, SECOND_LIFE, now())
    assert checks(stores)["model"][0]


class Never:
    """A service that nobody stops."""

    def wait(self, _timeout_s):
        return False


def test_a_heartbeat_ends_with_the_thread_that_it_speaks_for(stores):
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    begin_role(stores, "receive-a", "receive", "first")
    beats = []

    def each():
        beats.append(checks(stores)["receiver"][0])
        end.set()
        thread.join()

    role = Role("receive-a", "receive", 1, {}, "first")
    with pytest.raises(ServiceError, match="receive-a: the thread that does its work has ended"):
        beat_until(Never(), stores, role, every_beat=each, works=thread.is_alive)
    assert beats == [True]
    assert not checks(stores)["receiver"][0]
    assert not beat_file(stores.archive, "receive-a").exists()
