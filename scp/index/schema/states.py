"""What every table of the index shares: the states, and how they and moments are stored."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Enum, MetaData
from sqlalchemy.orm import DeclarativeBase

from scp.index.schema.utc_datetime import UtcDateTime


class FilmState(StrEnum):
    """The state of a received object. Every one that was sent ends in one of the last three.

    FETCHED: a prior that hilum itself brought from the PACS; nobody asked for its answer.
    """

    FETCHED = "fetched"

    RECEIVED = "received"
    ANALYSED = "analysed"
    ANSWERED = "answered"
    NOT_ANALYSED = "not analysed"
    FAILED = "failed"


class DeliveryState(StrEnum):
    """The state of one result at one destination."""

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
