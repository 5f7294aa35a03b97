"""Received objects and results on disk.

No file has its final name before its bytes are on the disk: write beside it, fsync,
rename, fsync the folder. Names are made of validated UIDs and hashes only.

::

    data_dir/
    ├── incoming/     being received; a receiver that starts deletes what is older than an hour
    ├── archive/      ab/<study uid>/<sop uid>-<sha256, 32 digits>.dcm
    ├── results/      ab/<study uid>/<sop uid>.dcm
    ├── prepared/     answers that are whole and not yet in the index (`scp.pipeline.prepared`)
    └── quarantine/   refused, byte for byte, with the reason in the index
"""

import errno
import hashlib
import os
import pwd
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pydicom import config
from pydicom.uid import UID

from scp.config.storage import ArchiveSettings
from scp.errors import ArchiveFull, ServiceError, Unreadable


@dataclass(frozen=True)
class Stored:
    """One object on disk: path relative to data_dir, SHA-256 in hexadecimal, size in bytes."""

    path: str
    sha256: str
    size_bytes: int


class DiskUsage(NamedTuple):
    """Bytes of a disk; with less than ``reserve`` free, no film is taken in."""

    total: int
    used: int
    free: int
    reserve: int


UNFINISHED = "restore-unfinished"  # in data_dir while a backup is being restored into it
_UID = re.compile(r"[0-9]+(\.[0-9]+)*", re.ASCII)
_UID_LETTERS = 64


def valid_uid(value: object, name: str) -> UID:
    """Return ``value`` as a UID.

    Raises
    ------
    Unreadable
        It is absent, or not made as a UID is; such a value never becomes part of a path. Leading
        zeros of a component are wrong by PS3.5 9.1, but senders make them, and PACS keep them.
    """
    uid = UID(str(value or "").strip("\0 "), config.IGNORE)  # judged here, not echoed in a warning
    if len(uid) > _UID_LETTERS or not _UID.fullmatch(uid):
        raise Unreadable(f"{name} is absent or not a valid UID")
    return uid


def fsync(path: Path) -> None:
    """Put a file, or the names in a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def stamp(path: Path, at: datetime) -> None:
    """Give a file the time of its arrival: where its row is lost, it tells it."""
    ns = round(at.timestamp() * 1e6) * 1000
    os.utime(path, ns=(ns, ns))


def arrival(path: Path) -> datetime:
    """Return when a file arrived (`stamp`)."""
    return datetime.fromtimestamp(round(path.stat().st_mtime_ns / 1000) / 1e6, UTC)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents; the new names are on the disk when this returns."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    fsync(folder.parent)


def refuse_root(data_dir: Path) -> None:
    """Raise `ServiceError` for root where another user owns the folder and runs the service."""
    if os.geteuid() != 0 or not data_dir.is_dir() or not (owner := data_dir.stat().st_uid):
        return
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = f"#{owner}"
    raise ServiceError(
        f"{data_dir} belongs to {name}, and the service could not change what root leaves there:"
        f" run this as its user (sudo -u {name} hilum ...)"
    )


def _refuse_half_restored(data_dir: Path) -> None:
    """Raise `ServiceError` where restoring a backup was broken off."""
    with suppress(FileNotFoundError):
        folder = (data_dir / UNFINISHED).read_text(encoding="utf-8").partition("\n")[2]
        raise ServiceError(
            f"{data_dir} is half restored: repeat hilum restore {folder.strip()} until it is done"
        )


def sha256_of(path: Path, skip_bytes: int = 0) -> str:
    """Return the SHA-256 of a file from ``skip_bytes`` on, in hexadecimal."""
    with path.open("rb") as file:
        file.seek(skip_bytes)
        return hashlib.file_digest(file, "sha256").hexdigest()


class Archive:
    """The folders under ``data_dir``. Any number of processes and hosts may share them.

    Raises
    ------
    ServiceError
        This is root, and the folder belongs to the service's own user; or a backup is half
        restored into it.
    """

    def __init__(self, data_dir: Path, settings: ArchiveSettings | None = None) -> None:
        self.data_dir = data_dir
        self._settings = settings or ArchiveSettings()
        self.incoming = data_dir / "incoming"
        self.prepared = data_dir / "prepared"
        refuse_root(data_dir)
        _refuse_half_restored(data_dir)
        durable = (data_dir / name for name in ("archive", "results", "quarantine"))
        self._folders = (self.incoming, self.prepared, *durable)
        for folder in self._folders:
            make_folder(folder)

    @property
    def disk(self) -> DiskUsage:
        """Total, used, free and kept bytes of its disk.

        Readiness, C-STORE, `hilum check`, metrics and pages ask here. Raises OSError where the disk
        cannot be reached.
        """
        disk = shutil.disk_usage(self.data_dir)
        return DiskUsage(*disk, self._settings.reserve_bytes(disk.total))

    @property
    def is_there(self) -> bool:
        """Whether its folders are: where a disk is no longer mounted, they are not."""
        return all(os.access(folder, os.R_OK | os.W_OK | os.X_OK) for folder in self._folders)

    def require_space(self) -> None:
        """Check that an object may be taken in.

        Raises
        ------
        ArchiveFull
            The reserve is reached.
        OSError
            The disk is not there, or can only be read.
        """
        if not self.is_there:
            raise OSError(errno.ENODEV, "data_dir is not mounted, or can only be read")
        disk = self.disk
        if disk.free < disk.reserve:
            raise ArchiveFull(
                f"{disk.free // 1_000_000} MB are free and {disk.reserve // 1_000_000} MB are kept"
                " in reserve: free some space, or lower [archive] reserve_mb and reserve_percent"
            )

    def keep_film(
        self, received: Path, study_uid: UID, sop_uid: UID, preamble_bytes: int
    ) -> Stored:
        """Move a received file under its final name and put it on the disk.

        The hash is of the data set alone: the ``preamble_bytes`` before it are ours, not the
        sender's. The name holds so much of it that nobody can make other bytes of the same name:
        two senders that disagree about one UID never overwrite each other's.
        """
        sha256 = sha256_of(received, preamble_bytes)
        name = f"{sop_uid}-{sha256[:32]}.dcm"
        return self._place(received, self._folder("archive", study_uid) / name, sha256)

    def result(self, data: bytes, study_uid: UID, sop_uid: UID) -> Stored:
        """Return where a result object will lie, and how it is recognised there."""
        path = self._folder("results", study_uid) / f"{sop_uid}.dcm"
        sha256 = hashlib.sha256(data).hexdigest()
        return Stored(str(path.relative_to(self.data_dir)), sha256, len(data))

    def keep_result(self, part: Path, stored: Stored) -> None:
        """Move a written result where it is to lie; the same object made again replaces itself."""
        self._place(part, self.path(stored.path), stored.sha256)

    def quarantine(self, received: Path) -> Stored:
        """Keep refused bytes as they came."""
        sha256 = sha256_of(received)
        return self._place(received, self.data_dir / "quarantine" / f"{sha256}.dcm", sha256)

    def path(self, relative: str) -> Path:
        """Return where a `Stored.path` is."""
        return self.data_dir / relative

    def discard_partial(self, older_than_s: float, now: float) -> int:
        """Delete what broken associations left behind; return how many files."""
        gone = 0
        for path in self.incoming.rglob("*"):
            with suppress(FileNotFoundError):
                if path.is_file() and now - path.stat().st_mtime > older_than_s:
                    path.unlink()
                    gone += 1
        return gone

    def _folder(self, kind: str, study_uid: UID) -> Path:
        """Return the folder of a study, spread over 256 so that none grows too large."""
        shard = hashlib.sha256(study_uid.encode()).hexdigest()[:2]
        return self.data_dir / kind / shard / study_uid

    def _place(self, part: Path, target: Path, sha256: str) -> Stored:
        fsync(part)
        make_folder(target.parent)
        size_bytes = part.stat().st_size
        part.replace(target)
        fsync(target.parent)
        return Stored(str(target.relative_to(self.data_dir)), sha256, size_bytes)
