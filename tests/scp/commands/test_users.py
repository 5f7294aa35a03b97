"""Users of the dashboard, as an administrator adds and removes them on the command line."""

import getpass
import json
import os
import subprocess
import sys
import unicodedata
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from invented_films import NOW, open_index
from sqlalchemy.orm import Session

from scp.dashboard.security import passwords
from scp.index.accounts import sessions, users
from scp.index.accounts.tables import Access

ROOT = Path(__file__).parents[3]
PASSWORD = "four random words"


@pytest.fixture
def config(tmp_path):
    (tmp_path / "var").mkdir()
    open_index(tmp_path / "var")[0].dispose()
    path = tmp_path / "config.toml"
    path.write_text("[archive]\nreserve_mb = 0\n", encoding="utf-8")
    return path


@pytest.fixture
def hilum(inside, config):
    """Run a command with this test's configuration."""
    return partial(_with, inside, config)


def _with(inside, config, *arguments, stdin=None):
    return inside(*arguments, "--config", config, stdin=stdin)


def add(hilum, name="otto", access="operator", password=PASSWORD):
    return hilum("user", "add", name, "--access", access, "--password-stdin", stdin=password + "\n")


def trail(hilum, *arguments):
    return [json.loads(line) for line in hilum("audit", *arguments).stdout.splitlines()]


def listed(hilum):
    rows = json.loads(hilum("user", "list", "--json").stdout)
    return [(row["name"], row["access"]) for row in rows]


def test_users_are_added_listed_and_removed_and_the_trail_says_by_whom(hilum):
    assert "no user yet: hilum user add" in hilum("user", "list").stdout
    assert "otto may log in, as operator" in add(hilum).stdout
    assert add(hilum, "vera", "viewer").exit_code == 0
    assert listed(hilum) == [("otto", "operator"), ("vera", "viewer")]
    assert "viewer" in hilum("user", "list").stdout
    assert hilum("user", "remove", "otto").exit_code == 0
    assert listed(hilum) == [("vera", "viewer")]
    lines = trail(hilum)
    assert [(line["action"], line["target"]) for line in lines] == [
        ("user added", "otto"),
        ("user added", "vera"),
        ("user removed", "otto"),
    ]
    assert lines[0]["access"] == "operator"
    assert all(line["person"].startswith("shell:") for line in lines)
    assert [line["action"] for line in trail(hilum, "--target", "vera")] == ["user added"]
    assert trail(hilum, "--since", "2999-01-01") == []
    assert PASSWORD not in json.dumps(lines)


def test_a_new_password_takes_the_place_of_the_old(hilum, config):
    add(hilum)
    done = hilum("user", "password", "otto", "--password-stdin", stdin="four other words\n")
    assert "logged out everywhere" in done.stdout
    engine = users_engine(config)
    with Session(engine) as session:
        kept = users.find(session, "otto").password_hash
    engine.dispose()
    assert kept.startswith("$argon2id$")
    assert passwords.matches("four other words", kept)
    assert not passwords.matches(PASSWORD, kept)
    assert [line["action"] for line in trail(hilum)] == ["user added", "password changed"]


def users_engine(config):
    from scp.index.database import open_database

    return open_database(f"sqlite:///{config.parent / 'var' / 'hilum.sqlite'}")


def test_a_password_is_asked_for_twice_and_must_be_the_same(hilum, monkeypatch):
    typed = iter([PASSWORD, PASSWORD, PASSWORD, "four other words"])
    monkeypatch.setattr(getpass, "getpass", lambda _: next(typed))
    assert hilum("user", "add", "otto", "--access", "viewer").exit_code == 0
    done = hilum("user", "add", "vera", "--access", "viewer")
    assert done.exit_code == 1
    assert "the two passwords differ" in done.stderr
    assert listed(hilum) == [("otto", "viewer")]


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("", "fewer than 12"),
        ("short words", "fewer than 12"),
        ("x" * 300, "more than 256"),
        ("otto is my name", "the user's name"),
        ("OTTO is my name", "the user's name"),
        ("839201847561", "no letters"),
        ("aaaaaaaaaaaaab", "repeats the same"),
        ("wordwrwordwr", "repeats the same"),
        ("password1234", "most common"),
        ("Password!2026!", "most common"),
        ("hilum-2026-2026", "most common"),
        ("Administrator1", "most common"),
    ],
)
def test_a_password_that_would_be_guessed_is_not_taken(hilum, password, says):
    done = add(hilum, password=password)
    assert done.exit_code == 1
    assert says in done.stderr
    assert "Four random words are good" in done.stderr
    assert listed(hilum) == []


@pytest.mark.parametrize("name", ["Otto", "local", "", "o tto", "-otto", "o" * 65, "o\n", "../o"])
def test_a_name_that_cannot_be_one_is_refused(hilum, name):
    done = hilum(
        "user", "add", "--access", "viewer", "--password-stdin", "--", name, stdin=PASSWORD
    )
    assert done.exit_code != 0
    assert listed(hilum) == []


def test_a_taken_name_and_one_that_nobody_has_are_refused_in_words(hilum):
    add(hilum)
    assert "hilum user password otto" in add(hilum).stderr
    for command in (["remove"], ["password", "--password-stdin"]):
        done = hilum("user", *command, "vera", stdin=PASSWORD)
        assert done.exit_code == 1
        assert "there is no user 'vera'" in done.stderr


def test_there_is_no_access_but_viewer_and_operator_and_none_by_default(hilum):
    assert add(hilum, access="admin").exit_code == 2
    assert hilum("user", "add", "otto", "--password-stdin", stdin=PASSWORD).exit_code == 2


def test_a_user_is_not_changed_when_that_cannot_be_recorded(hilum, config):
    (config.parent / "var" / "audit").write_text("in the way")
    done = add(hilum)
    assert done.exit_code == 1
    assert "the audit trail" in done.stderr
    assert listed(hilum) == []


def test_a_password_that_was_changed_meanwhile_lets_nobody_in(engine):
    with Session(engine) as session, session.begin():
        users.add(session, "otto", "old hash", Access.VIEWER, NOW)
        users.set_password(session, "otto", "new hash")
        assert sessions.begin(session, "otto", "old hash", NOW) is None
        assert sessions.begin(session, "vera", "old hash", NOW) is None
        assert sessions.begin(session, "otto", "new hash", NOW) is not None


def test_a_session_is_recognised_until_it_is_over(engine):
    limits = sessions.Limits(timedelta(hours=2), timedelta(hours=1))
    with Session(engine) as session, session.begin():
        users.add(session, "otto", "hash", Access.OPERATOR, NOW)
        token = sessions.begin(session, "otto", "hash", NOW)

        def who(hours, acts=True):
            return sessions.recognise(
                session, token, NOW + timedelta(hours=hours), limits, acts=acts
            )

        assert who(0) == ("otto", Access.OPERATOR)
        assert who(0.9) == ("otto", Access.OPERATOR)
        assert who(1.8) == ("otto", Access.OPERATOR)
        assert who(2) is None
        assert sessions.recognise(session, "guessed", NOW, limits, acts=True) is None


def test_the_same_characters_from_another_keyboard_are_the_same_password():
    kept = passwords.hashed("vier Wörter zufällig")
    assert passwords.matches(unicodedata.normalize("NFD", "vier Wörter zufällig"), kept)


def test_the_command_reads_a_password_from_stdin_and_prints_none(config):
    done = subprocess.run(
        [sys.executable, "-m", "scp.cli", "user", "add", "otto", "--access", "viewer",
         "--password-stdin", "--config", str(config)],
        cwd=ROOT, check=False, env=os.environ | {"NO_COLOR": "1"}, capture_output=True,
        text=True, timeout=120, input=PASSWORD + "\n",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "otto may log in" in done.stdout
    assert PASSWORD not in done.stdout + done.stderr


def test_the_dashboard_says_at_its_start_that_nobody_can_log_in_yet(config):
    beyond = {"HILUM_DASHBOARD__HOST": "0.0.0.0", "HILUM_DASHBOARD__PORT": "0"}
    with subprocess.Popen(
        [sys.executable, "-m", "scp.cli", "dashboard", "--config", str(config)],
        cwd=ROOT, env=os.environ | beyond, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        first, second = process.stderr.readline(), process.stderr.readline()
        process.terminate()
        process.stderr.read()
    assert "no user yet" in first
    assert "hilum user add NAME" in first
    assert "passwords are sent unencrypted" in second
