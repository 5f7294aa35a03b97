"""The site's time zone, for times of objects that state no offset."""

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from inference.settings import did_you_mean


class ServerZone(tzinfo):
    """The zone of this machine as its operating system has it, summer time included."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        """Return the offset of a local time; ``fold`` tells the two of an autumn night apart."""
        return None if moment is None else moment.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, moment: datetime | None) -> timedelta | None:  # noqa: ARG002
        """Return None: the offset is all that is known."""
        return None

    def tzname(self, moment: datetime | None) -> str | None:
        """Return the abbreviation, as "CET"."""
        return None if moment is None else moment.replace(tzinfo=None).astimezone().tzname()

    def fromutc(self, moment: datetime) -> datetime:
        """Return the local time of a UTC time whose ``tzinfo`` is this zone."""
        there = moment.replace(tzinfo=UTC).astimezone()
        local = there.replace(tzinfo=self)
        return local if local.utcoffset() == there.utcoffset() else local.replace(fold=1)


SERVER_ZONE = ServerZone()


def zone_of(name: str) -> tzinfo:
    """Return a time zone by its IANA name; the server's own for "".

    Raises
    ------
    ValueError
        There is none of this name; the text names the nearest.
    """
    if not name:
        return SERVER_ZONE
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        hint = did_you_mean(name, available_timezones()) or 'names are as "Europe/Berlin"'
        raise ValueError(f"no time zone {name!r} is known here; {hint}") from error
