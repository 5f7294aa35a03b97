"""`hilum check`: what would keep the service from working, and how to repair it."""

import json
import socket
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from pydicom.uid import UID
from rich.console import Console
from rich.table import Table
from sqlalchemy import inspect, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from inference.errors import NotInstalled, missing_packages_named
from scp.archive import Archive
from scp.config.destinations import DestinationSettings
from scp.config.load import Settings, load_settings
from scp.dashboard.troubleshooting import Parties, advice
from scp.dimse.certificates import require_private, validity_text
from scp.dimse.retrieve import see_services
from scp.dimse.sender import echo
from scp.dimse.tls import server_context
from scp.errors import HilumError, ServiceError
from scp.index.accounts import users
from scp.index.accounts.tables import DashboardUser
from scp.index.database import open_database
from scp.index.heartbeats import alive
from scp.outcomes.sending import Unreachable
from scp.pipeline.destinations import destination_of
from scp.processes.runtime import now
from scp.processes.sockets import TLS_KEY, open_socket
from scp.results.kinds import Kind, class_name, kinds_made


@dataclass(frozen=True)
class Checked:
    """One thing that was looked at."""

    what: str
    good: bool
    text: str


def check_all(config: Path, *, as_json: bool) -> int:
    """Check everything, print it, and return 0 when all is well and 1 otherwise."""
    results = list(_checks(config))
    if as_json:
        print(json.dumps([asdict(item) for item in results], indent=2))
    else:
        table = Table("what", "", "")
        for item in results:
            table.add_row(item.what, "good" if item.good else "[red]WRONG[/red]", item.text)
        Console().print(table)
    return 0 if all(item.good for item in results) else 1


def _checks(config: Path) -> Iterator[Checked]:
    try:
        settings = load_settings(config)
    except HilumError as error:
        yield Checked("configuration", good=False, text=str(error))
        return
    yield Checked("configuration", good=True, text=str(config))
    yield _try("model", lambda: _model(settings))
    yield _try("disk", lambda: _disk(settings))
    yield _try("database", lambda: _database(settings))
    tls = settings.receiver.tls
    if tls.mode != "only":
        yield _try("receiver port", lambda: _receiver_port(settings))
    if tls.mode != "off":
        yield _try("receiver TLS", lambda: _receiver_tls(settings))
    for used_by, files in settings.certificates().items():
        yield _try(f"certificate of {used_by}", partial(_certificate, *files))
    yield _try("dashboard port", lambda: _dashboard_port(settings))
    yield _try("dashboard login", lambda: _dashboard_login(settings))
    yield _try("priors", lambda: _priors(settings))
    if not settings.destinations:
        yield Checked("destinations", good=True, text="none: results stay in the archive")
    for destination in settings.destinations:
        yield _try(f"destination {destination.name}", partial(_destination, settings, destination))


def _try(what: str, look: Callable[[], str]) -> Checked:
    try:
        with missing_packages_named():
            return Checked(what, good=True, text=look())
    except (HilumError, NotInstalled, ValueError, OSError, SQLAlchemyError) as error:
        return Checked(what, good=False, text=str(error).split("\n", maxsplit=1)[0])


def _model(settings: Settings) -> str:
    from scp.processes.work import open_reader  # noqa: PLC0415 -- torch takes seconds

    with open_reader(settings) as reader:
        bundle = reader.engine.bundle
        model = bundle.identity
        without = "" if bundle.metadata.hilum.input_check else "; it has no input check"
        return f"{model.name} {model.version} on {reader.engine.device}{without}"


def _disk(settings: Settings) -> str:
    archive = Archive(settings.data_dir, settings.archive)
    archive.require_space()
    if settings.data_dir.stat().st_mode & stat.S_IRWXO:
        raise ServiceError(
            f"every user of this machine may look into {settings.data_dir}, where patients' data"
            f" are: chmod -R o= {settings.data_dir}"
        )
    disk = archive.disk
    kept = f"{disk.reserve / 1e9:.1f} GB are kept free"
    return f"{disk.free / 1e9:.1f} GB free at {settings.data_dir}, {kept}"


def _database(settings: Settings) -> str:
    engine = open_database(settings.database_url)
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        return engine.url.render_as_string(hide_password=True)
    except SQLAlchemyError as error:
        raise ServiceError(
            f"the database cannot be reached ({type(error).__name__}): is it running, and is"
            " [database] url right?"
        ) from error
    finally:
        engine.dispose()


def _receiver_port(settings: Settings) -> str:
    """Be content with a free port, and with one that answers as ourselves."""
    receiver = settings.receiver
    ourselves = DestinationSettings(
        name="self",
        ae_title=receiver.ae_title,
        host=_reachable(receiver.host),
        port=receiver.port or 1,
        timeout_s=5,
    )
    try:
        open_socket(receiver.host, receiver.port, "receiver").close()
    except ServiceError:
        echo(ourselves, receiver.ae_title)
        return f"hilum answers on port {receiver.port}"
    return f"{receiver.host}:{receiver.port} is free"


def _receiver_tls(settings: Settings) -> str:
    """See that the files can be used, and that the port is free or ours."""
    host, tls = settings.receiver.host, settings.receiver.tls
    server_context(tls)
    try:
        open_socket(host, tls.port, TLS_KEY).close()
    except ServiceError:
        if not _receiver_listens(settings, f":{tls.port} (TLS)"):
            raise
        return f"hilum listens by TLS on port {tls.port}"
    return f"{host}:{tls.port} is free"


def _receiver_listens(settings: Settings, where: str) -> bool:
    """Say whether a receiver's heartbeat names a place; who asks it itself is told of as failed."""
    engine = open_database(settings.database_url)
    try:
        with Session(engine) as session:
            return any(where in role.details.get("listening", "") for role in alive(session, now()))
    finally:
        engine.dispose()


def _certificate(certificate: str, key: str) -> str:
    text = validity_text(certificate, now())
    require_private(key)
    return text


def _dashboard_port(settings: Settings) -> str:
    host, port = settings.dashboard.host, settings.dashboard.port
    try:
        open_socket(host, port, "dashboard").close()
    except ServiceError:
        if not _says_alive(_reachable(host), port):
            raise
        return f"hilum answers on port {port}"
    return f"{host}:{port} is free"


def _dashboard_login(settings: Settings) -> str:
    """Be content with a dashboard that is open to this machine alone, or that somebody can use."""
    if not settings.dashboard.asks_for_login:
        return "open to this machine, without a login"
    engine = open_database(settings.database_url)
    try:
        made = inspect(engine).has_table(DashboardUser.__tablename__)
        with Session(engine) as session:
            number = users.how_many(session) if made else 0
    finally:
        engine.dispose()
    if number == 0:
        raise ServiceError("no user yet: hilum user add NAME --access operator")
    clear = "; passwords are sent unencrypted: put a reverse proxy with TLS before it, and set"
    clear += " [dashboard] behind_https = true"
    return f"{number} may log in{'' if settings.dashboard.behind_https else clear}"


def _says_alive(host: str, port: int) -> bool:
    with closing(socket.create_connection((host, port), timeout=5)) as connection:
        connection.sendall(f"GET /healthz HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        return b"alive" in connection.makefile("rb").read(4096)


def _reachable(host: str) -> str:
    """Return the address under which something that listens on all addresses is reached."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def _priors(settings: Settings) -> str:
    priors = settings.priors
    if priors.retrieve == "off":
        return "films are compared only with films that were sent here"
    see_services(priors, settings.receiver.ae_title)
    return f"{priors.remote} offers C-FIND and C-{priors.retrieve.upper()}"


def _destination(settings: Settings, destination: DestinationSettings) -> str:
    where = f"{destination.ae_title}@{destination.host}:{destination.port}"
    ourselves = settings.receiver.ae_title
    only = destination.kinds
    kinds = [k for k in kinds_made(settings.results) if not only or k.name in only]
    sent = sorted({(str(kind.sop_class), str(kind.transfer_syntax)) for kind in kinds})
    try:
        there = destination_of(destination, ourselves)
        there.echo()
        not_taken = there.refused(sent)
    except Unreachable as error:
        if error.outcome.cause.value.startswith("tls"):
            parties = Parties(destination.name, ourselves, destination.ae_title, where)
            raise ServiceError(advice(error.outcome, parties)) from error
        raise ServiceError(f"{error}: is it running, and does it know {ourselves}?") from error
    if not_taken:
        raise ServiceError(f"{where} does not accept {'; '.join(_named(not_taken, kinds))}")
    return f"{where} answers C-ECHO and accepts everything that is sent"


def _named(not_taken: Iterable[tuple[str, str]], kinds: Sequence[Kind]) -> Iterator[str]:
    """Name what a destination does not take, and the keys that switch it off here."""
    for sop_class, syntax in not_taken:
        keys = [kind.setting for kind in kinds if kind.sop_class == sop_class]
        name, how = class_name(sop_class), UID(syntax).name
        off = ", ".join(keys)
        yield f"{name} as {how}: configure it to accept this, or switch off [results] {off}"
