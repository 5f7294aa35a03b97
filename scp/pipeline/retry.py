"""What may be retried: one rule for pages, JSON and the command line."""

from collections.abc import Collection
from enum import StrEnum

from scp.errors import HilumError
from scp.index.schema.tables import DeliveryState, FilmState
from scp.pipeline.queue import ACTIVE


class Refusal(StrEnum):
    """Why something is not retried."""

    NO_SUCH_JOB = "no-such-job"
    DONE = "done"
    IN_HAND = "in-hand"
    FETCHED = "fetched"
    NOTHING_OUTSTANDING = "nothing-outstanding"
    NOT_CONFIGURED = "not-configured"

    @property
    def sentence(self) -> str:
        """The reason, and what can be done, for people."""
        return _SENTENCES[self]


_SENTENCES = {
    Refusal.NO_SUCH_JOB: "There is no such job; `hilum queue list` prints them.",
    Refusal.DONE: "It is done. `hilum queue retry --done` does it again.",
    Refusal.IN_HAND: "It is already in the queue, or a worker is working on it.",
    Refusal.FETCHED: "hilum fetched this film as a prior: it gets no answer of its own.",
    Refusal.NOTHING_OUTSTANDING: "Nothing is outstanding there: all was delivered or withdrawn.",
    Refusal.NOT_CONFIGURED: "Nothing can be sent there: this destination is not in config.toml."
    " Add it under [[destinations]] and restart, or discard what waits for it.",
}


class NotRetried(HilumError):
    """A job is not retried; ``refusal`` says why."""

    def __init__(self, job_id: str, refusal: Refusal) -> None:
        super().__init__(f"{job_id} is not retried. {refusal.sentence}")
        self.refusal = refusal


def refuse_film(
    state: FilmState, jobs: Collection[str] = (), *, done: bool = False
) -> Refusal | None:
    """Say why a film's answer is not retried; None when it is.

    Parameters
    ----------
    state
        The film's state.
    jobs
        DBOS statuses of the jobs that are to answer it. A film that waits without any is retried:
        nothing else would answer it.
    done
        Whether a film that has its answer is to be read once more.
    """
    if state is FilmState.FETCHED:
        return Refusal.FETCHED
    if state in (FilmState.FAILED, FilmState.NOT_ANALYSED):
        return None
    if any(job in ACTIVE for job in jobs):
        return Refusal.IN_HAND
    return Refusal.DONE if state is FilmState.ANSWERED and not done else None


def refuse_job(status: str | None, *, done: bool = False) -> Refusal | None:
    """Say why a job beside a film's answer is not retried; None when it is.

    ``status`` is DBOS's, None when there is no such job. One that waits for its time is done now.
    """
    if status is None:
        return Refusal.NO_SUCH_JOB
    if status in ("ENQUEUED", "PENDING"):
        return Refusal.IN_HAND
    return Refusal.DONE if status == "SUCCESS" and not done else None


def refuse_delivery(
    states: Collection[DeliveryState], jobs: Collection[str | None], *, configured: bool
) -> Refusal | None:
    """Say why results are not sent to a destination once more; None when they are.

    Parameters
    ----------
    states
        Those of the results at this destination.
    jobs
        DBOS statuses of the jobs that are to bring pending ones; None where there is no job.
    configured
        Whether config.toml names the destination.
    """
    if not configured:
        return Refusal.NOT_CONFIGURED
    if DeliveryState.DEAD in states or DeliveryState.CANCELLED in states:
        return None
    if DeliveryState.PENDING not in states:
        return Refusal.NOTHING_OUTSTANDING
    return Refusal.IN_HAND if all(job in ("ENQUEUED", "PENDING") for job in jobs) else None
