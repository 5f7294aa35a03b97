"""What waits, what failed and the dead letters, for the queue page; no patient is in it.

Everything but the dead letters' own list has a fixed number of statements and rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from scp.index import prior_fetches
from scp.index.counts import UNFINISHED
from scp.index.deliveries import OUTCOME, outcome_of
from scp.index.schema.tables import (
    Delivery,
    DeliveryState,
    FilmState,
    Instance,
    PriorFetch,
    Quarantined,
    Result,
)
from scp.outcomes.delivery import Outcome

_OPEN = (DeliveryState.PENDING, DeliveryState.DEAD)
# kinds of errors at all destinations; an error that names its object has one kind for each
_MOST_KINDS = 500


@dataclass(frozen=True)
class FilmStatus:
    """A film, its state and why."""

    uid: str
    view: str
    state: FilmState
    reason: str
    detail: str
    received_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class FailureGroup:
    """Results in one state at one destination for one reason.

    ``like`` is one of them: it represents the outcome in an address.
    """

    destination: str
    state: DeliveryState
    results: int
    like: int
    first_at: datetime | None
    last_at: datetime | None
    next_at: datetime | None
    outcome: Outcome | None


@dataclass(frozen=True)
class DeadLetter:
    """A film's dead letters to one destination; ``key`` is where to page on."""

    film_uid: str
    destination: str
    results: int
    attempts: int
    outcome: Outcome | None
    last_at: datetime | None
    key: int


@dataclass(frozen=True)
class ErrorEvent:
    """An error: at what, when, and why. ``film_uid`` is empty for what was refused.

    ``outcome`` says why a delivery failed, ``why`` and ``detail`` say it of the others.
    """

    kind: str
    at: datetime
    why: str = ""
    detail: str = ""
    film_uid: str = ""
    destination: str = ""
    outcome: Outcome | None = None


def unfinished_films(session: Session, limit: int) -> list[FilmStatus]:
    """Return films that have no outcome yet, the last recorded first."""
    found = _stands().where(Instance.state.in_(UNFINISHED)).order_by(Instance.id.desc())
    return [FilmStatus(*row) for row in session.execute(found.limit(limit))]


def films_by_uid(session: Session, uids: Sequence[str]) -> dict[str, FilmStatus]:
    """Return films by their UIDs."""
    found = session.execute(_stands().where(Instance.uid.in_(uids)))
    return {row[0]: FilmStatus(*row) for row in found}


def troubles(session: Session) -> list[FailureGroup]:
    """Return what is open at the destinations, by reason: the most first."""
    number = func.count().label("number")
    found = session.execute(
        select(
            Delivery.destination,
            Delivery.state,
            number,
            func.max(Delivery.id).label("like"),
            func.min(Delivery.last_attempt_at).label("first_at"),
            func.max(Delivery.last_attempt_at).label("last_at"),
            func.min(Delivery.next_attempt_at).label("next_at"),
            *OUTCOME,
        )
        .where(Delivery.state.in_(_OPEN))
        .group_by(Delivery.destination, Delivery.state, *OUTCOME)
        .order_by(number.desc(), Delivery.destination, *OUTCOME)
        .limit(_MOST_KINDS)
    )
    return [
        FailureGroup(
            row.destination,
            row.state,
            row.number,
            row.like,
            row.first_at,
            row.last_at,
            row.next_at,
            outcome_of(row),
        )
        for row in found
    ]


def last_delivered(session: Session) -> dict[str, datetime]:
    """Return when each destination took something last."""
    found = session.execute(
        select(Delivery.destination, func.max(Delivery.delivered_at))
        .where(Delivery.delivered_at.is_not(None))
        .group_by(Delivery.destination)
    )
    return {name: at for name, at in found if at is not None}


def dead_letters(
    session: Session, limit: int, destination: str = "", before: int | None = None
) -> list[DeadLetter]:
    """Return films with dead letters, the latest letters first.

    ``before``: the ``key`` of the last one that was shown. A film whose letters lie far apart,
    those of two answers, is shown with each.
    """
    statement = (
        select(
            Instance.uid,
            Delivery.destination,
            Delivery.id,
            Delivery.attempts,
            Delivery.last_attempt_at,
            *OUTCOME,
        )
        .join(Delivery.result)
        .join(Result.instance)
        .where(Delivery.state == DeliveryState.DEAD)
        .order_by(Delivery.id.desc())
    )
    if destination:
        statement = statement.where(Delivery.destination == destination)
    if before is not None:
        statement = statement.where(Delivery.id < before)
    rows = session.execute(statement.limit(10 * limit)).all()
    groups = [list(group) for _, group in groupby(rows, key=lambda row: row[0])]
    if len(rows) == 10 * limit and len(groups) > 1:
        groups.pop()  # it may not be whole
    return [letter for group in groups[:limit] for letter in _letters(group)]


def latest_errors(session: Session, limit: int) -> list[ErrorEvent]:
    """Return the latest errors of deliveries, films, fetches and senders, the newest first."""
    found = [
        *_failed_deliveries(session, limit),
        *_failed_films(session, limit),
        *_failed_fetches(session, limit),
        *_refused(session, limit),
    ]
    return sorted(found, key=lambda error: error.at, reverse=True)[:limit]


def _stands() -> Select[str, str, FilmState, str, str, datetime, datetime | None]:
    return select(
        Instance.uid,
        Instance.view,
        Instance.state,
        Instance.reason,
        Instance.detail,
        Instance.received_at,
        Instance.finished_at,
    )


def _letters(rows: Sequence[Any]) -> list[DeadLetter]:
    """Sum up one film's dead letters, by destination."""
    key = min(row.id for row in rows)
    by_name: dict[str, list[Any]] = {}
    for row in rows:
        by_name.setdefault(row.destination, []).append(row)
    return [
        DeadLetter(
            film_uid=letters[0].uid,
            destination=name,
            results=len(letters),
            attempts=max(row.attempts for row in letters),
            outcome=outcome_of(letters[0]),
            last_at=max(
                (row.last_attempt_at for row in letters if row.last_attempt_at), default=None
            ),
            key=key,
        )
        for name, letters in sorted(by_name.items())
    ]


def _failed_deliveries(session: Session, limit: int) -> list[ErrorEvent]:
    found = session.execute(
        select(Instance.uid, Delivery.destination, Delivery.last_attempt_at, *OUTCOME)
        .join(Delivery.result)
        .join(Result.instance)
        .where(
            Delivery.state.in_(_OPEN),
            Delivery.cause != "",
            Delivery.last_attempt_at.is_not(None),
        )
        .order_by(Delivery.last_attempt_at.desc(), Delivery.id.desc())
        .limit(10 * limit)  # an answer of many results fails as one
    )
    errors = dict.fromkeys(
        ErrorEvent(
            "delivery",
            row.last_attempt_at,
            film_uid=row.uid,
            destination=row.destination,
            outcome=outcome_of(row),
        )
        for row in found
        if row.last_attempt_at is not None
    )
    return list(errors)[:limit]


def _failed_films(session: Session, limit: int) -> list[ErrorEvent]:
    found = session.execute(
        select(Instance.finished_at, Instance.reason, Instance.detail, Instance.uid)
        .where(Instance.state == FilmState.FAILED, Instance.finished_at.is_not(None))
        .order_by(Instance.finished_at.desc())
        .limit(limit)
    )
    return [
        ErrorEvent("film", at, reason, detail, uid)
        for at, reason, detail, uid in found
        if at is not None
    ]


def _failed_fetches(session: Session, limit: int) -> list[ErrorEvent]:
    found = session.execute(
        select(PriorFetch.asked_at, PriorFetch.outcome, Instance.uid)
        .join(Instance, PriorFetch.instance_id == Instance.id)
        .where(PriorFetch.outcome != prior_fetches.Outcome.DONE.value)
        .order_by(PriorFetch.asked_at.desc())
        .limit(limit)
    )
    return [ErrorEvent("fetch", at, outcome, film_uid=uid) for at, outcome, uid in found]


def _refused(session: Session, limit: int) -> list[ErrorEvent]:
    found = session.execute(
        select(Quarantined.received_at, Quarantined.reason, Quarantined.calling_ae_title)
        .order_by(Quarantined.received_at.desc())
        .limit(limit)
    )
    return [ErrorEvent("refusal", at, why, detail=sender) for at, why, sender in found]
