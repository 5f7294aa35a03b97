"""Deliver a film's answer to one destination: one attempt, and what follows from it."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from time import monotonic

import sqlalchemy as sa
import structlog
from pydicom.errors import InvalidDicomError
from sqlalchemy.orm import Session

from scp.archive import Archive
from scp.config.destinations import DestinationSettings
from scp.index import deliveries
from scp.index.deliveries import Outgoing
from scp.outcomes.backoff import backoff_s
from scp.outcomes.delivery import Cause, Kind, Outcome
from scp.outcomes.sending import Object, Unreachable, describe
from scp.pipeline.destinations.base import Destination
from scp.pipeline.queue import Jobs

log = structlog.get_logger(__name__)


class Deliverer:
    """Sends what is outstanding and writes down what each destination said."""

    def __init__(
        self,
        engine: sa.Engine,
        archive: Archive,
        jobs: Jobs,
        destinations: Mapping[str, Destination],
        now: Callable[[], datetime],
    ) -> None:
        self.engine = engine
        self.archive = archive
        self.jobs = jobs
        self.destinations = destinations
        self.now = now

    def attempt(self, film_uid: str, name: str, job: int | None = None) -> None:
        """Send what a destination has not yet taken; what fails is tried again, or a dead letter.

        Each Success is written down as it comes: a kill between two objects sends none twice but
        the one in flight. ``job`` is whose part it is; a job of the first release has all.
        """
        with Session(self.engine) as session:
            waiting = deliveries.outstanding(session, film_uid, name, job)
        if not waiting:  # cancelled, or the attempt was killed after its last object
            return
        started = monotonic()
        destination = self.destinations.get(name)
        if destination is None:
            failed = dict.fromkeys(waiting, Outcome.of(Cause.NOT_CONFIGURED))
        else:
            failed = self._send(destination, waiting)
        log.info(
            "delivered" if not failed else "delivery failed",
            film=film_uid,
            destination=name,
            objects=len(waiting) - len(failed),
            # the code alone: the destination's own words may name a patient
            errors=sorted({outcome.code for outcome in failed.values()}),
            duration_s=round(monotonic() - started, 3),
        )
        if failed:
            self._fail(failed, film_uid, name, destination)

    def _send(self, destination: Destination, waiting: list[Outgoing]) -> dict[Outgoing, Outcome]:
        """Return what was not delivered, and how it went."""
        left, failed = self._readable(waiting)
        answers = destination.send(list(left.values()))
        try:
            for item in list(left):
                outcome = next(answers).outcome
                del left[item]
                if outcome.delivered:
                    self._deliver(item, destination.settings.name, outcome)
                else:
                    failed[item] = outcome
        except Unreachable as error:
            failed |= dict.fromkeys(left, error.outcome)
        finally:
            answers.close()
        return failed

    def _deliver(self, item: Outgoing, name: str, outcome: Outcome) -> None:
        if outcome.kind is Kind.WARNING:
            log.warning(
                "delivered with a warning", destination=name, status=outcome.code, path=item.path
            )
        with Session(self.engine) as session, session.begin():
            deliveries.set_delivered(session, item.delivery_id, outcome, self.now())

    def _readable(
        self, waiting: list[Outgoing]
    ) -> tuple[dict[Outgoing, Object], dict[Outgoing, Outcome]]:
        """Return what can be sent, and what cannot with the reason."""
        objects, failed = {}, {}
        for item in waiting:
            try:
                objects[item] = describe(self.archive.path(item.path))
            except OSError as error:
                failed[item] = Outcome.of(Cause.UNREADABLE, error.strerror or "")
            except InvalidDicomError:
                failed[item] = Outcome.of(Cause.NO_DICOM)
        return objects, failed

    def _fail(
        self,
        failed: Mapping[Outgoing, Outcome],
        film_uid: str,
        name: str,
        destination: Destination | None,
    ) -> None:
        """Write failures down and ask for the next attempt, in one transaction.

        Only what may go better another time is tried again; the rest are dead letters at once.
        """
        now = self.now()
        wait = None
        if destination is not None:
            attempts = 1 + max(item.attempts for item in failed)
            wait = wait_s(
                destination.settings, attempts, now - min(item.created_at for item in failed)
            )
        next_at = None if wait is None else now + timedelta(seconds=wait)
        with Session(self.engine) as session, session.begin():
            pending = [
                item.delivery_id
                for item, outcome in failed.items()
                if deliveries.set_failed(
                    session,
                    item.delivery_id,
                    outcome,
                    now,
                    next_at if outcome.kind is Kind.TRANSIENT else None,
                )
            ]
            if wait is not None and pending:
                job = deliveries.next_job(session, film_uid, name)
                deliveries.assign(session, pending, job)
                self.jobs.deliver(session, film_uid, name, job, delay_s=wait)


def wait_s(destination: DestinationSettings, attempts: int, age: timedelta) -> float | None:
    """Return the seconds until the next attempt after so many failed ones; None: give up.

    Age alone gives up nothing: a clock that jumped forward, or a service that stood still, would
    make dead letters of what was hardly tried.
    """
    last = timedelta(hours=destination.give_up_after_h)
    if age > last and attempts >= _fewest_attempts(destination, last / 2):
        return None
    return _after(destination, attempts)


def _fewest_attempts(destination: DestinationSettings, within: timedelta) -> int:
    """Return how many attempts fail within a time, if each fails at once."""
    waited, attempts = 0.0, 1
    while (waited := waited + _after(destination, attempts)) <= within.total_seconds():
        attempts += 1
    return attempts


def _after(destination: DestinationSettings, attempts: int) -> float:
    return backoff_s(destination.first_retry_s, attempts, destination.longest_retry_s)
