"""Jobs that a retry has replaced: they are history, and listed nowhere."""

from collections.abc import Iterable, Sequence

from dbos import WorkflowStatus
from sqlalchemy import select
from sqlalchemy.orm import Session

from scp.index.schema.tables import Delivery, Instance, Result
from scp.pipeline.job_ids import delivery_number, film_job, film_of
from scp.pipeline.queue import Jobs

# UIDs in one statement: SQLite takes 32,766 values
_AT_ONCE = 1000


def not_replaced(session: Session, jobs: Iterable[WorkflowStatus]) -> list[WorkflowStatus]:
    """Leave out the jobs of films and deliveries that another job does by now."""
    listed = list(jobs)
    ids = [job.workflow_id for job in listed]
    stopped = [job.workflow_id for job in listed if job.status == "CANCELLED"]
    replaced = _replaced_films(session, ids) | _replaced_deliveries(session, stopped)
    return [job for job in listed if job.workflow_id not in replaced]


def stopped_jobs(session: Session, jobs: Jobs, limit: int) -> list[WorkflowStatus]:
    """Return the newest jobs that have stopped without success and that no other job has replaced.

    Reads on until there are ``limit``, or no more.
    """
    found: list[WorkflowStatus] = []
    offset = 0
    while len(found) < limit and (batch := jobs.stopped(limit, offset)):
        found += not_replaced(session, batch)
        offset += len(batch)
    return found[:limit]


def is_replaced(session: Session, job_id: str) -> bool:
    """Say whether a film's job is not the one that answers it now."""
    return bool(_replaced_films(session, [job_id]))


def _replaced_films(session: Session, ids: Sequence[str]) -> set[str]:
    uids = {job_id: uid for job_id in ids if (uid := film_of(job_id))}
    current = dict[str, str]()
    film_uids = sorted(set(uids.values()))
    for start in range(0, len(film_uids), _AT_ONCE):
        some = film_uids[start : start + _AT_ONCE]
        found = session.execute(select(Instance.uid, Instance.job).where(Instance.uid.in_(some)))
        current |= {uid: film_job(uid, number) for uid, number in found}
    return {job_id for job_id, uid in uids.items() if current.get(uid, job_id) != job_id}


def _replaced_deliveries(session: Session, ids: Sequence[str]) -> set[str]:
    """Return cancelled jobs that no delivery waits for any more."""
    replaced = set()
    for job_id in ids:
        attempt = delivery_number(job_id)
        if attempt is None:
            continue
        film_uid, destination, number = attempt
        results = select(Result.id).join(Result.instance).where(Instance.uid == film_uid)
        own = (Delivery.destination == destination, Delivery.job == number)
        has = session.scalar(
            select(Delivery.id).where(Delivery.result_id.in_(results), *own).limit(1)
        )
        if has is None:
            replaced.add(job_id)
    return replaced
