"""The tables of who is who."""

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, ForeignKey, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from scp.index.schema.states import Base
from scp.matching.patient_ids import id_key


def _key_of(context: Any) -> str:
    return id_key(context.get_current_parameters()["patient_id"])


class Patient(Base):
    """A person, as one issuer numbers them. Same number, other issuer: another person.

    ``id_key`` is shared by Patient IDs that are nearly the same; ``placeholder`` says that the ID
    names nobody by the settings that the service was started with (`scp.matching.patient_ids`).
    ``merged_into`` is the row of the patient whose the films are that come with this ID.
    """

    __tablename__ = "patient"
    __table_args__ = (UniqueConstraint("patient_id", "issuer"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    patient_id: Mapped[str]
    issuer: Mapped[str]
    id_key: Mapped[str | None] = mapped_column(default=_key_of, index=True)
    placeholder: Mapped[bool] = mapped_column(default=False, server_default=false())
    merged_into: Mapped[int | None]


class Correction(Base):
    """A film's data in the index before it was corrected; the film's row has those of now.

    ``by`` is the AE title or the person that did it, ``how`` "resent", "merged" or "moved".
    """

    __tablename__ = "correction"

    id: Mapped[int] = mapped_column(primary_key=True)
    instance_id: Mapped[int] = mapped_column(ForeignKey("instance.id"), index=True)
    at: Mapped[datetime]
    by: Mapped[str]
    how: Mapped[str]
    path: Mapped[str] = mapped_column(index=True)
    sha256: Mapped[str]
    patient_id: Mapped[int | None]
    patient_name: Mapped[str | None]
    birth_date: Mapped[str | None]
    sex: Mapped[str | None]
    accession_number: Mapped[str | None]
    acquired_at: Mapped[datetime | None] = mapped_column(DateTime())
