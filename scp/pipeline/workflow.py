"""The life of one film, as durable steps.

DBOS records each step that has finished. A worker may be killed at any instant: when it comes back
it goes on after the last recorded step, and a step done again makes the same rows and objects
(`scp.pipeline.prepared`).
"""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

import structlog
from dbos import DBOS, DBOSConfiguredInstance

from scp.outcomes.failures import SENTENCES, Cause, Step, step_failure
from scp.pipeline.answer import Answerer
from scp.pipeline.delivery import Deliverer
from scp.pipeline.patience import Patience
from scp.pipeline.prior_fetch import Fetcher
from scp.pipeline.queue import WORKFLOW_CLASS, WORKFLOW_INSTANCE
from scp.pipeline.reader_comparison import compare_pair

log = structlog.get_logger(__name__)

_P = ParamSpec("_P")

# a film on which the worker dies more often than this is left alone, and said to be
_MOST_RECOVERIES = 5


def _job() -> str:
    """Return the id of the job that this thread runs."""
    return str(DBOS.workflow_id)


def _in_hand(workflow: Callable[Concatenate["Worker", _P], None]) -> Callable[..., None]:
    """Have a job named in ``Worker.in_hand`` while it runs."""

    @wraps(workflow)
    def held(worker: "Worker", *args: _P.args, **kwargs: _P.kwargs) -> None:
        job = _job()
        worker.in_hand.add(job)
        try:
            workflow(worker, *args, **kwargs)
        finally:
            worker.in_hand.discard(job)

    return held


@DBOS.dbos_class(WORKFLOW_CLASS)
class Worker(DBOSConfiguredInstance):
    """Answers films, fetches what they are compared with, and delivers the answers.

    Attributes
    ----------
    in_hand
        Ids of the jobs that run in this process.
    """

    def __init__(
        self, answerer: Answerer, fetcher: Fetcher, deliverer: Deliverer, patience: Patience
    ) -> None:
        super().__init__(config_name=WORKFLOW_INSTANCE)
        self.in_hand: set[str] = set()
        self.patience = patience
        self.answerer = answerer
        self.fetcher = fetcher
        self.deliverer = deliverer

    @DBOS.workflow(name=f"{WORKFLOW_CLASS}.answer_film", max_recovery_attempts=_MOST_RECOVERIES)
    @_in_hand
    def answer_film(self, film_uid: str) -> None:
        """Read a film, fetch its priors, compare, answer. Every film gets a stated outcome."""
        try:
            if self.read(film_uid):
                if DBOS.patch("fetch"):  # work of a release without this step goes on without it
                    self.fetch(film_uid, 1)
                self.write(film_uid)
        except (
            Exception
        ) as error:  # a workflow's outer edge: the film must not stay without an outcome
            log.exception("failed", film=film_uid)
            failure = step_failure(error)
            self.state_failure(
                film_uid,
                failure.cause if failure else Cause.FAULT,
                str(failure or SENTENCES[Cause.FAULT]),
            )
            raise

    @DBOS.workflow(name=f"{WORKFLOW_CLASS}.answer_again", max_recovery_attempts=_MOST_RECOVERIES)
    @_in_hand
    def answer_again(self, film_uid: str) -> None:
        """Answer a film again with a better prior; if that fails, its first answer holds."""
        try:
            self.write_again(film_uid)
        except Exception:  # a workflow's outer edge; the job is listed as failed
            log.exception("not answered again", film=film_uid)
            raise

    @DBOS.workflow(name=f"{WORKFLOW_CLASS}.compare_pair", max_recovery_attempts=_MOST_RECOVERIES)
    @_in_hand
    def compare_pair(self, film_uid: str, prior_uid: str) -> None:
        """Compare a film with one that a reader chose; its answer remains valid."""
        self.compare(film_uid, prior_uid)

    @DBOS.workflow(name=f"{WORKFLOW_CLASS}.fetch_priors", max_recovery_attempts=_MOST_RECOVERIES)
    @_in_hand
    def fetch_priors(self, film_uid: str, attempt: int) -> None:
        """Ask the PACS again; what comes asks for the films' new answers itself."""
        self.fetch(film_uid, attempt)

    @DBOS.workflow(name=f"{WORKFLOW_CLASS}.deliver", max_recovery_attempts=_MOST_RECOVERIES)
    @_in_hand
    def deliver(self, film_uid: str, destination: str, number: int | None = None) -> None:
        """Attempt one delivery; a failed one asks for the next itself.

        Without a ``number``, the first release asked for it.
        """
        self.attempt_delivery(film_uid, destination, number)

    @DBOS.step(retries_allowed=True, max_attempts=3)
    def read(self, film_uid: str) -> bool:
        """Pass the gate and ask the network."""
        return self.patience.until_done(Step.READ, lambda: self.answerer.read(film_uid, _job()))

    @DBOS.step(retries_allowed=True, max_attempts=3)
    def fetch(self, film_uid: str, attempt: int) -> None:
        """Bring the film's priors here from the PACS, or write down why not."""
        self.patience.until_done(Step.FETCH, lambda: self.fetcher.fetch(film_uid, attempt))

    @DBOS.step(retries_allowed=True, max_attempts=3)
    def write(self, film_uid: str) -> None:
        """Compare with the prior, write the objects, ask for their delivery."""
        self.patience.until_done(Step.WRITE, lambda: self.answerer.write(film_uid, _job()))

    @DBOS.step(retries_allowed=True, max_attempts=3)
    def write_again(self, film_uid: str) -> None:
        """Write the answer once more, unless its prior is still the best."""
        self.patience.until_done(Step.WRITE, lambda: self.answerer.write_again(film_uid, _job()))

    @DBOS.step(retries_allowed=True, max_attempts=3)
    def compare(self, film_uid: str, prior_uid: str) -> None:
        """Compare two films, and remember what is to be seen of it."""
        self.patience.until_done(
            Step.COMPARE, lambda: compare_pair(self.answerer, film_uid, prior_uid)
        )

    @DBOS.step(retries_allowed=True, max_attempts=3)
    def state_failure(self, film_uid: str, reason: str, sentence: str) -> None:
        """Say that a film could not be answered although it might be, and why."""
        self.patience.until_done(
            Step.STATE,
            lambda: self.answerer.state_failure(film_uid, Cause(reason), sentence, _job()),
        )

    @DBOS.step(retries_allowed=True, max_attempts=3)
    def attempt_delivery(self, film_uid: str, destination: str, number: int | None) -> None:
        """Send what a destination has not yet taken of this job's part."""
        self.patience.until_done(
            Step.DELIVER, lambda: self.deliverer.attempt(film_uid, destination, number)
        )
