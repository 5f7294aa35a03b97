"""The last day in numbers: films by hour, how long they took, and how they ended."""

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from statistics import quantiles

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from scp.index.schema.tables import FilmState, Instance, Quarantined, Result

HOURS = 24
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Seconds:
    """How long films took from received to answered: half, 95 % and all of them at most."""

    p50: float
    p95: float
    longest: float


@dataclass(frozen=True)
class Hour:
    """Films received within an hour that began ``at``, how many of them are answered by now."""

    at: datetime
    received: int
    answered: int
    seconds: Seconds | None


@dataclass(frozen=True)
class Ended:
    """How many of the last day's films are in one state, for one reason."""

    state: FilmState
    reason: str
    films: int


@dataclass(frozen=True)
class Space:
    """Bytes that the index knows of: films, results; and how many objects were refused."""

    films: int
    results: int
    quarantined: int


def seconds_of(values: list[float]) -> Seconds | None:
    """Return the quantiles of how long films took; None without any."""
    if not values:
        return None
    cuts = quantiles(values * 2, n=20, method="inclusive")  # doubled: one film is enough
    return Seconds(cuts[9], cuts[18], max(values))


def hours(session: Session, now: datetime, zone: tzinfo | None) -> list[Hour]:
    """Return the last 24 hours, the one that runs now last; they begin as clocks in ``zone``."""
    running = now.astimezone(zone).replace(minute=0, second=0, microsecond=0).astimezone(now.tzinfo)
    starts = [running - back * _HOUR for back in reversed(range(HOURS))]
    took: list[list[float]] = [[] for _ in starts]
    received = [0] * HOURS
    rows = session.execute(
        select(Instance.received_at, Instance.finished_at, Instance.state).where(
            Instance.received_at >= starts[0], Instance.state != FilmState.FETCHED
        )
    )
    for at, finished_at, state in rows:
        hour = min(HOURS - 1, int((at - starts[0]) / _HOUR))
        received[hour] += 1
        if state is FilmState.ANSWERED and finished_at is not None:
            took[hour].append((finished_at - at).total_seconds())
    return [
        Hour(start, number, len(values), seconds_of(values))
        for start, number, values in zip(starts, received, took, strict=True)
    ]


def ended(session: Session, now: datetime) -> list[Ended]:
    """Return the states of the films received within a day, the most frequent first."""
    number = func.count().label("number")
    rows = session.execute(
        select(Instance.state, Instance.reason, number)
        .where(Instance.received_at > now - timedelta(days=1))
        .group_by(Instance.state, Instance.reason)
        .order_by(number.desc(), Instance.state, Instance.reason)
        .limit(100)
    )
    return [Ended(*row) for row in rows]


def space(session: Session) -> Space:
    """Return what films and results take on the disk."""
    return Space(
        int(session.scalar(select(func.sum(Instance.size_bytes))) or 0),
        int(session.scalar(select(func.sum(Result.size_bytes))) or 0),
        session.scalar(select(func.count(Quarantined.id))) or 0,
    )
