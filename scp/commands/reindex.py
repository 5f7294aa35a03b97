"""`hilum reindex`: read from the archived headers what the index does not have yet.

Of the patient, the accession number, and when films were taken (`inference.image.acquisition`).

Each film's header is read from the archive. It may run beside the service, be stopped at any time
and begun again: films that are done are not looked at twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

import sqlalchemy as sa
import structlog
from pydicom import Dataset
from rich.console import Console
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from inference.image.acquisition import AcquisitionTime, acquisition_time
from scp.archive import Archive
from scp.commands.actor import actor_of
from scp.commands.console import progress
from scp.config.load import Settings
from scp.config.time_zone import SERVER_ZONE
from scp.errors import Unreadable
from scp.index.acquisition import keep
from scp.index.corrections import withdraw_unfit
from scp.index.registration import person_of, readable
from scp.index.schema.tables import Instance
from scp.index.worklist.entries import set_words
from scp.matching.person import Person
from scp.pipeline.intake import read_header
from scp.processes.runtime import ServiceContext, open_context

log = structlog.get_logger(__name__)

# films in one transaction: what a stop loses, and how long a receiver may have to wait
_BATCH = 100


@dataclass
class Reindexed:
    """How many films were read, and why others could not be, by SOP Instance UID."""

    read: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _HeaderValues:
    """What a header says that an earlier release did not keep."""

    person: Person
    accession_number: str
    acquired: AcquisitionTime | None


def _header_values(ds: Dataset, zone: tzinfo, received_at: datetime) -> _HeaderValues:
    number = readable(ds, "AccessionNumber")
    return _HeaderValues(person_of(ds), number, acquisition_time(ds, zone, received_at))


def reindex_films(settings: Settings, *, everything: bool = False) -> int:
    """Read the headers of films from before, and print how it went; return the exit code."""
    which = "all films" if everything else "films of earlier releases"
    with (
        open_context(settings) as context,
        actor_of(context).doing("reindexed", which),
        progress() as bar,
    ):
        task = bar.add_task("headers", total=count(context.engine, everything=everything))
        done = Reindexed()
        zone = settings.zone
        for _ in reindex(context.engine, context.archive, done, zone, everything=everything):
            bar.advance(task)
        again = answer_unfit_again(context)
    console = Console()
    for uid, why in done.unreadable.items():
        console.print(f"not read: film {uid}: {why}", highlight=False, soft_wrap=True)
    rest = f", {len(done.unreadable)} could not be read" if done.unreadable else ""
    console.print(f"{done.read} films: their headers are indexed{rest}")
    if again:
        console.print(f"{again} answers would now have another prior: they are made again")
    return 1 if done.unreadable else 0


def answer_unfit_again(context: ServiceContext) -> int:
    """Enqueue again the answers that would now have another prior.

    Those that rest on a film of another person, or on one that is not known to be earlier, are
    withdrawn. Return how many they are in all.
    """
    after, found = 0, 0
    while True:
        with Session(context.engine) as session, session.begin():
            last, again = withdraw_unfit(session, context.settings.zone, after, _BATCH)
            for film, chosen_at in again:
                revisions = f"{film.revision}-{chosen_at.timestamp():.0f}"
                context.jobs.answer_again(session, film.uid, film.uid, 0, revisions)
        found += len(again)
        if last == after:
            return found
        after = last


def count(engine: sa.Engine, *, everything: bool) -> int:
    """Return how many films are to be read."""
    with Session(engine) as session:
        films = select(func.count()).select_from(Instance).where(_missing(everything=everything))
        return session.scalar(films) or 0


def reindex(
    engine: sa.Engine,
    archive: Archive,
    done: Reindexed,
    zone: tzinfo = SERVER_ZONE,
    *,
    everything: bool = False,
) -> Iterator[None]:
    """Read one header after the other, noted in ``done``; each hundred are committed."""
    after = 0
    while True:
        with Session(engine) as session, session.begin():
            columns = (Instance.id, Instance.uid, Instance.path, Instance.received_at)
            films = select(*columns).where(Instance.id > after)
            films = films.where(_missing(everything=everything)).order_by(Instance.id)
            batch = session.execute(films.limit(_BATCH)).all()
        if not batch:
            return
        after = batch[-1][0]
        found: dict[int, _HeaderValues] = {}
        for film_id, uid, path, received_at in batch:
            try:
                found[film_id] = _header_values(read_header(archive.path(path)), zone, received_at)
            except (OSError, Unreadable) as error:
                done.unreadable[uid] = str(getattr(error, "strerror", None) or error)
            except Exception as error:  # one bad film never ends the run
                log.exception("header not indexed", film=uid)
                done.unreadable[uid] = f"{type(error).__name__}, the log says where"
            yield
        with Session(engine) as session, session.begin():  # only now: reading takes its time
            for film_id, header in found.items():
                film = session.get_one(Instance, film_id)
                if everything or film.birth_date is None:  # else an operator may have filed it
                    set_words(session, film, header.person, header.accession_number)
                keep(film, header.acquired)
        done.read += len(found)


def _missing(*, everything: bool) -> sa.ColumnElement[bool]:
    if everything:
        return sa.true()
    return Instance.birth_date.is_(None) | Instance.acquired_precision.is_(None)
