"""Failed associations, counted by caller, address and reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, UniqueConstraint, delete, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, Session, mapped_column

from scp.index.schema.states import Base
from scp.outcomes.associations import FailedAssociation, Reason, Tally

_KEPT = 500  # kinds; older ones are counted by reason alone, so that sums never fall


class FailedAssociations(Base):
    """One kind of them, how many there were, and when the first and the last was."""

    __tablename__ = "failed_association"
    __table_args__ = (
        UniqueConstraint("reason", "calling_ae_title", "called_ae_title", "address", "detail"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    reason: Mapped[str]
    calling_ae_title: Mapped[str]
    called_ae_title: Mapped[str]
    address: Mapped[str]
    detail: Mapped[str]
    number: Mapped[int]
    first_at: Mapped[datetime]
    last_at: Mapped[datetime] = mapped_column(index=True)


@dataclass(frozen=True)
class FailedRow:
    """As a page shows it; ``address`` is empty for those that are counted by reason alone."""

    failed: FailedAssociation
    number: int
    first_at: datetime
    last_at: datetime


def save_failed(session: Session, counted: Mapping[FailedAssociation, int], now: datetime) -> None:
    """Add what a receiver has counted."""
    for failed, number in counted.items():
        _add(session, failed, number, now)
    session.flush()
    _forget(session)


def write_tally(engine: Engine, tally: Tally, now: datetime) -> None:
    """Write down what a receiver has counted; what cannot be written stays counted."""
    counted = tally.take()
    if not counted:
        return
    try:
        with Session(engine) as session, session.begin():
            save_failed(session, counted, now)
    except SQLAlchemyError:
        for failed, number in counted.items():
            tally.add(failed, number)
        raise


def failed_by_reason(session: Session) -> dict[str, int]:
    """Return how many there ever were of each reason."""
    found = select(FailedAssociations.reason, func.sum(FailedAssociations.number))
    return dict(session.execute(found.group_by(FailedAssociations.reason)).all())


def latest_failed(session: Session, limit: int) -> list[FailedRow]:
    """Return the kinds that came last, the newest first."""
    newest = select(FailedAssociations).order_by(
        FailedAssociations.last_at.desc(), FailedAssociations.id.desc()
    )
    return [
        FailedRow(_kind(row), row.number, row.first_at, row.last_at)
        for row in session.scalars(newest.limit(limit))
    ]


def _kind(row: FailedAssociations) -> FailedAssociation:
    return FailedAssociation(
        Reason(row.reason), row.calling_ae_title, row.called_ae_title, row.address, row.detail
    )


def _add(session: Session, failed: FailedAssociation, number: int, now: datetime) -> None:
    row = session.scalars(
        select(FailedAssociations).where(
            FailedAssociations.reason == failed.reason,
            FailedAssociations.calling_ae_title == failed.calling_ae_title,
            FailedAssociations.called_ae_title == failed.called_ae_title,
            FailedAssociations.address == failed.address,
            FailedAssociations.detail == failed.detail,
        )
    ).one_or_none()
    if row is None:
        row = FailedAssociations(
            reason=failed.reason,
            calling_ae_title=failed.calling_ae_title,
            called_ae_title=failed.called_ae_title,
            address=failed.address,
            detail=failed.detail,
            number=0,
            first_at=now,
        )
        session.add(row)
    row.number += number
    row.last_at = now


def _forget(session: Session) -> None:
    """Count the oldest kinds by reason alone."""
    oldest = (
        select(FailedAssociations)
        .where(FailedAssociations.address != "")
        .order_by(FailedAssociations.last_at.desc(), FailedAssociations.id.desc())
        .offset(_KEPT)
    )
    for row in session.scalars(oldest).all():
        _add(session, FailedAssociation(Reason(row.reason), "", "", ""), row.number, row.last_at)
        session.execute(delete(FailedAssociations).where(FailedAssociations.id == row.id))
