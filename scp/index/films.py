"""The life of one film in the index: outcome, comparison, results."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import func, select
from sqlalchemy.orm import Session, object_session

from inference.comparison import Comparison as Compared
from inference.comparison.layers import Layers
from scp.archive import Stored
from scp.index import deliveries
from scp.index.schema.tables import (
    Comparison,
    Delivery,
    DeliveryState,
    FilmState,
    Instance,
    Result,
    Series,
)
from scp.index.values import Applied
from scp.index.worklist.entries import NOT_DUE
from scp.outcomes.failures import Cause

# a film in these waits for its outcome
WAITING = (FilmState.RECEIVED, FilmState.ANALYSED)
WITHOUT_ANSWER = (FilmState.FAILED, FilmState.NOT_ANALYSED)


def film(session: Session, uid: str) -> Instance:
    """Return a received object by its SOP Instance UID; it must be there."""
    return session.scalars(select(Instance).where(Instance.uid == uid)).one()


def find(session: Session, uid: str) -> Instance | None:
    """Return a received object by its SOP Instance UID, if it is there."""
    return session.scalars(select(Instance).where(Instance.uid == uid)).one_or_none()


def number_in_study(session: Session, uid: str) -> int:
    """Return a film's place among the objects of its study that were received, from 1."""
    instance = film(session, uid)
    counted = select(func.count()).select_from(Instance).join(Instance.series)
    same = Series.study_id == instance.series.study_id
    return session.scalar(counted.where(same, Instance.id <= instance.id)) or 1


def set_outcome(
    instance: Instance,
    state: FilmState,
    now: datetime,
    reason: str = "",
    detail: str = "",
    old: Collection[FilmState] = tuple(FilmState),
) -> bool:
    """Set a film's state and the reason, if its state is one of ``old``; return whether it was.

    One UPDATE decides: of two who state an outcome in one moment the second sees the first's. What
    an operator cancelled stays so until it is opened again (`reopen`).
    """
    not_cancelled = sa.not_(
        sa.and_(Instance.state == FilmState.FAILED, Instance.reason == Cause.CANCELLED)
    )
    values = {
        "state": state,
        "reason": reason,
        "detail": detail,
        "finished_at": None if state in WAITING else now,
    }
    if state in NOT_DUE:
        values["due_at"] = None
    return _update(instance, values, Instance.state.in_(old), not_cancelled)


def reopen(instance: Instance) -> bool:
    """Make a film that has no answer wait for one again; return whether it was such a film."""
    values = {"state": FilmState.RECEIVED, "reason": "", "detail": "", "finished_at": None}
    return _update(instance, values, Instance.state.in_(WITHOUT_ANSWER))


def take_up(instance: Instance) -> bool:
    """Give a film to a new job, with the number `Instance.job`; its answer, if any, stays valid.

    Return False when somebody else has just done so.
    """
    if not _update(instance, {"job": Instance.job + 1}, Instance.job == instance.job):
        return False
    reopen(instance)
    return True


def _update(instance: Instance, values: dict[str, Any], *when: sa.ColumnElement[bool]) -> bool:
    """Change a film's row where the conditions hold for it; return whether they did."""
    session = object_session(instance)
    if session is None:
        raise ValueError("a film outside of a session has no row to change")
    session.flush()
    moved = session.execute(
        sa.update(Instance).where(Instance.id == instance.id, *when).values(values),
        execution_options={"synchronize_session": False},
    )
    session.refresh(instance, ["state", "reason", "detail", "finished_at", "due_at", "job"])
    return bool(moved.rowcount)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class ComparedRow:
    """A comparison as the index keeps it; ``layers`` as `inference.comparison` packs them."""

    comparable: bool
    reason: str
    quality: float
    ssim: float
    layers: bytes | None
    changes: list[dict[str, Any]]

    @classmethod
    def of(cls, compared: Compared) -> "ComparedRow":
        """Return what is kept of a comparison."""
        changes = [
            {
                "label": change.label,
                "prior": change.prior,
                "current": change.current,
                "change": change.change.value,
                "confidence": change.confidence,
                "threshold": change.threshold,
                "words": [word.value for word in change.words],
            }
            for change in compared.changes
        ]
        return cls(
            compared.comparable,
            compared.reason,
            float(compared.quality),
            float(compared.ssim),
            Layers.of(compared).to_bytes() if compared.comparable else None,
            changes,
        )


def save_comparison(
    session: Session, current_id: int, prior_id: int, compared: ComparedRow, now: datetime
) -> None:
    """Remember a comparison; the same pair compared again replaces what was made of it before.

    One that was withdrawn is valid again.
    """
    row = _compared(session, current_id, prior_id)
    if row is None:
        row = Comparison(current_id=current_id, prior_id=prior_id, created_at=now)
        session.add(row)
    row.withdrawn = None
    row.comparable, row.reason = compared.comparable, compared.reason
    row.quality, row.ssim = compared.quality, compared.ssim
    row.layers, row.changes = compared.layers, compared.changes


def _compared(session: Session, current_id: int, prior_id: int) -> Comparison | None:
    pair = (Comparison.current_id == current_id, Comparison.prior_id == prior_id)
    return session.scalars(select(Comparison).where(*pair)).one_or_none()


def save_result(
    session: Session,
    instance: Instance,
    *,
    kind: str,
    uid: str,
    sop_class_uid: str,
    stored: Stored,
    destinations: Mapping[str, int],
    now: datetime,
    applied: Applied | None = None,
    content: str = "",
    further_id: int | None = None,
) -> bool:
    """Remember a result and by which job it is to go where; say whether it is a new one."""
    if session.scalar(select(Result.id).where(Result.uid == uid)) is not None:
        return stand_again(session, uid, destinations)
    session.add(
        Result(
            instance=instance,
            kind=kind,
            uid=uid,
            sop_class_uid=sop_class_uid,
            path=stored.path,
            sha256=stored.sha256,
            size_bytes=stored.size_bytes,
            created_at=now,
            applied=asdict(applied) if applied else None,
            content=content or uid,
            further_id=further_id,
            deliveries=[
                Delivery(destination=name, state=DeliveryState.PENDING, job=job)
                for name, job in destinations.items()
            ],
        )
    )
    return True


def stand_again(session: Session, uid: str, destinations: Mapping[str, int]) -> bool:
    """Make a withdrawn result valid again; return whether it still has to be delivered."""
    known = session.scalars(select(Result).where(Result.uid == uid)).one()
    if known.withdrawn is None:
        return False
    known.withdrawn = None
    return deliveries.take_up_cancelled(session, known.id, destinations)


def newest_result(session: Session, instance: Instance, kind: str) -> Result | None:
    """Return the object of this kind that answered a film last, if any did."""
    return session.scalars(
        select(Result)
        .where(Result.instance_id == instance.id, Result.kind == kind)
        .order_by(Result.id.desc())
        .limit(1)
    ).one_or_none()
