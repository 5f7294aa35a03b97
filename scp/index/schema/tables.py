"""The index: what hilum knows of every film, as tables.

Patients' names are kept, for readers search by them; sex and birth date, for they tell when two
films of one Patient ID are of two people (`scp.matching.person`). None of it goes to a log or a
metric. Alembic migrations in ``migrations/`` make these tables; a test compares the two.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from scp.index.schema.answers import FinishedStep as FinishedStep  # noqa: PLC0414 -- of the schema
from scp.index.schema.answers import FurtherAnswer as FurtherAnswer  # noqa: PLC0414 -- of the schema
from scp.index.schema.answers import PriorFetch as PriorFetch  # noqa: PLC0414 -- part of the schema
from scp.index.schema.operation import Heartbeat as Heartbeat  # noqa: PLC0414 -- part of the schema
from scp.index.schema.operation import Quarantined as Quarantined  # noqa: PLC0414 -- part of the schema
from scp.index.schema.persons import Correction as Correction  # noqa: PLC0414 -- part of the schema
from scp.index.schema.persons import Patient as Patient  # noqa: PLC0414 -- part of the schema
from scp.index.schema.states import Base as Base  # noqa: PLC0414 -- part of the schema
from scp.index.schema.states import DeliveryState as DeliveryState  # noqa: PLC0414 -- part of the schema
from scp.index.schema.states import FilmState as FilmState  # noqa: PLC0414 -- part of the schema
from scp.matching.person import Person


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
    there is never a prior. ``acquired_...``: see `scp.index.acquisition`. ``patient_name``,
    ``birth_date``, ``sex`` and ``accession_number`` are as the header has them, None where an
    earlier release took the film in and nobody looked since (`scp.pipeline.prior_candidates`).
    ``due_at`` is when a reader should have seen the film (`scp.index.worklist.urgency`), None where
    nobody is asked to. ``placed_with`` marks the settings by which that and the film's findings in
    lists were made (`scp.index.worklist.entries`). ``revision`` counts corrections
    (`scp.index.schema.persons.Correction`). ``job`` is the number of the job that answers the film:
    1, and one more with each retry.
    """

    __tablename__ = "instance"
    __table_args__ = (  # each in the order of the worklist, so that a page is one walk along it
        Index("ix_instance_received_at", "received_at", "id"),
        Index("ix_instance_state", "state", "received_at", "id"),
        Index("ix_instance_due_at", "due_at", "id"),
    )

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
    received_at: Mapped[datetime]
    acquired_at: Mapped[datetime | None] = mapped_column(DateTime(), index=True)
    acquired_precision: Mapped[str | None]
    acquired_from: Mapped[str]
    acquired_offset_minutes: Mapped[int | None]
    view: Mapped[str]
    state: Mapped[FilmState]
    reason: Mapped[str] = mapped_column(default="")
    detail: Mapped[str] = mapped_column(default="")
    finished_at: Mapped[datetime | None] = mapped_column(index=True)
    patient_name: Mapped[str | None]
    birth_date: Mapped[str | None]
    sex: Mapped[str | None]
    accession_number: Mapped[str | None]
    due_at: Mapped[datetime | None]
    revision: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    placed_with: Mapped[str | None]
    job: Mapped[int] = mapped_column(default=1, server_default=text("1"))
    series: Mapped[Series] = relationship(lazy="joined")
    analyses: Mapped[list["Analysis"]] = relationship(back_populates="instance")
    results: Mapped[list["Result"]] = relationship(back_populates="instance")

    @property
    def person(self) -> Person:
        """Whose the film is by name, birth date and sex; what is not known yet is ""."""
        return Person(self.patient_name or "", self.birth_date or "", self.sex or "")


class SearchWord(Base):
    """A word by which a film is found: folded (`scp.matching.folding`), of name, ID or accession.

    Compared code point by code point, so that all words of one beginning lie side by side.
    """

    __tablename__ = "search_word"
    __table_args__: Any = (
        Index("ix_search_word_instance_id", "instance_id", "word"),  # has this film that word?
        {"sqlite_with_rowid": False},
    )

    word: Mapped[str] = mapped_column(
        String().with_variant(String(collation="C"), "postgresql"), primary_key=True
    )
    instance_id: Mapped[int] = mapped_column(ForeignKey("instance.id"), primary_key=True)


class FilmFinding(Base):
    """What the newest answer to a film says of one finding, where it says something.

    A row for each positive finding, and for one that is gone; ``change`` is "" without a prior.
    """

    __tablename__ = "film_finding"
    __table_args__: Any = (
        Index("ix_film_finding_label", "label", "change", "instance_id"),
        Index("ix_film_finding_positive", "label", "positive", "instance_id"),
        Index("ix_film_finding_change", "change", "instance_id"),
        {"sqlite_with_rowid": False},
    )

    instance_id: Mapped[int] = mapped_column(ForeignKey("instance.id"), primary_key=True)
    label: Mapped[str] = mapped_column(primary_key=True)
    positive: Mapped[bool]
    change: Mapped[str]


class Model(Base):
    """How a network's outputs are read (`inference.model.calibration`), by its bundle.

    Written by the worker that has the bundle, for all that have not: pages and lists.
    """

    __tablename__ = "model"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    version: Mapped[str]
    readings: Mapped[list[Any]]


class Analysis(Base):
    """One model's output for one film, free of the site's settings (`scp.index.outputs`).

    Releases before 0.5 stored what the site of then made of it: ``probabilities``, ``thresholds``
    and ``heatmaps``. They are kept; ``log_odds`` and ``maps`` (float32) come when the film is next
    needed and read again. ``ratio`` is `inference.cardiothoracic.RatioStatement`'s, None where the
    bundle finds no heart.
    """

    __tablename__ = "analysis"
    __table_args__ = (UniqueConstraint("instance_id", "model_sha256"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    instance_id: Mapped[int] = mapped_column(ForeignKey("instance.id"), index=True)
    model_name: Mapped[str]
    model_version: Mapped[str]
    model_sha256: Mapped[str]
    log_odds: Mapped[list[Any] | None]
    maps: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    probabilities: Mapped[list[Any]] = mapped_column(default=list)
    thresholds: Mapped[list[Any]] = mapped_column(default=list)
    heatmaps: Mapped[bytes] = mapped_column(LargeBinary, default=b"", deferred=True)
    notes: Mapped[list[Any]]
    ratio: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]
    instance: Mapped[Instance] = relationship(back_populates="analyses")


class Comparison(Base):
    """What became of each finding between two analysed films.

    ``layers`` is what a page draws (`inference.comparison.layers`); None where nothing may be
    drawn, and in comparisons of before there were any. ``withdrawn`` says why it no longer holds.
    """

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
    layers: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    withdrawn: Mapped[str | None]
    created_at: Mapped[datetime]
    current: Mapped[Analysis] = relationship(foreign_keys=[current_id])
    prior: Mapped[Analysis] = relationship(foreign_keys=[prior_id])


class PriorChoice(Base):
    """With which prior a film was answered last, or with none, and the reasons.

    ``rejected`` holds the others as ``{"uid", "code", "sentence"}``, `scp.matching.prior` the
    codes. ``revision`` and ``prior_revision`` are how often either film had been corrected by then.
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
    revision: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    prior_revision: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    prior: Mapped[Instance | None] = relationship(foreign_keys=[prior_id])


class Result(Base):
    """One DICOM object that answers a film; ``withdrawn`` says why it no longer holds.

    ``applied`` is what it says: ``{"probabilities", "thresholds"}`` in the order of the findings,
    by the site's settings of then. None where it says nothing of findings, and before 0.5.
    ``content`` is `scp.results.answer.ResultObject`'s, None for the UID.
    """

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
    withdrawn: Mapped[str | None]
    applied: Mapped[dict[str, Any] | None]
    content: Mapped[str | None]
    further_id: Mapped[int | None] = mapped_column(index=True)
    further: Mapped[FurtherAnswer | None] = relationship(
        lazy="joined", primaryjoin=lambda: foreign(Result.further_id) == FurtherAnswer.id
    )
    instance: Mapped[Instance] = relationship(back_populates="results")
    deliveries: Mapped[list["Delivery"]] = relationship(back_populates="result")


class Delivery(Base):
    """One result on its way to one destination.

    ``job`` numbers the jobs of a film and destination: the one that is to bring this result.
    ``cause`` to ``peer_text`` are the `scp.outcomes.delivery.Outcome` of the last attempt, ""
    before any.
    """

    __tablename__ = "delivery"
    __table_args__ = (UniqueConstraint("result_id", "destination"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    result_id: Mapped[int] = mapped_column(ForeignKey("result.id"), index=True)
    destination: Mapped[str] = mapped_column(index=True)
    state: Mapped[DeliveryState] = mapped_column(index=True)
    job: Mapped[int] = mapped_column(default=1)
    attempts: Mapped[int] = mapped_column(default=0)
    cause: Mapped[str] = mapped_column(default="")
    kind: Mapped[str] = mapped_column(default="", index=True)
    store_status: Mapped[int | None]
    peer_text: Mapped[str] = mapped_column(default="")
    last_attempt_at: Mapped[datetime | None] = mapped_column(index=True)
    next_attempt_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    result: Mapped[Result] = relationship(back_populates="deliveries")
