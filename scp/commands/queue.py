"""`hilum queue`: look at jobs, retry and cancel them."""

import json
from typing import Any

import sqlalchemy as sa
from dbos import WorkflowStatus
from rich.console import Console
from rich.table import Column, Table
from sqlalchemy import select
from sqlalchemy.orm import Session

from scp.commands.actor import actor_of
from scp.config.load import Settings
from scp.index import deliveries, films
from scp.index.counts import warnings
from scp.index.schema.tables import Delivery, DeliveryState, FilmState, Instance, Result
from scp.outcomes.delivery import Outcome
from scp.outcomes.failures import film_failure, job_failure
from scp.pipeline.job_ids import NoSuchJob, delivery_job, film_in, film_job, film_of
from scp.pipeline.operator_actions import JobControl
from scp.pipeline.queue import STATE_WORDS, changed_at
from scp.pipeline.replaced_jobs import not_replaced
from scp.processes.runtime import ServiceContext, now, open_context


def list_jobs(settings: Settings, *, as_json: bool) -> None:
    """Print what waits, runs, or stopped without success; dead letters too."""
    with open_context(settings) as context, Session(context.engine) as session:
        jobs = not_replaced(session, context.jobs.unfinished())
        rows = [_row(job) for job in jobs]
        rows += [*_dead_letters(session), *_warned(session)]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    if not rows:
        Console().print("nothing is waiting, nothing has failed")
        return
    table = Table(Column("job", overflow="fold"), "state", "since", "why")
    for row in rows:
        table.add_row(row["job"], row["state"], row["since"], row["why"])
    Console().print(table)


def show_job(settings: Settings, job_id: str, *, as_json: bool) -> None:
    """Print one job with the outcome of its film and deliveries."""
    with open_context(settings) as context:
        film_uid = film_in(job_id)
        with Session(context.engine) as session:
            found = _found(context, session, job_id)
            instance = films.film(session, film_uid)
            refusal = _control(context).refusal(job_id)
            shown = found | {
                "may_be_retried": refusal is None,
                "not_retried_because": refusal.sentence if refusal else "",
                "film": film_uid,
                "film_state": instance.state.value,
                "film_reason": film_reason(instance),
                "deliveries": [_delivery(row) for row in _deliveries(session, film_uid)],
            }
    if as_json:
        print(json.dumps(shown, indent=2))
        return
    table = Table("", "", show_header=False)
    for key, value in shown.items():
        if key != "deliveries":
            table.add_row(key.replace("_", " "), str(value))
    for row in shown["deliveries"]:
        table.add_row(f"{row['kind']} to {row['destination']}", f"{row['state']} {row['why']}")
    Console().print(table)


def retry_job(settings: Settings, job_id: str, *, done: bool = False) -> None:
    """Do a failed, cancelled or given-up job again, one that waits for its time at once.

    With ``done`` also what has been done, as an answered film.
    """
    with open_context(settings) as context:
        _control(context).retry(job_id, done=done)
    Console().print(f"{job_id} is in the queue again")


def cancel_job(settings: Settings, job_id: str) -> None:
    """Take a job out of the queue, and say so where people look."""
    with open_context(settings) as context:
        _control(context).cancel(job_id)
    Console().print(f"{job_id} is cancelled; `hilum queue retry` puts it back into the queue")


def _control(context: ServiceContext) -> JobControl:
    names = [destination.name for destination in context.settings.destinations]
    return JobControl(context.engine, context.jobs, names, now, actor_of(context))


def film_reason(instance: Instance) -> str:
    """Say why a film has no answer; "" when it has one."""
    if instance.state is FilmState.FAILED:
        return film_failure(instance.reason, instance.detail)
    return instance.detail or instance.reason


def _found(context: ServiceContext, session: Session, job_id: str) -> dict[str, Any]:
    """Return the row of a job; of a dead letter also where the queue has forgotten its job."""
    film_uid = film_of(job_id)
    if film_uid is not None:  # the last of its jobs, whichever number was asked for
        film = films.find(session, film_uid)
        job_id = film_job(film_uid, film.job) if film else job_id
    job = context.jobs.status(job_id)
    if job is not None:
        return _row(job)
    for row in _dead_letters(session):
        if row["job"] == job_id:
            return row
    raise NoSuchJob(f"there is no job {job_id!r}; `hilum queue list` prints them")


def _row(job: WorkflowStatus) -> dict[str, Any]:
    return {
        "job": job.workflow_id,
        "state": STATE_WORDS.get(job.status, job.status.lower()),
        "since": changed_at(job).isoformat(timespec="seconds"),
        "why": job_failure(job.error),
    }


def _dead_letters(session: Session) -> list[dict[str, Any]]:
    """Return films' deliveries that nobody tries any more."""
    rows = session.execute(
        select(
            Instance.uid,
            Delivery.destination,
            sa.func.max(Delivery.job).label("number"),
            sa.func.max(Delivery.last_attempt_at).label("at"),
            *deliveries.OUTCOME,
        )
        .join(Delivery.result)
        .join(Result.instance)
        .where(Delivery.state == DeliveryState.DEAD)
        .group_by(Instance.uid, Delivery.destination, *deliveries.OUTCOME)
    )
    return [
        {
            "job": delivery_job(row.uid, row.destination, row.number),
            "state": "dead letter",
            "since": row.at.isoformat(timespec="seconds") if row.at else "",
            "why": str(deliveries.outcome_of(row) or ""),
        }
        for row in rows
    ]


def _warned(session: Session) -> list[dict[str, Any]]:
    """Return what destinations took with a warning: one row a destination and status."""
    return [
        {
            "job": "",  # they are done: there is nothing to retry
            "state": "delivered with a warning",
            "since": count.last_at.isoformat(timespec="seconds") if count.last_at else "",
            "why": f"{count.destination}: {count.results} x {Outcome.of_status(count.status)}",
        }
        for count in warnings(session)
    ]


def _deliveries(session: Session, film_uid: str) -> list[Delivery]:
    return list(
        session.scalars(
            select(Delivery)
            .join(Delivery.result)
            .join(Result.instance)
            .where(Instance.uid == film_uid)
            .order_by(Delivery.destination, Delivery.id)
        )
    )


def _delivery(row: Delivery) -> dict[str, Any]:
    return {
        "kind": row.result.kind,
        "destination": row.destination,
        "state": row.state.value,
        "attempts": row.attempts,
        "why": str(deliveries.outcome_of(row) or ""),
    }
