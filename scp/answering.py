"""Answer one film: gate, read, compare, write. Each method may be killed and done again.

`scp.workflow` makes durable steps of them; `hilum analyse` calls them by hand.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from time import monotonic

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from inference.gate import Refusal
from scp.again import ask_again
from scp.archive import Archive, Stored
from scp.errors import ServiceError
from scp.fetching import not_fetched
from scp.index import choices, deliveries, fetches, films
from scp.index.schema import Analysis, FilmState, Instance
from scp.priors import Candidate, Choice, Code, Reason, choose
from scp.queue import Jobs
from scp.reading import Read, Reader
from scp.results.answer import ResultObject
from scp.results.objects import to_bytes

log = structlog.get_logger(__name__)

# a prior that turns out to be unreadable is passed over; this many are tried
_PRIORS_TRIED = 3


@dataclass(frozen=True, eq=False)
class _Analysed:
    """A film, what was said of it, and when."""

    film_uid: str
    analysis_id: int
    read: Read
    at: datetime


class Answerer:
    """Makes the answer to a film, and asks for its delivery to the ``destinations`` named.

    A newer film that is now to be compared with another prior is answered again ``settle_s``
    later.
    """

    def __init__(
        self,
        engine: sa.Engine,
        archive: Archive,
        jobs: Jobs,
        reader: Reader,
        destinations: Iterable[str],
        now: Callable[[], datetime],
        settle_s: float = 0,
    ) -> None:
        self.engine = engine
        self.archive = archive
        self.jobs = jobs
        self.reader = reader
        self.destinations = tuple(destinations)
        self.now = now
        self.settle_s = settle_s

    def read(self, film_uid: str) -> bool:
        """Pass the gate and ask the network; return whether there is something to answer."""
        started = monotonic()
        read = self.reader.read(self._path(film_uid))
        with Session(self.engine) as session, session.begin():
            instance = films.film(session, film_uid)
            choices.hold(session, instance)
            if isinstance(read, Refusal):
                state, why = FilmState.NOT_ANALYSED, (read.reason.value, read.detail)
            else:
                state, why = FilmState.ANALYSED, ("", "")
                _save(session, instance, read, self.now())
            films.set_outcome(instance, state, self.now(), *why)
            ask_again(session, self.jobs, instance, self.settle_s)
        log.info("read", film=film_uid, refused=why[0], duration_s=_since(started))
        return isinstance(read, Read)

    def write(self, film_uid: str) -> None:
        """Compare with the prior, write the objects, and ask for their delivery."""
        started = monotonic()
        current = self._analysed(film_uid)
        if isinstance(current, Refusal):
            raise ServiceError(f"the film was readable and no longer is: {current.detail}")
        choice, prior = self._prior(film_uid)
        answer, objects = self.reader.answer(
            current.read, prior.read if prior else None, current.at, choice
        )
        stored = [self._keep(made) for made in objects]
        with Session(self.engine) as session, session.begin():
            instance = films.film(session, film_uid)
            choices.hold(session, instance)
            choices.save(session, instance, choice, self.now())
            if prior is not None and answer.comparison is not None:
                films.save_comparison(
                    session, current.analysis_id, prior.analysis_id, answer.comparison, self.now()
                )
            self._save_results(session, instance, zip(objects, stored, strict=True))
            films.set_outcome(instance, FilmState.ANSWERED, self.now())
            ask_again(session, self.jobs, instance, self.settle_s)
        log.info(
            "answered",
            film=film_uid,
            prior=prior.film_uid if prior else "",
            why=choice.why.code.value,
            objects=len(objects),
            duration_s=_since(started),
        )

    def write_again(self, film_uid: str) -> None:
        """Answer a film again, if the rule compares it with another prior than it was.

        A film that has no answer yet is left alone: that answer will choose by itself.
        """
        with Session(self.engine) as session:
            outdated = choices.is_outdated(session, films.film(session, film_uid))
        if outdated:
            self.write(film_uid)
        else:
            log.info("prior unchanged", film=film_uid)

    def _save_results(
        self, session: Session, instance: Instance, made: Iterable[tuple[ResultObject, Stored]]
    ) -> None:
        """Remember the objects, and ask for the delivery of those that are new."""
        now = self.now()  # one moment for all objects of one answer
        numbers = {
            name: deliveries.next_job(session, instance.uid, name) for name in self.destinations
        }
        new = [
            films.save_result(
                session,
                instance,
                kind=result.kind,
                uid=result.ds.SOPInstanceUID,
                sop_class_uid=result.ds.SOPClassUID,
                stored=stored,
                destinations=numbers,
                now=now,
            )
            for result, stored in made
        ]
        if any(new):
            for name, number in numbers.items():
                self.jobs.deliver(session, instance.uid, name, number)

    def state_failure(self, film_uid: str, reason: str) -> None:
        """Say that a film could not be answered although it might be."""
        detail = "hilum could not answer this film; its log says why. Try again: hilum queue retry"
        with Session(self.engine) as session, session.begin():
            instance = films.film(session, film_uid)
            choices.hold(session, instance)
            films.set_outcome(instance, FilmState.FAILED, self.now(), reason, detail)
            ask_again(session, self.jobs, instance, self.settle_s)

    def _prior(self, film_uid: str) -> tuple[Choice, _Analysed | None]:
        """Return the best prior that can be read, and the reasons for it."""
        with Session(self.engine) as session:
            instance = films.film(session, film_uid)
            current = choices.candidate(session, instance)
            known = choices.candidates(session, instance)
            note = not_fetched(fetches.outcome(session, instance))
        choice, prior = self._best(current, known)
        return replace(choice, notes=(*choice.notes, *note)), prior

    def _best(self, current: Candidate, known: list[Candidate]) -> tuple[Choice, _Analysed | None]:
        passed: list[str] = []
        while True:
            choice = choose(current, known, passed)
            if choice.prior is None:
                return choice, None
            if len(passed) == _PRIORS_TRIED:
                return _given_up(choice), None
            prior = self._if_readable(choice.prior.uid)
            if prior is not None:
                return choice, prior
            passed.append(choice.prior.uid)

    def _if_readable(self, film_uid: str) -> _Analysed | None:
        """Return an earlier film with what is said of it; None when it cannot be read now."""
        try:
            prior = self._analysed(film_uid)
        except OSError as error:  # its file is gone: that is no fault of the current film
            log.warning("prior cannot be read", prior=film_uid, error=error.strerror)
            return None
        return prior if isinstance(prior, _Analysed) else None

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


def _given_up(choice: Choice) -> Choice:
    """Choose none: the best could not be read, and each further look takes its time."""
    text = f"The {_PRIORS_TRIED} best of the earlier films could not be read."
    return Choice(None, Reason(Code.UNREADABLE, text), rejected=choice.rejected)


def _save(session: Session, instance: Instance, read: Read, now: datetime) -> Analysis:
    """Remember what was said of a film; said again, it is the same."""
    row = films.analysis(session, instance, read.prediction.model)
    return row or films.save_analysis(session, instance, read.prediction, read.opened.notes, now)


def _since(started: float) -> float:
    return round(monotonic() - started, 3)
