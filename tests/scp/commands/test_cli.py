"""The command line, as a shell sees it: help, exit codes, what is printed where."""

import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from network import Pacs
from pydicom.uid import Comprehensive3DSRStorage, SecondaryCaptureImageStorage
from sqlalchemy.orm import Session
from typer.main import get_group
from typer.testing import CliRunner

from scp.cli import app
from scp.commands.check import check_all
from scp.commands.send import parse_address
from scp.errors import ConfigError
from scp.index.accounts import users
from scp.index.accounts.tables import Access
from scp.index.database import migrate, open_database

ROOT = Path(__file__).parents[3]
GROUPS = get_group(app).commands
COMMANDS = [
    (),
    *((name,) for name in GROUPS),
    *((group, name) for group in ("queue", "user") for name in GROUPS[group].commands),
]


def hilum(*arguments, **environment):
    """Run the command line as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "scp.cli", *map(str, arguments)],
        cwd=ROOT,
        check=False,
        env=os.environ | {"NO_COLOR": "1", "COLUMNS": "200"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def config(tmp_path, tiny_bundle):
    """Return a function that writes a configuration on free ports with the tiny network."""

    def write(more=""):
        path = tmp_path / "config.toml"
        path.write_text(
            f'[receiver]\nport = 0\n[dashboard]\nport = 0\n[inference]\nbundle = "{tiny_bundle}"\n'
            f"[archive]\nreserve_mb = 0\n{more}",
            encoding="utf-8",
        )
        return path

    return write


@pytest.fixture
def check(config, monkeypatch, capsys):
    """Return a function that gives what is wrong, and all that was looked at, by `hilum check`.

    In this process: loading torch anew takes longer than all else.
    """

    def run(more="", **environment):
        with monkeypatch.context() as outside:
            for name, value in environment.items():
                outside.setenv(name, value)
            code = check_all(config(more), as_json=True)
        looked_at = {item["what"]: item for item in json.loads(capsys.readouterr().out)}
        wrong = {what: item["text"] for what, item in looked_at.items() if not item["good"]}
        assert code == (1 if wrong else 0)
        return wrong, looked_at

    return run


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_each_command_explains_itself(command):
    done = CliRunner().invoke(app, [*command, "--help"])
    assert done.exit_code == 0
    assert "Usage" in done.stdout


@pytest.mark.parametrize(
    ("command", "package", "code"),
    [
        ("check --json", "torch", 1),
        ("work", "torch", 78),
        ("serve", "torch", 78),
        ("train --out run", "torch", 1),
        ("train --out run", "ignite", 1),
    ],
)
def test_what_needs_a_package_that_is_missing_names_it_and_does_nothing(
    config, tmp_path, command, package, code
):
    run = "import sys; sys.modules[sys.argv.pop(1)] = None; import scp.cli; scp.cli.main()"
    done = subprocess.run(
        [sys.executable, "-c", run, package, *command.split()],
        cwd=tmp_path,
        env=os.environ | {"NO_COLOR": "1", "HILUM_CONFIG": str(config())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"the package {package}, which is not installed: `make setup`" in (
        done.stdout + done.stderr
    )
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    assert not (tmp_path / "run").exists()


def test_the_help_says_what_hilum_is_and_what_it_is_not():
    done = hilum("--help")
    assert done.returncode == 0, done.stderr
    for words in ("chest X-rays", "not a medical device", "serve", "analyse", "queue"):
        assert words in done.stdout


def test_a_wrong_command_is_wrong_usage():
    done = hilum("sevre")
    assert done.returncode == 2
    assert "sevre" in done.stderr


@pytest.mark.parametrize(
    "command",
    [["serve"], ["work"], ["queue", "list"], ["analyse", "film.dcm", "--out", "x"]],
    ids=" ".join,
)
def test_a_wrong_configuration_is_exit_code_78_and_one_sentence(inside, tmp_path, command):
    path = tmp_path / "config.toml"
    path.write_text("[receiver]\nprot = 1", encoding="utf-8")
    done = inside(*command, "--config", path)
    assert done.exit_code == 78
    assert "receiver.prot: no such key; did you mean port?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_shell_sees_that_a_configuration_is_missing(tmp_path):
    done = hilum("serve", "--config", tmp_path / "none.toml")
    assert done.returncode == 78
    assert "name one with --config" in done.stderr


def test_a_taken_port_is_exit_code_78_and_names_the_key(config):
    path = config()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = hilum("serve", "--config", path, HILUM_RECEIVER__PORT=str(port))
    assert done.returncode == 78
    assert f"127.0.0.1:{port} cannot be listened on" in done.stderr
    assert "[receiver] port" in done.stderr


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("HILUM_INFERENCE__BUNDLE", "nowhere", "metadata.json is missing"),
        ("HILUM_RESULTS__THRESHOLDS", '{"Efusion": 0.4}', "Efusion"),
    ],
)
def test_a_model_that_cannot_be_used_is_exit_code_78(config, variable, value, says):
    done = hilum("work", "--config", config(), **{variable: value})
    assert done.returncode == 78
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_the_configuration_can_be_named_by_the_environment(inside, monkeypatch, tmp_path):
    monkeypatch.setenv("HILUM_CONFIG", str(tmp_path / "elsewhere.toml"))
    done = inside("queue", "list")
    assert done.exit_code == 78
    assert "elsewhere.toml is not there" in done.stderr


def test_check_is_content_with_a_good_configuration(inside, config):
    done = inside("check", "--json", "--config", config())
    looked_at = {item["what"]: item for item in json.loads(done.stdout)}
    assert done.exit_code == 0, done.stdout
    assert all(item["good"] for item in looked_at.values())
    assert set(looked_at) == {
        "configuration", "model", "disk", "database", "receiver port", "dashboard port",
        "dashboard login", "priors", "destinations",
    }  # fmt: skip
    assert looked_at["model"]["text"].startswith("tiny 0.0.1 on ")


def test_check_lists_all_that_is_wrong_and_how_to_mend_it(check, tmp_path):
    nobody = free_port()
    with socket.create_server(("127.0.0.1", 0)) as other:
        wrong, _ = check(
            f'[[destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "127.0.0.1"\n'
            f'port = {nobody}\n[priors]\nretrieve = "get"\nport = {nobody}\n',
            HILUM_INFERENCE__BUNDLE=str(tmp_path / "no-bundle"),
            HILUM_DASHBOARD__PORT=str(other.getsockname()[1]),
            HILUM_ARCHIVE__RESERVE_MB="1000000000",
            HILUM_DATABASE__URL="postgresql+psycopg://nobody@127.0.0.1:1/none",
        )
    assert set(wrong) == {
        "model", "disk", "database", "dashboard port", "priors", "destination pacs",
    }  # fmt: skip
    assert "metadata.json is missing" in wrong["model"]
    assert "lower [archive] reserve_mb" in wrong["disk"]
    assert "is it running" in wrong["database"]
    assert "are [priors] host and port right?" in wrong["priors"]
    assert "does it know HILUM?" in wrong["destination pacs"]


def test_check_says_who_may_log_in_and_that_passwords_travel_in_the_clear(check, tmp_path):
    beyond = {"HILUM_DASHBOARD__HOST": "0.0.0.0"}

    def login(**environment):
        return check(**environment)[1]["dashboard login"]

    assert login() == {
        "what": "dashboard login", "good": True, "text": "open to this machine, without a login",
    }  # fmt: skip
    nobody = login(**beyond)
    assert not nobody["good"]
    assert "no user yet: hilum user add" in nobody["text"]
    engine = open_database(f"sqlite:///{tmp_path / 'var' / 'hilum.sqlite'}")
    migrate(engine)
    with Session(engine) as session, session.begin():
        users.add(session, "otto", "hash", Access.VIEWER, datetime.now(UTC))
    engine.dispose()
    clear = login(**beyond)
    assert clear["good"]
    assert clear["text"].startswith("1 may log in; passwords are sent unencrypted")
    assert login(**beyond, HILUM_DASHBOARD__BEHIND_HTTPS="true")["text"] == "1 may log in"


def test_check_names_what_a_destination_does_not_take_and_the_key_that_switches_it_off(check):
    with Pacs([SecondaryCaptureImageStorage, Comprehensive3DSRStorage]) as pacs:
        there = (
            f'[[destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "127.0.0.1"\n'
            f"port = {pacs.port}\n"
        )
        wrong, _ = check(there)
        off, _ = check(there, HILUM_RESULTS__PRESENTATION_STATE="false")
    (text,) = wrong.values()
    assert "does not accept Grayscale Softcopy Presentation State Storage" in text
    assert "[results] presentation_state" in text
    assert not off


def test_check_says_what_is_wrong_with_a_configuration_that_cannot_be_read(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("[receiver]\nprot = 1", encoding="utf-8")
    done = hilum("check", "--json", "--config", path)
    (item,) = json.loads(done.stdout)
    assert done.returncode == 1
    assert item["good"] is False
    assert "did you mean port?" in item["text"]


def test_an_empty_queue_says_so(inside, config):
    assert "nothing is waiting" in inside("queue", "list", "--config", config()).stdout


@pytest.mark.parametrize(
    ("verb", "job"),
    [
        ("show", "nonsense"),
        ("cancel", "film:1.2.3"),
        ("retry", "film:1.2.3"),
        ("retry", "delivery:1.2.3:pacs:1"),
    ],
)
def test_a_job_that_is_not_there_is_exit_code_1(inside, config, verb, job):
    done = inside("queue", verb, job, "--config", config())
    assert done.exit_code == 1
    assert "Traceback" not in done.stderr
    assert job in done.stderr or "1.2.3" in done.stderr


def test_sending_to_nobody_says_so_for_each_file(inside, philips_film, tmp_path):
    other = tmp_path / "notes.txt"
    other.write_text("no film", encoding="utf-8")
    port = free_port()
    done = inside("send", philips_film, other, "--to", f"PACS@127.0.0.1:{port}", "--json")
    answers = {Path(row["path"]).name: row["answer"] for row in json.loads(done.stdout)}
    assert done.exit_code == 1
    assert answers == {
        philips_film.name: "no connection",
        "notes.txt": "not a DICOM file",
    }


@pytest.mark.parametrize("address", ["PACS", "PACS@host", "PACS@host:0", "PACS@host:70000"])
def test_an_address_that_is_none_is_explained(address):
    with pytest.raises(ConfigError, match="write AE@HOST:PORT"):
        parse_address(address)


def test_sending_what_is_not_there_is_explained(inside, tmp_path):
    done = inside("send", tmp_path / "none.dcm", "--to", "PACS@127.0.0.1:11112")
    assert done.exit_code == 78
    assert "none.dcm is not there" in done.stderr
