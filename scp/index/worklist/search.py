"""Find the films of the worklist: a page at a time, by key, without reading the whole table.

Each condition names the ids that it holds for. One that holds for few films is asked first, and
only these films are looked at. Where every condition holds for many, the list is walked in its own
order, and each film on the way is tested: a page is soon full. Neither needs the database's
statistics, which SQLite has none of.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, func, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased
from sqlalchemy.sql.elements import literal

from inference.model.operating_points import BUNDLES_OWN, OperatingSettings
from scp.index.schema.tables import (
    Delivery,
    DeliveryState,
    FilmFinding,
    Instance,
    Result,
    SearchWord,
)
from scp.index.schema.utc_datetime import UtcDateTime
from scp.index.values import FilmRow
from scp.index.worklist.film_rows import film_rows
from scp.index.worklist.query import Key, Order, WorklistQuery
from scp.matching.folding import after as past

# so many films are looked at one by one within some 10 ms; of a million films, a condition that
# holds for more fills a page of 50 within 10,000 films
FEW = 5000


@dataclass(frozen=True)
class Page:
    """Some films in the order asked for; ``last`` is where it ends, None when nothing follows."""

    films: list[FilmRow]
    last: Key | None


@dataclass(frozen=True)
class _Condition:
    """What must hold of a film: the ids of those for which it does."""

    ids: Select[int]
    film_id: InstrumentedAttribute[int]

    def is_few(self, session: Session) -> bool:
        some = self.ids.limit(FEW + 1).subquery()
        return (session.scalar(select(func.count()).select_from(some)) or 0) <= FEW

    def holds(self, film: type[Instance]) -> ColumnElement[bool]:
        """Test one film.

        No EXISTS: PostgreSQL would make a join of it, and misjudge how many films have a word.
        LIMIT keeps it a look at one film after the other.
        """
        one = self.ids.where(self.film_id == film.id).limit(1).correlate(film)
        return one.scalar_subquery().is_not(None)


def worklist(
    session: Session,
    query: WorklistQuery,
    limit: int,
    after: Key | None = None,
    settings: OperatingSettings = BUNDLES_OWN,
) -> Page:
    """Return the films that are wanted, at most ``limit``, from behind ``after`` on.

    Films that arrive meanwhile are before the first page: paging on skips and repeats none.
    """
    found = session.execute(statement(session, query, limit, after)).all()
    shown = found[:limit]
    last = None
    if len(found) > limit and (at := shown[-1][1]) is not None:
        last = Key(query.order, at, shown[-1][0])
    return Page(film_rows(session, [film_id for film_id, _ in shown], settings), last)


def statement(
    session: Session, query: WorklistQuery, limit: int, after: Key | None
) -> Select[int, datetime | None]:
    """Return the statement for id and place of one film more than a page has."""
    conditions = _conditions(query)
    few = [condition for condition in conditions if condition.is_few(session)]
    film = Instance
    if few:  # LIMIT keeps SQLite and PostgreSQL from looking at other films before these
        some = select(Instance).where(*(Instance.id.in_(one.ids) for one in few)).limit(FEW + 1)
        film = aliased(Instance, some.subquery())
    many = [condition for condition in conditions if condition not in few]
    at = film.due_at if query.order is Order.URGENT else film.received_at
    chosen = select(film.id, at).where(*_plain(film, query), *(one.holds(film) for one in many))
    place, by_id = tuple_(at, film.id), film.id
    if after is not None:
        key = tuple_(literal(after.at, UtcDateTime()), literal(after.film_id))
        chosen = chosen.where(place > key if query.order is Order.URGENT else place < key)
    if query.order is Order.URGENT:
        return chosen.order_by(at, by_id).limit(limit + 1)
    return chosen.order_by(at.desc(), by_id.desc()).limit(limit + 1)


def _plain(film: type[Instance], query: WorklistQuery) -> list[ColumnElement[bool]]:
    """Return the conditions on the film's own row."""
    plain: list[ColumnElement[bool]] = []
    if query.state is not None:
        plain.append(film.state == query.state)
    if query.received_from is not None:
        plain.append(film.received_at >= query.received_from)
    if query.received_before is not None:
        plain.append(film.received_at < query.received_before)
    if query.order is Order.URGENT:
        plain.append(film.due_at.is_not(None))
        if query.received_from is not None:  # it follows, and lets the walk begin there
            plain.append(film.due_at >= query.received_from)
    return plain


def _conditions(query: WorklistQuery) -> list[_Condition]:
    """Return the conditions on what belongs to a film."""
    found = [_has_word(word) for word in query.words]
    if query.finding or query.change is not None:
        found.append(_has_finding(query))
    if query.dead_letters:
        dead = select(Result.instance_id).join(Result.deliveries)
        dead = dead.where(Delivery.state == DeliveryState.DEAD)
        found.append(_Condition(dead, Result.instance_id))
    return found


def _has_word(word: str) -> _Condition:
    ids = select(SearchWord.instance_id).where(
        SearchWord.word >= word, SearchWord.word < past(word)
    )
    return _Condition(ids, SearchWord.instance_id)


def _has_finding(query: WorklistQuery) -> _Condition:
    ids = select(FilmFinding.instance_id)
    if query.finding:
        ids = ids.where(FilmFinding.label == query.finding)
    if query.change is not None:
        ids = ids.where(FilmFinding.change == query.change.value)
    else:
        ids = ids.where(FilmFinding.positive)
    return _Condition(ids, FilmFinding.instance_id)
