"""Fixtures that several test modules share."""

import os
import tempfile
from pathlib import Path

import pytest
import torch
from dashboard import dashboard, index
from databases import (
    backend,
    database_url,
    engine,
    migrated_url,
    postgresql_server,
    postgresql_template,
    sqlite_template,
)
from films import philips_cr
from labelled import finished_run, labelled_films
from orthanc import orthanc
from pynetdicom import _config
from tiny import make_tiny_bundle
from typer.testing import CliRunner

from inference.drawing.canvas import Canvas
from scp.cli import app
from scp.monitoring import logs

__all__ = [  # fixtures
    "backend",
    "dashboard",
    "database_url",
    "engine",
    "finished_run",
    "index",
    "labelled_films",
    "migrated_url",
    "orthanc",
    "postgresql_server",
    "postgresql_template",
    "sqlite_template",
]

torch.set_num_threads(1)  # several test processes share the cores

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real films beside the checkout; on a user's machine there is none."""
    if not SHARED_DATA.is_dir():
        reason = "the real films are not beside this checkout (../shared/data)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return SHARED_DATA


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory):
    """A bundle with a seeded network so small that a test can wait for it."""
    return make_tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture(scope="session")
def philips_film():
    """The real Philips CR film of the package pydicom-data."""
    return philips_cr()


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    """Keep the caller's HILUM_ variables out of the tests."""
    for name in [name for name in os.environ if name.startswith("HILUM_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _receivers_stay_in_their_test(monkeypatch):
    """Undo what a receiver sets for its whole process, which in the service is its own."""
    monkeypatch.setattr(_config, "STORE_RECV_CHUNKED_DATASET", False)
    monkeypatch.setattr(tempfile, "tempdir", tempfile.tempdir)


@pytest.fixture
def inside(monkeypatch):
    """Run a command in this process: most of one's time is its start."""
    monkeypatch.setattr(logs, "configure_logs", lambda *_, **__: None)

    def run(*arguments, stdin=None):
        done = CliRunner().invoke(app, [*map(str, arguments)], input=stdin)
        assert isinstance(done.exception, SystemExit | None)  # a shell would see a traceback
        return done

    return run


@pytest.fixture
def written(monkeypatch):
    """Every line of text that gets drawn, in order."""
    lines = []
    original = Canvas.fitted

    def noting(self, text, size, width):
        fitted, font = original(self, text, size, width)
        lines.append(fitted)
        return fitted, font

    monkeypatch.setattr(Canvas, "fitted", noting)
    return lines
