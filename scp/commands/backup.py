"""`hilum backup` and `hilum restore`: a copy of everything, and back."""

import json
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from sqlalchemy.orm import Session

from scp.archive import Archive
from scp.backup.manifest import check
from scp.backup.restoring import Restored, restore
from scp.backup.taking import Source, Taken, take
from scp.commands.actor import actor_in
from scp.commands.console import progress
from scp.commands.verify import films_after
from scp.config.load import Settings
from scp.errors import ServiceError
from scp.index.database import open_database
from scp.processes.runtime import now, open_context


def take_backup(
    settings: Settings, config: Path, into: Path, keep: int | None, *, as_json: bool
) -> int:
    """Take a backup; return 0, or 1 where files were gone or damaged before."""
    _require_data(settings)
    engine = open_database(settings.database_url)
    archive = Archive(settings.data_dir, settings.archive)
    source = Source(engine, archive, config, version("hilum"), now)
    try:
        with actor_in(settings.data_dir).doing("backed up", str(into)), progress() as bar:
            task = bar.add_task("files")
            taken = take(
                source, into, keep, lambda at, of: bar.update(task, completed=at, total=of)
            )
    finally:
        engine.dispose()
    if as_json:
        print(json.dumps({"folder": str(taken.folder)} | taken.manifest.model_dump(), indent=2))
    else:
        _print_taken(taken)
    return 1 if taken.manifest.damaged else 0


def _require_data(settings: Settings) -> None:
    """Raise `ServiceError` where there is nothing yet, or its disk is not mounted."""
    if not (settings.data_dir / "archive").is_dir():
        raise ServiceError(
            f"{settings.data_dir} has no archive: is its disk mounted, and is data_dir right?"
        )


def _print_taken(taken: Taken) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    manifest = taken.manifest
    for one in manifest.damaged:
        console.print(f"{one.kind} {one.uid} {one.fault} ({one.path})")
    size = f"{manifest.size_bytes / 1e6:.0f} MB"
    shared = f", {taken.linked} files shared with the backup before" if taken.linked else ""
    console.print(f"{taken.folder}: {_counted(manifest.counts)}, {size}{shared}")
    if taken.removed:
        console.print(f"older backups deleted: {taken.removed}")
    if manifest.damaged:
        console.print(
            f"{len(manifest.damaged)} files were gone or damaged before: `hilum verify` says what"
            " to do"
        )


def _counted(counts: dict[str, int]) -> str:
    named = (f"{number} {kind}{'' if number == 1 else 's'}" for kind, number in counts.items())
    return ", ".join(named) or "no film yet"


def check_backup(folder: Path) -> int:
    """Read a backup as a restore would, and write nothing."""
    with progress() as bar:
        task = bar.add_task("files")
        manifest, sums = check(folder, lambda at, of: bar.update(task, completed=at, total=of))
    Console(highlight=False, soft_wrap=True).print(
        f"{folder} is whole: {len(sums)} files, {_counted(manifest.counts)}, of {manifest.taken_at}"
    )
    return 0


def restore_backup(settings: Settings, folder: Path, old: Path | None) -> int:
    """Restore a backup, and name what came after it where that is still there."""
    if old is not None:
        _require_old(old)
    with progress() as bar:
        task = bar.add_task("checked")
        restored = restore(
            folder,
            settings,
            now(),
            old,
            lambda what, at, of: bar.update(task, description=what, completed=at, total=of),
        )
    actor = actor_in(settings.data_dir)
    actor.audit.record(actor.person, "restored", str(folder))
    _print_restored(settings, restored)
    if old is not None:
        _print_after(settings, old)
    return 0


def _require_old(old: Path) -> None:
    if not (old / "archive").is_dir():
        raise ServiceError(f"--old {old} is no data_dir: it has no folder archive")


def _print_restored(settings: Settings, restored: Restored) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    manifest = restored.manifest
    console.print(
        f"{settings.data_dir} is as of {manifest.taken_at}: {_counted(manifest.counts)}."
        f" {restored.taken_up} jobs that ran then wait in the queue. Everybody has to log in again;"
        " `hilum user list` names who may"
    )
    for one in manifest.damaged:
        console.print(f"not in the backup: {one.kind} {one.uid} ({one.path}): it {one.fault}")
    for name in restored.apart:
        console.print(f"audit/{name} of before does not go on where the backup ends: keep it")
    console.print("next: hilum check, hilum verify, then start the service")


def _print_after(settings: Settings, old: Path) -> None:
    """Name the films that came after the backup."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    with open_context(settings) as context, Session(context.engine) as session:
        _, paths = films_after(session, old)
    for path in paths:
        console.print(f"came after the backup: film {Path(path).stem.partition('-')[0]} ({path})")
    if paths:
        console.print(f"to take these films in: hilum verify --old {old} --take-in")
