"""The queues from which a worker takes its jobs, and how many of each it has in hand."""

from collections.abc import Callable, Collection
from time import monotonic

import structlog

from scp.config.load import Settings
from scp.pipeline.job_ids import COMPARISONS, FETCHES, FILMS, PAIRS, delivery_queue
from scp.pipeline.queue import Jobs

log = structlog.get_logger(__name__)

# objects to one destination go one film after the other: a PACS counts its associations
_DELIVERIES_AT_ONCE = 2
# seconds after which a job that no thread runs is lost
_LOST_S = 30


class Queues:
    """What a worker takes from each queue.

    Of the films that its last process had in hand when it died, any may be the one that it died of.
    They are done one at a time, so that the next death counts against one film only.

    Parameters
    ----------
    worker
        Its name.
    in_hand
        The jobs that it has in hand in truth; it is given a reference that it keeps up to date.
    """

    def __init__(
        self,
        settings: Settings,
        jobs: Jobs,
        worker: str,
        in_hand: Collection[str],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._settings = settings
        self._jobs = jobs
        self._worker = worker
        self._in_hand = in_hand
        self._suspects = [job.workflow_id for job in jobs.in_hand(worker, FILMS)]
        self._clock = clock
        self._missed_since: dict[str, float] = {}

    def register(self) -> None:
        """Say how many jobs are taken from each queue; before DBOS starts to take them."""
        at_once = self._settings.inference.films_at_once
        if self._suspects:
            log.warning("the worker died: one film at a time", films=len(self._suspects))
        self._jobs.take(FILMS, 1 if self._suspects else at_once)
        for queue in (COMPARISONS, FETCHES, PAIRS):
            self._jobs.take(queue, 1)
        for destination in self._settings.destinations:
            self._jobs.take(delivery_queue(destination.name), _DELIVERIES_AT_ONCE)

    def look(self) -> None:
        """Repair the queues; at each heartbeat of the worker."""
        self._end_waits()
        self._end_caution()
        self._take_up_lost()

    def _end_waits(self) -> None:
        """Let jobs be done that a clock which was set back would make wait for hours."""
        for job in self._jobs.from_the_future():
            log.warning("the clock was set back: done now", job=job.workflow_id)
            self._jobs.make_due(job)

    def _take_up_lost(self) -> None:
        """Put back what the queue holds for running here and does not run: its thread has ended.

        What was taken from the queue a moment ago has no thread yet, so a job is lost when it is
        missed for a while.
        """
        now = self._clock()
        held = self._jobs.in_hand(self._worker)
        missed = [job for job in held if job.workflow_id not in self._in_hand]
        self._missed_since = {
            job.workflow_id: self._missed_since.get(job.workflow_id, now) for job in missed
        }
        for job in missed:
            if now - self._missed_since[job.workflow_id] >= _LOST_S:
                log.warning("nobody does it: taken up again", job=job.workflow_id)
                self._jobs.make_due(job)

    def _end_caution(self) -> None:
        """Take as many films at once as ever, when those that a death left have ended."""
        if self._suspects and not self._jobs.active(self._suspects):
            self._suspects = []
            at_once = self._settings.inference.films_at_once
            self._jobs.take(FILMS, at_once)
            log.info("films at once again", films=at_once)
