"""Take a backup beside the running service: the database first, then the files that it names.

A file has its final name before its row is committed, and never changes. So every file of a
snapshot's rows is there, unless its patient was forgotten since: then the snapshot is taken anew,
and what was forgotten is in no backup that ends later.
"""

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import select
from sqlalchemy.orm import Session

from scp.archive import Archive, fsync
from scp.backup.copying import Before, Copying, fsync_folders, size_of
from scp.backup.databases import require_current, snapshot
from scp.backup.manifest import (
    CONFIG,
    DATABASES,
    MANIFEST,
    NAME,
    SUMS,
    BackupFailed,
    Manifest,
    write_sums,
)
from scp.index.kept_files import KeptFile, count_kept, kept_files, not_kept
from scp.index.schema.tables import Model

_PART = ".part-"
_LIST = ".list"
_ROUNDS = 5  # snapshots at most, where one patient after the other is forgotten meanwhile


@dataclass(frozen=True)
class Source:
    """What is backed up: database, files, configuration; ``release`` is noted."""

    engine: sa.Engine
    archive: Archive
    config: Path
    release: str
    now: Callable[[], datetime]


@dataclass(frozen=True)
class Taken:
    """A backup that was taken: where, what it says of itself, how many files it shares."""

    folder: Path
    manifest: Manifest
    linked: int
    removed: int


def take(
    source: Source, into: Path, keep: int | None, advance: Callable[[int, int], None]
) -> Taken:
    """Take a backup into a new folder of ``into``.

    Parameters
    ----------
    keep
        How many backups stay there with this one; None: all.
    advance
        Is told how many of how many files were taken.

    Raises
    ------
    BackupFailed
        It cannot be taken: its disk is full, another is being taken, the database is damaged.
    ServiceError
        There is nothing to back up, or the tables are of another release.
    """
    revision = require_current(source.engine)
    into = into.resolve()
    if into.is_relative_to(source.archive.data_dir.resolve()):
        raise BackupFailed(f"{into} is in data_dir: what is lost with it is no backup")
    try:
        into.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(into):
            return _take(source, into, keep, revision, advance)
    except OSError as error:
        raise BackupFailed(
            f"no backup: {into} cannot take it ({error.strerror}). Free some space, or name another"
            " folder"
        ) from error


def backups(into: Path) -> list[Path]:
    """Return the whole backups in a folder, the oldest first."""
    return sorted(p for p in into.iterdir() if NAME.fullmatch(p.name) and (p / MANIFEST).is_file())


@contextmanager
def _alone(into: Path) -> Iterator[None]:
    """Hold the folder; what a killed backup left in it is deleted."""
    with (into / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BackupFailed(f"another backup is being taken into {into}") from error
        for left in into.glob(f"{_PART}*"):
            shutil.rmtree(left)
        yield


def _take(
    source: Source,
    into: Path,
    keep: int | None,
    revision: str,
    advance: Callable[[int, int], None],
) -> Taken:
    older, taken_at = backups(into), source.now()
    name = f"hilum-{taken_at:%Y%m%dT%H%M%SZ}"
    if (into / name).exists():
        raise BackupFailed(f"{into / name} was taken in this second")
    part = into / f"{_PART}{name}"
    part.mkdir(mode=0o700)
    try:
        copying = Copying(source.archive, part, Before(older[-1] if older else None))
        _take_index(source, copying, advance)
        copying.take_audit()
        copying.take_file(source.config, CONFIG)
        manifest = Manifest(
            taken_at=taken_at.isoformat(),
            release=source.release,
            database=source.engine.dialect.name,
            revision=revision,
            networks=copying.networks,
            counts=dict(copying.counts),
            size_bytes=size_of(part, copying.sums),
            damaged=tuple(copying.damaged.values()),
            sums_sha256=write_sums(part, copying.sums),
        )
        (part / MANIFEST).write_text(manifest.model_dump_json(indent=2), encoding="utf-8")
        for written in (MANIFEST, SUMS):
            fsync(part / written)
        fsync_folders(part)
        part.rename(into / name)
        fsync(into)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    over = [] if keep is None else [*older, into / name][:-keep]
    for folder in over:
        shutil.rmtree(folder)
    return Taken(into / name, manifest, copying.linked, len(over))


def _take_index(source: Source, copying: Copying, advance: Callable[[int, int], None]) -> None:
    """Take the database and the files that it names."""
    listed = copying.part / _LIST
    for turn in range(_ROUNDS):
        copying.begin_again()
        with snapshot(source.engine, copying.part) as session:
            copying.networks, number = _networks(session), count_kept(session)
            _write_list(listed, kept_files(session))
        for at, file in enumerate(_read_list(listed), start=1):
            copying.take(file)
            advance(at, number)
        if turn:
            copying.keep_only({file.path for file in _read_list(listed)})
        if not _forgotten_meanwhile(source.engine, copying.gone):
            break
    else:
        raise BackupFailed("patients are being forgotten: take the backup when that is done")
    listed.unlink()
    copying.state_gone()
    copying.note(DATABASES[source.engine.dialect.name])


def _networks(session: Session) -> tuple[str, ...]:
    models = session.execute(select(Model.name, Model.version, Model.sha256).order_by(Model.sha256))
    return tuple(" ".join(model) for model in models)


def _forgotten_meanwhile(engine: sa.Engine, gone: list[KeptFile]) -> bool:
    """Say whether the index no longer names a file that is gone."""
    with Session(engine) as session:
        return bool(not_kept(session, [file.path for file in gone]))


def _write_list(path: Path, files: Iterator[KeptFile]) -> None:
    """Write what is to be taken down, so that the database's snapshot need not be held open."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(one)) + "\n" for one in files)


def _read_list(path: Path) -> Iterator[KeptFile]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield KeptFile(**json.loads(line))
