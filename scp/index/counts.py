"""The whole index in numbers, and what was refused. No patient is in them."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from scp.index.associations import failed_by_reason
from scp.index.schema.tables import (
    Delivery,
    DeliveryState,
    FilmState,
    Instance,
    PriorFetch,
    Quarantined,
)
from scp.outcomes.delivery import Kind

UNFINISHED = (FilmState.RECEIVED, FilmState.ANALYSED)


@dataclass(frozen=True)
class DestinationCount:
    """How many results are in one state at one destination."""

    destination: str
    state: DeliveryState
    results: int


@dataclass(frozen=True)
class WarningCount:
    """How many results a destination took with this status of C-STORE, a warning, and when last."""

    destination: str
    status: int
    results: int
    last_at: datetime | None


@dataclass(frozen=True)
class Counts:
    """The whole index in numbers; every film state is in ``films``.

    ``fetches`` are films by how asking the PACS for their priors went last.
    """

    films: dict[FilmState, int]
    not_analysed: dict[str, int]
    deliveries: tuple[DestinationCount, ...]
    warnings: tuple[WarningCount, ...]
    quarantined: int
    failed_associations: dict[str, int]
    fetches: dict[str, int]
    failed_fetches: int
    oldest_unfinished_at: datetime | None

    @property
    def waiting(self) -> int:
        """How many films have no outcome yet."""
        return sum(self.films[state] for state in UNFINISHED)

    def results_in(self, state: DeliveryState) -> int:
        """Return how many results are in this state, over all destinations."""
        return sum(count.results for count in self.deliveries if count.state is state)


@dataclass(frozen=True)
class QuarantinedRow:
    """Refused bytes: what they said they were, and why they were refused."""

    sop_instance_uid: str
    calling_ae_title: str
    status: int
    reason: str
    received_at: datetime
    path: str


def counts(session: Session) -> Counts:
    """Count the whole index."""
    by_state = select(Instance.state, func.count()).group_by(Instance.state)
    by_reason = select(Instance.reason, func.count()).where(
        Instance.state == FilmState.NOT_ANALYSED
    )
    by_destination = select(Delivery.destination, Delivery.state, func.count()).group_by(
        Delivery.destination, Delivery.state
    )
    oldest = select(func.min(Instance.received_at)).where(Instance.state.in_(UNFINISHED))
    by_fetch = select(PriorFetch.outcome, func.count()).group_by(PriorFetch.outcome)
    found = dict(session.execute(by_state).all())
    reasons = session.execute(by_reason.group_by(Instance.reason).order_by(Instance.reason))
    deliveries = session.execute(by_destination.order_by(Delivery.destination, Delivery.state))
    return Counts(
        films={state: found.get(state, 0) for state in FilmState},
        not_analysed=dict(reasons.all()),
        deliveries=tuple(DestinationCount(*row) for row in deliveries),
        warnings=warnings(session),
        quarantined=session.scalar(select(func.count()).select_from(Quarantined)) or 0,
        failed_associations=failed_by_reason(session),
        fetches=dict(session.execute(by_fetch).all()),
        failed_fetches=session.scalar(select(func.sum(PriorFetch.failures))) or 0,
        oldest_unfinished_at=session.scalar(oldest),
    )


def warnings(session: Session) -> tuple[WarningCount, ...]:
    """Count what was delivered with a warning, by destination and status."""
    found = session.execute(
        select(
            Delivery.destination,
            Delivery.store_status,
            func.count(),
            func.max(Delivery.last_attempt_at),
        )
        .where(Delivery.kind == Kind.WARNING, Delivery.state == DeliveryState.DELIVERED)
        .group_by(Delivery.destination, Delivery.store_status)
        .order_by(Delivery.destination, Delivery.store_status)
    )
    return tuple(WarningCount(name, status or 0, n, at) for name, status, n, at in found)


def quarantined(session: Session, limit: int) -> list[QuarantinedRow]:
    """Return what was refused last, newest first."""
    rows = session.execute(
        select(
            Quarantined.sop_instance_uid,
            Quarantined.calling_ae_title,
            Quarantined.status,
            Quarantined.reason,
            Quarantined.received_at,
            Quarantined.path,
        )
        .order_by(Quarantined.received_at.desc(), Quarantined.id.desc())
        .limit(limit)
    )
    return [QuarantinedRow(*row) for row in rows]
