"""Answers to a film after the first: begun before their objects are made, so that none changes."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, delete, select
from sqlalchemy.orm import Session

from scp.errors import HilumError
from scp.index.schema.tables import FurtherAnswer, Instance, PriorChoice, Result


class AnsweredMeanwhile(HilumError):
    """Two answers to a film were made at the same time; doing it again helps."""


def results(session: Session, instance: Instance) -> Sequence[Result]:
    """Return all objects that answered a film, those of the newest answer last."""
    rows = session.scalars(
        select(Result).where(Result.instance_id == instance.id).order_by(Result.id)
    ).all()
    return sorted(rows, key=number)


def number(result: Result) -> int:
    """Return which answer an object belongs to, from 1."""
    return 1 if result.further is None else result.further.number


def begin(session: Session, instance: Instance, why: str, now: datetime) -> FurtherAnswer:
    """Remember that another answer is being made; begun once more, it keeps number and time."""
    row = session.scalars(_newest(instance)).first()
    if row is None or _is_saved(session, row.id):
        row = FurtherAnswer(
            instance_id=instance.id, number=2 if row is None else row.number + 1, begun_at=now
        )
        session.add(row)
    row.why = why
    session.flush()
    return row


def forget_begun(session: Session, instance: Instance) -> None:
    """Forget an answer that was begun, of which there is no object and will be none."""
    row = session.scalars(_newest(instance)).first()
    if row is not None and not _is_saved(session, row.id):
        session.execute(delete(FurtherAnswer).where(FurtherAnswer.id == row.id))


def require_unsaved(session: Session, further_id: int | None) -> None:
    """Raise `AnsweredMeanwhile` when an answer has objects already, or was forgotten."""
    if further_id is None:
        return
    known = session.scalar(select(FurtherAnswer.id).where(FurtherAnswer.id == further_id))
    if known is None or _is_saved(session, further_id):
        raise AnsweredMeanwhile(
            "another answer to the film was saved in the meantime; the step is repeated"
        )


def prior_of(session: Session, instance: Instance) -> str | None:
    """Return the prior that a film was answered with last, "" for none; None without an answer."""
    found = session.execute(
        select(Instance.uid)
        .select_from(PriorChoice)
        .outerjoin(Instance, PriorChoice.prior_id == Instance.id)
        .where(PriorChoice.instance_id == instance.id)
    ).one_or_none()
    return None if found is None else found[0] or ""


def is_corrected(session: Session, instance: Instance) -> bool:
    """Say whether a film, or the prior that it was answered with, was corrected since."""
    chosen = session.scalars(
        select(PriorChoice).where(PriorChoice.instance_id == instance.id)
    ).one_or_none()
    if chosen is None:
        return False
    known = (chosen.revision, chosen.prior_revision)
    return known != (instance.revision, chosen.prior.revision if chosen.prior else 0)


def _newest(instance: Instance) -> Select[FurtherAnswer]:
    own = select(FurtherAnswer).where(FurtherAnswer.instance_id == instance.id)
    return own.order_by(FurtherAnswer.number.desc()).limit(1)


def _is_saved(session: Session, further_id: int) -> bool:
    saved = select(Result.id).where(Result.further_id == further_id).limit(1)
    return session.scalar(saved) is not None
