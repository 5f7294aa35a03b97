"""Copy what the index names into a backup; what the backup before has already is linked to it."""

import errno
import fcntl
import os
import shutil
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from scp.archive import Archive, fsync, sha256_of
from scp.backup.manifest import DATA, Damaged, read_manifest, read_sums
from scp.index.kept_files import KeptFile

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class Before:
    """The backup before; no file of it where there is none.

    Files are immutable, and a path says what is in it: an archived film's has the hash of its data
    set, a result's UID is derived from its contents. So what it has under a path need not be copied
    again. It takes some 250 bytes of memory a file.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._sums: dict[str, str] = {}
        if folder is not None:
            damaged = {f"{DATA}/{one.path}" for one in read_manifest(folder).damaged}
            known = read_sums(folder).items()
            self._sums = {name: sha256 for name, sha256 in known if name not in damaged}

    def link(self, file: KeptFile, name: str, target: Path) -> str | None:
        """Link a file of the backup before; return its SHA-256, or None where it has it not."""
        sha256 = self._sums.get(name)
        same = sha256 is not None and (sha256 == file.sha256 or file.sha256[:32] in file.path)
        if self._folder is None or not same:
            return None
        try:
            os.link(self._folder / name, target)
        except OSError:  # gone; or this file system has no links, or no more for this file
            return None
        return sha256


@dataclass
class Copying:
    """What is in a backup so far: ``sums`` by path, ``gone`` what the index names and is not there.

    Only what is on the disk is noted.
    """

    archive: Archive
    part: Path
    before: Before
    sums: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    damaged: dict[str, Damaged] = field(default_factory=dict)
    gone: list[KeptFile] = field(default_factory=list)
    networks: tuple[str, ...] = ()
    linked: int = 0

    def take(self, file: KeptFile) -> None:
        """Copy a file, or link it; one that cannot be read is noted, and its neighbours are taken.

        Raises
        ------
        OSError
            The backup's disk is full, or cannot be written.
        """
        name = f"{DATA}/{file.path}"
        self.counts[file.kind] += 1
        if name in self.sums:
            return
        target = self.part / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (sha256 := self.before.link(file, name, target)) is not None:
            self.sums[name] = sha256
            self.linked += 1
            return
        try:
            copy(self.archive.path(file.path), target)
        except FileNotFoundError:
            self.gone.append(file)
            return
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise
            self._note(file, f"cannot be read ({error.strerror})")
            target.unlink(missing_ok=True)
            return
        if file.contents_sha256(target) != file.sha256:
            self._note(file, "is not what was kept")
        self.sums[name] = sha256_of(target)

    def state_gone(self) -> None:
        """Note what is gone as damaged."""
        for file in self.gone:
            self._note(file, "is gone")

    def _note(self, file: KeptFile, fault: str) -> None:
        damaged = Damaged(kind=file.kind, uid=file.uid, path=file.path, fault=fault)
        self.damaged[file.path] = damaged

    def begin_again(self) -> None:
        """Forget what was noted of an earlier state of the index; copies stay."""
        self.counts.clear()
        self.gone.clear()

    def keep_only(self, paths: Collection[str]) -> None:
        """Delete copies of what the index no longer names."""
        names = {f"{DATA}/{path}" for path in paths}
        for name in [name for name in self.sums if name.startswith(DATA) and name not in names]:
            (self.part / name).unlink()
            del self.sums[name]
        self.damaged = {path: one for path, one in self.damaged.items() if path in paths}

    def take_audit(self) -> None:
        """Copy the audit trail; while a month is copied, nobody writes a line of it."""
        for path in sorted((self.archive.data_dir / "audit").glob("*.jsonl")):
            name = f"{DATA}/audit/{path.name}"
            target = self.part / name
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH)
                copy(path, target)
            self.sums[name] = sha256_of(target)

    def take_file(self, path: Path, name: str) -> None:
        """Copy any other file."""
        copy(path, self.part / name)
        self.note(name)

    def note(self, name: str) -> None:
        """Note a file that is in the backup already, once it is on the disk."""
        fsync(self.part / name)
        self.sums[name] = sha256_of(self.part / name)


def copy(source: Path, target: Path) -> None:
    """Copy a file with its time of change, and put it on the disk; nobody else may read it."""
    shutil.copyfile(source, target)
    target.chmod(0o600)
    stated = source.stat()
    os.utime(target, ns=(stated.st_atime_ns, stated.st_mtime_ns))
    fsync(target)


def fsync_folders(folder: Path) -> None:
    """Put the names in a folder and all below it on the disk."""
    for path, _, _ in os.walk(folder):
        fsync(Path(path))


def size_of(folder: Path, names: Iterable[str]) -> int:
    """Return the bytes of some files."""
    return sum((folder / name).stat().st_size for name in names)
