"""Answer one film: gate, read, compare, write. Each method can be repeated after a kill.

`scp.pipeline.workflow` makes durable steps of them; `hilum analyse` calls them by hand.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from time import monotonic

import sqlalchemy as sa
import structlog
from pydicom.errors import InvalidDicomError
from sqlalchemy.orm import Session

from inference.image.dicom_file import read_dicom
from inference.image.gate import Refusal
from inference.image.header import MALFORMED
from scp.archive import Archive
from scp.config.worklist import WorklistSettings
from scp.errors import ServiceError
from scp.index import films, finished_steps, prior_choices
from scp.index.corrections import is_stale
from scp.index.finished_steps import JobStep
from scp.index.schema.tables import FilmState
from scp.matching.prior import Choice, choose, given_up
from scp.outcomes.failures import SENTENCES, Cause, Step
from scp.pipeline.film_outcome import FilmOutcomes
from scp.pipeline.further_answer import Basis, Editions, Making
from scp.pipeline.model_output import Analysed, Analyser
from scp.pipeline.patience import is_away
from scp.pipeline.prepared import Prepared, PreparedAnswers, reading_of
from scp.pipeline.prior_candidates import Known, consider
from scp.pipeline.queue import Jobs
from scp.pipeline.reader import Opened, Reader
from scp.pipeline.reanswer import enqueue_reanswers
from scp.results.answer import Answer
from scp.results.kinds import REPORT
from scp.results.tracking import tracked, tracking_uids

log = structlog.get_logger(__name__)

# a prior that turns out to be unreadable is passed over; this many are tried
_PRIORS_TRIED = 3

_FAILED = "hilum could not answer this film"


class Answerer:
    """Makes the answer to a film, and asks for its delivery to the ``destinations``.

    They are named, each with the kinds of object that it gets; none named: all. A newer film that
    is now to be compared with another prior is answered again ``settle_s`` later.
    """

    def __init__(
        self,
        engine: sa.Engine,
        archive: Archive,
        jobs: Jobs,
        reader: Reader,
        destinations: Mapping[str, Collection[str]],
        now: Callable[[], datetime],
        settle_s: float = 0,
        worklist: WorklistSettings | None = None,
    ) -> None:
        self.engine = engine
        self.archive = archive
        self.jobs = jobs
        self.reader = reader
        self.now = now
        self.settle_s = settle_s
        self.editions = Editions(engine, archive, now, reader.zone)
        self.analyser = Analyser(engine, archive, reader, now, worklist)
        self.prepared = PreparedAnswers(engine, archive)
        self.outcomes = FilmOutcomes(
            engine, jobs, self.prepared, destinations, now, settle_s, self.analyser
        )

    def read(self, film_uid: str, job: str = "") -> bool:
        """Pass the gate and ask the network; return whether there is something to answer.

        ``job`` is whose step this is: the same step of a job takes effect once.
        """
        step = JobStep(film_uid, job, Step.READ.name)
        done = self.outcomes.finished(step)
        if done is not None:
            return done
        started, refused = monotonic(), self.prepared.find(step)
        if refused is None:
            opened = self.reader.open(self.analyser.path(film_uid))
            if not isinstance(opened, Refusal):
                return self._read(step, opened, started)
            refused = self._prepare_refusal(step, opened)
        self.outcomes.state(step, refused)
        log.info("read", film=film_uid, refused=refused.reason, duration_s=_since(started))
        return False

    def _read(self, step: JobStep, opened: Opened, started: float) -> bool:
        output = self.reader.output(opened)
        with Session(self.engine) as session, session.begin():
            instance = films.film(session, step.film_uid)
            prior_choices.lock_patient(session, instance)
            waits = films.set_outcome(instance, FilmState.ANALYSED, self.now())
            finished_steps.save(session, instance, step, result=waits)
            if not waits:
                log.info("cancelled meanwhile", film=step.film_uid)
                return False
            self.analyser.remember(session, instance, opened, output)
            enqueue_reanswers(session, self.jobs, instance, self.settle_s, self.reader.zone)
        log.info("read", film=step.film_uid, refused="", duration_s=_since(started))
        return True

    def write(self, film_uid: str, job: str = "") -> None:
        """Compare with the prior, write the objects, and ask for their delivery."""
        step = JobStep(film_uid, job, Step.WRITE.name)
        if self.outcomes.finished(step) is None:
            self._write(step, self.prepared.find(step))

    def write_again(self, film_uid: str, job: str = "") -> None:
        """Answer a film again, if the rule compares it with another prior than it was.

        A film that has no answer yet is left alone: that answer will choose by itself.
        """
        step = JobStep(film_uid, job, Step.WRITE.name)
        if self.outcomes.finished(step) is not None:
            return
        prepared = self.prepared.find(step)
        if prepared is not None or self._is_outdated(film_uid):
            self._write(step, prepared)
        else:
            log.info("prior unchanged", film=film_uid)

    def _is_outdated(self, film_uid: str) -> bool:
        with Session(self.engine) as session:
            film = films.film(session, film_uid)
            outdated = prior_choices.is_outdated(session, film, self.reader.zone)
            return outdated or is_stale(session, film)

    def _write(self, step: JobStep, prepared: Prepared | None) -> None:
        started = monotonic()
        prepared = prepared or self._prepare(step)
        if not self.outcomes.state(step, prepared) or prepared.reading is None:
            return
        choice = prepared.reading.choice
        log.info(
            "answered",
            film=step.film_uid,
            prior=choice.prior.uid if choice.prior else "",
            why=choice.why.code.value,
            objects=len(prepared.objects),
            duration_s=_since(started),
        )

    def _prepare(self, step: JobStep) -> Prepared:
        """Decide the answer to a film: what it is compared with, and what is said."""
        film_uid = step.film_uid
        # first: it says of which revision
        known = consider(self.engine, self.archive, film_uid, self.reader.zone)
        current = self.analyser.analysed(film_uid)
        if isinstance(current, Refusal):
            return self._prepare_corrected(step, current)
        choice, prior = self._prior(known)
        answer = self._answer(current, choice, prior)
        reading = reading_of(known, current, prior, choice, answer)
        making = self.editions.objects(
            film_uid,
            lambda edition: self.reader.objects(replace(answer, edition=edition)),
            Basis(prior.film_uid if prior else "", reading.applied),
        )
        return self.prepared.keep(step, Prepared(FilmState.ANSWERED, reading=reading), making)

    def state_failure(self, film_uid: str, cause: Cause, sentence: str = "", job: str = "") -> None:
        """Say that a film could not be answered although it might be, and why in our own words."""
        step = JobStep(film_uid, job, Step.STATE.name)
        if self.outcomes.finished(step) is not None:
            return
        prepared = self.prepared.find(step)
        if prepared is None:
            sentence = sentence or SENTENCES[cause]
            making = self._statement(film_uid, cause.value, f"{_FAILED}. {sentence}")
            detail = f"{sentence} Try again: hilum queue retry film:{film_uid}"
            failed = Prepared(FilmState.FAILED, cause.value, detail)
            prepared = self.prepared.keep(step, failed, making)
        self.outcomes.state(step, prepared)

    def _prepare_refusal(self, step: JobStep, refusal: Refusal) -> Prepared:
        """Say that the gate does not let a film be read, and why."""
        reason, detail = refusal.reason.value, refusal.detail
        making = self._statement(step.film_uid, reason, detail)
        refused = Prepared(FilmState.NOT_ANALYSED, reason, detail)
        return self.prepared.keep(step, refused, making)

    def _prepare_corrected(self, step: JobStep, refusal: Refusal) -> Prepared:
        """Say the same of a film that was corrected since it was read, as to a child's.

        Raises
        ------
        ServiceError
            It was answered and not corrected: then its answer remains valid.
        """
        with Session(self.engine) as session:
            film = films.film(session, step.film_uid)
            if film.state is FilmState.ANSWERED and not is_stale(session, film):
                raise ServiceError(f"the film was readable and no longer is: {refusal.detail}")
        log.info("no longer read", film=step.film_uid, refused=refusal.reason)
        return self._prepare_refusal(step, refusal)

    def _statement(self, film_uid: str, reason: str, detail: str) -> Making:
        """Make the report that there is no answer, where it is asked for and can be made.

        The broad ``except`` is meant: the report must not keep the outcome from being stated, and
        whatever fails here may be what made the film fail.
        """
        try:
            filed = self.analyser.filed(film_uid)
            statement = self.reader.not_analysed(filed, reason, detail)
            if statement is None:
                return Making([])
            return self.editions.objects(
                film_uid,
                lambda edition: self.reader.objects(replace(statement, edition=edition)),
                Basis(),
            )
        except Exception as error:
            log.warning("no report of it", film=film_uid, error=type(error).__name__)
            return Making([])

    def _prior(self, known: Known) -> tuple[Choice, Analysed | None]:
        """Return the best prior that can be read, and the reasons for it."""
        choice, prior = self._best(known)
        return replace(choice, notes=(*choice.notes, *known.notes)), prior

    def _best(self, known: Known) -> tuple[Choice, Analysed | None]:
        passed: list[str] = []
        while True:
            choice = choose(known.current, known.others, passed, known.near)
            if choice.prior is None:
                return choice, None
            if len(passed) == _PRIORS_TRIED:
                return given_up(choice, _PRIORS_TRIED), None
            prior = self._if_readable(choice.prior.uid)
            if prior is not None:
                return choice, prior
            passed.append(choice.prior.uid)

    def _if_readable(self, film_uid: str) -> Analysed | None:
        """Return an earlier film with its findings; None when it cannot be read now."""
        try:
            prior = self.analyser.compared(film_uid)
        except OSError as error:
            if is_away(error, self.archive):
                raise
            # its file is gone: that is no fault of the current film
            log.warning("prior cannot be read", prior=film_uid, error=error.strerror)
            return None
        return prior if isinstance(prior, Analysed) else None

    def _answer(self, current: Analysed, choice: Choice, prior: Analysed | None) -> Answer:
        """Say all that was found on a film, and since its prior."""
        followed = self._followed(prior) if prior else {}
        read = prior.read if prior else None
        return self.reader.answer(current.read, read, current.at, choice, followed)

    def _followed(self, prior: Analysed) -> dict[str, str]:
        """Return what the prior follows its findings by; nothing where its report is gone.

        A prior that is being answered at the same time has no report yet: what it will say is
        worked out here, by the same steps.
        """
        with Session(self.engine) as session:
            instance = films.film(session, prior.film_uid)
            report = films.newest_result(session, instance, REPORT.name)
            to_come = instance.state in (FilmState.RECEIVED, FilmState.ANALYSED)
        if report is None:
            whole = self.analyser.analysed(prior.film_uid) if to_come else None
            if not isinstance(whole, Analysed):
                return {}
            known = consider(self.engine, self.archive, prior.film_uid, self.reader.zone)
            return tracking_uids(self._answer(whole, *self._prior(known)))
        try:
            return tracked(read_dicom(self.archive.path(report.path)))
        except (InvalidDicomError, *MALFORMED) as error:  # a finding that begins anew is no error
            log.warning("report unreadable", prior=prior.film_uid, error=type(error).__name__)
            return {}


def _since(started: float) -> float:
    return round(monotonic() - started, 3)
