"""When a film was taken: one rule, and its words.

Of the sources below the first that names a day counts. If it has no time, the next source that has
one on that same day gives it; midnight is never made up. What is known only to the day is known to
lie somewhere on it, so two films of one day may have no known order.

References
----------
PS3.3 C.7.6.1, C.7.3.1, C.7.2.1 (the sources), C.12.1.1.8 (offset); PS3.5 6.2 (DA, TM, DT).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from enum import StrEnum

from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from inference.image.header import text, texts

# what programs write when they know no date: 00010101, 17530101, 18991230, 19000101 lie before
FIRST_DAY = date(1901, 1, 1)
LAST_DAY = date(9000, 1, 1)  # 99991231 is no date either
# and these are where the clocks of the Mac, of Unix and of DOS begin
CLOCK_ORIGINS = frozenset({date(1904, 1, 1), date(1970, 1, 1), date(1980, 1, 1)})
# no film was taken after it came; the margin is for time zones and clocks that are wrong
LATEST = timedelta(days=2)

_EAST, _WEST = timedelta(hours=14), timedelta(hours=-12)  # PS3.5 6.2, DT

# ACR-NEMA wrote 2004.08.26 and 18:50:59
_DAY = r"(?P<year>\d{4})(?P<dash>[.\-/]?)(?P<month>\d\d)(?P=dash)(?P<day>\d\d)"
_CLOCK = (
    r"(?P<hour>\d\d)(?:(?P<colon>:?)(?P<minute>\d\d)"
    r"(?:(?P=colon)(?P<second>\d\d)(?:[.,]\d*)?)?)?"
)
_DA = re.compile(_DAY, re.ASCII)
_TM = re.compile(_CLOCK, re.ASCII)
_DT = re.compile(rf"{_DAY}(?:[T ]?{_CLOCK})?\s*(?P<offset>[+-]\d\d:?\d\d)?", re.ASCII)
_OFFSET = re.compile(r"([+-])(\d\d):?([0-5]\d)", re.ASCII)


class Precision(StrEnum):
    """How exactly a time is known."""

    DAY = "day"
    HOUR = "hour"
    MINUTE = "minute"
    SECOND = "second"


_LENGTH = {
    Precision.DAY: timedelta(days=1),
    Precision.HOUR: timedelta(hours=1),
    Precision.MINUTE: timedelta(minutes=1),
    Precision.SECOND: timedelta(seconds=1),
}
# keyword -> whose time it is, where it is not the acquisition's own
_STANDS_FOR = {
    "ContentDate": "image",
    "ContentTime": "image",
    "SeriesDate": "series",
    "SeriesTime": "series",
    "StudyDate": "study",
    "StudyTime": "study",
}


@dataclass(frozen=True)
class AcquisitionTime:
    """When a film was taken.

    Attributes
    ----------
    when
        The film's own clock, cut to what is known; with the offset that the film states, else in
        the site's zone.
    source
        Keyword of the element that says so; of a time that completes another element's date, the
        keyword of the time.
    offset_stated
        Whether the film states an offset.
    """

    when: datetime
    precision: Precision
    source: str
    offset_stated: bool = False

    @property
    def earliest(self) -> datetime:
        """The first moment that it can have been, in UTC."""
        return min(_both(self.when))

    @property
    def end(self) -> datetime:
        """The first moment that it cannot have been any more, in UTC."""
        return max(_both(self.when + _LENGTH[self.precision]))

    @property
    def borrowed_from(self) -> str:
        """Whose time is used for the acquisition's: "study", "series", "image"; "" for its own."""
        return _STANDS_FOR.get(self.source, "")

    def __str__(self) -> str:
        """Read as "2024-01-02 08:00", with the offset that is stated; "2024-01-02" without a time.

        What is known to the hour reads "2024-01-02 08h".
        """
        if self.precision is Precision.DAY:
            return f"{self.when:%Y-%m-%d}"
        clock = "%Hh" if self.precision is Precision.HOUR else "%H:%M"
        offset = f" {offset_text(self.when)}" if self.offset_stated else ""
        return f"{self.when:%Y-%m-%d} {self.when.strftime(clock)}{offset}"

    @property
    def text_with_source(self) -> str:
        """The same, with whose time it is where it is not the acquisition's own."""
        what = "date" if self.precision is Precision.DAY else "time"
        return f"{self} ({self.borrowed_from} {what})" if self.borrowed_from else str(self)


def _both(when: datetime) -> tuple[datetime, datetime]:
    """Return a local time in UTC, read both ways: an hour of each autumn comes twice."""
    first, second = (when.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    return first, second


def is_earlier(one: AcquisitionTime, other: AcquisitionTime) -> bool | None:
    """Say whether one film was taken before the other; None when that cannot be known."""
    if one.end <= other.earliest:
        return True
    return False if other.end <= one.earliest else None


def time_between(current: AcquisitionTime, prior: AcquisitionTime) -> timedelta | None:
    """Return how long before the current film the prior was taken; None without both times."""
    if Precision.DAY in (current.precision, prior.precision):
        return None
    return current.when.astimezone(UTC) - prior.when.astimezone(UTC)


def interval(current: AcquisitionTime | None, prior: AcquisitionTime | None) -> str:
    """Say how far apart two films were taken, as "6 h earlier"; "" where one has no date."""
    if current is None or prior is None:
        return ""
    earlier = is_earlier(prior, current)
    if earlier is None:
        same_day = current.when.date() == prior.when.date()
        return "same day, order not known" if same_day else "order not known"
    return f"{_length(current, prior)} {'earlier' if earlier else 'LATER'}"


def _length(current: AcquisitionTime, prior: AcquisitionTime) -> str:
    """Say how far apart two films are, from two days on in days of the calendar."""
    apart = time_between(current, prior)
    if apart is None or abs(apart) >= timedelta(hours=48):
        before = prior.when if apart is None else prior.when.astimezone(current.when.tzinfo)
        days = max(1, abs((current.when.date() - before.date()).days))
        return f"{days} day" if days == 1 else f"{days} days"
    minutes = round(abs(apart).total_seconds() / 60)
    if minutes >= 120:
        return f"{round(minutes / 60)} h"
    return f"{minutes} min" if minutes else "less than a minute"


def acquisition_time(
    ds: Dataset, zone: tzinfo, received_at: datetime | None = None
) -> AcquisitionTime | None:
    """Read when a film was taken; None where its header does not say so. It never raises.

    Parameters
    ----------
    ds
        A film's header, or what a C-FIND returned.
    zone
        The site's, for films that state no offset.
    received_at
        When the film came: dates long after it are none. None where that is not known.
    """
    came = None if received_at is None else received_at.astimezone(zone).date()
    offset = stated_offset(ds)
    found = [one for one in _sources(ds, offset) if is_day_taken(one.when.date(), came)]
    found = _within_study(found)
    if not found:
        return None
    taken = found[0]
    if taken.precision is Precision.DAY:
        same_day = (one for one in found[1:] if one.when.date() == taken.when.date())
        timed = (one for one in same_day if one.precision is not Precision.DAY)
        completed = next(timed, None)
        if completed is not None:
            source = completed.source.removesuffix("Date") + "Time"
            taken = replace(completed, source=source)
    return taken if taken.offset_stated else replace(taken, when=taken.when.replace(tzinfo=zone))


def _sources(ds: Dataset, offset: timedelta | None) -> Iterator[AcquisitionTime]:
    """Yield what each element that names a day says, the most trusted first; naive without offset.

    The content's date is when the image was made, which for a copy, a scan or a reprocessed image
    is not when the film was taken (PS3.3 C.7.6.1).
    """
    match = _DT.fullmatch(text(ds, "AcquisitionDateTime"))
    if match is not None:
        own = parse_offset(match["offset"] or "")
        yield from _read(match, match, "AcquisitionDateTime", offset if own is None else own)
    groups = ["Acquisition", "Series", "Study"]
    if _is_original(ds):
        groups.insert(1, "Content")
    for group in groups:
        day = _DA.fullmatch(text(ds, f"{group}Date"))
        clock = _TM.fullmatch(text(ds, f"{group}Time"))
        if day is not None:
            yield from _read(day, clock, f"{group}Date", offset)


def _within_study(found: list[AcquisitionTime]) -> list[AcquisitionTime]:
    """Leave out series and contents of before their study: no part of it can begin before it."""
    study = next((one.when.date() for one in found if one.source == "StudyDate"), date.min)
    earliest = study - timedelta(days=1) if study > date.min else study  # for time zones
    parts = ("ContentDate", "SeriesDate")
    return [s for s in found if s.source not in parts or s.when.date() >= earliest]


def _is_original(ds: Dataset) -> bool:
    """Say whether an image's content was made when it was taken (PS3.3 C.7.6.1.1.2)."""
    original = texts(ds, "ImageType")[:1] == ("ORIGINAL",)
    scanned = text(ds, "SOPClassUID") == SecondaryCaptureImageStorage or text(ds, "ConversionType")
    return original and not scanned


def _read(
    day: re.Match[str], clock: re.Match[str] | None, source: str, offset: timedelta | None
) -> Iterator[AcquisitionTime]:
    """Yield what a date and a time say; nothing for a day that does not exist."""
    taken = _date(day)
    if taken is None:
        return
    at, precision = _clock(clock)
    zone = None if offset is None else timezone(offset)
    yield AcquisitionTime(datetime.combine(taken, at, zone), precision, source, offset is not None)


def _date(match: re.Match[str]) -> date | None:
    try:
        return date(*(int(match[part]) for part in ("year", "month", "day")))
    except ValueError:
        return None


def _clock(match: re.Match[str] | None) -> tuple[time, Precision]:
    """Return a time of day and how precise it is; a leap second is the one before it."""
    if match is None or match["hour"] is None:
        return time(), Precision.DAY
    hour, minute, second = (match[part] for part in ("hour", "minute", "second"))
    try:
        at = time(int(hour), int(minute or 0), min(int(second or 0), 59 if second == "60" else 99))
    except ValueError:
        return time(), Precision.DAY
    if minute is None:
        return at, Precision.HOUR
    return at, Precision.MINUTE if second is None else Precision.SECOND


def is_day_taken(day: date, came: date | None) -> bool:
    """Say whether a film that came on a day, None where that is not known, can be of another."""
    latest = LAST_DAY if came is None else min(came + LATEST, LAST_DAY)
    return FIRST_DAY <= day <= latest and day not in CLOCK_ORIGINS


def stated_offset(ds: Dataset) -> timedelta | None:
    """Return the offset from UTC that a film states; None where it states none that is valid."""
    value = text(ds, "TimezoneOffsetFromUTC")
    return None if ":" in value else parse_offset(value)


def parse_offset(value: str) -> timedelta | None:
    """Read "+0100"; None for what is no offset from -1200 to +1400 (PS3.5 6.2, DT)."""
    match = _OFFSET.fullmatch(value)
    if match is None or value in ("-0000", "-00:00"):
        return None
    minutes = 60 * int(match[2]) + int(match[3])
    offset = timedelta(minutes=-minutes if match[1] == "-" else minutes)
    return offset if _WEST <= offset <= _EAST else None


def offset_text(moment: datetime) -> str:
    """Write a moment's offset from UTC as "+0100"."""
    minutes = round((moment.utcoffset() or timedelta()).total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"
