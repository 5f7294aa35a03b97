"""The state of jobs and destinations, in words that ops can act on."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from dbos import WorkflowStatus

from scp.dashboard.pages.configuration import ServiceInfo
from scp.dashboard.troubleshooting import FETCHES, Parties, advice
from scp.index.backlog import ErrorEvent, FailureGroup, FilmStatus
from scp.index.schema.tables import DeliveryState, FilmState
from scp.outcomes.delivery import Outcome
from scp.outcomes.failures import SENTENCES, Cause, film_failure, job_failure
from scp.pipeline.job_ids import (
    NoSuchJob,
    again_of,
    auxiliary_job,
    delivery_number,
    fetch_of,
    film_in,
    film_of,
    pair_of,
)
from scp.pipeline.queue import STATE_WORDS, changed_at
from scp.pipeline.retry import Refusal, refuse_delivery, refuse_film, refuse_job

# what was done, as the page says it: nothing of an address is repeated but a number
_DONE = {
    "retried": "It is in the queue again.",
    "cancelled": "It is cancelled. It stays in the list below and can be retried.",
    "discarded": "hilum no longer tries to deliver it. The results stay in the archive, and the"
    " film's page can still send them.",
    "gone": "There was nothing to do: it has been done, retried or discarded in the meantime.",
} | {refusal.value: refusal.sentence for refusal in Refusal}


@dataclass(frozen=True)
class DestinationStatus:
    """A destination: what it took last, what waits for it, and what went wrong last."""

    name: str
    configured: bool
    where: str
    last_delivered_at: datetime | None = None
    pending: int = 0
    dead: int = 0
    next_at: datetime | None = None
    failed_at: datetime | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True)
class StoppedJob:
    """A job that has stopped without success; ``refusal`` says why it is not retried."""

    job: str
    what: str
    state: str
    since: datetime
    film_uid: str
    why: str
    refusal: Refusal | None


def message(done: str, number: int, left: int) -> str:
    """Return what was done, in words; "" for anything unknown."""
    if done == "retried-all":
        rest = f" {left} dead letters are left: click again for the next ones." if left else ""
        return f"The answers of {number} film{'s' * (number != 1)} are queued again.{rest}"
    if done == "discarded-all":
        return f"{number} dead letter{'s were' if number != 1 else ' was'} discarded."
    return _DONE.get(done, "")


def film_of_any(job_id: str) -> str:
    """Return which film any kind of job is about; "" when it cannot be told."""
    try:
        return film_in(job_id)
    except NoSuchJob:
        return ""


def stopped(
    job: WorkflowStatus, films: Mapping[str, FilmStatus], destinations: Collection[str]
) -> StoppedJob:
    """Say of a job what it was to do, why it did not, and whether it may be retried."""
    job_id = job.workflow_id
    film = films.get(film_of_any(job_id))
    return StoppedJob(
        job=job_id,
        what=_what(job_id),
        state=STATE_WORDS.get(job.status, job.status.lower()),
        since=changed_at(job),
        film_uid=film.uid if film else "",
        why=_why(job, film),
        refusal=_refusal(job, film, destinations),
    )


def _refusal(
    job: WorkflowStatus, film: FilmStatus | None, destinations: Collection[str]
) -> Refusal | None:
    if film and film_of(job.workflow_id):
        return refuse_film(film.state, [job.status])
    attempt = delivery_number(job.workflow_id)
    if attempt:
        return refuse_delivery([DeliveryState.CANCELLED], [], configured=attempt[1] in destinations)
    return refuse_job(job.status)


def _what(job_id: str) -> str:
    if film_of(job_id):
        return "answer a film"
    if again_of(job_id):
        return "answer a film again, with a better prior"
    if fetch_of(job_id):
        return "fetch a film's priors from the PACS"
    if pair_of(job_id):
        return "compare a film with one that a reader chose"
    return f"deliver to {job_id.split(':')[2]}" if job_id.count(":") > 1 else job_id


def _why(job: WorkflowStatus, film: FilmStatus | None) -> str:
    if job.status == "CANCELLED":
        return SENTENCES[Cause.CANCELLED]
    if film and film_of(job.workflow_id) and film.state is FilmState.FAILED:
        return film_failure(film.reason, film.detail)
    if job.status == "MAX_RECOVERY_ATTEMPTS_EXCEEDED":
        return SENTENCES[Cause.WORKER_DIED]
    failure = job_failure(job.error) or SENTENCES[Cause.FAULT]
    return (
        f"{failure} The film's first answer remains valid."
        if auxiliary_job(job.workflow_id)
        else failure
    )


def why(error: ErrorEvent, about: ServiceInfo) -> str:
    """Say why something went wrong."""
    if error.outcome is not None:
        return advice(error.outcome, parties(error.destination, about))
    if error.kind == "film":
        return film_failure(error.why, error.detail)
    if error.kind == "fetch":
        return FETCHES.get(error.why, error.why)
    return f"Refused from {error.detail}: {error.why}"


def parties(destination: str, about: ServiceInfo) -> Parties:
    """Return who speaks with whom; where a destination is, if config.toml still names it."""
    there = next((d for d in about.destinations if d.name == destination), None)
    address = f"{there.host}:{there.port}" if there else "its address"
    title = there.ae_title if there else "its AE title"
    return Parties(destination, about.ae_title, title, address)


def destinations(
    configured: Iterable[str],
    about: ServiceInfo,
    troubles: Iterable[FailureGroup],
    delivered: Mapping[str, datetime],
) -> list[DestinationStatus]:
    """Say how each destination fares: those configured first, then those that only have results."""
    open_ = list(troubles)
    names = dict.fromkeys([*configured, *sorted(delivered), *sorted(t.destination for t in open_)])
    places = {d.name: f"{d.ae_title} at {d.host}:{d.port}" for d in about.destinations}
    return [
        _destination(name, name in set(configured), places.get(name, ""), open_, delivered)
        for name in names
    ]


def _destination(
    name: str,
    configured: bool,
    where: str,
    troubles: list[FailureGroup],
    delivered: Mapping[str, datetime],
) -> DestinationStatus:
    own = [trouble for trouble in troubles if trouble.destination == name]
    failed = [(trouble.last_at, trouble.outcome) for trouble in own if trouble.last_at]
    failed_at, outcome = max(failed, key=lambda last: last[0], default=(None, None))

    def number(state: DeliveryState) -> int:
        return sum(trouble.results for trouble in own if trouble.state is state)

    return DestinationStatus(
        name=name,
        configured=configured,
        where=where,
        last_delivered_at=delivered.get(name),
        pending=number(DeliveryState.PENDING),
        dead=number(DeliveryState.DEAD),
        next_at=min((trouble.next_at for trouble in own if trouble.next_at), default=None),
        failed_at=failed_at,
        outcome=outcome,
    )
