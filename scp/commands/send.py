"""`hilum send`, and how commands find and show files."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC
from pathlib import Path

from pydicom.errors import InvalidDicomError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from scp.dimse.destination import DestinationSettings
from scp.dimse.sender import Object, Sent, Unreachable, describe, send
from scp.errors import ConfigError
from scp.index.acquisition import acquired
from scp.index.schema.tables import FilmState
from scp.index.values import FilmRow
from scp.outcomes.delivery import Kind, Outcome

NOT_A_DEVICE = "AI result, for research use only. Not a medical device."

_DELIVERED = "delivered"
_ADDRESS = re.compile(r"(?P<ae_title>[^@]{1,16})@(?P<host>.+):(?P<port>\d{1,5})")


def progress() -> Progress:
    """Return the progress bar that all commands show, on stderr."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def outcome_of(film: FilmRow) -> str:
    """Say in words what became of a film."""
    if film.state is not FilmState.ANSWERED:
        return f"{film.state}: {film.detail}" if film.detail else str(film.state)
    compared = ""
    if film.prior is not None and not film.prior.comparable:
        compared = f", {film.prior.said}"
    elif film.prior is not None and (taken := acquired(film.prior, UTC)) is not None:
        compared = f", compared with the film of {taken.told}"
    none = "" if film.positives else ", no finding at or above its threshold"
    return f"answered{compared}{none}"


def files_in(paths: Iterable[Path]) -> list[Path]:
    """Return the files named, and those in the folders named, sorted.

    Raises
    ------
    ConfigError
        A path is not there.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise ConfigError(f"{path} is not there")
        found += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return found


def parse_address(text: str) -> DestinationSettings:
    """Read ``AE@HOST:PORT``. Raises `ConfigError`."""
    match = _ADDRESS.fullmatch(text)
    if match is None or not 0 < int(match["port"]) < 65536:
        raise ConfigError(f"{text!r} is no address: write AE@HOST:PORT, as PACS@127.0.0.1:11112")
    return DestinationSettings(
        name="to", ae_title=match["ae_title"], host=match["host"], port=int(match["port"])
    )


def send_files(paths: Iterable[Path], to: str, calling: str, *, as_json: bool) -> int:
    """Send files, print what was answered for each, return the exit code."""
    destination = parse_address(to)
    objects, rows = _objects(files_in(paths))
    with progress() as bar:
        task = bar.add_task("sending", total=len(objects))
        answers = _answers(destination, calling, objects)
        for item, answer in zip(objects, answers, strict=True):
            rows.append((item.path, _said(answer.outcome)))
            bar.advance(task)
    good = all(text.startswith(_DELIVERED) for _, text in rows)
    if as_json:
        print(json.dumps([{"path": str(path), "answer": text} for path, text in rows], indent=2))
    else:
        table = Table("file", "answer")
        for path, text in rows:
            table.add_row(str(path), text, style=None if text.startswith(_DELIVERED) else "red")
        Console().print(table)
    return 0 if good else 1


def _said(outcome: Outcome) -> str:
    if outcome.kind is Kind.WARNING:
        return f"{_DELIVERED}, with a warning: {outcome}"
    return _DELIVERED if outcome.delivered else str(outcome)


def _objects(paths: Iterable[Path]) -> tuple[list[Object], list[tuple[Path, str]]]:
    """Return what can be sent, and what cannot with the reason."""
    objects, others = [], []
    for path in paths:
        try:
            objects.append(describe(path))
        except InvalidDicomError:
            others.append((path, "not a DICOM file"))
    return objects, others


def _answers(
    destination: DestinationSettings, calling: str, objects: list[Object]
) -> Iterator[Sent]:
    """Yield an answer for each object, also when the destination is not there."""
    given = 0
    try:
        if objects:
            for answer in send(destination, calling, objects):
                given += 1
                yield answer
    except Unreachable as error:
        for item in objects[given:]:
            yield Sent(item.sop_instance_uid, error.outcome)


def numbered(kinds: Iterable[str]) -> list[str]:
    """Return names for files: the second object of a kind is "kind-2", and so on."""
    seen: Counter[str] = Counter()
    names = []
    for kind in kinds:
        seen[kind] += 1
        names.append(kind if seen[kind] == 1 else f"{kind}-{seen[kind]}")
    return names
