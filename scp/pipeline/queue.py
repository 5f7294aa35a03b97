"""The durable queue: jobs for the workers, in the same database as the index.

DBOS keeps it. A job is enqueued in the transaction that writes the index rows, so there is never
a film without a job nor a job without a film. `scp.pipeline.workflow` does the work.
"""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from dbos import DBOSClient, EnqueueOptions, WorkflowStatus
from sqlalchemy.orm import Session

from scp.pipeline.job_ids import (
    COMPARISONS,
    FETCHES,
    FILMS,
    PAIRS,
    again_job,
    delivery_job,
    delivery_queue,
    fetch_job,
    film_in,
    film_job,
    pair_job,
)

APPLICATION = "hilum"
# A release with another version would leave older work lying. Raise it only with a workflow whose
# steps no longer match what a running one has recorded.
WORKFLOW_VERSION = "1"
WORKFLOW_CLASS = "Worker"
WORKFLOW_INSTANCE = "worker"
# seconds between looks into a queue: half of it is added to every answer's time
_POLL_S = 0.1
# between the clocks of hosts that share a database
_CLOCKS_DIFFER = timedelta(minutes=1)
ACTIVE = ("DELAYED", "ENQUEUED", "PENDING")  # DBOS rewinds none of these

# states of jobs, in words
STATE_WORDS = {
    "ENQUEUED": "waiting",
    "DELAYED": "waiting for its time",
    "PENDING": "running",
    "ERROR": "failed",
    "CANCELLED": "cancelled",
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "given up",
    "SUCCESS": "done",
}


class Jobs:
    """Put jobs into the queue, look at them, and change their fate."""

    def __init__(self, engine: sa.Engine) -> None:
        self._client = DBOSClient(system_database_engine=engine, application_name=APPLICATION)

    def answer_film(self, session: Session, film_uid: str, number: int = 1) -> None:
        """Ask for a film's answer, in the caller's transaction; each retry has a new ``number``."""
        options = _options("answer_film", FILMS, film_job(film_uid, number))
        self._client.enqueue_in_transaction(session, options, film_uid)

    def answer_again(
        self, session: Session, film_uid: str, prior_uid: str, delay_s: float, revisions: str = ""
    ) -> None:
        """Ask for a film's answer with this prior, in the caller's transaction.

        The id is the pair's: asked twice, it is done once. Meanwhile an even better prior may come;
        then the first job that is due does it for all, and the others find nothing to do.
        """
        options = _options("answer_again", COMPARISONS, again_job(film_uid, prior_uid, revisions))
        if delay_s:
            options["delay_seconds"] = delay_s
        self._client.enqueue_in_transaction(session, options, film_uid)

    def answer_anew(self, session: Session, film_uid: str, revisions: str) -> None:
        """Ask for all of a corrected film's answer, gate and all, in the caller's transaction."""
        options = _options("answer_film", COMPARISONS, again_job(film_uid, film_uid, revisions))
        self._client.enqueue_in_transaction(session, options, film_uid)

    def forget(self, film_uid: str) -> None:
        """Cancel and delete all jobs of a film: one that is sent again is a new film."""
        kinds = [f"{kind}:{film_uid}" for kind in ("film", "again", "fetch", "pair", "delivery")]
        found = self._client.list_workflows(workflow_id_prefix=kinds, load_input=False)
        own = [job.workflow_id for job in found if film_in(job.workflow_id) == film_uid]
        self._client.cancel_workflows(own)
        self._client.delete_workflows(own)

    def compare_pair(self, film_uid: str, prior_uid: str) -> None:
        """Ask for a comparison that a reader waits for; what was compared before, once more."""
        job_id = pair_job(film_uid, prior_uid)
        if self.status(job_id) is None:
            self._client.enqueue(_options("compare_pair", PAIRS, job_id), film_uid, prior_uid)
        else:
            self.retry(job_id, PAIRS)

    def fetch_priors(self, session: Session, film_uid: str, attempt: int, delay_s: float) -> None:
        """Ask for another attempt at a film's priors, in the caller's transaction.

        Asked for twice, it is done once: an attempt that was done again asks for the same next one.
        """
        options = _options("fetch_priors", FETCHES, fetch_job(film_uid, attempt))
        if delay_s:
            options["delay_seconds"] = delay_s
        self._client.enqueue_in_transaction(session, options, film_uid, attempt)

    def deliver(
        self,
        session: Session,
        film_uid: str,
        destination: str,
        number: int,
        delay_s: float = 0,
    ) -> None:
        """Ask for an attempt at a delivery after ``delay_s``, in the caller's transaction.

        Each attempt is a job of its own: while one waits, it holds up no other.
        """
        job_id = delivery_job(film_uid, destination, number)
        options = _options("deliver", delivery_queue(destination), job_id)
        if delay_s:
            options["delay_seconds"] = delay_s
        self._client.enqueue_in_transaction(session, options, film_uid, destination, number)

    def run_now(self, film_uid: str, destination: str, number: int) -> None:
        """Make an attempt that waits for its time due at once; one that has ended stays so."""
        job_id = delivery_job(film_uid, destination, number)
        self._client.resume_workflow(job_id, queue_name=delivery_queue(destination))

    def unfinished(self) -> list[WorkflowStatus]:
        """Return the jobs that wait, run, or have stopped without success."""
        return self._client.list_workflows(
            status=[
                "ENQUEUED",
                "PENDING",
                "DELAYED",
                "ERROR",
                "CANCELLED",
                "MAX_RECOVERY_ATTEMPTS_EXCEEDED",
            ],
            load_input=False,
        )

    def stopped(self, limit: int, offset: int = 0) -> list[WorkflowStatus]:
        """Return the jobs that have stopped without success, the newest first."""
        return self._client.list_workflows(
            status=["ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"],
            sort_desc=True,
            limit=limit,
            offset=offset,
            load_input=False,
        )

    def running(self) -> list[WorkflowStatus]:
        """Return the jobs that a worker is working on."""
        return self._client.list_workflows(status="PENDING", load_input=False, load_output=False)

    def take(self, queue: str, at_once: int) -> None:
        """Have every worker take so many jobs of a queue at a time."""
        self._client.register_queue(
            queue,
            worker_concurrency=at_once,
            polling_interval_sec=_POLL_S,
            on_conflict="always_update",
        )

    def in_hand(self, worker: str, queue: str | None = None) -> list[WorkflowStatus]:
        """Return the jobs that a worker has in hand, or had when it died."""
        return self._client.list_workflows(
            status="PENDING",
            executor_id=worker,
            queue_name=queue,
            load_input=False,
            load_output=False,
        )

    def active(self, job_ids: list[str]) -> list[str]:
        """Return those of some jobs that wait or run."""
        found = self._client.list_workflows(
            workflow_ids=job_ids, status=list(ACTIVE), load_input=False, load_output=False
        )
        return [job.workflow_id for job in found]

    def from_the_future(self) -> list[WorkflowStatus]:
        """Return the jobs that wait for a time reckoned by a clock that was ahead of now's."""
        soon = datetime.now(UTC) + _CLOCKS_DIFFER
        return self._client.list_workflows(
            status="DELAYED", start_time=soon.isoformat(), load_input=False, load_output=False
        )

    def make_due(self, job: WorkflowStatus) -> None:
        """Let a job be done as soon as a worker is free, whatever it waits for."""
        self._client.resume_workflow(job.workflow_id, queue_name=job.queue_name)

    def waiting(self, queue: str, limit: int) -> list[WorkflowStatus]:
        """Return the jobs that wait in a queue, for a worker or for their time."""
        return self._client.list_workflows(
            status=["ENQUEUED", "DELAYED"],
            queue_name=queue,
            limit=limit,
            load_input=False,
            load_output=False,
        )

    def given_up(self) -> list[str]:
        """Return the jobs at which workers died again and again."""
        return [
            job.workflow_id
            for job in self._client.list_workflows(
                status="MAX_RECOVERY_ATTEMPTS_EXCEEDED", load_input=False, load_output=False
            )
        ]

    def status(self, job_id: str) -> WorkflowStatus | None:
        """Return a job by its id."""
        found = self._client.list_workflows(workflow_ids=[job_id])
        return found[0] if found else None

    def cancel(self, job_id: str) -> None:
        """Take a job out of the queue; a running one stops before its next step."""
        self._client.cancel_workflow(job_id)

    def answering(self, film_uid: str) -> list[WorkflowStatus]:
        """Return the jobs that are to answer a film and have not ended."""
        found = self._client.list_workflows(
            workflow_id_prefix=[f"film:{film_uid}", f"again:{film_uid}"],
            status=list(ACTIVE),
            load_input=False,
            load_output=False,
        )
        return [job for job in found if film_in(job.workflow_id) == film_uid]

    def end(self, job_id: str) -> None:
        """Put an end to a job that another one replaces; of one that has ended, delete the rest."""
        job = self.status(job_id)
        if job is not None and job.status in ACTIVE:
            self._client.cancel_workflow(job_id)
        elif job is not None:
            self._client.delete_workflow(job_id)

    def retry(self, job_id: str, queue: str) -> None:
        """Do a finished, failed or cancelled job again from its start; one that waits, at once."""
        job = self.status(job_id)
        if job is not None and job.status == "DELAYED":
            self._client.resume_workflow(job_id, queue_name=queue)
        if job is None or job.status in ACTIVE:
            return
        self._client.rewind_workflow(job_id, application_version=WORKFLOW_VERSION, queue_name=queue)

    def close(self) -> None:
        """Let go of the database."""
        self._client.destroy()


def changed_at(job: WorkflowStatus) -> datetime:
    """Return when a job's state changed last."""
    return datetime.fromtimestamp((job.updated_at or job.created_at or 0) / 1000, UTC)


def _options(workflow: str, queue: str, job_id: str) -> EnqueueOptions:
    return EnqueueOptions(
        workflow_name=f"{WORKFLOW_CLASS}.{workflow}",
        class_name=WORKFLOW_CLASS,
        instance_name=WORKFLOW_INSTANCE,
        queue_name=queue,
        workflow_id=job_id,
        app_version=WORKFLOW_VERSION,
    )
