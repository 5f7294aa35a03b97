"""Tables beside a film's own: fetches of its priors, its further answers, finished steps."""

from datetime import datetime

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from scp.index.schema.states import Base


class PriorFetch(Base):
    """How asking the PACS for a film's priors went last (`scp.index.prior_fetches`).

    ``attempt`` is the last that was counted, ``failures`` is how many failed.
    """

    __tablename__ = "prior_fetch"

    id: Mapped[int] = mapped_column(primary_key=True)
    instance_id: Mapped[int] = mapped_column(ForeignKey("instance.id"), unique=True)
    outcome: Mapped[str] = mapped_column(index=True)
    attempt: Mapped[int]
    failures: Mapped[int]
    asked_at: Mapped[datetime]


class FurtherAnswer(Base):
    """An answer to a film after the first: ``number`` is 2 or more, ``why`` ends a sentence.

    Kept before its objects are made (`scp.index.further_answers`), which have its ``begun_at``.
    """

    __tablename__ = "further_answer"
    __table_args__ = (UniqueConstraint("instance_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    instance_id: Mapped[int] = mapped_column(ForeignKey("instance.id"), index=True)
    number: Mapped[int]
    why: Mapped[str]
    begun_at: Mapped[datetime]


class FinishedStep(Base):
    """A step of a job that has had its effect, written in the transaction that had it.

    So a step that is done again after a kill finds that nothing is left to do. ``result`` is what
    it returned (`scp.index.finished_steps`).
    """

    __tablename__ = "finished_step"
    __table_args__ = (UniqueConstraint("job", "step"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    instance_id: Mapped[int] = mapped_column(ForeignKey("instance.id"), index=True)
    job: Mapped[str]
    step: Mapped[str]
    result: Mapped[bool]
