"""`hilum analyse`: the service's own steps on a few files, without network or queue."""

import json
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog
from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Table
from sqlalchemy import select
from sqlalchemy.orm import Session

from inference.image.acquisition import interval
from inference.statements import NOT_VERIFIED
from scp.archive import Archive
from scp.commands.console import NOT_A_DEVICE, files_in, numbered, outcome_of, progress
from scp.commands.part10 import copy_as_part10
from scp.config.load import Settings
from scp.dashboard.formatting import taken
from scp.dashboard.images.png import is_picture, png_of
from scp.dimse.request import Request
from scp.errors import HilumError, Refused, ServiceError
from scp.index.acquisition import acquired
from scp.index.schema.tables import FilmState, Instance
from scp.index.values import FilmRow, ResultFile
from scp.index.worklist.film_rows import film_row, result_file
from scp.pipeline.answer import Answerer
from scp.pipeline.intake import Intake, read_header
from scp.processes.runtime import ServiceContext, now, open_context
from scp.processes.work import make_answerer, open_reader

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Analysed:
    """What became of one file: ``film`` is as the dashboard tells it, None when refused.

    ``acquired`` says when it was taken, and ``interval`` how long before that its prior was.
    """

    source: str
    outcome: str
    film: FilmRow | None
    files: tuple[str, ...]
    acquired: str = ""
    interval: str = ""


def analyse_files(settings: Settings, paths: Iterable[Path], out: Path, *, as_json: bool) -> int:
    """Answer each file as the service would, write the answers to ``out``, print them.

    Returns
    -------
    int
        0 when each file was answered, 1 when one was refused, not analysed or not there.
    """
    files, missing = _files_of(paths)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="hilum-") as folder:
        alone = _without_network(settings, Path(folder))
        with open_context(alone) as context, open_reader(alone) as reader, progress() as bar:
            task = bar.add_task("reading", total=len(files))
            answerer = make_answerer(context, reader)
            sources, refused = _take_all(context, files)
            analysed = [*missing, *refused]
            for uid in _oldest_first(context, sources):
                analysed.append(_answer_or_say(answerer, context, uid, sources[uid], out))
                bar.advance(task)
    text = json.dumps(TypeAdapter(list[Analysed]).dump_python(analysed, mode="json"), indent=2)
    (out / "findings.json").write_text(text + "\n", encoding="utf-8")
    if as_json:
        print(text)
    else:
        _print(analysed, out)
    return 0 if all(map(_is_answered, analysed)) else 1


def _files_of(paths: Iterable[Path]) -> tuple[list[Path], list[Analysed]]:
    """Return the files of all paths, and the paths at which there is none."""
    files: list[Path] = []
    missing: list[Analysed] = []
    for path in paths:
        if not path.exists():
            missing.append(Analysed(str(path), "refused: it is not there", None, ()))
            continue
        found = [file for file in files_in([path]) if file.is_file()]
        astray = {p: why for p in sorted((path, *path.rglob("*"))) if (why := _astray(p, path))}
        missing += [Analysed(str(p), f"refused: {why}", None, ()) for p, why in astray.items()]
        if not found and not astray:
            missing.append(Analysed(str(path), "refused: a folder without files", None, ()))
        files += found
    return files, missing


def _astray(path: Path, named: Path) -> str:
    """Say why there is no film at a path; "" where there may be one."""
    if path.is_symlink() and not path.exists():
        return "a broken link"
    if path.is_symlink() and path.is_dir() and path != named:
        return "a link to a folder: name it to have its films read"
    return "" if path.is_file() or path.is_dir() else "neither a file nor a folder"


def _is_answered(item: Analysed) -> bool:
    return item.film is not None and item.film.state is FilmState.ANSWERED


def _without_network(settings: Settings, folder: Path) -> Settings:
    """Return the same settings, with a database and archive of their own and no destination."""
    return settings.model_copy(
        update={
            "data_dir": folder,
            "database": settings.database.model_copy(update={"url": ""}),
            "archive": settings.archive.model_copy(update={"reserve_mb": 0, "reserve_percent": 0}),
            "destinations": (),
        }
    )


def _take_all(
    context: ServiceContext, files: Iterable[Path]
) -> tuple[dict[str, Path], list[Analysed]]:
    """Take copies of the files in; return them by SOP Instance UID, and what was refused."""
    settings = context.settings
    intake = Intake(
        context.engine,
        context.archive,
        context.jobs,
        now,
        patients=settings.patients,
        zone=settings.zone,
    )
    sources: dict[str, Path] = {}
    refused: list[Analysed] = []
    for path in files:
        copy = context.archive.incoming / path.name
        try:
            copy_as_part10(path, copy)
            header = read_header(copy)
            uid = str(header.get("SOPInstanceUID", ""))
            intake.ingest(copy, Request("ANALYSE", str(header.get("SOPClassUID", "")), uid))
            if uid in sources:
                reason = f"refused: the same object (SOP Instance UID) as {sources[uid]}"
                refused.append(Analysed(str(path), reason, None, ()))
            sources.setdefault(uid, path)
        except Refused as refusal:
            refused.append(Analysed(str(path), f"refused: {refusal}", None, ()))
        except Exception as error:  # one bad file never ends a batch
            log.exception("not taken in")  # a file's name may be a patient's
            refused.append(Analysed(str(path), _broke(error), None, ()))
    return sources, refused


def _oldest_first(context: ServiceContext, uids: Iterable[str]) -> list[str]:
    """Return the films in the order in which they were taken: priors come first."""
    zone, never = context.settings.zone, datetime.max.replace(tzinfo=UTC)
    with Session(context.engine) as session:
        films = session.scalars(select(Instance).where(Instance.uid.in_(list(uids))))
        taken = {film.uid: acquired(film, zone) for film in films}
    at = {uid: when.earliest if when else never for uid, when in taken.items()}
    return sorted(at, key=lambda uid: (at[uid], uid))


def _answer_or_say(
    answerer: Answerer, context: ServiceContext, uid: str, source: Path, out: Path
) -> Analysed:
    """Answer a film; one that breaks has that for its outcome, and the others go on."""
    try:
        return _answer(answerer, context, uid, source, out)
    except Exception as error:  # one bad film never ends a batch
        log.exception("not answered", film=uid)
        return Analysed(str(source), _broke(error), None, ())


def _broke(error: Exception) -> str:
    message = str(error) if isinstance(error, HilumError | OSError) else type(error).__name__
    return f"{FilmState.FAILED}: {message}"


def _answer(
    answerer: Answerer, context: ServiceContext, uid: str, source: Path, out: Path
) -> Analysed:
    """Do the service's own steps, and copy what they made."""
    if answerer.read(uid):
        answerer.write(uid)
    with Session(context.engine) as session:
        film = film_row(session, uid, context.settings.results.operating)
        if film is None:
            raise ServiceError(f"film {uid} is no longer in the index")
        found = (result_file(session, result.uid) for result in film.results)
        files = [file for file in found if file is not None]
    written: list[str] = []
    for name, file in zip(numbered(file.kind for file in files), files, strict=True):
        written += _copy(context.archive, file, out / f"{source.stem}-{name}.dcm")
    zone, prior = context.settings.zone, film.prior
    apart = interval(acquired(film, zone), acquired(prior, zone)) if prior else ""
    return Analysed(
        str(source), outcome_of(film), film, tuple(written), acquired=taken(film), interval=apart
    )


def _copy(archive: Archive, result: ResultFile, target: Path) -> list[str]:
    """Copy a result, with a PNG beside it where it is a picture; return the names."""
    shutil.copy(archive.path(result.path), target)
    if not is_picture(result.sop_class_uid):
        return [str(target)]
    picture = target.with_suffix(".png")
    picture.write_bytes(png_of(target))
    return [str(target), str(picture)]


def _prior(film: FilmRow | None, apart: str) -> str:
    """Say with which film it was compared, and what limits that; or why with none."""
    if film is None or film.choice is None:
        return ""
    if film.prior is None:
        return film.choice.sentence
    lines = (f"film of {taken(film.prior)}", apart, film.prior.limitation)
    return "\n".join(line for line in (*lines, *(n.sentence for n in film.choice.notes)) if line)


def _print(analysed: Iterable[Analysed], out: Path) -> None:
    console = Console()
    table = Table(
        "film", "outcome", "limits", "findings above the site's threshold", "change", "prior"
    )
    for item in analysed:
        positives = item.film.positives if item.film is not None else ()
        table.add_row(
            Path(item.source).name,
            item.outcome,
            "\n".join(item.film.notes) if item.film is not None else "",
            _found(item.film),
            "\n".join(
                f"{finding.name} {finding.change}" for finding in positives if finding.change
            ),
            _prior(item.film, item.interval),
        )
    console.print(table)
    console.print(f"All probabilities, the objects and previews are in {out}")
    console.print(f"{NOT_VERIFIED} {NOT_A_DEVICE}")


def _found(film: FilmRow | None) -> str:
    """Name the findings above their thresholds; without any, say what that means."""
    if film is None or not film.findings:
        return ""
    found = (f"{finding.name} {finding.meaning}" for finding in film.positives)
    return "\n".join(found) or film.outcome
