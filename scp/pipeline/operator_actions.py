"""Operator actions on the queue: retry, cancel, discard. One way for command and page."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from scp.index import deliveries, films
from scp.index.schema.tables import DeliveryState, FilmState
from scp.outcomes.delivery import Outcome
from scp.outcomes.failures import SENTENCES, Cause
from scp.pipeline.queue import ACTIVE, FILMS, Jobs, NoSuchJob, auxiliary_job, delivery_of, film_of

_DEAD, _PENDING, _CANCELLED = (
    DeliveryState.DEAD,
    DeliveryState.PENDING,
    DeliveryState.CANCELLED,
)
# films in one go: a press of a button is answered within seconds, however many letters are dead
AT_ONCE = 500
# films in one transaction: each waits for the disk once, and holds up a worker's own but shortly
_TOGETHER = 50


@dataclass(frozen=True)
class Retried:
    """How many films' answers are on their way again, and how many dead letters are left."""

    films: int
    left: int


@dataclass(frozen=True)
class JobControl:
    """Changes the fate of jobs, and says so where people look."""

    engine: sa.Engine
    jobs: Jobs
    now: Callable[[], datetime]

    def retry(self, job_id: str) -> None:
        """Do a failed, cancelled or given-up job again, and a waiting one at once.

        Raises
        ------
        NoSuchJob
            There is none of this id, or nothing of a delivery is outstanding.
        """
        film_uid, beside = film_of(job_id), auxiliary_job(job_id)
        if beside is not None:
            self._require(job_id)
            self.jobs.retry(job_id, beside[1])
        elif film_uid is None:
            self._retry_delivery(*delivery_of(job_id))
        else:
            if self._require(job_id) not in ACTIVE:  # else it has the film in hand already
                with Session(self.engine) as session, session.begin():
                    films.reopen(films.film(session, film_uid))
            self.jobs.retry(job_id, FILMS)

    def cancel(self, job_id: str) -> None:
        """Take a job out of the queue.

        Raises
        ------
        NoSuchJob
            There is none of this id, or it has done its work.
        """
        self._require(job_id)
        self.jobs.cancel(job_id)
        film_uid = film_of(job_id)
        if film_uid is not None:
            self._cancel_film(film_uid)
        elif auxiliary_job(job_id) is None:  # otherwise its first answer stands
            with Session(self.engine) as session, session.begin():
                deliveries.set_state(session, *delivery_of(job_id), _PENDING, _CANCELLED)

    def discard(self, film_uid: str, destination: str) -> int:
        """Give a film's dead letters to a destination up for good; return how many they were."""
        with Session(self.engine) as session, session.begin():
            return deliveries.set_state(session, film_uid, destination, _DEAD, _CANCELLED)

    def retry_all(
        self, destination: str, like: int | None = None, at_most: int = AT_ONCE
    ) -> Retried:
        """Have dead letters of a destination brought once more.

        Parameters
        ----------
        destination
            Its name.
        like
            A delivery: only films with a dead letter that failed as this one did.
        at_most
            Films, those tried the longest ago first; for the rest, ask again.
        """
        with Session(self.engine) as session:
            failure = self._failure(session, like)
            uids = deliveries.films_with_dead(session, destination, failure, at_most)
        done = 0
        for start in range(0, len(uids), _TOGETHER):
            with Session(self.engine) as session, session.begin():
                for uid in uids[start : start + _TOGETHER]:
                    done += self._revive(session, uid, destination) is not None
        with Session(self.engine) as session:
            return Retried(done, deliveries.count_dead(session, destination, failure))

    def discard_all(self, destination: str, like: int | None = None) -> int:
        """Give dead letters of a destination up for good; return how many they were."""
        with Session(self.engine) as session, session.begin():
            return deliveries.discard_dead(session, destination, self._failure(session, like))

    def _failure(self, session: Session, like: int | None) -> Outcome | None:
        return None if like is None else deliveries.failure_of(session, like)

    def _retry_delivery(self, film_uid: str, destination: str) -> None:
        """Make dead and cancelled deliveries pending, and have each brought at once."""
        with Session(self.engine) as session, session.begin():
            revived = self._revive(session, film_uid, destination)
            deliveries.set_state(session, film_uid, destination, _CANCELLED, _PENDING)
            waiting = deliveries.outstanding(session, film_uid, destination)
        if not waiting:
            raise NoSuchJob(f"nothing of film {film_uid} is outstanding at {destination}")
        numbers = {item.job for item in waiting} - {revived}
        over = {n for n in numbers if not self.jobs.run_now(film_uid, destination, n)}
        left = [item.delivery_id for item in waiting if item.job in over]
        if left:
            with Session(self.engine) as session, session.begin():
                self._bring(session, film_uid, destination, left)

    def _revive(self, session: Session, film_uid: str, destination: str) -> int | None:
        """Ask for a film's dead letters by a new job; return its number, None without any."""
        dead = deliveries.take_up_dead(session, film_uid, destination)
        return self._bring(session, film_uid, destination, dead) if dead else None

    def _bring(self, session: Session, film_uid: str, destination: str, ids: list[int]) -> int:
        number = deliveries.next_job(session, film_uid, destination)
        deliveries.assign(session, ids, number)
        self.jobs.deliver(session, film_uid, destination, number)
        return number

    def _cancel_film(self, uid: str) -> None:
        said = (FilmState.FAILED, self.now(), Cause.CANCELLED, SENTENCES[Cause.CANCELLED])
        with Session(self.engine) as session, session.begin():
            film = films.film(session, uid)
            old = (*films.WAITING, FilmState.FAILED)
            if not films.set_outcome(film, *said, old=old) and film.reason != Cause.CANCELLED:
                raise NoSuchJob(f"film {uid} has its outcome already: there is nothing to cancel")

    def _require(self, job_id: str) -> str:
        """Return a job's status."""
        job = self.jobs.status(job_id)
        if job is None:
            raise NoSuchJob(f"there is no job {job_id!r}; `hilum queue list` prints them")
        return str(job.status)
