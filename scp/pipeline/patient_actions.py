"""Operator actions on patients: merge, move, forget."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, tzinfo

import sqlalchemy as sa
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from scp.archive import Archive
from scp.config.patients import PatientsSettings
from scp.config.time_zone import SERVER_ZONE
from scp.errors import HilumError, Unreadable
from scp.index import prior_choices
from scp.index.corrections import remember
from scp.index.forgetting import forget_films
from scp.index.registration import own_row, person_of, usable_patient
from scp.index.schema.tables import Instance, Patient, Series, Study
from scp.index.worklist.entries import set_words
from scp.matching.patient_ids import differences, id_key
from scp.matching.person import Person
from scp.monitoring.audit import Actor
from scp.pipeline.intake import read_header
from scp.pipeline.prepared import PreparedAnswers
from scp.pipeline.queue import Jobs
from scp.pipeline.reanswer import answer_corrected

KEPT = (
    "Kept: the audit trail, which the law asks for and which has UIDs and no patient; logs, which"
    " have UIDs; backups; and what a PACS or another destination has, which hilum cannot delete."
)


class NoSuchPatient(HilumError):
    """The index has no such patient or film, or more than one; the text says what to give."""


@dataclass(frozen=True)
class Scope:
    """Finds patients and films by what an operator types."""

    session: Session

    def patients(self, patient_id: str, issuer: str | None) -> list[Patient]:
        """Return the patients of an ID, of one issuer or of all."""
        found = select(Patient).where(Patient.patient_id == patient_id).order_by(Patient.id)
        if issuer is not None:
            found = found.where(Patient.issuer == issuer)
        return list(self.session.scalars(found))

    def near(self, patient_id: str, issuer: str) -> list[Patient]:
        """Return the patients whose ID is nearly this one."""
        found = select(Patient).where(Patient.id_key == id_key(patient_id)).order_by(Patient.id)
        own = (patient_id, issuer)
        return [
            p for p in self.session.scalars(found) if differences(own, (p.patient_id, p.issuer))
        ]

    def one(self, patient_id: str, issuer: str | None) -> Patient:
        """Return the patient of an ID. Raises `NoSuchPatient` when there is none, or several."""
        found = self.patients(patient_id, issuer)
        if not found:
            raise NoSuchPatient(
                "the index holds no film of this Patient ID and issuer: `hilum patient show`"
            )
        if len(found) > 1:
            raise NoSuchPatient("several issuers have this Patient ID: name one with --issuer")
        return found[0]

    def films(self, patient: Patient) -> list[Instance]:
        """Return a patient's films, the oldest first."""
        own = select(Instance).where(Instance.patient_id == patient.id)
        return list(self.session.scalars(own.order_by(Instance.acquired_at, Instance.id)).unique())

    def named(self, uid: str) -> list[Instance]:
        """Return the film, or the films of the study, of this UID.

        Raises
        ------
        NoSuchPatient
            The index has neither.
        """
        study = select(Series.id).join(Series.study).where(Study.uid == uid)
        found = select(Instance).where((Instance.uid == uid) | Instance.series_id.in_(study))
        films = list(self.session.scalars(found.order_by(Instance.id)).unique())
        if not films:
            raise NoSuchPatient(f"the index holds no film and no study {uid!r}")
        return films


@dataclass(frozen=True)
class Forgotten:
    """How much was deleted."""

    films: int
    files: int


@dataclass(frozen=True)
class PatientFiles:
    """Changes whose films are whose, once it is recorded; ``actor`` is who asked for it."""

    engine: sa.Engine
    archive: Archive
    jobs: Jobs
    actor: Actor
    now: Callable[[], datetime]
    settle_s: float
    settings: PatientsSettings
    zone: tzinfo = SERVER_ZONE

    def merge(self, source_id: int, right: tuple[str, str]) -> tuple[int, int]:
        """Make all films of a patient another's, and those that come later.

        Returns
        -------
        tuple
            The number of the right patient's row, and how many films were moved.
        """
        with Session(self.engine) as session:
            into = self._right(session, right)
            self._require_mergeable(session, source_id, into)
            films = Scope(session).films(session.get_one(Patient, source_id))
            details = {"into": f"patient:{into}", "films": str(len(films))}
            with self.actor.doing("merged", f"patient:{source_id}", **details):
                _end_merge(session, into)
                earlier = (Patient.id == source_id) | (Patient.merged_into == source_id)
                session.execute(update(Patient).where(earlier).values(merged_into=into))
                self._file(session, films, into, "merged")
                session.commit()
            return into, len(films)

    def move(self, uids: Sequence[str], right: tuple[str, str]) -> tuple[int, int]:
        """Make films another patient's; return the number of its row, and how many were moved."""
        with Session(self.engine) as session:
            into = self._right(session, right)
            own = select(Instance).where(Instance.uid.in_(uids), _not_of(into))
            films = list(session.scalars(own.order_by(Instance.id)).unique())
            with ExitStack() as recorded:
                for film in films:
                    moved = self.actor.doing("moved", film.uid, into=f"patient:{into}")
                    recorded.enter_context(moved)
                _end_merge(session, into)
                self._file(session, films, into, "moved")
                session.commit()
            return into, len(films)

    def forget(self, patient_id: int) -> Forgotten:
        """Delete a patient's films, answers and rows; files last, so that a kill loses no row's."""
        with Session(self.engine) as session:
            uids = [f.uid for f in Scope(session).films(session.get_one(Patient, patient_id))]
        with ExitStack() as recorded:
            for target in (*uids, f"patient:{patient_id}"):
                recorded.enter_context(self.actor.doing("forgotten", target))
            return self._forget(patient_id, uids)

    def _forget(self, patient_id: int, uids: Sequence[str]) -> Forgotten:
        for uid in uids:
            self.jobs.forget(uid)
        with Session(self.engine) as session, session.begin():
            films = Scope(session).films(session.get_one(Patient, patient_id))
            again, paths = forget_films(session, films)
            session.execute(
                update(Patient).where(Patient.merged_into == patient_id).values(merged_into=None)
            )
            session.execute(delete(Patient).where(Patient.id == patient_id))
            for film in again:
                self.jobs.answer_again(session, film.uid, film.uid, 0, f"{film.revision}-forgotten")
        for path in paths:
            self.archive.path(path).unlink(missing_ok=True)
        for uid in uids:
            PreparedAnswers(self.engine, self.archive).forget(uid)
        return Forgotten(len(uids), len(paths))

    def _right(self, session: Session, right: tuple[str, str]) -> int:
        """Return the row of the patient that is right, whoever it was merged into."""
        if not right[0]:
            raise NoSuchPatient("a Patient ID is needed")
        return own_row(session, right, self.settings.placeholders)

    def _require_mergeable(self, session: Session, source_id: int, into_id: int) -> None:
        """Raise `NoSuchPatient` where a merge cannot be meant."""
        into = session.get_one(Patient, into_id, populate_existing=True)
        if into_id == source_id:
            raise NoSuchPatient("the two are one and the same patient")
        if into.placeholder:
            raise NoSuchPatient("this Patient ID is a placeholder: it identifies nobody")
        if into.merged_into not in (None, source_id):  # else a merge is turned round
            raise NoSuchPatient(
                f"this Patient ID was merged into patient:{into.merged_into}: name that one's, or"
                " end the merge with `hilum patient move UID --into` this ID"
            )

    def _file(self, session: Session, films: Sequence[Instance], into: int, kind: str) -> None:
        """Make films a patient's, as the patient's newest film states who that is.

        A film that states this patient itself comes back: it is its own witness.
        """
        known, right = _person_of(session, into), session.get_one(Patient, into)
        for film in films:
            prior_choices.lock_patient(session, film)
            remember(session, film, kind, self.actor.person, self.now())
            film.patient_id = into
            person = self._own_person(film, right) or known or film.person
            set_words(session, film, person, film.accession_number or "")
        for film in films:
            prior_choices.lock_patient(session, film)
            answer_corrected(session, self.jobs, film, self.settle_s, self.zone)

    def _own_person(self, film: Instance, patient: Patient) -> Person | None:
        """Return whose a film is by its header, if that names this patient; None otherwise."""
        try:
            header = read_header(self.archive.path(film.path))
        except (OSError, Unreadable):
            return None
        same = usable_patient(header) == (patient.patient_id, patient.issuer)
        return person_of(header) if same else None


def _end_merge(session: Session, patient_id: int) -> None:
    """Let what comes with a patient's own ID be that patient's again."""
    session.execute(update(Patient).where(Patient.id == patient_id).values(merged_into=None))


def _not_of(patient_id: int) -> sa.ColumnElement[bool]:
    return Instance.patient_id.is_(None) | (Instance.patient_id != patient_id)


def _person_of(session: Session, patient_id: int) -> Person | None:
    """Return who a patient is, as the film says that came last; None without a film."""
    own = select(Instance).where(Instance.patient_id == patient_id)
    film = session.scalars(own.order_by(Instance.id.desc()).limit(1)).unique().one_or_none()
    return film.person if film else None
