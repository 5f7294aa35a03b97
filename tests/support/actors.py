"""Somebody who acts, with an audit trail of their own."""

import atexit
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from scp.monitoring.audit import Actor, Audit

_FOLDER = TemporaryDirectory(prefix="hilum-audit-")
atexit.register(_FOLDER.cleanup)


def otto(folder: Path | None = None) -> Actor:
    """An operator whose trail lies in this folder, or in one that nobody looks at."""
    return Actor(Audit(folder or Path(_FOLDER.name), lambda: datetime.now(UTC)), "otto")
