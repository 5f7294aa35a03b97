"""`hilum send`: send DICOM files to any storage SCP, and show its answer for each."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError
from pydicom.errors import InvalidDicomError
from rich.console import Console
from rich.table import Table

from scp.commands.console import files_in, progress
from scp.config.destinations import DestinationSettings
from scp.config.tls import ClientTlsSettings
from scp.dimse.sender import send
from scp.errors import ConfigError
from scp.outcomes.delivery import Kind, Outcome
from scp.outcomes.sending import Object, Sent, Unreachable, describe

WITHOUT_TLS = ClientTlsSettings()
_DELIVERED = "delivered"
_ADDRESS = re.compile(r"(?P<ae_title>[^@]{1,16})@(?P<host>.+):(?P<port>\d{1,5})")


def parse_address(text: str, tls: ClientTlsSettings = WITHOUT_TLS) -> DestinationSettings:
    """Read ``AE@HOST:PORT``. Raises `ConfigError`."""
    match = _ADDRESS.fullmatch(text)
    if match is None or not 0 < int(match["port"]) < 65536:
        raise ConfigError(
            f"{text!r} is not an address: write AE@HOST:PORT, such as PACS@127.0.0.1:11112"
        )
    return DestinationSettings(
        name="to", ae_title=match["ae_title"], host=match["host"], port=int(match["port"]), tls=tls
    )


def tls_of(**options: str | Path | None) -> ClientTlsSettings:
    """Return what options of the command line ask for; none: without TLS. Raises `ConfigError`."""
    given = {
        key: str(value.absolute()) if isinstance(value, Path) else value
        for key, value in options.items()
        if value
    }
    try:
        return ClientTlsSettings(enabled=bool(given), **given)
    except ValidationError as error:
        raise ConfigError(
            "TLS needs --tls-ca; --tls-certificate and --tls-key belong together"
        ) from error


def send_files(
    paths: Iterable[Path],
    to: str,
    calling: str,
    *,
    as_json: bool,
    tls: ClientTlsSettings = WITHOUT_TLS,
) -> int:
    """Send files, print what was answered for each, return the exit code."""
    destination = parse_address(to, tls)
    objects, rows = _objects(files_in(paths))
    with progress() as bar:
        task = bar.add_task("sending", total=len(objects))
        answers = _answers(destination, calling, objects)
        for item, answer in zip(objects, answers, strict=True):
            rows.append((item.path, _status_text(answer.outcome)))
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


def _status_text(outcome: Outcome) -> str:
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
