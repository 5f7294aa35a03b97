"""Which steps of jobs have had their effect: one that is done again has nothing left to do."""

from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from scp.index.schema.tables import FinishedStep, Instance


@dataclass(frozen=True)
class JobStep:
    """One step of one job of a film; a step that is done by hand has no job."""

    film_uid: str
    job: str
    step: str


def result(session: Session, step: JobStep) -> bool | None:
    """Return what a step returned that has had its effect; None of one that has not."""
    own = (FinishedStep.job == step.job, FinishedStep.step == step.step)
    return session.scalar(select(FinishedStep.result).where(*own))


def save(session: Session, instance: Instance, step: JobStep, *, result: bool) -> None:
    """Remember, in the transaction of its effect, that a step has had it."""
    if step.job:
        session.add(
            FinishedStep(instance_id=instance.id, job=step.job, step=step.step, result=result)
        )


def forget(session: Session, job: str) -> None:
    """Let a job that is to run again have its effect again."""
    session.execute(delete(FinishedStep).where(FinishedStep.job == job))
