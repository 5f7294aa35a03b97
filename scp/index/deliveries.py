"""Which result goes to which destination, and how each delivery ended."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from scp.index.locking import lock
from scp.index.schema.tables import Delivery, DeliveryState, Instance, Result
from scp.outcomes.delivery import Cause, Kind, Outcome

# the columns of an outcome, as `outcome_of` takes them
OUTCOME = (Delivery.cause, Delivery.kind, Delivery.store_status, Delivery.peer_text)
# what may have been the object's own fault: it goes after the others of its film
_ENDED_THE_ASSOCIATION = (Cause.ABORTED, Cause.BROKEN, Cause.TIMED_OUT)


@dataclass(frozen=True)
class Outgoing:
    """One result that is still to be sent, after ``attempts`` that failed."""

    delivery_id: int
    path: str
    job: int
    attempts: int
    created_at: datetime


def outcome_of(row: Any) -> Outcome | None:
    """Return how the last attempt of a delivery ended, of a row with `OUTCOME`; None before any."""
    if not row.cause:
        return None
    return Outcome(Cause(row.cause), Kind(row.kind), row.store_status, row.peer_text)


def outstanding(
    session: Session, film_uid: str, destination: str, job: int | None = None
) -> list[Outgoing]:
    """Return what a destination has not yet taken of a film's answers, or of one job's part.

    Objects at which the association ended come last, so that they never block the others. What was
    withdrawn is sent to nobody.
    """
    statement = (
        select(Delivery.id, Result.path, Delivery.job, Delivery.attempts, Result.created_at)
        .join(Delivery.result)
        .where(*_of(film_uid, destination), Delivery.state == DeliveryState.PENDING)
        .where(Result.withdrawn.is_(None))
        .order_by(Delivery.cause.in_(_ENDED_THE_ASSOCIATION), Result.id)
    )
    if job is not None:
        statement = statement.where(Delivery.job == job)
    return [Outgoing(*row) for row in session.execute(statement)]


def next_job(session: Session, film_uid: str, destination: str) -> int:
    """Return a number that no job of this film and destination has had.

    A film may be answered again while an earlier answer is on its way: what a job does not bring
    is never left to one that has looked already. Until the commit, nobody else gets a number.
    """
    lock(session, Instance, uid=film_uid)
    made = session.scalar(select(func.max(Delivery.job)).where(*_of(film_uid, destination)))
    return 1 + (made or 0)


def assign(session: Session, delivery_ids: Iterable[int], job: int) -> None:
    """Say which job is to bring these."""
    for delivery_id in delivery_ids:
        session.get_one(Delivery, delivery_id).job = job


def set_delivered(session: Session, delivery_id: int, outcome: Outcome, now: datetime) -> None:
    """Say that the destination has this very instance; a warning with which it took it is kept."""
    row = session.get_one(Delivery, delivery_id)
    row.state, row.delivered_at, row.next_attempt_at = DeliveryState.DELIVERED, now, None
    _attempted(row, outcome, now)


def set_failed(
    session: Session, delivery_id: int, outcome: Outcome, now: datetime, next_at: datetime | None
) -> bool:
    """Say how an attempt failed; without a next one it is a dead letter, for all to see.

    Return whether it is still pending: what an operator cancelled meanwhile stays cancelled.
    """
    row = session.get_one(Delivery, delivery_id)
    _attempted(row, outcome, now)
    new = DeliveryState.PENDING if next_at else DeliveryState.DEAD
    own = [Delivery.id == delivery_id]
    moved = _change_state(session, own, DeliveryState.PENDING, new, next_attempt_at=next_at)
    return bool(moved) and new is DeliveryState.PENDING


def _attempted(row: Delivery, outcome: Outcome, now: datetime) -> None:
    row.attempts += 1
    row.last_attempt_at = now
    row.cause, row.kind = outcome.cause, outcome.kind
    row.store_status, row.peer_text = outcome.status, outcome.peer_text


def set_state(
    session: Session, film_uid: str, destination: str, old: DeliveryState, new: DeliveryState
) -> int:
    """Move a film's deliveries to one destination from one state to another; return how many.

    Those of withdrawn results stay as they are.
    """
    own = _not_withdrawn(film_uid, destination)
    return len(_change_state(session, own, old, new, next_attempt_at=None))


def undelivered(
    session: Session, film_uid: str, destination: str
) -> list[tuple[int, DeliveryState, int]]:
    """Return the deliveries of a film that a destination has not taken: id, state, job's number.

    Those of withdrawn results are left out.
    """
    own = _not_withdrawn(film_uid, destination)
    found = select(Delivery.id, Delivery.state, Delivery.job).where(*own)
    rows = session.execute(found.where(Delivery.state != DeliveryState.DELIVERED))
    return [(number, state, job) for number, state, job in rows]


def take_up(session: Session, film_uid: str, destination: str, *old: DeliveryState) -> list[int]:
    """Make a film's deliveries to a destination pending that are in one of these states.

    Return them; those of withdrawn results stay as they are.
    """
    own = _not_withdrawn(film_uid, destination)
    moved = [
        _change_state(session, own, one, DeliveryState.PENDING, next_attempt_at=None) for one in old
    ]
    return [number for numbers in moved for number in numbers]


def take_up_cancelled(session: Session, result_id: int, jobs: Mapping[str, int]) -> bool:
    """Make cancelled deliveries of a result pending; say whether there were any.

    ``jobs`` says by destination which job is to bring it.
    """
    moved = []
    for name, job in jobs.items():
        own = [Delivery.result_id == result_id, Delivery.destination == name]
        pending = DeliveryState.PENDING
        moved += _change_state(session, own, DeliveryState.CANCELLED, pending, job=job)
    return bool(moved)


def _change_state(
    session: Session,
    which: list[ColumnElement[bool]],
    old: DeliveryState,
    new: DeliveryState,
    **more: Any,
) -> list[int]:
    """Move deliveries from one state to another, and return those that were in the first.

    One UPDATE decides: what somebody else has moved meanwhile is left alone.
    """
    session.flush()
    moved = update(Delivery).where(*which, Delivery.state == old).values(state=new, **more)
    found = session.execute(
        moved.returning(Delivery.id), execution_options={"synchronize_session": "fetch"}
    )
    return sorted(found.scalars())


def failure_of(session: Session, delivery_id: int) -> Outcome | None:
    """Return how a delivery's last attempt ended; None when there is no such delivery."""
    row = session.get(Delivery, delivery_id)
    return None if row is None else outcome_of(row)


def films_with_dead(
    session: Session, destination: str, like: Outcome | None, limit: int
) -> list[str]:
    """Return films with dead letters to a destination, those tried the longest ago first."""
    found = (
        select(Instance.uid)
        .join(Instance.results)
        .join(Result.deliveries)
        .where(*_dead(destination, like))
        .group_by(Instance.uid)
        .order_by(func.max(Delivery.last_attempt_at), func.max(Delivery.id))
        .limit(limit)
    )
    return list(session.scalars(found))


def count_dead(session: Session, destination: str, like: Outcome | None = None) -> int:
    """Return how many dead letters a destination has; with ``like``, how many that failed so."""
    return session.scalar(select(func.count(Delivery.id)).where(*_dead(destination, like))) or 0


def discard_dead(session: Session, destination: str, like: Outcome | None = None) -> int:
    """Cancel the dead letters to a destination; return how many."""
    dead = _dead(destination, like)
    return len(_change_state(session, dead, DeliveryState.DEAD, DeliveryState.CANCELLED))


def _of(film_uid: str, destination: str) -> list[ColumnElement[bool]]:
    """Select a film's deliveries to one destination.

    By the film's results and not by a join: SQLite then looks each up, and does not go through all
    that a destination ever got.
    """
    results = select(Result.id).join(Result.instance).where(Instance.uid == film_uid)
    return [Delivery.result_id.in_(results), Delivery.destination == destination]


def _not_withdrawn(film_uid: str, destination: str) -> list[ColumnElement[bool]]:
    holds = select(Result.id).where(Result.withdrawn.is_(None))
    return [*_of(film_uid, destination), Delivery.result_id.in_(holds)]


def _dead(destination: str, like: Outcome | None) -> list[ColumnElement[bool]]:
    conditions = [Delivery.state == DeliveryState.DEAD, Delivery.destination == destination]
    if like is not None:
        conditions += [
            Delivery.cause == like.cause,
            Delivery.store_status.is_not_distinct_from(like.status),
            Delivery.peer_text == like.peer_text,
        ]
    return conditions
