"""A token that differs when anything that a page shows has changed."""

from collections.abc import Hashable

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from scp.index.schema.tables import Comparison, Correction, Delivery, Instance, Quarantined, Result

# each is the end of an index: a look costs no more with a million films
_NEWEST = (
    Instance.id,
    Instance.received_at,
    Instance.finished_at,
    Result.id,
    Comparison.id,
    Correction.id,
    Delivery.last_attempt_at,
    Quarantined.id,
)


def newest(session: Session) -> Hashable:
    """Return what is different after every film, outcome, answer, comparison and delivery."""
    return tuple(session.scalar(select(func.max(column))) for column in _NEWEST)
