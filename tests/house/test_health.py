"""What the health checks of containers are told."""

import os
import subprocess
import sys
import time
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from scp.index.heartbeats import FRESH

HEALTH = Path(__file__).parents[2] / "docker" / "health.py"
health = module_from_spec(spec := spec_from_file_location("health", HEALTH))
spec.loader.exec_module(health)


def test_the_service_is_ready_when_films_will_be_taken_and_read(dashboard):
    with dashboard.invent() as invented:
        invented.role("receive")
        invented.role("work", model="m", version="1", device="cpu")
    assert health.what_is_wrong(f"{dashboard.address}/readyz", 0) == ""


def test_what_is_wrong_with_the_service_is_said_and_nothing_else(dashboard):
    with dashboard.invent() as invented:
        invented.role("receive")
    wrong = health.what_is_wrong(f"{dashboard.address}/readyz", 0)
    assert "Films wait and are not read" in wrong
    assert "Listening" not in wrong


def test_a_service_that_does_not_answer_is_not_ready_whatever_a_proxy_says(dashboard, monkeypatch):
    monkeypatch.setenv("http_proxy", dashboard.address)
    wrong = health.what_is_wrong("http://127.0.0.1:1/readyz", 0)
    assert "http://127.0.0.1:1/readyz does not answer" in wrong


@pytest.mark.parametrize(("age_s", "is_ready"), [(1, True), (14, True), (16, False)])
def test_a_role_is_ready_while_it_is_heard_of(tmp_path, age_s, is_ready):
    beat, now = tmp_path / "work-1", time.time()
    beat.touch()
    os.utime(beat, (now - age_s, now - age_s))
    assert health.what_is_wrong(str(beat), now) == (
        "" if is_ready else "work-1 sent its last heartbeat 16 s ago."
    )


def test_a_role_that_never_started_is_not_ready(tmp_path):
    assert "work-1 does not run" in health.what_is_wrong(str(tmp_path / "work-1"), time.time())


def test_a_role_is_alive_as_long_for_its_container_as_for_the_page():
    assert FRESH.total_seconds() == health.FRESH_S


def test_it_ends_with_what_a_health_check_expects(tmp_path):
    beat = tmp_path / "work-1"

    def run():
        command = [sys.executable, HEALTH, beat]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    assert run() == (1, "work-1 does not run, or has not started yet.\n", "")
    beat.touch()
    assert run() == (0, "well\n", "")
