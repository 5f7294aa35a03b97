"""What may stand in a log, seen from outside a process."""

import json
import subprocess
import sys

import pytest

ROLE = """
from threading import Thread
import structlog
from scp.monitoring import logs
logs.configure_logs("test")

def fail():
    raise ValueError("Name^Secret")

{act}
"""


def lines_of(act: str) -> list[dict]:
    done = subprocess.run(
        [sys.executable, "-c", ROLE.format(act=act)], capture_output=True, text=True, check=False
    )
    assert "Secret" not in done.stderr
    return [json.loads(line) for line in done.stderr.splitlines()]


@pytest.mark.parametrize(
    ("act", "event"),
    [
        ("t = Thread(target=fail); t.start(); t.join()", "thread died"),
        ("fail()", "process died"),
        ("try: fail()\nexcept ValueError: structlog.get_logger().exception('caught')", "caught"),
        ("import warnings; warnings.warn('Name^Secret'); structlog.get_logger().info('on')", "on"),
    ],
)
def test_a_strange_exceptions_text_is_never_logged_but_its_type_and_place_are(act, event):
    (line,) = lines_of(act)
    assert (line["event"], line["role"]) == (event, "test")
    if event != "on":
        assert line["exception"]["type"] == "ValueError"
        assert any("fail" in place for place in line["exception"]["at"])


def test_our_own_errors_are_logged_with_their_text():
    act = (
        "from scp.errors import ConfigError\n"
        "try: raise ConfigError('write another port')\n"
        "except ConfigError: structlog.get_logger().exception('caught')"
    )
    (line,) = lines_of(act)
    assert line["exception"]["text"] == "write another port"
