"""What the rule is given when a film's prior is chosen."""

from copy import copy
from dataclasses import dataclass
from datetime import tzinfo

import sqlalchemy as sa
import structlog
from pydicom import Dataset
from sqlalchemy import select
from sqlalchemy.orm import Session

from inference.image.acquisition import acquisition_time
from scp.archive import Archive
from scp.errors import Unreadable
from scp.index import films, prior_choices, prior_fetches
from scp.index.acquisition import keep
from scp.index.corrections import has_withdrawn
from scp.index.registration import person_of, readable, usable_patient
from scp.index.schema.tables import Instance, Patient
from scp.index.similar_ids import nearly
from scp.index.worklist.entries import set_words
from scp.matching.prior import Code, Near, PriorCandidate, Reason
from scp.pipeline.intake import read_header
from scp.pipeline.prior_fetch import not_fetched

log = structlog.get_logger(__name__)

# of one patient before one comparison, those recorded last; `hilum reindex` reads all
_AT_ONCE = 50


@dataclass(frozen=True)
class Known:
    """What `scp.matching.prior.choose` is given, and what is to be said beside its choice."""

    current: PriorCandidate
    others: list[PriorCandidate]
    near: list[Near]
    notes: tuple[Reason, ...]


def consider(engine: sa.Engine, archive: Archive, film_uid: str, zone: tzinfo) -> Known:
    """Return what the rule looks at of a film and the others; ``zone`` is the site's."""
    with Session(engine) as session:
        patient_id = films.film(session, film_uid).patient_id
    know_persons(engine, archive, patient_id, zone)
    with Session(engine) as session:
        instance = films.film(session, film_uid)
        return Known(
            prior_choices.prior_candidate(session, instance, zone),
            prior_choices.prior_candidates(session, instance, zone),
            nearly(session, instance, zone),
            (
                *_withdrawn(session, instance),
                *not_fetched(prior_fetches.outcome(session, instance)),
            ),
        )


def _withdrawn(session: Session, instance: Instance) -> tuple[Reason, ...]:
    """Say that an answer of before no longer holds: a PACS may have it beside this one."""
    if not has_withdrawn(session, instance):
        return ()
    text = "An earlier answer to this film is withdrawn: patient data were corrected."
    return (Reason(Code.WITHDRAWN, text),)


def as_filed(session: Session, instance: Instance, header: Dataset) -> Dataset:
    """Return a film's header with the patient that an operator has filed it under.

    What was merged or moved by telephone is in the index alone; the archive keeps what came.
    """
    patient = session.get(Patient, instance.patient_id) if instance.patient_id else None
    if patient is None or usable_patient(header) == (patient.patient_id, patient.issuer):
        return header
    filed = copy(header)
    filed.SpecificCharacterSet = "ISO_IR 192"
    person = instance.person
    for keyword, value in (
        ("PatientID", patient.patient_id),
        ("IssuerOfPatientID", patient.issuer),
        ("PatientName", person.name),
        ("PatientBirthDate", person.birth_date),
        ("PatientSex", person.sex),
    ):
        setattr(filed, keyword, value)
    return filed


def know_persons(engine: sa.Engine, archive: Archive, patient_id: int | None, zone: tzinfo) -> None:
    """Read in the archive whose a patient's films are, and when taken, if the index knows it not.

    Earlier releases kept neither sex nor birth date, nor how exactly the time is known.
    A film that cannot be read stays as it is: what nobody states contradicts nothing.
    """
    if patient_id is None:
        return
    unknown = (
        Instance.patient_id == patient_id,
        Instance.birth_date.is_(None) | Instance.acquired_precision.is_(None),
    )
    rows = select(Instance.id, Instance.uid, Instance.path).where(*unknown)
    with Session(engine) as session:
        found = session.execute(rows.order_by(Instance.id.desc()).limit(_AT_ONCE)).all()
    for film_id, uid, path in found:
        try:
            ds = read_header(archive.path(path))
        except (OSError, Unreadable) as error:
            log.warning("header cannot be read", film=uid, error=type(error).__name__)
            continue
        with Session(engine) as session, session.begin():
            instance = session.get(Instance, film_id)
            if instance is not None and instance.path == path:
                keep(instance, acquisition_time(ds, zone, instance.received_at))
                if instance.birth_date is None:  # else an operator may have filed it elsewhere
                    set_words(session, instance, person_of(ds), readable(ds, "AccessionNumber"))
