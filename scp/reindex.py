"""`hilum reindex`: what films' headers say of the patient, where the index did not keep it yet.

Each film's header is read from the archive. It may run beside the service, be stopped at any time
and begun again: films that are done are not looked at twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import sqlalchemy as sa
from rich.console import Console
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from scp.archive import Archive
from scp.commands import progress
from scp.config import Settings
from scp.errors import Unreadable
from scp.index.corrections import withdraw_strangers
from scp.index.placing import set_words
from scp.index.received import person_of, readable
from scp.index.schema import Instance
from scp.intake import read_header
from scp.person import Person
from scp.roles import Ground, open_ground

# films in one transaction: what a stop loses, and how long a receiver may have to wait
_BATCH = 100


@dataclass
class Reindexed:
    """How many films were read, and why others could not be, by SOP Instance UID."""

    read: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)


def reindex_films(settings: Settings, *, everything: bool = False) -> int:
    """Read the headers of films from before, and print how it went; return the exit code."""
    with open_ground(settings) as ground, progress() as bar:
        task = bar.add_task("headers", total=count(ground.engine, everything=everything))
        done = Reindexed()
        for _ in reindex(ground.engine, ground.archive, done, everything=everything):
            bar.advance(task)
        again = answer_strangers_again(ground)
    console = Console()
    for uid, why in done.unreadable.items():
        console.print(f"not read: film {uid}: {why}", highlight=False, soft_wrap=True)
    rest = f", {len(done.unreadable)} could not be read" if done.unreadable else ""
    console.print(f"{done.read} films: the index knows what their headers say of the patient{rest}")
    if again:
        console.print(f"{again} answers rest on a film of another person: withdrawn, and made anew")
    return 1 if done.unreadable else 0


def answer_strangers_again(ground: Ground) -> int:
    """Withdraw answers of an earlier release that compare two people; return how many they are.

    Now that it is known of each film whose it is.
    """
    after, found = 0, 0
    while True:
        with Session(ground.engine) as session, session.begin():
            last, again = withdraw_strangers(session, after, _BATCH)
            for film in again:
                told = f"{film.revision}-person"
                ground.jobs.answer_again(session, film.uid, film.uid, 0, told)
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
    engine: sa.Engine, archive: Archive, done: Reindexed, *, everything: bool = False
) -> Iterator[None]:
    """Read one header after the other, noted in ``done``; each hundred are committed."""
    after = 0
    while True:
        with Session(engine) as session, session.begin():
            films = select(Instance.id, Instance.uid, Instance.path).where(Instance.id > after)
            films = films.where(_missing(everything=everything)).order_by(Instance.id)
            batch = session.execute(films.limit(_BATCH)).all()
        if not batch:
            return
        after = batch[-1][0]
        found: dict[int, tuple[Person, str]] = {}
        for film_id, uid, path in batch:
            try:
                ds = read_header(archive.path(path))
            except (OSError, Unreadable) as error:
                done.unreadable[uid] = str(getattr(error, "strerror", None) or error)
            else:
                found[film_id] = person_of(ds), readable(ds, "AccessionNumber")
            yield
        with Session(engine) as session, session.begin():  # only now: reading takes its time
            for film_id, said in found.items():
                set_words(session, session.get_one(Instance, film_id), *said)
        done.read += len(found)


def _missing(*, everything: bool) -> sa.ColumnElement[bool]:
    return sa.true() if everything else Instance.birth_date.is_(None)
