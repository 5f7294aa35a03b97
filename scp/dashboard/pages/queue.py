"""The queue: what waits, what failed, and what an operator can do about it."""

from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.orm import Session

from scp.dashboard.context import AppContext
from scp.dashboard.pages import queue_rows
from scp.dashboard.security.person import Operator
from scp.dashboard.troubleshooting import advice
from scp.index import backlog
from scp.index.counts import warnings
from scp.index.schema.tables import DeliveryState
from scp.index.worklist.query import LARGEST_ID
from scp.outcomes.delivery import Outcome
from scp.pipeline.job_ids import (
    COMPARISONS,
    FETCHES,
    NoSuchJob,
    film_of,
)
from scp.pipeline.operator_actions import AT_ONCE
from scp.pipeline.replaced_jobs import stopped_jobs
from scp.pipeline.retry import NotRetried

_FEW = 20
_STOPPED = 50
_LETTERS = 50
# jobs beside the films' own that are counted; with more, the page says "1000 or more"
_COUNTED = 1000

Like = Annotated[int | None, Query(ge=1, le=LARGEST_ID)]
Key = Annotated[int | None, Query(ge=1, le=LARGEST_ID)]
Number = Annotated[int, Query(ge=0, le=LARGEST_ID)]


def router(context: AppContext) -> APIRouter:
    """Return the addresses of the queue."""
    routes = APIRouter(include_in_schema=False)
    context.pages.env.globals |= {
        "advice": lambda outcome, name: advice(outcome, queue_rows.parties(name, context.about)),
        "why": lambda error: queue_rows.why(error, context.about),
    }
    _looks(routes, context)
    _one(routes, context)
    _many(routes, context)
    return routes


def _looks(routes: APIRouter, context: AppContext) -> None:
    """Add what is only looked at."""

    @routes.get("/queue")
    def shown(request: Request, done: str = "", n: Number = 0, left: Number = 0) -> Response:
        running = {job.workflow_id for job in context.jobs.running()}
        with Session(context.engine) as session:
            troubles = backlog.troubles(session)
            stopped = stopped_jobs(session, context.jobs, _STOPPED)
            uids = {queue_rows.film_of_any(job.workflow_id) for job in stopped}
            films = backlog.films_by_uid(session, sorted(uids))
            delivered = backlog.last_delivered(session)
            return context.page(
                request,
                session,
                "queue.html",
                message=queue_rows.message(done, n, left),
                films=backlog.unfinished_films(session, _FEW),
                in_hand={film_of(job) for job in running},
                again=len(context.jobs.waiting(COMPARISONS, _COUNTED)),
                fetching=len(context.jobs.waiting(FETCHES, _COUNTED)),
                counted=_COUNTED,
                stopped=[queue_rows.stopped(job, films, context.destinations) for job in stopped],
                all_stopped=len(stopped) < _STOPPED,
                troubles=[t for t in troubles if t.state is DeliveryState.DEAD],
                letters=backlog.dead_letters(session, _FEW),
                destination_states=queue_rows.destinations(
                    context.destinations, context.about, troubles, delivered
                ),
                warned=[(w, Outcome.of_status(w.status)) for w in warnings(session)],
                errors=backlog.latest_errors(session, _FEW),
                at_once=AT_ONCE,
            )

    @routes.get("/queue/dead-letters")
    def dead_letters(request: Request, destination: str = "", before: Key = None) -> Response:
        with Session(context.engine) as session:
            letters = backlog.dead_letters(session, _LETTERS, destination, before)
            return context.page(
                request,
                session,
                "dead_letters.html",
                letters=letters,
                destination=destination,
                before=before,
                older=letters[-1].key if len(letters) >= _LETTERS else None,
            )


def _one(routes: APIRouter, context: AppContext) -> None:
    """Add what is done to one job."""

    def do(act: Callable[[str], object], done: str, job: str) -> Response:
        try:
            act(job)
        except NotRetried as error:
            return _back(error.refusal.value)
        except NoSuchJob:
            return _back("gone")
        return _back(done)

    @routes.post("/queue/retry")
    def retry(operator: Operator, job: str) -> Response:
        return do(context.control(operator).retry, "retried", job)

    @routes.post("/queue/cancel")
    def cancel(operator: Operator, job: str) -> Response:
        return do(context.control(operator).cancel, "cancelled", job)

    @routes.post("/queue/discard")
    def discard(operator: Operator, job: str) -> Response:
        return do(context.control(operator).discard, "discarded", job)


def _many(routes: APIRouter, context: AppContext) -> None:
    """Add what is done to the dead letters of a destination together."""

    @routes.post("/queue/retry-all")
    def retry_all(operator: Operator, destination: str, like: Like = None) -> Response:
        try:
            went = context.control(operator).retry_all(destination, like)
        except NotRetried as error:
            return _back(error.refusal.value)
        if not went.films:
            return _back("gone")
        return _back("retried-all", n=went.films, left=went.left)

    @routes.post("/queue/discard-all")
    def discard_all(operator: Operator, destination: str, like: Like = None) -> Response:
        number = context.control(operator).discard_all(destination, like)
        return _back("discarded-all", n=number) if number else _back("gone")


def _back(done: str, **numbers: int) -> Response:
    """Return to the page, which says what was done; a reload does nothing again."""
    return RedirectResponse(f"/queue?{urlencode({'done': done} | numbers)}", 303)
