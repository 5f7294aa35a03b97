"""After a changed setting: rebuild the findings in lists and the due times of all films."""

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy import select
from sqlalchemy.orm import Session

from inference.model.operating_points import OperatingSettings
from scp.config.worklist import WorklistSettings
from scp.index import prior_choices
from scp.index.locking import lock
from scp.index.schema.tables import Analysis, Instance
from scp.index.worklist.entries import mark_of, update_entry

# films in one transaction: how long a receiver may have to wait
_BATCH = 50


def update_entries(
    engine: sa.Engine,
    settings: WorklistSettings,
    operating: OperatingSettings,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Place every film that other settings have placed, newest first; return how many.

    May be stopped at any time and begun again: films that are done are not looked at twice.
    """
    mark, done, last = mark_of(settings, operating), 0, None
    while not stop():
        with Session(engine) as session, session.begin():
            batch = session.scalars(_outdated(mark, last)).all()
            for instance in batch:
                _lock_film(session, instance)
                update_entry(session, instance, _newest(session, instance), settings, operating)
            if not batch:
                return done
            done, last = done + len(batch), batch[-1].id
    return done


def _outdated(mark: str, last: int | None) -> sa.Select[Instance]:
    other = Instance.placed_with.is_(None) | (Instance.placed_with != mark)
    films = select(Instance).where(other, Instance.analyses.any()).order_by(Instance.id.desc())
    return films.limit(_BATCH) if last is None else films.where(Instance.id < last).limit(_BATCH)


def _lock_film(session: Session, instance: Instance) -> None:
    """Lock the film's row: an answer and another rebuild of this entry wait for it."""
    prior_choices.lock_patient(session, instance)
    lock(session, Instance, id=instance.id)
    session.refresh(instance)


def _newest(session: Session, instance: Instance) -> Analysis:
    analyses = select(Analysis).where(Analysis.instance_id == instance.id)
    return session.scalars(analyses.order_by(Analysis.id.desc()).limit(1)).one()
