"""Restore a backup into an empty data_dir and an empty database.

All hashes are checked before anything is written. The database comes last, and a mark stands in
data_dir from the first file to the last row: while it is there nothing of hilum opens the folder
(`scp.archive.Archive`), and the same backup can be restored into it once more.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import delete
from sqlalchemy.orm import Session

from scp.archive import UNFINISHED, fsync, refuse_root, sha256_of
from scp.backup.copying import copy, fsync_folders
from scp.backup.databases import has_tables, load, require_known
from scp.backup.manifest import DATA, BackupFailed, Manifest, check
from scp.config.load import Settings
from scp.errors import ServiceError
from scp.index.accounts.tables import DashboardSession
from scp.index.database import migrate, open_database
from scp.index.heartbeats import alive
from scp.index.schema.tables import Heartbeat
from scp.pipeline.queue import Jobs


@dataclass(frozen=True)
class Restored:
    """What was restored.

    ``taken_up`` jobs had been running; ``apart`` names the files of the old audit trail
    that do not go on where the backup's ends.
    """

    manifest: Manifest
    files: int
    taken_up: int
    apart: tuple[str, ...]


def restore(
    folder: Path,
    settings: Settings,
    now: datetime,
    old: Path | None,
    advance: Callable[[str, int, int], None],
) -> Restored:
    """Restore a backup as these settings say: into data_dir and the database.

    Parameters
    ----------
    old
        The data_dir of before, where it is still there: its audit trail is continued.
    advance
        Is told what is done ("checked", "restored"), with how many of how many files.

    Raises
    ------
    BackupFailed
        The backup is damaged, or of another database or a newer release; nothing was written. Or
        the disk is full, or pg_restore failed: then it can be repeated.
    ServiceError
        The service runs, or data_dir or database are not empty.
    """
    refuse_root(settings.data_dir)
    folder = folder.resolve()
    manifest, sums = check(folder, lambda at, of: advance("checked", at, of))
    engine = open_database(settings.database_url)
    try:
        _require_same_kind(engine, manifest)
        again = _is_begun(settings.data_dir, manifest)
        if not again:
            _require_empty(settings.data_dir, engine, now)
            _require_room(settings.data_dir, manifest)
        _mark(settings.data_dir, folder, manifest)
        files = _copy_files(folder, settings.data_dir, sums, advance)
        if engine.dialect.name == "sqlite" or not has_tables(engine):
            load(engine, folder / manifest.database_file)
        taken_up = _prepare(engine)
        apart = _continue_audit(old, settings.data_dir) if old else ()
        fsync_folders(settings.data_dir)
    except OSError as error:
        raise BackupFailed(
            f"{settings.data_dir} cannot be written ({error.strerror}): repair that, and repeat"
            " this command"
        ) from error
    finally:
        engine.dispose()
    (settings.data_dir / UNFINISHED).unlink()
    fsync(settings.data_dir)
    return Restored(manifest, files, taken_up, tuple(apart))


def _require_same_kind(engine: sa.Engine, manifest: Manifest) -> None:
    """Raise `BackupFailed` where the configured database cannot take the backup's."""
    require_known(manifest.revision, manifest.release)
    if engine.dialect.name != manifest.database:
        raise BackupFailed(
            f"the backup is of {manifest.database}, and [database] url names"
            f" {engine.dialect.name}: set it as it was (config.toml of then is in the backup)"
        )


def _is_begun(data_dir: Path, manifest: Manifest) -> bool:
    """Say whether this backup was being restored here before.

    Raises
    ------
    ServiceError
        Another one was.
    """
    try:
        began = (data_dir / UNFINISHED).read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    of, _, path = began.partition("\n")
    if of != manifest.sums_sha256:
        raise ServiceError(
            f"{data_dir} holds a part of another backup, {path.strip()}: restore that one, or"
            " delete what is there"
        )
    return True


def _require_empty(data_dir: Path, engine: sa.Engine, now: datetime) -> None:
    """Raise `ServiceError` where the service runs, or there is something that could be lost."""
    taken = has_tables(engine)
    if taken and _runs(engine, now):
        raise ServiceError("the service runs: stop it first (systemctl stop hilum)")
    own = str(engine.url.database)  # without tables it is what `hilum check` leaves
    kept = [p for p in data_dir.rglob("*") if p.is_file() and not str(p).startswith(own)]
    if kept or (taken and engine.dialect.name == "sqlite"):
        raise ServiceError(
            f"{data_dir} is not empty: move it away and keep it (mv {data_dir} {data_dir}.before),"
            f" and afterwards `hilum verify --old {data_dir}.before` names what came after the"
            " backup"
        )
    if taken:
        raise ServiceError(
            f"the database {engine.url.database} is not empty: make a new one (createdb) and name"
            " it in [database] url"
        )


def _runs(engine: sa.Engine, now: datetime) -> bool:
    """Say whether a role was heard of a moment ago."""
    try:
        with Session(engine) as session:
            return bool(alive(session, now))
    except sa.exc.SQLAlchemyError:  # tables of something else, or damaged ones
        return False


def _require_room(data_dir: Path, manifest: Manifest) -> None:
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    free = shutil.disk_usage(data_dir).free
    if free < manifest.size_bytes:
        raise BackupFailed(
            f"the backup takes {manifest.size_bytes // 1_000_000} MB, and {free // 1_000_000} MB"
            f" are free at {data_dir}: free some space"
        )


def _mark(data_dir: Path, folder: Path, manifest: Manifest) -> None:
    """Keep the service out of a folder that is half restored."""
    mark = data_dir / UNFINISHED
    mark.write_text(f"{manifest.sums_sha256}\n{folder}", encoding="utf-8")
    fsync(mark)
    fsync(data_dir)


def _copy_files(
    folder: Path, data_dir: Path, sums: Mapping[str, str], advance: Callable[[str, int, int], None]
) -> int:
    """Copy all files but those that an earlier try has brought already."""
    names = [name for name in sums if name.startswith(f"{DATA}/")]
    for number, name in enumerate(names, start=1):
        target = data_dir / name.removeprefix(f"{DATA}/")
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (target.is_file() and sha256_of(target) == sums[name]):
            copy(folder / name, target)
        advance("restored", number, len(names))
    return len(names)


def _prepare(engine: sa.Engine) -> int:
    """Make the database one that no process works on; return how many jobs were in hand.

    Who was logged in then logs in again: who has logged out since must not be in again.
    """
    migrate(engine)
    with Session(engine) as session, session.begin():
        session.execute(delete(Heartbeat))
        session.execute(delete(DashboardSession))
    jobs = Jobs(engine)
    try:
        running = jobs.running()
        for job in running:
            jobs.make_due(job)
    finally:
        jobs.close()
    return len(running)


def _continue_audit(old: Path, data_dir: Path) -> list[str]:
    """Take the audit trail on from where the backup's ends; return what does not fit to it."""
    (data_dir / "audit").mkdir(mode=0o700, exist_ok=True)
    apart = []
    for path in sorted((old / "audit").glob("*.jsonl")):
        target = data_dir / "audit" / path.name
        if not target.exists() or path.read_bytes().startswith(target.read_bytes()):
            copy(path, target)
        else:
            apart.append(path.name)
    return apart
