"""Taking an object into the index."""

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import Enum, auto

from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import UID
from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from inference.image.acquisition import AcquisitionTime, acquisition_time
from inference.image.header import MALFORMED, text
from inference.image.view import view_of
from scp.archive import Stored, valid_uid
from scp.config.patients import PLACEHOLDERS
from scp.errors import HilumError
from scp.index.acquisition import keep
from scp.index.schema.tables import Base, FilmState, Instance, Patient, Quarantined, Series, Study
from scp.index.worklist.entries import set_words
from scp.matching.patient_ids import is_placeholder
from scp.matching.person import NOBODY, Person

# three component groups of 64 characters (PS3.5 6.2), and as much again for careless senders
_LONGEST_TEXT = 400


class RowGone(HilumError):
    """A row was deleted while a film that belongs to it came in; the sender may send it again."""


@dataclass(frozen=True)
class Identity:
    """Which object a header says it is. ``patient`` is (ID, issuer), or None when unusable."""

    sop_uid: UID
    series_uid: UID
    study_uid: UID
    sop_class_uid: UID
    modality: str
    patient: tuple[str, str] | None
    acquired: AcquisitionTime | None
    view: str
    person: Person = NOBODY
    accession_number: str = ""


class Recorded(Enum):
    """What became of an object that was offered to the index."""

    NEW = auto()
    SAME = auto()
    OTHER_BYTES = auto()
    CORRECTED = auto()


def identify(ds: Dataset, zone: tzinfo, received_at: datetime) -> Identity:
    """Read who an object is; ``zone`` is the site's (`inference.image.acquisition`).

    Raises
    ------
    Unreadable
        One of its UIDs is absent or invalid.
    """
    return Identity(
        sop_uid=valid_uid(ds.get("SOPInstanceUID"), "SOPInstanceUID"),
        series_uid=valid_uid(ds.get("SeriesInstanceUID"), "SeriesInstanceUID"),
        study_uid=valid_uid(ds.get("StudyInstanceUID"), "StudyInstanceUID"),
        sop_class_uid=valid_uid(ds.get("SOPClassUID"), "SOPClassUID"),
        modality=str(ds.get("Modality") or "").replace("\0", ""),  # PostgreSQL takes none
        patient=usable_patient(ds),
        acquired=acquisition_time(ds, zone, received_at),
        view=view_of(ds).view.value,
        person=person_of(ds),
        accession_number=readable(ds, "AccessionNumber"),
    )


def person_of(ds: Dataset) -> Person:
    """Return what a header says of whose it is, beside the Patient ID. It never raises."""
    keywords = ("PatientName", "PatientBirthDate", "PatientSex")
    return Person(*(readable(ds, keyword) for keyword in keywords))


def readable(ds: Dataset, keyword: str) -> str:
    """Return a text of the header as people read it; "" when it is none. It never raises.

    A PN value keeps its component groups. Control characters become spaces: no database and no
    page is served by them.
    """
    try:
        value = text(ds, keyword)
    except MALFORMED:  # a name is decoded only now
        return ""
    plain = (" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in value)
    return "".join(plain).strip()[:_LONGEST_TEXT]


def usable_patient(ds: Dataset) -> tuple[str, str] | None:
    """Return (Patient ID, issuer), or None: absent, empty, several values in one, or binary.

    The same ID from another issuer is another person (PS3.3 C.7.1.1).
    """
    patient_id, issuer = ds.get("PatientID"), ds.get("IssuerOfPatientID")
    if isinstance(patient_id, MultiValue) or "\\" in str(patient_id or ""):
        return None
    text, by = str(patient_id or "").strip(), str(issuer or "").strip()
    return (text, by) if text and "\0" not in text + by else None


def register(
    session: Session,
    identity: Identity,
    stored: Stored,
    *,
    transfer_syntax_uid: str,
    calling_ae_title: str,
    now: datetime,
    fetched: bool = False,
    due_at: datetime | None = None,
    placeholders: Collection[str] = PLACEHOLDERS,
) -> Recorded:
    """Add an object's rows; say whether it was new. Commit is the caller's.

    ``fetched``: hilum itself asked for it, as a prior; otherwise somebody sent it, and a reader
    should see it by ``due_at``. ``placeholders`` are Patient IDs that name nobody.

    Raises
    ------
    RowGone
        Somebody deleted one of its rows at the same moment; the sender may send it again.
    """
    known = session.scalar(select(Instance.sha256).where(Instance.uid == identity.sop_uid))
    if known is not None:
        return Recorded.SAME if known == stored.sha256 else Recorded.OTHER_BYTES
    study_id = _id_of(session, Study, {"uid": identity.study_uid})
    series_id = _id_of(
        session,
        Series,
        {"uid": identity.series_uid},
        {"study_id": study_id, "modality": identity.modality},
    )
    instance = Instance(
        uid=identity.sop_uid,
        series_id=series_id,
        sop_class_uid=identity.sop_class_uid,
        transfer_syntax_uid=transfer_syntax_uid,
        path=stored.path,
        sha256=stored.sha256,
        size_bytes=stored.size_bytes,
        calling_ae_title=calling_ae_title,
        received_at=now,
        state=FilmState.FETCHED if fetched else FilmState.RECEIVED,
        finished_at=now if fetched else None,
        due_at=due_at,
    )
    describe(session, instance, identity, placeholders)
    return Recorded.NEW


def describe(
    session: Session, instance: Instance, identity: Identity, placeholders: Collection[str]
) -> None:
    """Write what a header says of a film into its row."""
    instance.patient_id = None
    if identity.patient is not None:
        instance.patient_id = patient_row(session, identity.patient, placeholders)
    keep(instance, identity.acquired)
    instance.view = identity.view
    session.add(instance)
    session.flush()
    set_words(session, instance, identity.person, identity.accession_number)


def patient_row(session: Session, patient: tuple[str, str], placeholders: Collection[str]) -> int:
    """Return the row of a patient, made if need be, or of the one that it was merged into."""
    row_id = own_row(session, patient, placeholders)
    merged = session.scalar(select(Patient.merged_into).where(Patient.id == row_id))
    return row_id if merged is None else merged


def own_row(session: Session, patient: tuple[str, str], placeholders: Collection[str]) -> int:
    """Return the row of a patient, made if need be, whoever it was merged into.

    Raises
    ------
    RowGone
        Somebody deleted it at the same moment.
    """
    key = dict(zip(("patient_id", "issuer"), patient, strict=True))
    nobody = is_placeholder(patient[0], placeholders)
    return _id_of(session, Patient, key, {"placeholder": nobody})


def promote_fetched(
    session: Session,
    uid: str,
    calling_ae_title: str,
    now: datetime,
    due_at: datetime | None = None,
) -> bool:
    """Make a fetched prior a film that was sent, now and by whom; say whether it was one."""
    claimed = session.execute(
        update(Instance)
        .where(Instance.uid == uid, Instance.state == FilmState.FETCHED)
        .values(
            state=FilmState.RECEIVED,
            calling_ae_title=calling_ae_title,
            received_at=now,
            finished_at=None,
            due_at=due_at,
        )
        .returning(Instance.id)
    )
    return claimed.one_or_none() is not None


def record_refusal(
    session: Session,
    stored: Stored,
    *,
    sop_instance_uid: str,
    calling_ae_title: str,
    status: int,
    reason: str,
    now: datetime,
) -> None:
    """Remember bytes that were refused and kept."""
    session.add(
        Quarantined(
            path=stored.path,
            sha256=stored.sha256,
            sop_instance_uid=sop_instance_uid,
            calling_ae_title=calling_ae_title,
            status=status,
            reason=reason,
            received_at=now,
        )
    )


def _id_of(
    session: Session,
    table: type[Base],
    key: dict[str, str],
    rest: dict[str, object] | None = None,
) -> int:
    """Return the id of the row with this key, made if need be, whoever else makes it too."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    session.execute(insert(table).values(**key, **(rest or {})).on_conflict_do_nothing())
    found = session.scalar(select(table.__table__.c.id).filter_by(**key))
    if found is None:  # deleted between the two statements
        raise RowGone(f"the {table.__tablename__} row was deleted while a film of it came in")
    return int(found)
