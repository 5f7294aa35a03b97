"""A film's outcome takes effect: its objects, its rows and the jobs that follow, in one commit."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from scp.index import (
    deliveries,
    films,
    finished_steps,
    further_answers,
    outputs,
    prior_choices,
)
from scp.index.corrections import require_uncorrected
from scp.index.finished_steps import JobStep
from scp.index.schema.tables import Analysis, FilmState, Instance
from scp.pipeline.model_output import Analyser
from scp.pipeline.patience import is_away
from scp.pipeline.prepared import Prepared, PreparedAnswers, Reading
from scp.pipeline.queue import Jobs
from scp.pipeline.reanswer import enqueue_reanswers

log = structlog.get_logger(__name__)


class FilmOutcomes:
    """Prepares outcomes of films and has them take effect, once for each step of a job.

    Parameters
    ----------
    destinations
        By name, each with the kinds of object that it gets; none named: all.
    settle_s
        After so long are films answered again that now have another prior.
    """

    def __init__(
        self,
        engine: sa.Engine,
        jobs: Jobs,
        prepared: PreparedAnswers,
        destinations: Mapping[str, Collection[str]],
        now: Callable[[], datetime],
        settle_s: float,
        analyser: Analyser,
    ) -> None:
        self.engine = engine
        self.jobs = jobs
        self.prepared = prepared
        self.destinations = dict(destinations)
        self.now = now
        self.settle_s = settle_s
        self.analyser = analyser

    def finished(self, step: JobStep) -> bool | None:
        """Return what a step returned that has had its effect; None of one that has not."""
        with Session(self.engine) as session:
            result = finished_steps.result(session, step)
        if result is not None:  # it was killed after its commit
            self.prepared.discard(step)
        return result

    def state(self, step: JobStep, prepared: Prepared) -> bool:
        """Give a film its outcome; return whether it has it, and not the one of an operator.

        What cannot take effect is dropped, but for a disk or database that is away: the step's next
        try decides anew.

        Raises
        ------
        Corrected, AnsweredMeanwhile
            It rests on what is no longer so: it is to be prepared again.
        """
        try:
            with Session(self.engine) as session, session.begin():
                stated = self._state(session, step, prepared)
        except Exception as error:
            if not is_away(error, self.prepared.archive):
                self.prepared.discard(step)
            raise
        self.prepared.discard(step)
        return stated

    def _state(self, session: Session, step: JobStep, prepared: Prepared) -> bool:
        instance = films.film(session, step.film_uid)
        prior_choices.lock_patient(session, instance)
        finished_steps.save(session, instance, step, result=False)
        if prepared.reading is not None:
            require_uncorrected(session, prepared.reading.revisions)
        state, now = prepared.state, self.now()
        # what was answered meanwhile has not failed
        old = films.WAITING if state is FilmState.FAILED else tuple(FilmState)
        if not films.set_outcome(instance, state, now, prepared.reason, prepared.detail, old):
            log.info("has another outcome", film=step.film_uid, state=instance.state.value)
            return False
        self.prepared.place(step, prepared)
        if prepared.reading is not None:
            self._save_reading(session, instance, prepared.reading, now)
        self._save_results(session, instance, prepared, now)
        enqueue_reanswers(session, self.jobs, instance, self.settle_s, self.analyser.reader.zone)
        return True

    def _save_reading(
        self, session: Session, instance: Instance, reading: Reading, now: datetime
    ) -> None:
        prior_choices.save(session, instance, reading.choice, now)
        if reading.prior_analysis_id is not None and reading.comparison is not None:
            films.save_comparison(
                session, reading.analysis_id, reading.prior_analysis_id, reading.comparison, now
            )
        row = session.get_one(Analysis, reading.analysis_id)
        row.notes = list(reading.notes)  # the gate may say else than it did
        outputs.save_ratio(row, reading.ratio)  # and so may the header
        self.analyser.place(session, instance, row)

    def _save_results(
        self, session: Session, instance: Instance, prepared: Prepared, now: datetime
    ) -> None:
        """Remember the objects of an outcome, and ask for the delivery of those that are new."""
        further_answers.require_unsaved(session, prepared.further_id)
        numbers = {
            name: deliveries.next_job(session, instance.uid, name) for name in self.destinations
        }
        applied = prepared.reading.applied if prepared.reading is not None else None
        going = set[str]()
        for uid, kind in prepared.same.items():
            jobs = self._jobs_of(kind, numbers)
            going.update(jobs if films.stand_again(session, uid, jobs) else ())
        for one in prepared.objects:
            jobs = self._jobs_of(one.kind, numbers)
            new = films.save_result(
                session,
                instance,
                kind=one.kind,
                uid=one.uid,
                sop_class_uid=one.sop_class_uid,
                stored=one.stored,
                destinations=jobs,
                now=now,  # one moment for all objects of one answer
                applied=applied,
                content=one.content,
                further_id=prepared.further_id,
            )
            going.update(jobs if new else ())
        for name in going:
            self.jobs.deliver(session, instance.uid, name, numbers[name])

    def _jobs_of(self, kind: str, numbers: Mapping[str, int]) -> dict[str, int]:
        """Return where a kind of object goes, each with the number of the job that brings it."""
        wanted = self.destinations.items()
        return {name: numbers[name] for name, kinds in wanted if not kinds or kind in kinds}
