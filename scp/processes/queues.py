"""The queues from which a worker takes its jobs, and how many of each it has in hand."""

import structlog

from scp.config.load import Settings
from scp.pipeline.job_ids import COMPARISONS, FETCHES, FILMS, PAIRS, delivery_queue
from scp.pipeline.queue import Jobs

log = structlog.get_logger(__name__)

# objects to one destination go one film after the other: a PACS counts its associations
_DELIVERIES_AT_ONCE = 2


class Queues:
    """What a worker takes from each queue.

    Of the films that its last process had in hand when it died, any may be the one that it died of.
    They are done one at a time, so that the next death counts against one film only.
    """

    def __init__(self, settings: Settings, jobs: Jobs, worker: str) -> None:
        self._settings = settings
        self._jobs = jobs
        self._suspects = jobs.in_hand(worker, FILMS)

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
        """Do what a beat is for: see `_end_waits` and `_end_caution`."""
        self._end_waits()
        self._end_caution()

    def _end_waits(self) -> None:
        """Let jobs be done that a clock which was set back would make wait for hours."""
        for job in self._jobs.from_the_future():
            log.warning("the clock was set back: done now", job=job.workflow_id)
            self._jobs.make_due(job)

    def _end_caution(self) -> None:
        """Take as many films at once as ever, when those that a death left have ended."""
        if self._suspects and not self._jobs.active(self._suspects):
            self._suspects = []
            at_once = self._settings.inference.films_at_once
            self._jobs.take(FILMS, at_once)
            log.info("films at once again", films=at_once)
