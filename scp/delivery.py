"""Bring a film's answer to one destination: one attempt, and what follows from it."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from scp.archive import Archive
from scp.dimse.sender import DestinationSettings, Unreachable, describe, send
from scp.index import deliveries
from scp.index.deliveries import Outgoing
from scp.queue import Jobs

log = structlog.get_logger(__name__)


class Deliverer:
    """Sends what is outstanding and writes down what each destination said."""

    def __init__(
        self,
        engine: sa.Engine,
        archive: Archive,
        jobs: Jobs,
        destinations: Mapping[str, DestinationSettings],
        calling_ae_title: str,
        now: Callable[[], datetime],
    ) -> None:
        self.engine = engine
        self.archive = archive
        self.jobs = jobs
        self.destinations = destinations
        self.calling_ae_title = calling_ae_title
        self.now = now

    def attempt(self, film_uid: str, name: str) -> None:
        """Send what a destination has not yet taken; what fails is tried again, or a dead letter.

        Each Success is written down as it comes: a kill between two objects sends none twice but
        the one in flight.
        """
        with Session(self.engine) as session:
            waiting = deliveries.outstanding(session, film_uid, name)
        destination = self.destinations.get(name)
        if destination is None:
            self._fail(waiting, film_uid, name, "the destination is no longer configured", None)
            return
        started, failed = monotonic(), self._send(destination, waiting)
        log.info(
            "delivered" if not failed else "delivery failed",
            film=film_uid,
            destination=name,
            objects=len(waiting) - len(failed),
            errors=sorted(set(failed.values())),
            duration_s=round(monotonic() - started, 3),
        )
        left = [item for item in waiting if item.delivery_id in failed]
        for error in set(failed.values()):
            same = [item for item in left if failed[item.delivery_id] == error]
            self._fail(same, film_uid, name, error, destination)

    def _send(self, destination: DestinationSettings, waiting: list[Outgoing]) -> dict[int, str]:
        """Return what was not delivered, and why."""
        failed = {}
        by_path = {self.archive.path(item.path): item for item in waiting}
        left = dict(by_path)
        try:
            objects = [describe(path) for path in by_path]
            answers = send(destination, self.calling_ae_title, objects)
            for item, answer in zip(objects, answers, strict=True):
                outgoing = left.pop(item.path)
                if answer.delivered:
                    with Session(self.engine) as session, session.begin():
                        deliveries.set_delivered(session, outgoing.delivery_id, self.now())
                else:
                    failed[outgoing.delivery_id] = answer.error
        except Unreachable as error:
            failed |= {item.delivery_id: str(error) for item in left.values()}
        except OSError as error:
            text = f"a result cannot be read: {error.strerror}: {Path(error.filename).name}"
            failed |= {item.delivery_id: text for item in left.values()}
        return failed

    def _fail(
        self,
        items: list[Outgoing],
        film_uid: str,
        name: str,
        error: str,
        destination: DestinationSettings | None,
    ) -> None:
        """Write a failure down and ask for the next attempt, in one transaction."""
        if not items:
            return
        now = self.now()
        attempts = 1 + max(item.attempts for item in items)
        wait = None
        if destination is not None:
            wait = wait_s(destination, attempts, now - min(item.created_at for item in items))
        next_at = None if wait is None else now + timedelta(seconds=wait)
        with Session(self.engine) as session, session.begin():
            for item in items:
                deliveries.set_failed(session, item.delivery_id, error, now, next_at)
            if wait is not None:
                self.jobs.deliver(session, film_uid, name, attempts + 1, delay_s=wait)


def wait_s(destination: DestinationSettings, attempts: int, age: timedelta) -> float | None:
    """Return the seconds until the next attempt after so many failed ones; None: give up."""
    if age > timedelta(hours=destination.give_up_after_h):
        return None
    doublings = min(attempts - 1, 30)  # no overflow after weeks
    return min(destination.longest_retry_s, destination.first_retry_s * 2.0**doublings)
