"""Films whose Patient ID is nearly a film's own, and Patient IDs that name nobody."""

from collections.abc import Collection
from datetime import tzinfo

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from scp.index import prior_choices
from scp.index.schema.tables import Instance, Patient
from scp.matching.patient_ids import differences, is_placeholder, keys
from scp.matching.prior import Near

# of each Patient ID that is nearly the same, the newest: one is enough to be told
_MOST_FILMS = 20
_MOST_PATIENTS = 20


def nearly(session: Session, instance: Instance, zone: tzinfo) -> list[Near]:
    """Return films of Patient IDs that differ from this film's in case, leading zeros and the like.

    They are never compared, but the answer says that they are here.
    """
    own = session.get(Patient, instance.patient_id) if instance.patient_id else None
    if own is None or own.placeholder:
        return []
    found = select(Patient).where(Patient.id_key == own.id_key, Patient.id != own.id)
    near = []
    for patient in session.scalars(found.order_by(Patient.id).limit(_MOST_PATIENTS)):
        differs = differences((own.patient_id, own.issuer), (patient.patient_id, patient.issuer))
        if differs and not patient.placeholder:
            films = prior_choices.newest(session, patient.id, _MOST_FILMS, zone)
            near += [Near(film, differs) for film in films]
    return near


def mark_placeholders(session: Session, placeholders: Collection[str]) -> None:
    """Say of each Patient ID whether it names nobody; commit is the caller's.

    At each start, so that a changed setting also holds for films that are here.
    """
    likely = Patient.placeholder | Patient.id_key.in_(keys(placeholders))
    for row_id, patient_id, marked in session.execute(
        select(Patient.id, Patient.patient_id, Patient.placeholder).where(likely)
    ).all():
        nobody = is_placeholder(patient_id, placeholders)
        if nobody != marked:
            session.execute(update(Patient).where(Patient.id == row_id).values(placeholder=nobody))
