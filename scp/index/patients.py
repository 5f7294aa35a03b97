"""All films of one patient, addressed by a number that is no patient data."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from inference.model.operating_points import BUNDLES_OWN, OperatingSettings
from scp.index.acquisition import acquired
from scp.index.schema.tables import Instance, Patient
from scp.index.trend import Trend, trend
from scp.index.values import FilmRow
from scp.index.worklist.film_rows import patient_rows


@dataclass(frozen=True)
class PatientFilms:
    """A patient's films, the newest taken first, and how each finding went.

    ``number`` is how many there are in all. ``placeholder``: the Patient ID names nobody, so the
    films may be of different people.
    """

    patient_id: str
    issuer: str
    films: tuple[FilmRow, ...]
    number: int
    trend: Trend
    placeholder: bool = False


def patient_films(
    session: Session,
    row_id: int,
    limit: int,
    zone: tzinfo,
    settings: OperatingSettings = BUNDLES_OWN,
) -> PatientFilms | None:
    """Return a patient's films, at most ``limit``; None when there is no such patient."""
    patient = session.get(Patient, row_id)
    if patient is None:
        return None
    own = Instance.patient_id == row_id
    films = newest_taken_first(patient_rows(session, row_id, limit, settings), zone)
    return PatientFilms(
        patient_id=patient.patient_id,
        issuer=patient.issuer,
        films=films,
        number=session.scalar(select(func.count(Instance.id)).where(own)) or 0,
        trend=_trend(session, films, zone, settings),
        placeholder=patient.placeholder,
    )


def newest_taken_first(films: Sequence[FilmRow], zone: tzinfo) -> tuple[FilmRow, ...]:
    """Order films by when they were taken; those without a known date are last."""

    def order(film: FilmRow) -> tuple[datetime, datetime]:
        taken = acquired(film, zone)
        return taken.earliest if taken else datetime.min.replace(tzinfo=UTC), film.received_at

    return tuple(sorted(films, key=order, reverse=True))


def _trend(
    session: Session, films: Sequence[FilmRow], zone: tzinfo, settings: OperatingSettings
) -> Trend:
    """Return how findings went, as the model said that read the newest film."""
    read = next((film.uid for film in films if film.findings), None)
    if read is None:
        return Trend("")
    newest = session.scalars(select(Instance).where(Instance.uid == read)).one()
    return trend(session, newest, zone, settings)
