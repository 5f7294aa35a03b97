"""Operator actions on the queue: retry, cancel, discard. One way for command and page."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from scp.index import deliveries, films, finished_steps
from scp.index.schema.tables import DeliveryState, FilmState
from scp.monitoring.audit import Actor
from scp.outcomes.delivery import Outcome
from scp.outcomes.failures import SENTENCES, Cause
from scp.pipeline.job_ids import (
    NoSuchJob,
    auxiliary_job,
    delivery_job,
    delivery_of,
    delivery_queue,
    film_job,
    film_of,
)
from scp.pipeline.queue import ACTIVE, Jobs
from scp.pipeline.retry import NotRetried, Refusal, refuse_delivery, refuse_film, refuse_job

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
    """Retries, cancels and discards jobs, and what their rows say of them.

    Each action is recorded before it is done; ``actor`` is who asks for it. ``destinations`` are
    the names of those configured; to another one nothing is retried.
    """

    engine: sa.Engine
    jobs: Jobs
    destinations: Collection[str]
    now: Callable[[], datetime]
    actor: Actor

    def refusal(self, job_id: str, *, done: bool = False) -> Refusal | None:
        """Say why a job is not retried; None when it is. Parameters as of `retry`."""
        with Session(self.engine) as session:
            return self._refusal(session, job_id, done=done)

    def retry(self, job_id: str, *, done: bool = False) -> None:
        """Do a failed, cancelled or given-up job again, and one that waits for its time at once.

        Rows and job are changed in one transaction: a film or a delivery gets a new job, for that
        can be asked for in a transaction of ours. Only then the old one is ended; it is listed
        nowhere even if it is not.

        Parameters
        ----------
        job_id
            A job's id. The number of a film's or delivery's job is ignored, and may be left out.
        done
            Whether what has been done is to be done once more, as an answered film.

        Raises
        ------
        NotRetried
            The rule (`scp.pipeline.retry`) does not let it.
        """
        with self.actor.doing("retried", job_id):
            self._retry(job_id, done=done)

    def _retry(self, job_id: str, *, done: bool) -> None:
        film_uid, beside = film_of(job_id), auxiliary_job(job_id)
        if beside is not None:
            self._require(self.refusal(job_id, done=done), job_id)
            with Session(self.engine) as session, session.begin():
                finished_steps.forget(session, job_id)
            self.jobs.retry(job_id, beside[1])
        elif film_uid is not None:
            self._retry_film(film_uid, done=done)
        else:
            self._retry_delivery(job_id)

    def cancel(self, job_id: str) -> None:
        """Take a job out of the queue.

        The rows come first: should nothing else happen, the job finds that it was cancelled.

        Raises
        ------
        NoSuchJob
            There is none of this id, or it has done its work.
        """
        with self.actor.doing("cancelled", job_id):
            self._cancel(job_id)

    def _cancel(self, job_id: str) -> None:
        film_uid = film_of(job_id)
        if film_uid is not None:
            self.jobs.cancel(self._cancel_film(film_uid))
            return
        job = self.jobs.status(job_id)
        if job is None or job.status not in ACTIVE:
            raise NoSuchJob(
                f"{job_id!r} is neither waiting nor running; `hilum queue list` prints the jobs"
            )
        if auxiliary_job(job_id) is None:  # otherwise the film's first answer remains valid
            with Session(self.engine) as session, session.begin():
                deliveries.set_state(session, *delivery_of(job_id), _PENDING, _CANCELLED)
        self.jobs.cancel(job_id)

    def discard(self, job_id: str) -> int:
        """Give a film's dead letters to a destination up for good; return how many they were.

        Raises
        ------
        NoSuchJob
            This is no delivery, or none of its results is a dead letter.
        """
        with self.actor.doing("discarded", job_id), Session(self.engine) as session:
            number = deliveries.set_state(session, *delivery_of(job_id), _DEAD, _CANCELLED)
            if not number:
                raise NoSuchJob("none of its results is a dead letter")
            session.commit()
            return number

    def compare(self, film_uid: str, prior_uid: str) -> None:
        """Have a worker compare a film with an earlier one that a reader chose."""
        with self.actor.doing("compared", film_uid, prior=prior_uid):
            self.jobs.compare_pair(film_uid, prior_uid)

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

        Raises
        ------
        NotRetried
            The destination is not configured.
        """
        if destination not in self.destinations:
            raise NotRetried(delivery_queue(destination), Refusal.NOT_CONFIGURED)
        with Session(self.engine) as session:
            failure = self._failure(session, like)
            uids = deliveries.films_with_dead(session, destination, failure, at_most)
        done = 0
        if uids:
            target = delivery_queue(destination)
            with self.actor.doing("retried", target, films=str(len(uids))):
                done = self._revive_all(uids, destination)
        with Session(self.engine) as session:
            return Retried(done, deliveries.count_dead(session, destination, failure))

    def discard_all(self, destination: str, like: int | None = None) -> int:
        """Give dead letters of a destination up for good; return how many they were."""
        with Session(self.engine) as session:
            failure = self._failure(session, like)
            number = deliveries.count_dead(session, destination, failure)
        if not number:
            return 0
        target = delivery_queue(destination)
        with (
            self.actor.doing("discarded", target, results=str(number)),
            Session(self.engine) as session,
            session.begin(),
        ):
            return deliveries.discard_dead(session, destination, failure)

    def _revive_all(self, uids: Sequence[str], destination: str) -> int:
        done = 0
        for start in range(0, len(uids), _TOGETHER):
            with Session(self.engine) as session, session.begin():
                for uid in uids[start : start + _TOGETHER]:
                    done += self._revive(session, uid, destination) is not None
        return done

    def _failure(self, session: Session, like: int | None) -> Outcome | None:
        return None if like is None else deliveries.failure_of(session, like)

    def _refusal(self, session: Session, job_id: str, *, done: bool) -> Refusal | None:
        film_uid, beside = film_of(job_id), auxiliary_job(job_id)
        if beside is not None:
            job = self.jobs.status(job_id)
            return refuse_job(job.status if job else None, done=done)
        if film_uid is None:
            film_uid, destination = delivery_of(job_id)
            open_ = deliveries.undelivered(session, film_uid, destination)
            states = {state for _, state, _ in open_}
            jobs = self._delivering(film_uid, destination, open_).values()
            return refuse_delivery(states, jobs, configured=destination in self.destinations)
        film = films.find(session, film_uid)
        if film is None:
            return Refusal.NO_SUCH_JOB
        answering = [job.status for job in self.jobs.answering(film_uid)]
        return refuse_film(film.state, answering, done=done)

    def _retry_film(self, film_uid: str, *, done: bool) -> None:
        """Give a film to a new job, in the transaction that makes it wait for an answer again."""
        job_id = film_job(film_uid)
        with Session(self.engine) as session, session.begin():
            self._require(self._refusal(session, job_id, done=done), job_id)
            film = films.film(session, film_uid)
            replaced = film_job(film_uid, film.job)
            if not films.take_up(film):
                raise NotRetried(job_id, Refusal.IN_HAND)  # another operator was first
            self.jobs.answer_film(session, film_uid, film.job)
        self.jobs.end(replaced)

    def _retry_delivery(self, job_id: str) -> None:
        """Bring what is dead, cancelled or without a job by a new one, and what waits at once."""
        film_uid, destination = delivery_of(job_id)
        with Session(self.engine) as session, session.begin():
            self._require(self._refusal(session, job_id, done=False), job_id)
            open_ = deliveries.undelivered(session, film_uid, destination)
            jobs = self._delivering(film_uid, destination, open_)
            ids = deliveries.take_up(session, film_uid, destination, _DEAD, _CANCELLED)
            ids += [
                one for one, state, job in open_ if state is _PENDING and jobs[job] not in ACTIVE
            ]
            if ids:
                self._bring(session, film_uid, destination, ids)
        for number, status in jobs.items():
            if status == "DELAYED":
                self.jobs.run_now(film_uid, destination, number)
        for number in {job for _, state, job in open_ if state is not _PENDING} - jobs.keys():
            self.jobs.end(delivery_job(film_uid, destination, number))

    def _delivering(
        self, film_uid: str, destination: str, open_: list[tuple[int, DeliveryState, int]]
    ) -> dict[int, str | None]:
        """Return the states of the jobs that are to bring what is pending, by their numbers."""
        numbers = {job for _, state, job in open_ if state is _PENDING}
        found = {n: self.jobs.status(delivery_job(film_uid, destination, n)) for n in numbers}
        return {number: job.status if job else None for number, job in found.items()}

    def _revive(self, session: Session, film_uid: str, destination: str) -> int | None:
        """Ask for a film's dead letters by a new job; return its number, None without any."""
        dead = deliveries.take_up(session, film_uid, destination, _DEAD)
        return self._bring(session, film_uid, destination, dead) if dead else None

    def _bring(self, session: Session, film_uid: str, destination: str, ids: list[int]) -> int:
        number = deliveries.next_job(session, film_uid, destination)
        deliveries.assign(session, ids, number)
        self.jobs.deliver(session, film_uid, destination, number)
        return number

    def _cancel_film(self, uid: str) -> str:
        """State that a film was cancelled; return the job that was to answer it."""
        cancelled = (FilmState.FAILED, self.now(), Cause.CANCELLED, SENTENCES[Cause.CANCELLED])
        with Session(self.engine) as session, session.begin():
            film = films.find(session, uid)
            if film is None:
                raise NoSuchJob(f"there is no film {uid!r}; `hilum queue list` prints jobs")
            done = not films.set_outcome(film, *cancelled, old=films.WAITING)
            if done and film.reason != Cause.CANCELLED:
                raise NoSuchJob(f"film {uid} has its outcome already: there is nothing to cancel")
            return film_job(uid, film.job)

    def _require(self, refusal: Refusal | None, job_id: str) -> None:
        if refusal is not None:
            raise NotRetried(job_id, refusal)
