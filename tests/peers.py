"""Real peers from outside Python: a missing one is a skip here and a failure in CI."""

import os
import shutil

import pytest


def require_peer(name: str) -> str:
    """Return the path of a program; without it the test is skipped, and fails where CI=true."""
    path = shutil.which(name)
    if path is not None:
        return path
    reason = f"{name} is not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
