"""When a film was taken, as the index stores it: as the film states it, without the site's zone."""

from datetime import datetime, time, timedelta, timezone, tzinfo
from typing import Any, Protocol

from inference.image.acquisition import FIRST_DAY, AcquisitionTime, Precision
from scp.index.schema.tables import Instance


class SaysWhen(Protocol):
    """A row that says when a film was taken.

    Attributes
    ----------
    acquired_at
        The film's own clock, without a zone; None without a date.
    acquired_precision
        How exactly it is known; "" without a date, None where an earlier release took the film
        in and nobody has looked since (`scp.commands.reindex`).
    acquired_from
        Keyword of the element that says so.
    acquired_offset_minutes
        The offset from UTC that the film states; None without one.
    """

    @property
    def acquired_at(self) -> datetime | None: ...  # noqa: D102
    @property
    def acquired_precision(self) -> str | None: ...  # noqa: D102
    @property
    def acquired_from(self) -> str: ...  # noqa: D102
    @property
    def acquired_offset_minutes(self) -> int | None: ...  # noqa: D102


def acquired(row: SaysWhen, zone: tzinfo) -> AcquisitionTime | None:
    """Return when a film was taken; in the site's ``zone`` where it states no offset."""
    at, minutes = row.acquired_at, row.acquired_offset_minutes
    if at is None or at.date() < FIRST_DAY:
        return None
    stated = minutes is not None
    there = timezone(timedelta(minutes=minutes)) if minutes is not None else zone
    precision = row.acquired_precision
    if precision is None:  # before it was kept, a day without a time was kept as its midnight
        precision = Precision.DAY if at.time() == time() else Precision.SECOND
    when = at.replace(microsecond=0, tzinfo=there)
    return AcquisitionTime(when, Precision(precision), row.acquired_from, stated)


def columns_of(taken: AcquisitionTime | None) -> dict[str, Any]:
    """Return what the index keeps of it, by column."""
    if taken is None:
        return {
            "acquired_at": None,
            "acquired_precision": "",
            "acquired_from": "",
            "acquired_offset_minutes": None,
        }
    offset = taken.when.utcoffset() if taken.offset_stated else None
    return {
        "acquired_at": taken.when.replace(tzinfo=None),
        "acquired_precision": taken.precision.value,
        "acquired_from": taken.source,
        "acquired_offset_minutes": None if offset is None else round(offset.total_seconds() / 60),
    }


def keep(film: Instance, taken: AcquisitionTime | None) -> None:
    """Write it into a film's row."""
    for column, value in columns_of(taken).items():
        setattr(film, column, value)


def stated(row: SaysWhen) -> dict[str, Any]:
    """Return what a row says of it, to be handed on to another row."""
    return {
        "acquired_at": row.acquired_at,
        "acquired_precision": row.acquired_precision,
        "acquired_from": row.acquired_from,
        "acquired_offset_minutes": row.acquired_offset_minutes,
    }
