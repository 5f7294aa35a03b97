"""The audit trail: who looked at, retried, cancelled or discarded what, and when.

One line of JSON each in ``data_dir/audit/<year>-<month>.jsonl``, only ever appended to. A person
and the UID of an object are in it, and no patient's name.

Whoever changes something records it *before* doing so (`Actor.doing`): what cannot be recorded is
not done, and what was recorded and then could not be done has a second line that says so. Looking
goes on without, and the log says so (`scp.dashboard.guard.viewed`).
"""

import errno
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from scp.errors import HilumError

_ROOM = 64 * 1024  # bytes; below, a disk is full


class AuditFailed(HilumError):
    """The trail cannot be written; the text says why, and what to do."""


class Audit:
    """Appends to the trail. Safe from many threads, processes, and machines with one folder."""

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

        Raises
        ------
        AuditFailed
            The disk is full, or the file cannot be written.
        """
        now = self._clock()
        line = {"at": now.isoformat(), "person": person, "action": action, "target": target}
        self._append(now, (json.dumps(line | details) + "\n").encode())

    def require_writable(self) -> None:
        """Raise `AuditFailed` when a line could not be written now."""
        self._append(self._clock(), b"")

    def lines(
        self, person: str | None = None, target: str | None = None, since: datetime | None = None
    ) -> Iterator[dict[str, str]]:
        """Return what is recorded, the oldest first: all, or of one person or object, or since.

        A line that a power cut tore is passed over.
        """
        for path in sorted(self._folder.glob("*.jsonl")):
            for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    line: dict[str, str] = json.loads(text)
                except json.JSONDecodeError:
                    continue
                if (
                    (person is None or line["person"] == person)
                    and (target is None or target in line.values())
                    and (since is None or datetime.fromisoformat(line["at"]) >= since)
                ):
                    yield line

    def _append(self, now: datetime, line: bytes) -> None:
        path = self._folder / f"{now:%Y-%m}.jsonl"
        try:
            self._folder.mkdir(mode=0o750, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o640)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)  # over NFS, O_APPEND alone is not enough
                _require_room(descriptor)
                if line:
                    _append_whole(descriptor, line)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise AuditFailed(
                f"the audit trail in {self._folder} cannot be written ({error.strerror}): free "
                "space on the disk, or correct the folder's owner and permissions"
            ) from error


@dataclass(frozen=True)
class Actor:
    """A person, and the trail that has what they do before it is done."""

    audit: Audit
    person: str

    @contextmanager
    def doing(self, action: str, target: str, **details: str) -> Iterator[None]:
        """Record an action, then let it be done; record once more if it could not be done.

        Parameters as of `Audit.record`. The second line has ``outcome`` and the kind of the error,
        and not its text, which may be about a patient.

        Raises
        ------
        AuditFailed
            It cannot be recorded, and was not done.
        """
        self.audit.record(self.person, action, target, **details)
        try:
            yield
        except Exception as error:
            with suppress(AuditFailed):
                why = {"outcome": "not done", "error": type(error).__name__}
                self.audit.record(self.person, action, target, **details | why)
            raise


def _require_room(descriptor: int) -> None:
    disk = os.fstatvfs(descriptor)
    if disk.f_bavail * disk.f_frsize < _ROOM:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _append_whole(descriptor: int, line: bytes) -> None:
    """Append all of a line, or nothing; a line that a power cut tore is closed first."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        line = b"\n" + line
    written = 0
    try:
        while written < len(line):
            written += os.write(descriptor, line[written:])
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise
