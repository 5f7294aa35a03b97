"""The clock of the objects that answer a film: one moment, in the film's offset or the site's zone.

The library that makes them reads the clock of the process for whatever it is not told.
"""

import datetime as dt
import os
import time
from zoneinfo import ZoneInfo

import pytest
from answers import EVERYTHING, PRODUCT, prior_film, received
from invented import comparison, prediction

from inference.drawing.outlines import outlines
from inference.image.film import read_film
from scp.config.results import ResultSettings
from scp.config.time_zone import SERVER_ZONE, zone_of
from scp.results.answer import Answer, NotAnalysed
from scp.results.kinds import KINDS
from scp.results.objects import make_objects, to_bytes
from scp.results.report import not_analysed_report

ZONES = ("UTC", "America/New_York", "Pacific/Honolulu", "Asia/Kolkata", "Pacific/Kiritimati")
STATED = {"none": None, "+0100": "+0100", "-0500": "-0500", "+1400": "+1400", "-0330": "-0330"}
MALFORMED = ("Z", "+1", "+01:00", "+9900", "+1401", "-1230", "-0000", "0100", "CET", "+0160", "")

# times that are those of the film, or of its study
OF_THE_FILM = {"StudyDate", "StudyTime", "PatientBirthDate", "PatientBirthTime"}


@pytest.fixture
def server_in():
    """Puts this process into another zone, as the variable TZ does for a server."""
    before = os.environ.get("TZ")

    def move(zone):
        os.environ["TZ"] = zone
        time.tzset()

    yield move
    if before is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = before
    time.tzset()


def statements(source, at):
    """All that can be said of a film at a moment: an answer with a prior, and that of none."""
    found, settings = prediction(), ResultSettings.model_validate(EVERYTHING)
    film = read_film(source)
    answer = Answer(
        source=source,
        film=film,
        prediction=found,
        outlines=outlines(found, film.pixels.shape, settings.regions),
        notes=(),
        answered_at=at,
        product=PRODUCT,
        prior_source=prior_film(),
        comparison=comparison(),
    )
    none = NotAnalysed(source, "not_frontal", "It is lateral.", at, PRODUCT, found.model)
    return [
        made.ds for made in (*make_objects(answer, settings), not_analysed_report(none, settings))
    ]


def times(ds, path=""):
    """Return each date with its time, and each date-time, by where it is."""
    found = {}
    for element in ds:
        place = f"{path}/{element.keyword}"
        if element.VR == "SQ":
            for item in element.value:
                found |= times(item, place)
        elif element.keyword in OF_THE_FILM:
            continue
        elif element.VR == "DT":
            found[place] = str(element.value)
        elif element.VR == "DA":
            clock = ds[element.keyword.replace("Date", "Time")].value
            found[place] = f"{element.value}{clock}"
        elif element.VR == "TM":
            assert element.keyword.replace("Time", "Date") in ds, place
    return found


def moment_of(ds, digits):
    """Read a time of an object, in the offset that the object states."""
    return dt.datetime.strptime(digits + ds.TimezoneOffsetFromUTC, "%Y%m%d%H%M%S%z")


@pytest.mark.parametrize("stated", STATED.values(), ids=STATED)
@pytest.mark.parametrize("zone", ZONES)
def test_every_object_is_made_in_every_zone_and_has_one_moment(server_in, zone, stated):
    server_in(zone)
    now = dt.datetime.now(dt.UTC)
    objects = statements(received(TimezoneOffsetFromUTC=stated), now.astimezone(SERVER_ZONE))
    assert len(objects) >= len(KINDS)
    for ds in objects:
        found = times(ds)
        assert {moment_of(ds, digits) for digits in found.values()} == {now.replace(microsecond=0)}
        there = {place.split("/")[-1] for place in found}
        content = "PresentationCreationDate" if ds.Modality == "PR" else "ContentDate"
        assert {"SeriesDate", "InstanceCreationDate", "ContributionDateTime", content} <= there
        assert stated in (None, ds.TimezoneOffsetFromUTC)
        if stated is None:
            assert ds.TimezoneOffsetFromUTC == f"{now.astimezone(ZoneInfo(zone)):%z}"


@pytest.mark.parametrize("stated", MALFORMED)
def test_an_offset_that_is_none_gives_way_to_the_sites_zone(stated):
    at = dt.datetime(2024, 7, 2, 20, 0, tzinfo=dt.UTC).astimezone(zone_of("America/New_York"))
    settings = ResultSettings()
    source = received()
    source.add_new("TimezoneOffsetFromUTC", "SH", stated)
    statement = NotAnalysed(source, "lateral", "It is lateral.", at, PRODUCT, prediction().model)
    ds = not_analysed_report(statement, settings).ds
    assert set(times(ds).values()) == {"20240702160000"}
    assert ds.TimezoneOffsetFromUTC == "-0400"


@pytest.mark.parametrize(("month", "offset"), [(1, "-0500"), (7, "-0400")])
def test_summer_time_is_that_of_the_analysis(month, offset):
    """A film of summer may be read in winter, and the other way round."""
    at = dt.datetime(2024, month, 2, 20, 0, tzinfo=dt.UTC).astimezone(zone_of("America/New_York"))
    source = received(study_date="20230702" if month == 1 else "20230102")
    statement = NotAnalysed(source, "lateral", "It is lateral.", at, PRODUCT, prediction().model)
    assert not_analysed_report(statement, ResultSettings()).ds.TimezoneOffsetFromUTC == offset


def test_processes_in_two_zones_make_the_same_bytes_of_one_statement(server_in):
    at = dt.datetime.now(dt.UTC).astimezone(zone_of("Europe/Berlin"))
    source = received()
    made = []
    for zone in ("Pacific/Honolulu", "Pacific/Kiritimati"):
        server_in(zone)
        made.append([to_bytes(ds) for ds in statements(source, at)])
    assert made[0] == made[1]


def test_a_moment_without_a_zone_is_an_error_and_no_guess():
    at = dt.datetime(2024, 1, 2, 11, 22, 33)
    statement = NotAnalysed(received(), "lateral", "It is.", at, PRODUCT, prediction().model)
    with pytest.raises(ValueError, match="no time zone"):
        not_analysed_report(statement, ResultSettings())


# -- the server's own zone


@pytest.mark.parametrize("zone", [*ZONES, "Europe/Berlin", "Australia/Lord_Howe"])
def test_the_servers_own_zone_is_the_zone_of_that_name(server_in, zone):
    server_in(zone)
    named, start = ZoneInfo(zone), dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    for half_hours in range(0, 2 * 24 * 366, 7):
        moment = start + dt.timedelta(minutes=30 * half_hours)
        here = moment.astimezone(SERVER_ZONE)
        assert here.isoformat() == moment.astimezone(named).isoformat()
        assert here.astimezone(dt.UTC) == moment
        naive = here.replace(tzinfo=None)
        assert naive.replace(tzinfo=SERVER_ZONE).utcoffset() in {
            naive.replace(tzinfo=named, fold=fold).utcoffset() for fold in (0, 1)
        }


def test_both_hours_of_an_autumn_night_are_told_apart(server_in):
    server_in("Europe/Berlin")
    first = dt.datetime(2024, 10, 27, 0, 30, tzinfo=dt.UTC)
    for moment, offset in ((first, "+0200"), (first + dt.timedelta(hours=1), "+0100")):
        here = moment.astimezone(SERVER_ZONE)
        assert f"{here:%H:%M %z}" == f"02:30 {offset}"
        assert here.astimezone(dt.UTC) == moment
