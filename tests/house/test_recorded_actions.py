"""Whatever changes something is recorded before it is done, and is not done where it cannot be."""

import os
import shutil
from datetime import timedelta

import pytest
import sqlalchemy as sa
from dashboard import changing, served
from films import make_film_ds
from invented_films import NOW, REPORT, Invented, open_index
from sqlalchemy.orm import Session
from typer.main import get_group

from scp.cli import app
from scp.dimse.request import Request
from scp.index.accounts import users
from scp.index.accounts.tables import Access
from scp.index.schema.tables import DeliveryState
from scp.monitoring.audit import Audit, AuditFailed
from scp.outcomes.delivery import Cause, Outcome
from scp.pipeline.intake import Intake
from scp.pipeline.job_ids import film_job
from scp.pipeline.queue import Jobs

CONFIG = """[archive]
reserve_mb = 0
[[destinations]]
name = "PACS_A"
ae_title = "PACS"
host = "::1"
port = 1
"""
DEAD = {"state": DeliveryState.DEAD, "attempts": 9, "last_attempt_at": NOW - timedelta(hours=1)}
PASSWORD = "four random words\n"
# each kind of action on a page: what is posted, of a `World`
ROUTES = {
    "/queue/retry": lambda world: f"/queue/retry?job={world.letter}",
    "/queue/cancel": lambda world: f"/queue/cancel?job={film_job(world.later)}",
    "/queue/discard": lambda world: f"/queue/discard?job={world.letter}",
    "/queue/retry-all": lambda _: "/queue/retry-all?destination=PACS_A",
    "/queue/discard-all": lambda _: "/queue/discard-all?destination=PACS_A",
    "/films/{uid}/compare/{prior_uid}": lambda world: (
        f"/films/{world.later}/compare/{world.earlier}"
    ),
}
# these are of people, and tests/scp/dashboard/test_access.py has them: a full disk keeps nobody out
COMING_AND_GOING = {"/login", "/logout"}
COMMANDS = {
    "queue retry": lambda world: ["queue", "retry", world.letter],
    "queue cancel": lambda world: ["queue", "cancel", film_job(world.later)],
    "patient merge": lambda _: ["patient", "merge", "PAIR", "--into", "OTHER", "--yes"],
    "patient move": lambda world: ["patient", "move", world.later, "--into", "OTHER", "--yes"],
    "patient forget": lambda _: ["patient", "forget", "PAIR", "--yes"],
    "user add": lambda _: ["user", "add", "vera", "--access", "viewer", "--password-stdin"],
    "user password": lambda _: ["user", "password", "otto", "--password-stdin"],
    "user remove": lambda _: ["user", "remove", "otto"],
    "verify --repair": lambda _: ["verify", "--repair"],
    "verify --take-in": lambda _: ["verify", "--take-in"],
    "reindex": lambda _: ["reindex", "--all"],
}
# these change nothing that is kept of films and people: roles, whose log says what they do, and
# what writes to a folder or sends to a peer that is named to it; `restore` makes what is kept where
# nothing is, and records it there
LOOKING = {
    "serve", "receive", "work", "dashboard", "send", "analyse", "compare", "demo", "check",
    "config", "conformance", "audit", "queue list", "queue show", "user list", "patient show",
    "verify", "backup", "restore",
}  # fmt: skip


class World:
    """A service's data in which each action has something to change."""

    def __init__(self, folder):
        self.data_dir = folder / "var"
        self.data_dir.mkdir()
        self.engine, self.archive = open_index(self.data_dir)
        self.jobs = Jobs(self.engine)
        with Session(self.engine) as session:
            invented = Invented(session, self.archive)
            film = invented.film()
            invented.delivery(
                invented.result(film, "report", REPORT, b"x"),
                "PACS_A",
                outcome=Outcome.of(Cause.NO_CONNECTION),
                **DEAD,
            )
            users.add(session, "otto", "hash", Access.OPERATOR, NOW)
            self.letter = f"delivery:{film.uid}:PACS_A"
            session.commit()
        self.earlier, self.later = (self.take(day) for day in ("20230101", "20240101"))
        source = next((self.data_dir / "archive").rglob(f"{self.earlier}*.dcm"))
        for kind in ("results", "archive"):  # what no row names, since long ago
            orphan = self.data_dir / kind / "00" / "1.2" / "1.2.3-0.dcm"
            orphan.parent.mkdir(parents=True)
            shutil.copy(source, orphan)
            os.utime(orphan, (1_700_000_000, 1_700_000_000))

    def take(self, day):
        ds = make_film_ds(study_date=day, patient_id="PAIR", seed=int(day))
        path = self.archive.incoming / "received.dcm"
        ds.save_as(path, enforce_file_format=True)
        intake = Intake(self.engine, self.archive, self.jobs, lambda: NOW)
        intake.ingest(path, Request("TEST", ds.SOPClassUID, ds.SOPInstanceUID))
        return ds.SOPInstanceUID

    def snapshot(self):
        """Return all rows that an action may change, and the names of all files."""
        with self.engine.connect() as connection:
            tables = set(sa.inspect(connection).get_table_names()) - {"heartbeat", "patient"}
            rows = {t: connection.execute(sa.text(f'SELECT * FROM "{t}"')).all() for t in tables}
        folders = ("archive", "results", "quarantine")
        return rows, {path for name in folders for path in (self.data_dir / name).rglob("*")}


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.jobs.close()
    made.engine.dispose()


@pytest.fixture
def looked_at(world, monkeypatch):
    """What had been changed whenever something was recorded; `AuditFailed` instead on demand."""
    original, seen = Audit.record, []

    def record(self, person, action, target, **details):
        if seen == [AuditFailed]:
            raise AuditFailed("the audit trail cannot be written")
        seen.append((person, action, world.snapshot()))
        original(self, person, action, target, **details)

    monkeypatch.setattr(Audit, "record", record)
    return seen


def commands(group, before=""):
    """Return every command of `hilum` as it is typed."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}"


def test_every_command_is_known_to_change_something_or_nothing():
    changes = {name.partition(" --")[0] for name in COMMANDS}
    assert set(commands(get_group(app))) == changes | LOOKING


def test_every_address_that_changes_something_is_known(world):
    with served(world.engine, world.archive) as dashboard:
        assert changing(dashboard.app) == ROUTES.keys() | COMING_AND_GOING


@pytest.mark.parametrize("route", ROUTES)
def test_an_action_on_a_page_is_recorded_before_it_is_done(world, looked_at, route):
    before = world.snapshot()
    with served(world.engine, world.archive) as dashboard:
        looked_at.append(AuditFailed)
        assert dashboard.browser.post(ROUTES[route](world)).status_code == 503
        assert world.snapshot() == before
        looked_at.clear()
        assert dashboard.browser.post(ROUTES[route](world)).status_code == 303
    person, _, then = looked_at[0]
    assert (person, then) == ("local", before)
    assert world.snapshot() != before


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_command_changes_is_recorded_before_it_is_done(
    world, looked_at, command, inside, tmp_path
):
    config = tmp_path / "config.toml"
    config.write_text(CONFIG, encoding="utf-8")
    typed = [*COMMANDS[command](world), "--config", config]
    before = world.snapshot()
    looked_at.append(AuditFailed)
    assert inside(*typed, stdin=2 * PASSWORD).exit_code == 1
    assert world.snapshot() == before
    looked_at.clear()
    inside(*typed, stdin=2 * PASSWORD)
    person, _, then = looked_at[0]
    assert (person.partition(":")[0], then) == ("shell", before)
    assert world.snapshot() != before or command == "reindex"


def test_what_could_not_be_done_after_all_has_a_second_line(world, inside, tmp_path):
    config = tmp_path / "config.toml"
    config.write_text(CONFIG, encoding="utf-8")
    inside("queue", "cancel", film_job("1.2.3"), "--config", config)
    lines = list(Audit(world.data_dir, lambda: NOW).lines())
    assert [line.get("outcome") for line in lines] == [None, "not done"]
    assert lines[1]["error"] == "NoSuchJob"
