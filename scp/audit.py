"""The audit trail: who looked at, retried, cancelled or discarded what, and when.

One line of JSON each in ``data_dir/audit/<year>-<month>.jsonl``, only ever appended to. A person
and the UID of an object are in it, and no patient's name.
"""

import json
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path


class Audit:
    """Appends to the trail. Safe from many threads and processes."""

    def __init__(self, data_dir: Path, clock: Callable[[], datetime]) -> None:
        self._folder = data_dir / "audit"
        self._clock = clock

    def record(self, person: str, action: str, target: str, **details: str) -> None:
        """Append one line; it is on the disk when this returns.

        Parameters
        ----------
        person
            Who did it.
        action
            A verb in the past: "viewed", "retried".
        target
            The UID of the film or result, or the id of the job.
        """
        now = self._clock()
        line = {"at": now.isoformat(), "person": person, "action": action, "target": target}
        self._folder.mkdir(mode=0o750, exist_ok=True)
        path = self._folder / f"{now:%Y-%m}.jsonl"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        try:
            os.write(descriptor, (json.dumps(line | details) + "\n").encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
