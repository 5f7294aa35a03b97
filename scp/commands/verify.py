"""`hilum verify`: whether every file that the index names is there and unchanged, and no other."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from time import time
from uuid import uuid4

import structlog
from rich.console import Console
from sqlalchemy.orm import Session

from scp.archive import Archive, arrival, valid_uid
from scp.backup.copying import copy
from scp.commands.actor import actor_of
from scp.commands.console import progress
from scp.config.load import Settings
from scp.dimse.request import Request
from scp.errors import ConfigError, Refused
from scp.index import films
from scp.index.kept_files import KeptFile, count_kept, kept_files, not_kept
from scp.monitoring.audit import Audit, AuditFailed
from scp.pipeline.intake import read_header
from scp.processes.runtime import ServiceContext, now, open_context
from scp.processes.taking_in import make_intake

log = structlog.get_logger(__name__)

# a file gets its row a moment after its name: a younger one is not left over
_YOUNG_S = 3600


@dataclass(frozen=True)
class Fault:
    """One file that is not as the index says, and what was or can be done."""

    what: str
    uid: str
    path: str
    fault: str
    remedy: str
    repaired: bool = False


@dataclass(frozen=True)
class Verified:
    """How many files the index names, and what is wrong."""

    looked_at: int
    faults: tuple[Fault, ...]


def verify(
    settings: Settings, *, repair: bool, take_in: bool, old: Path | None = None, as_json: bool
) -> int:
    """Look at all files, print what is wrong, and return 0 when nothing is left so, else 1.

    ``old``: look into this data_dir of before for films that the index does not know, instead.
    """
    with open_context(settings) as context:
        if old is not None:
            done = _compared(context, old, take_in=take_in)
        else:
            done = _verified(context, repair=repair, take_in=take_in)
    if as_json:
        print(json.dumps(asdict(done), indent=2))
    else:
        _print(done)
    return 0 if all(fault.repaired for fault in done.faults) else 1


def _verified(context: ServiceContext, *, repair: bool, take_in: bool) -> Verified:
    with Session(context.engine) as session, progress() as bar:
        task = bar.add_task("files", total=count_kept(session))
        looked_at, faults = 0, []
        for file in kept_files(session):
            looked_at += 1
            bar.advance(task)
            fault = _changed(context.archive, file)
            if fault is not None:
                faults.append(fault)
        left_over = not_kept(session, list(_old_files(context.archive)))
        faults += _forgotten_and_here(session, context)
    for path in left_over:
        if path.startswith("archive/"):
            film = context.archive.path(path)
            faults.append(_film_without_row(context, film, path, take_in=take_in))
        else:
            faults.append(_left_over(context, path, repair=repair))
    return Verified(looked_at, tuple(faults))


def _compared(context: ServiceContext, old: Path, *, take_in: bool) -> Verified:
    """Look for films that came after the backup that was restored."""
    with Session(context.engine) as session:
        looked_at, paths = films_after(session, old)
    faults = []
    for path in paths:
        received = old / path
        if take_in:
            received = context.archive.incoming / f"{uuid4().hex}.part"
            copy(old / path, received)
        faults.append(_film_without_row(context, received, path, take_in=take_in))
    return Verified(looked_at, tuple(faults))


def films_after(session: Session, old: Path) -> tuple[int, list[str]]:
    """Return how many films a data_dir of before has, and those that the index does not know.

    Paths relative to it, in the order of their arrival: of two versions of a film the later holds.

    Raises
    ------
    ConfigError
        The folder has no archive.
    """
    if not (old / "archive").is_dir():
        raise ConfigError(f"{old} is no data_dir: it has no folder archive")
    there = _by_arrival(path for path in (old / "archive").rglob("*") if path.is_file())
    paths = [str(path.relative_to(old)) for path in there]
    return len(paths), not_kept(session, paths)


def _by_arrival(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: (path.stat().st_mtime_ns, path))


def _forgotten_and_here(session: Session, context: ServiceContext) -> Iterator[Fault]:
    """Name films that were to be forgotten and that a backup has brought back."""
    lines = Audit(context.archive.data_dir, now).lines()
    forgotten = {line["target"]: line["at"] for line in lines if line["action"] == "forgotten"}
    for uid, at in forgotten.items():
        film = films.find(session, uid)
        if film is not None and film.received_at < datetime.fromisoformat(at):
            remedy = "forget its patient again: hilum patient forget"
            yield Fault("film", uid, film.path, "was forgotten and is here again", remedy)


def _changed(archive: Archive, file: KeptFile) -> Fault | None:
    """Say what is wrong with a file that the index names; None: nothing."""
    path = archive.path(file.path)
    remedy = "restore it from a backup"
    if file.kind == "result":
        remedy += "; or have it made again: hilum queue retry --done film:UID of its film"
    try:
        found = file.contents_sha256(path)
    except FileNotFoundError:
        return Fault(file.kind, file.uid, file.path, "is gone", remedy)
    except OSError as error:
        why = f"cannot be read ({error.strerror})"
        return Fault(file.kind, file.uid, file.path, why, remedy)
    if found == file.sha256:
        return None
    return Fault(file.kind, file.uid, file.path, "is not what was kept", remedy)


def _old_files(archive: Archive) -> Iterator[str]:
    """Yield what is kept on the disk, but for what may get its row in this moment."""
    youngest = time() - _YOUNG_S
    for folder in ("archive", "results", "quarantine"):
        paths = (archive.data_dir / folder).rglob("*")
        for path in _by_arrival(path for path in paths if path.is_file()):
            if path.stat().st_mtime < youngest:
                yield str(path.relative_to(archive.data_dir))


def _left_over(context: ServiceContext, path: str, *, repair: bool) -> Fault:
    remedy, deleted = "it can be deleted: hilum verify --repair", False
    uid = Path(path).stem
    if repair:
        try:
            with actor_of(context).doing("deleted", uid, path=path):
                context.archive.path(path).unlink(missing_ok=True)
            remedy, deleted = "deleted", True
        except OSError as error:  # the other files are looked at all the same
            remedy = f"it cannot be deleted ({error.strerror})"
    kind = "result" if path.startswith("results/") else "refused object"
    return Fault(kind, uid, path, "is not in the index", remedy, repaired=deleted)


def _film_without_row(context: ServiceContext, film: Path, path: str, *, take_in: bool) -> Fault:
    """Take a film in that the index does not know, as if it were sent; it is moved."""
    remedy = "to take it in as if it were sent now: hilum verify --take-in"
    taken = False
    uid = Path(path).stem.partition("-")[0]
    if take_in:
        try:
            with actor_of(context).doing("taken in", uid, path=path):
                _take_in(context, film)
            remedy, taken = "taken in", True
        except Refused as refusal:
            taken = not film.exists()
            where = "in quarantine" if taken else "where it was"
            remedy = f"not taken in: {refusal}; it is {where}"
        except AuditFailed:
            raise
        except Exception as error:  # one bad file never ends the run
            log.exception("not taken in", film=uid)
            remedy = f"not taken in: {type(error).__name__}, the line before says where"
    return Fault("film", uid, path, "is not in the index", remedy, repaired=taken)


def _take_in(context: ServiceContext, path: Path) -> None:
    ds = read_header(path)
    for keyword in ("SOPClassUID", "SOPInstanceUID"):
        valid_uid(ds.get(keyword), keyword)
    ourselves = context.settings.receiver.ae_title
    request = Request(ourselves, str(ds.SOPClassUID), str(ds.SOPInstanceUID))
    at = arrival(path)
    make_intake(context, lambda: at).ingest(path, request)


def _print(done: Verified) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for fault in done.faults:
        console.print(f"{fault.what} {fault.uid} {fault.fault} ({fault.path}): {fault.remedy}")
    left = sum(not fault.repaired for fault in done.faults)
    repaired = f", {len(done.faults) - left} repaired" if left < len(done.faults) else ""
    console.print(f"{done.looked_at} files looked at, {len(done.faults)} faults{repaired}")
