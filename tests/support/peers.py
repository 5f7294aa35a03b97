"""Real peers from outside Python: a missing one is a skip here and a failure in CI."""

import os
import shutil
from pathlib import Path

import pytest


def require_peer(name: str) -> str:
    """Return the path of a program; without it the test is skipped, and fails where CI=true."""
    path = shutil.which(name)
    if path is not None:
        return path
    return _missing(f"{name} is not installed")


def require_jar(name: str) -> str:
    """Return the path of a Java archive as Debian installs them, or do as `require_peer` does."""
    path = Path("/usr/share/java") / name
    return str(path) if path.is_file() else _missing(f"{name} is not installed")


def _missing(reason: str) -> str:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
