"""The outcome of fetching priors from the PACS, film by film."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from scp.index.schema.tables import Instance, PriorFetch, Result


class Outcome(StrEnum):
    """How asking the PACS for one film's priors ended: words for logs and metrics."""

    DONE = "done"  # what the PACS named is here
    NO_PATIENT_KEY = "no_patient_key"
    UNREACHABLE = "unreachable"
    NOT_SECURED = "not_secured"
    REJECTED = "rejected"
    NOT_OFFERED = "not_offered"
    QUERY_FAILED = "query_failed"
    INCOMPLETE = "incomplete"
    TOO_LATE = "too_late"
    BROKEN = "broken"


def save(
    session: Session, instance: Instance, attempt: int, outcome: Outcome, now: datetime
) -> None:
    """Remember how an attempt went.

    One done again, after a kill or by hand, changes the outcome and is not counted again.
    """
    row = _of(session, instance) or PriorFetch(instance_id=instance.id, attempt=0, failures=0)
    row.failures += attempt > row.attempt and outcome is not Outcome.DONE
    row.attempt = max(row.attempt, attempt)
    row.outcome, row.asked_at = outcome.value, now
    session.add(row)


def outcome(session: Session, instance: Instance) -> Outcome | None:
    """Return how the last attempt went; None when the PACS was never asked for this film."""
    row = _of(session, instance)
    return Outcome(row.outcome) if row else None


def is_held(session: Session, uid: str) -> bool:
    """Say whether an object of this SOP Instance UID was received, or made here."""
    received = select(Instance.id).where(Instance.uid == uid)
    made = select(Result.id).where(Result.uid == uid)
    return session.scalar(received) is not None or session.scalar(made) is not None


def _of(session: Session, instance: Instance) -> PriorFetch | None:
    found = select(PriorFetch).where(PriorFetch.instance_id == instance.id)
    return session.scalars(found).one_or_none()
