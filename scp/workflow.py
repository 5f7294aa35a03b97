"""The life of one film, as durable steps.

DBOS records each step that has finished. A worker may be killed at any instant: when it comes back
it goes on after the last recorded step, and a step done again makes the same rows and objects.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import monotonic

import sqlalchemy as sa
import structlog
from dbos import DBOS, DBOSConfiguredInstance
from sqlalchemy.orm import Session

from inference.gate import Refusal
from scp.archive import Archive, Stored
from scp.delivery import Deliverer
from scp.errors import ServiceError
from scp.index import films
from scp.index.schema import Analysis, FilmState, Instance
from scp.queue import WORKFLOW_CLASS, WORKFLOW_INSTANCE, Jobs
from scp.reading import Read, Reader
from scp.results.answer import ResultObject
from scp.results.objects import to_bytes

log = structlog.get_logger(__name__)

# a film on which the worker dies more often than this is left alone, and said to be
_MOST_RECOVERIES = 5
# a prior that turns out to be unreadable is passed over; this many are tried
_PRIORS_TRIED = 3


@dataclass(frozen=True, eq=False)
class _Analysed:
    """A film, what was said of it, and when."""

    film_uid: str
    analysis_id: int
    read: Read
    at: datetime


@DBOS.dbos_class(WORKFLOW_CLASS)
class Worker(DBOSConfiguredInstance):
    """Answers films and delivers the answers."""

    def __init__(
        self,
        engine: sa.Engine,
        archive: Archive,
        jobs: Jobs,
        reader: Reader,
        deliverer: Deliverer,
        now: Callable[[], datetime],
    ) -> None:
        super().__init__(config_name=WORKFLOW_INSTANCE)
        self.engine = engine
        self.archive = archive
        self.jobs = jobs
        self.reader = reader
        self.deliverer = deliverer
        self.now = now

    @DBOS.workflow(name=f"{WORKFLOW_CLASS}.answer_film", max_recovery_attempts=_MOST_RECOVERIES)
    def answer_film(self, film_uid: str) -> None:
        """Read a film, compare it, write the answer. Every film gets a stated outcome."""
        try:
            if self.read(film_uid):
                self.write(film_uid)
        except Exception as error:  # a workflow's outer edge: the film must not stay without a word
            log.exception("failed", film=film_uid)
            self.state_failure(film_uid, type(error).__name__)
            raise

    @DBOS.workflow(name=f"{WORKFLOW_CLASS}.deliver", max_recovery_attempts=_MOST_RECOVERIES)
    def deliver(self, film_uid: str, destination: str) -> None:
        """Attempt one delivery; a failed one asks for the next itself."""
        self.attempt_delivery(film_uid, destination)

    @DBOS.step(retries_allowed=True, max_attempts=3)
    def read(self, film_uid: str) -> bool:
        """Pass the gate and ask the network; return whether there is something to answer."""
        started = monotonic()
        read = self.reader.read(self._path(film_uid))
        with Session(self.engine) as session, session.begin():
            instance = films.film(session, film_uid)
            if isinstance(read, Refusal):
                state, why = FilmState.NOT_ANALYSED, (read.reason.value, read.detail)
            else:
                state, why = FilmState.ANALYSED, ("", "")
                _save(session, instance, read, self.now())
            films.set_outcome(instance, state, self.now(), *why)
        log.info("read", film=film_uid, refused=why[0], duration_s=_since(started))
        return isinstance(read, Read)

    @DBOS.step(retries_allowed=True, max_attempts=3)
    def write(self, film_uid: str) -> None:
        """Compare with the prior, write the objects, and ask for their delivery."""
        started = monotonic()
        current = self._analysed(film_uid)
        if isinstance(current, Refusal):
            raise ServiceError(f"the film was readable and no longer is: {current.detail}")
        prior = self._prior(film_uid)
        answer, objects = self.reader.answer(
            current.read, prior.read if prior else None, current.at
        )
        stored = [self._keep(made) for made in objects]
        with Session(self.engine) as session, session.begin():
            instance = films.film(session, film_uid)
            if prior is not None and answer.comparison is not None:
                films.save_comparison(
                    session, current.analysis_id, prior.analysis_id, answer.comparison, self.now()
                )
            for made, where in zip(objects, stored, strict=True):
                films.save_result(
                    session,
                    instance,
                    kind=made.kind,
                    uid=made.ds.SOPInstanceUID,
                    sop_class_uid=made.ds.SOPClassUID,
                    stored=where,
                    destinations=self.deliverer.destinations,
                    now=self.now(),
                )
            for name in self.deliverer.destinations:
                self.jobs.deliver(session, film_uid, name, attempt=1)
            films.set_outcome(instance, FilmState.ANSWERED, self.now())
        log.info(
            "answered",
            film=film_uid,
            prior=prior.film_uid if prior else "",
            objects=len(objects),
            duration_s=_since(started),
        )

    @DBOS.step(retries_allowed=True, max_attempts=3)
    def state_failure(self, film_uid: str, reason: str) -> None:
        """Say that a film could not be answered although it might be."""
        detail = "hilum could not answer this film; its log says why. Try again: hilum queue retry"
        with Session(self.engine) as session, session.begin():
            instance = films.film(session, film_uid)
            films.set_outcome(instance, FilmState.FAILED, self.now(), reason, detail)

    @DBOS.step(retries_allowed=True, max_attempts=3)
    def attempt_delivery(self, film_uid: str, destination: str) -> None:
        """Send what a destination has not yet taken."""
        self.deliverer.attempt(film_uid, destination)

    def _prior(self, film_uid: str) -> _Analysed | None:
        """Return the best prior that can be read."""
        with Session(self.engine) as session:
            candidates = [film.uid for film in films.priors(session, films.film(session, film_uid))]
        for candidate in candidates[:_PRIORS_TRIED]:
            prior = self._analysed(candidate)
            if isinstance(prior, _Analysed):
                return prior
        return None

    def _analysed(self, film_uid: str) -> _Analysed | Refusal:
        """Return a film with what our model says of it, asking only if it was never asked."""
        opened = self.reader.open(self._path(film_uid))
        if isinstance(opened, Refusal):
            return opened
        with Session(self.engine) as session, session.begin():
            instance = films.film(session, film_uid)
            row = films.analysis(session, instance, self.reader.engine.bundle.identity)
            if row is None:
                read = Read(opened, self.reader.engine.read(opened.film))
                row = _save(session, instance, read, self.now())
            session.flush()
            return _Analysed(
                film_uid, row.id, Read(opened, films.prediction_of(row)), row.created_at
            )

    def _path(self, film_uid: str) -> Path:
        with Session(self.engine) as session:
            return self.archive.path(films.film(session, film_uid).path)

    def _keep(self, made: ResultObject) -> Stored:
        ds = made.ds
        return self.archive.keep_result(to_bytes(ds), ds.StudyInstanceUID, ds.SOPInstanceUID)


def _save(session: Session, instance: Instance, read: Read, now: datetime) -> Analysis:
    """Remember what was said of a film; said again, it is the same."""
    row = films.analysis(session, instance, read.prediction.model)
    return row or films.save_analysis(session, instance, read.prediction, read.opened.notes, now)


def _since(started: float) -> float:
    return round(monotonic() - started, 3)
