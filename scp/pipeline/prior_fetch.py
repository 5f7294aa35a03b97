"""Fetch a film's priors from the PACS before it is answered, or later.

Whatever goes wrong is written down, stated in the answer and tried again by a job of its own. The
film is answered with what is here by then.
"""

from dataclasses import dataclass
from time import monotonic

import structlog
from sqlalchemy.orm import Session

from inference.image.acquisition import AcquisitionTime
from scp.config.priors import PriorsSettings
from scp.dimse.priors import Current, Patient
from scp.dimse.retrieve import fetch_priors
from scp.errors import (
    AssociationRejected,
    DeadlinePassed,
    NoPatientKey,
    NothingAccepted,
    NotSecured,
    PeerUnreachable,
    PriorsUnavailable,
    QueryFailed,
    RetrieveFailed,
)
from scp.index import films, prior_fetches
from scp.index.acquisition import acquired
from scp.index.locking import lock
from scp.index.prior_fetches import Outcome
from scp.index.schema import tables
from scp.matching.prior import Code, Reason
from scp.outcomes.backoff import backoff_s
from scp.pipeline.intake import Intake

log = structlog.get_logger(__name__)

_OUTCOMES: dict[type[PriorsUnavailable], Outcome] = {
    NoPatientKey: Outcome.NO_PATIENT_KEY,
    PeerUnreachable: Outcome.UNREACHABLE,
    NotSecured: Outcome.NOT_SECURED,
    AssociationRejected: Outcome.REJECTED,
    NothingAccepted: Outcome.NOT_OFFERED,
    QueryFailed: Outcome.QUERY_FAILED,
    RetrieveFailed: Outcome.INCOMPLETE,
    DeadlinePassed: Outcome.TOO_LATE,
}
# asking again is of no use
_FINAL = (Outcome.DONE, Outcome.NO_PATIENT_KEY)
# nothing was heard of the PACS: the next films need not wait for it as well
_SILENT = (Outcome.UNREACHABLE, Outcome.TOO_LATE)
# for who reads the answer
_WORDS = {
    Outcome.UNREACHABLE: "it could not be reached",
    Outcome.NOT_SECURED: "the connection to it could not be secured",
    Outcome.REJECTED: "it refused the connection",
    Outcome.NOT_OFFERED: "it does not offer this",
    Outcome.QUERY_FAILED: "it did not answer the question",
    Outcome.INCOMPLETE: "not all of them arrived",
    Outcome.TOO_LATE: "not all of them arrived in time",
    Outcome.BROKEN: "hilum's log has the reason",
}


def not_fetched(outcome: Outcome | None) -> tuple[Reason, ...]:
    """Return what an answer has to say of priors that may be missing; nothing when none may."""
    if outcome is None or outcome is Outcome.DONE:
        return ()
    if outcome is Outcome.NO_PATIENT_KEY:
        text = "Earlier films were not asked for at the PACS: the Patient ID may match others."
    else:
        text = f"Earlier films could not be fetched from the PACS: {_WORDS[outcome]}."
    return (Reason(Code.NOT_FETCHED, f"{text} Only films that are here were considered."),)


@dataclass(frozen=True)
class _Film:
    """What is asked by: the keys of the patient, the study, and when the film was taken."""

    patient: tuple[str, str]
    study_uid: str
    taken: AcquisitionTime


@dataclass(frozen=True)
class _Went:
    """How asking ended, how many priors came, and what the log says of it."""

    outcome: Outcome
    arrived: int = 0
    error: str = ""


class Fetcher:
    """Asks the PACS for priors and takes them in through ``intake``."""

    def __init__(
        self,
        intake: Intake,
        settings: PriorsSettings,
        calling_ae_title: str,
        *,
        secondary_captures: bool,
    ) -> None:
        self.intake = intake
        self.settings = settings
        self.calling_ae_title = calling_ae_title
        self.secondary_captures = secondary_captures
        self._silent_until = 0.0

    def fetch(self, film_uid: str, attempt: int = 1) -> None:
        """Bring a film's priors here within the time limit; what fails is tried again later.

        A step that may be done again: what has come is not asked for a second time.
        """
        known = self._known(film_uid) if self.settings.retrieve != "off" else None
        if known is None:
            return
        started = monotonic()
        if attempt == 1 and started < self._silent_until:
            went = _Went(Outcome.UNREACHABLE, error="it did not answer a moment ago")
        else:
            went = self._ask(known)
            self._note_silence(went)
        wait_s = self._save(film_uid, attempt, went.outcome)
        done = went.outcome is Outcome.DONE
        say = log.info if done else log.warning
        say(
            "priors fetched" if done else "priors not fetched",
            film=film_uid,
            pacs=self.settings.ae_title,
            outcome=went.outcome.value,
            arrived=went.arrived,
            error=went.error,
            attempt=attempt,
            again_in_s=wait_s,
            duration_s=round(monotonic() - started, 3),
        )

    def _known(self, film_uid: str) -> _Film | None:
        """Return what to ask by; None for a film that is never compared, whoever is asked."""
        with Session(self.intake.engine) as session:
            film = films.film(session, film_uid)
            patient = session.get(tables.Patient, film.patient_id) if film.patient_id else None
            taken = acquired(film, self.intake.zone)
            if patient is None or patient.placeholder or taken is None:
                return None
            return _Film((patient.patient_id, patient.issuer), film.series.study.uid, taken)

    def _ask(self, film: _Film) -> _Went:
        """Find and retrieve; any failure is an answer."""
        try:
            _, retrieved = fetch_priors(
                self.settings,
                self.calling_ae_title,
                Current(Patient(*film.patient), film.study_uid, film.taken),
                self.intake.ingest_prior,
                self.intake.archive.incoming,
                secondary_captures=self.secondary_captures,
                held=self._is_held,
            )
        except PriorsUnavailable as error:
            arrived = len(error.arrived)
            if arrived and not error.missing:  # all is here, only the farewell is not
                return _Went(Outcome.DONE, arrived)
            outcome = _OUTCOMES.get(type(error), Outcome.BROKEN)
            return _Went(outcome, arrived, str(error))
        except Exception:  # the edge to a foreign peer: whatever it does, the film is answered
            log.exception("priors not asked for")
            return _Went(Outcome.BROKEN, error="the line before says why")
        return _Went(Outcome.DONE, len(retrieved.arrived))

    def _is_held(self, uid: str) -> bool:
        with Session(self.intake.engine) as session:
            return prior_fetches.is_held(session, uid)

    def _note_silence(self, went: _Went) -> None:
        """Let no other film wait for a PACS of which nothing is heard, for a while."""
        silent = went.outcome in _SILENT and not went.arrived
        self._silent_until = monotonic() + self.settings.retry_s if silent else 0.0

    def _save(self, film_uid: str, attempt: int, outcome: Outcome) -> float | None:
        """Write down how it went, and ask for the next attempt; return the seconds until then."""
        wait_s = backoff_s(self.settings.retry_s, attempt)
        with Session(self.intake.engine) as session, session.begin():
            lock(session, tables.Instance, uid=film_uid)
            film = films.film(session, film_uid)
            prior_fetches.save(session, film, attempt, outcome, self.intake.now())
            if outcome in _FINAL or attempt >= self.settings.attempts:
                return None
            self.intake.jobs.fetch_priors(session, film_uid, attempt + 1, wait_s)
            return wait_s
