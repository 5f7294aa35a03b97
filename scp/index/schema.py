"""The index: what hilum remembers of every film, as tables.

Names and birth dates are not kept: the archived objects have them. Alembic migrations in
``migrations/`` make these tables; a test compares the two.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Enum,
    ForeignKey,
    LargeBinary,
    MetaData,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from scp.index.moments import UtcDateTime


class FilmState(StrEnum):
    """Where a received object stands. Every one that was sent ends in one of the last three.

    FETCHED: a prior that hilum itself brought from the PACS; nobody asked for its answer.
    """

    FETCHED = "fetched"

    RECEIVED = "received"
    ANALYSED = "analysed"
    ANSWERED = "answered"
    NOT_ANALYSED = "not analysed"
    FAILED = "failed"


class DeliveryState(StrEnum):
    """Where one result stands at one destination."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead letter"
    CANCELLED = "cancelled"


def as_text(states: type[StrEnum]) -> Enum:
    """Store a state's own word, as plain text on every database."""
    return Enum(
        states, native_enum=False, length=20, values_callable=lambda e: [state.value for state in e]
    )


class Base(DeclarativeBase):
    """All tables of the index."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 -- SQLAlchemy's own way
        datetime: UtcDateTime,
        dict[str, Any]: JSON,
        list[Any]: JSON,
        FilmState: as_text(FilmState),
        DeliveryState: as_text(DeliveryState),
    }


class Patient(Base):
    """A person, as one issuer numbers them. Same number, other issuer: another person."""

    __tablename__ = "patient"
    __table_args__ = (UniqueConstraint("patient_id", "issuer"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    patient_id: Mapped[str]
    issuer: Mapped[str]


class Study(Base):
    """A study. It has no patient of its own: each object's header says whose it is."""

    __tablename__ = "study"

    id: Mapped[int] = mapped_column(primary_key=True)
    uid: Mapped[str] = mapped_column(unique=True)


class Series(Base):
    """A series of a study."""

    __tablename__ = "series"

    id: Mapped[int] = mapped_column(primary_key=True)
    uid: Mapped[str] = mapped_column(unique=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"), index=True)
    modality: Mapped[str]
    study: Mapped[Study] = relationship(lazy="joined")


class Instance(Base):
    """A received object, and its stated outcome.

    ``patient_id`` is empty without a usable Patient ID (absent, empty, several values): then
    there is never a prior. ``acquired_at`` is the
    sender's local time, without a zone, from the header attribute named in ``acquired_from``.
    """

    __tablename__ = "instance"

    id: Mapped[int] = mapped_column(primary_key=True)
    uid: Mapped[str] = mapped_column(unique=True)
    series_id: Mapped[int] = mapped_column(ForeignKey("series.id"), index=True)
    patient_id: Mapped[int | None] = mapped_column(ForeignKey("patient.id"), index=True)
    sop_class_uid: Mapped[str]
    transfer_syntax_uid: Mapped[str]
    path: Mapped[str]
    sha256: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    calling_ae_title: Mapped[str]
    received_at: Mapped[datetime] = mapped_column(index=True)
    acquired_at: Mapped[datetime | None] = mapped_column(DateTime(), index=True)
    acquired_from: Mapped[str]
    view: Mapped[str]
    state: Mapped[FilmState] = mapped_column(index=True)
    reason: Mapped[str] = mapped_column(default="")
    detail: Mapped[str] = mapped_column(default="")
    finished_at: Mapped[datetime | None]
    series: Mapped[Series] = relationship(lazy="joined")
    analyses: Mapped[list["Analysis"]] = relationship(back_populates="instance")
    results: Mapped[list["Result"]] = relationship(back_populates="instance")


class Analysis(Base):
    """What one model said of one film."""

    __tablename__ = "analysis"
    __table_args__ = (UniqueConstraint("instance_id", "model_sha256"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    instance_id: Mapped[int] = mapped_column(ForeignKey("instance.id"), index=True)
    model_name: Mapped[str]
    model_version: Mapped[str]
    model_sha256: Mapped[str]
    probabilities: Mapped[list[Any]]
    thresholds: Mapped[list[Any]]
    heatmaps: Mapped[bytes] = mapped_column(LargeBinary)
    notes: Mapped[list[Any]]
    created_at: Mapped[datetime]
    instance: Mapped[Instance] = relationship(back_populates="analyses")


class Comparison(Base):
    """What became of each finding between two analysed films."""

    __tablename__ = "comparison"
    __table_args__ = (UniqueConstraint("current_id", "prior_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    current_id: Mapped[int] = mapped_column(ForeignKey("analysis.id"), index=True)
    prior_id: Mapped[int] = mapped_column(ForeignKey("analysis.id"), index=True)
    comparable: Mapped[bool]
    reason: Mapped[str]
    quality: Mapped[float]
    ssim: Mapped[float]
    changes: Mapped[list[Any]]
    created_at: Mapped[datetime]
    current: Mapped[Analysis] = relationship(foreign_keys=[current_id])
    prior: Mapped[Analysis] = relationship(foreign_keys=[prior_id])


class PriorChoice(Base):
    """With which prior a film was answered last, or with none, and the reasons.

    ``rejected`` holds the others as ``{"uid", "code", "sentence"}``, `scp.priors` the codes.
    """

    __tablename__ = "prior_choice"

    id: Mapped[int] = mapped_column(primary_key=True)
    instance_id: Mapped[int] = mapped_column(ForeignKey("instance.id"), unique=True)
    prior_id: Mapped[int | None] = mapped_column(ForeignKey("instance.id"), index=True)
    code: Mapped[str]
    sentence: Mapped[str]
    limited: Mapped[str]
    notes: Mapped[list[Any]]
    rejected: Mapped[list[Any]]
    not_listed: Mapped[int]
    chosen_at: Mapped[datetime]
    prior: Mapped[Instance | None] = relationship(foreign_keys=[prior_id])


class PriorFetch(Base):
    """How asking the PACS for a film's priors went last; the outcomes are in `scp.index.fetches`.

    ``attempt`` is the last that was counted, ``failures`` is how many failed.
    """

    __tablename__ = "prior_fetch"

    id: Mapped[int] = mapped_column(primary_key=True)
    instance_id: Mapped[int] = mapped_column(ForeignKey("instance.id"), unique=True)
    outcome: Mapped[str] = mapped_column(index=True)
    attempt: Mapped[int]
    failures: Mapped[int]
    asked_at: Mapped[datetime]


class Result(Base):
    """One DICOM object that answers a film."""

    __tablename__ = "result"

    id: Mapped[int] = mapped_column(primary_key=True)
    instance_id: Mapped[int] = mapped_column(ForeignKey("instance.id"), index=True)
    kind: Mapped[str]
    uid: Mapped[str] = mapped_column(unique=True)
    sop_class_uid: Mapped[str]
    path: Mapped[str]
    sha256: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    instance: Mapped[Instance] = relationship(back_populates="results")
    deliveries: Mapped[list["Delivery"]] = relationship(back_populates="result")


class Delivery(Base):
    """One result on its way to one destination.

    ``job`` numbers the jobs of a film and destination: the one that is to bring this result.
    """

    __tablename__ = "delivery"
    __table_args__ = (UniqueConstraint("result_id", "destination"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    result_id: Mapped[int] = mapped_column(ForeignKey("result.id"), index=True)
    destination: Mapped[str] = mapped_column(index=True)
    state: Mapped[DeliveryState] = mapped_column(index=True)
    job: Mapped[int] = mapped_column(default=1)
    attempts: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str] = mapped_column(default="")
    last_attempt_at: Mapped[datetime | None]
    next_attempt_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    result: Mapped[Result] = relationship(back_populates="deliveries")


class Quarantined(Base):
    """Bytes that were refused, and why."""

    __tablename__ = "quarantined"

    id: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str]
    sha256: Mapped[str]
    sop_instance_uid: Mapped[str]
    calling_ae_title: Mapped[str]
    status: Mapped[int]
    reason: Mapped[str]
    received_at: Mapped[datetime] = mapped_column(index=True)


class Heartbeat(Base):
    """A running role: which process it is, what it offers, and when it last said so."""

    __tablename__ = "heartbeat"

    name: Mapped[str] = mapped_column(primary_key=True)
    role: Mapped[str]
    pid: Mapped[int]
    details: Mapped[dict[str, Any]]
    beat_at: Mapped[datetime]
