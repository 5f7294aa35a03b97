"""When a film was taken, how exactly that is known, and what is said of it."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import product
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from inference.image.acquisition import (
    AcquisitionTime,
    Precision,
    acquisition_time,
    interval,
    is_earlier,
    parse_offset,
)
from scp.index.acquisition import acquired, columns_of
from scp.index.values import Acquired

BERLIN = ZoneInfo("Europe/Berlin")
CAME = datetime(2024, 1, 3, 12, 0, tzinfo=UTC)
CR, SC = "1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.7"
ORIGINAL = {"ImageType": "ORIGINAL\\PRIMARY", "SOPClassUID": CR}


def header(**elements):
    """A header of these texts, whatever they are."""
    ds = Dataset()
    for keyword, said in elements.items():
        value = said.split("\\") if keyword == "ImageType" else said
        ds.add_new(keyword, "UT", value)  # UT: pydicom does not judge the text
    return ds


def read(zone=BERLIN, came=CAME, **elements):
    return acquisition_time(header(**elements), zone, came)


def short(taken):
    """A time by the film's own clock, how exact it is, and which element says so."""
    if taken is None:
        return None
    return f"{taken.when:%Y%m%d %H%M%S} {taken.precision} {taken.source}"


SAID = {
    # each source, in the order in which they count
    "date-time": (
        {
            "AcquisitionDateTime": "20240102101530.25",
            "AcquisitionDate": "20240101",
            "AcquisitionTime": "0900",
        },
        "20240102 101530 second AcquisitionDateTime",
    ),
    "date and time": (
        {"AcquisitionDate": "20240102", "AcquisitionTime": "101530", "StudyDate": "20230101"},
        "20240102 101530 second AcquisitionDate",
    ),
    "content of an original": (
        ORIGINAL | {"ContentDate": "20240102", "ContentTime": "1015", "StudyDate": "20240101"},
        "20240102 101500 minute ContentDate",
    ),
    "series before study": (
        {
            **{"SeriesDate": "20240102", "SeriesTime": "101530"},
            **{"StudyDate": "20240101", "StudyTime": "080000"},
        },
        "20240102 101530 second SeriesDate",
    ),
    "a series of before its study": (
        {
            **{"SeriesDate": "19950926", "SeriesTime": "125130"},
            **{"StudyDate": "20240101", "StudyTime": "080000"},
        },
        "20240101 080000 second StudyDate",
    ),
    "study": (
        {"StudyDate": "20240102", "StudyTime": "1015"},
        "20240102 101500 minute StudyDate",
    ),
    # the content of what is no original was made at another time
    "content of a derived image": (
        {"ImageType": "DERIVED\\PRIMARY", "ContentDate": "20240102", "StudyDate": "20230101"},
        "20230101 000000 day StudyDate",
    ),
    "content of a scan": (
        ORIGINAL | {"SOPClassUID": SC, "ContentDate": "20240102", "StudyDate": "20230101"},
        "20230101 000000 day StudyDate",
    ),
    "content of who knows what": ({"ContentDate": "20240102", "ContentTime": "1015"}, None),
    # a date without a time is completed on that day, never by midnight and never from another day
    "completed by the study": (
        {"AcquisitionDate": "20240102", "StudyDate": "20240102", "StudyTime": "140000"},
        "20240102 140000 second StudyTime",
    ),
    "completed by the acquisition": (
        {
            **{"AcquisitionDateTime": "20240102", "AcquisitionDate": "20240102"},
            **{"AcquisitionTime": "1015", "StudyDate": "20240102", "StudyTime": "08"},
        },
        "20240102 101500 minute AcquisitionTime",
    ),
    "completed by the next that has a time": (
        {
            **{"AcquisitionDate": "20240102", "AcquisitionTime": "later"},
            **{"SeriesDate": "20240102", "SeriesTime": ""},
            **{"StudyDate": "20240102", "StudyTime": "0800"},
        },
        "20240102 080000 minute StudyTime",
    ),
    "not completed from another day": (
        {"AcquisitionDate": "20240102", "StudyDate": "20231230", "StudyTime": "140000"},
        "20240102 000000 day AcquisitionDate",
    ),
    "a time without its date": (
        {"AcquisitionTime": "1015", "StudyDate": "20240102"},
        "20240102 000000 day StudyDate",
    ),
    "midnight that is stated": (
        {"AcquisitionDate": "20240102", "AcquisitionTime": "000000"},
        "20240102 000000 second AcquisitionDate",
    ),
    # what is no date gives way
    "no day of the calendar": (
        {"AcquisitionDate": "20230229", "StudyDate": "20240102"},
        "20240102 000000 day StudyDate",
    ),
    "long after it came": (
        {"AcquisitionDate": "20240301", "StudyDate": "20240102"},
        "20240102 000000 day StudyDate",
    ),
    "nothing": ({}, None),
}


@pytest.mark.parametrize(("elements", "says"), SAID.values(), ids=SAID)
def test_a_film_is_dated_by_the_first_source_that_has_a_day(elements, says):
    assert short(read(**elements)) == says


PLACEHOLDERS = (
    *("00010101", "17530101", "18581117", "18991230", "19000101", "19040101", "19700101"),
    *("19800101", "99991231", "20991231", "00000000", "240102", "24.01.02", "0024-01-02"),
    *(" ", "\0", "yesterday", "2024", "202401", "20240102-20240103", "2024.01-02", "٢٠٢٤٠١٠٢"),
)


@pytest.mark.parametrize("said", PLACEHOLDERS)
@pytest.mark.parametrize("keyword", ["AcquisitionDateTime", "AcquisitionDate", "StudyDate"])
def test_a_placeholder_is_no_date(keyword, said):
    assert read(**{keyword: said}) is None


DAYS = ("20240102", "2024.01.02", "2024-01-02", "2024/01/02", " 20240102 ", "20240102\0")
CLOCKS = {
    "185059": ("185059", "second"),
    "18:50:59": ("185059", "second"),
    "185059.123456": ("185059", "second"),
    "18:50:59.5": ("185059", "second"),
    "1850": ("185000", "minute"),
    "18:50": ("185000", "minute"),
    "18": ("180000", "hour"),
    "235960": ("235959", "second"),
    "140000.000000": ("140000", "second"),
}
NO_CLOCKS = ("", "25", "2561", "18:5059", "6 pm", "1", "185", "18505", "240000", "-1", "18:50:5")


@pytest.mark.parametrize(("day", "clock"), [*product(DAYS, CLOCKS)])
def test_every_form_of_date_and_time_is_read(day, clock):
    digits, precision = CLOCKS[clock]
    taken = read(AcquisitionDate=day, AcquisitionTime=clock)
    assert short(taken) == f"20240102 {digits} {precision} AcquisitionDate"


@pytest.mark.parametrize("clock", NO_CLOCKS)
def test_what_is_no_time_leaves_the_day(clock):
    taken = read(AcquisitionDate="20240102", AcquisitionTime=clock)
    assert short(taken) == "20240102 000000 day AcquisitionDate"


@pytest.mark.parametrize(
    ("said", "clock", "precision", "offset"),
    [
        ("20240102213000+0100", "21:30", "second", 60),
        ("20240102213000.123456-0330", "21:30", "second", -210),
        ("202401022130+1400", "21:30", "minute", 840),
        ("2024010221", "21:00", "hour", 60),
        ("2024.01.02 21:30:00", "21:30", "second", 60),
        ("2024-01-02T21:30:00-05:00", "21:30", "second", -300),
        ("20240102213000+9900", "21:30", "second", 60),  # no offset
    ],
)
def test_a_date_time_is_read_with_its_offset(said, clock, precision, offset):
    taken = read(AcquisitionDateTime=said)
    assert (f"{taken.when:%H:%M}", taken.precision) == (clock, precision)
    assert taken.when.utcoffset() == timedelta(minutes=offset)  # Berlin's where it states none
    assert taken.offset_stated == (offset != 60 or "+0100" in said)


@pytest.mark.parametrize("said", ["", "Z", "+1", "+01", "+1401", "-1201", "-0000", "0100", "+0160"])
def test_a_malformed_offset_is_none(said):
    assert parse_offset(said) is None
    taken = read(AcquisitionDate="20240102", AcquisitionTime="0800", TimezoneOffsetFromUTC=said)
    assert (taken.offset_stated, taken.when.tzinfo) == (False, BERLIN)


# -- the order of two films


def at(text, precision=Precision.SECOND, offset=None, source="AcquisitionDate", zone=BERLIN):
    when = datetime.strptime(text, "%Y-%m-%d %H:%M")
    there = zone if offset is None else timezone(timedelta(minutes=offset))
    return AcquisitionTime(when.replace(tzinfo=there), precision, source, offset is not None)


DAY = Precision.DAY


@pytest.mark.parametrize(
    ("prior", "current", "says"),
    [
        (at("2024-01-02 08:00"), at("2024-01-02 14:00"), "6 h earlier"),
        (at("2024-01-02 14:00"), at("2024-01-02 08:00"), "6 h LATER"),
        (at("2024-01-02 08:00"), at("2024-01-02 08:07"), "7 min earlier"),
        (at("2024-01-02 08:00"), at("2024-01-02 09:40"), "100 min earlier"),
        (at("2024-01-01 20:00"), at("2024-01-02 19:00"), "23 h earlier"),
        (at("2024-01-01 20:00"), at("2024-01-04 19:00"), "3 days earlier"),
        (at("2023-10-13 23:00"), at("2024-01-02 01:00"), "81 days earlier"),
        (at("2024-01-02 00:00", DAY), at("2024-01-02 14:00"), "same day, order not known"),
        (at("2024-01-02 00:00", DAY), at("2024-01-02 00:00", DAY), "same day, order not known"),
        (at("2024-01-02 08:00"), at("2024-01-02 08:00"), "same day, order not known"),
        (at("2024-01-01 00:00", DAY), at("2024-01-02 01:00"), "1 day earlier"),
        (at("2024-01-02 00:00", DAY), at("2024-01-05 00:00", DAY), "3 days earlier"),
        (
            at("2024-01-02 08:00", Precision.HOUR),
            at("2024-01-02 08:30"),
            "same day, order not known",
        ),
        (at("2024-01-02 08:00", Precision.HOUR), at("2024-01-02 09:00"), "60 min earlier"),
        # 21:30 +0100 is 20:30 UTC, before 21:00 UTC
        (at("2024-01-02 21:30", offset=60), at("2024-01-02 21:00", offset=0), "30 min earlier"),
        # Berlin is at +0100 in January: 08:00 there is before 08:00 in UTC
        (at("2024-01-02 08:00"), at("2024-01-02 08:00", offset=0), "60 min earlier"),
        (at("2024-01-02 08:00"), at("2024-01-02 12:00", offset=840), "9 h LATER"),
        # an hour of the autumn comes twice
        (at("2024-10-27 02:10"), at("2024-10-27 02:40"), "same day, order not known"),
        (at("2024-10-27 01:50"), at("2024-10-27 03:10"), "2 h earlier"),
    ],
)
def test_films_are_put_in_order_only_where_it_is_known(prior, current, says):
    assert interval(current, prior) == says
    known = {"earlier": True, "LATER": False, "known": None}[says.split()[-1]]
    assert is_earlier(prior, current) is known
    assert is_earlier(current, prior) is (None if known is None else not known)


def test_of_a_film_without_a_date_no_interval_is_said():
    assert interval(None, at("2024-01-02 08:00")) == interval(at("2024-01-02 08:00"), None) == ""


MOMENTS = st.datetimes(datetime(1950, 1, 1), datetime(2050, 1, 1)).map(
    lambda when: when.replace(second=0, microsecond=0)
)
TAKEN = st.builds(
    lambda when, precision, offset: at(
        f"{when if precision is not DAY else when.replace(hour=0, minute=0):%Y-%m-%d %H:%M}",
        precision,
        offset,
    ),
    MOMENTS,
    st.sampled_from([Precision.DAY, Precision.MINUTE, Precision.SECOND]),
    st.sampled_from([None, 0, 60, -300, 840]),
)


@settings(max_examples=200, deadline=None, database=None)
@given(TAKEN, TAKEN)
def test_two_orders_of_a_pair_never_contradict_each_other(one, other):
    assert not (is_earlier(one, other) and is_earlier(other, one))
    assert is_earlier(one, one) is None
    assert interval(one, other)


# -- its words, and the index


@pytest.mark.parametrize(
    ("taken", "said"),
    [
        (at("2024-01-02 08:00"), "2024-01-02 08:00"),
        (at("2024-01-02 08:00", offset=-300), "2024-01-02 08:00 -0500"),
        (at("2024-01-02 00:00", DAY), "2024-01-02"),
        (at("2024-01-02 08:00", Precision.HOUR), "2024-01-02 08h"),
        (at("2024-01-02 08:00", source="StudyDate"), "2024-01-02 08:00 (study time)"),
        (at("2024-01-02 08:00", source="StudyTime"), "2024-01-02 08:00 (study time)"),
        (at("2024-01-02 08:00", source="SeriesDate"), "2024-01-02 08:00 (series time)"),
        (at("2024-01-02 00:00", DAY, source="StudyDate"), "2024-01-02 (study date)"),
    ],
)
def test_a_time_says_whose_it_is_where_it_is_not_the_acquisitions(taken, said):
    assert taken.text_with_source == said


@settings(max_examples=100, deadline=None, database=None)
@given(TAKEN)
def test_the_index_keeps_what_a_film_says(taken):
    assert acquired(Acquired(**columns_of(taken)), BERLIN) == taken


def test_of_a_film_without_a_date_the_index_keeps_that_it_was_looked_at():
    kept = columns_of(None)
    assert kept["acquired_precision"] == ""
    assert acquired(Acquired(**kept), BERLIN) is None


@pytest.mark.parametrize(
    ("when", "precision"),
    [(datetime(2024, 1, 2), "day"), (datetime(2024, 1, 2, 8, 0), "second")],
)
def test_a_midnight_of_an_earlier_release_is_a_day_without_a_time(when, precision):
    taken = acquired(Acquired(acquired_at=when, acquired_from="StudyDate"), BERLIN)
    assert (taken.precision, taken.when) == (precision, when.replace(tzinfo=BERLIN))


DATES = ("AcquisitionDateTime", "AcquisitionDate", "AcquisitionTime", "StudyDate", "StudyTime")
TEXT = st.text(max_size=30) | st.text("0123456789.+-:/ T\\\0", max_size=28)


@settings(max_examples=300, deadline=None, database=None)
@given(st.lists(TEXT, min_size=5, max_size=5))
def test_no_text_in_a_date_is_an_error(texts):
    taken = read(**dict(zip(DATES, texts, strict=True)))
    if taken is not None:
        assert taken.earliest < taken.end
        assert taken.text_with_source
