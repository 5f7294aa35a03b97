"""Films of one study: their series are told apart."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from inference.acquisition import AcquisitionTime, Precision
from scp.results.kinds import KINDS
from scp.results.series import series_number, series_title

NUMBER = st.integers(1, 400)


def header(**said):
    ds = Dataset()
    for keyword, value in said.items():
        setattr(ds, keyword, value)
    return ds


@given(st.lists(NUMBER, unique=True, max_size=50))
def test_no_two_films_of_a_study_share_a_series_number(films):
    numbers = [series_number(9001, kind.place, film) for film in films for kind in KINDS]
    assert len(set(numbers)) == len(numbers)


def taken(source="AcquisitionDate", precision=Precision.SECOND):
    return AcquisitionTime(datetime(2024, 1, 2, 14, 5, 12, tzinfo=UTC), precision, source)


def test_a_series_names_its_film():
    film = header(ViewPosition="AP")
    title = "AI chest X-ray report (RUO)"
    assert series_title(title, film, 1, taken()) == f"{title}, AP 14:05"
    assert series_title(title, film, 2, taken()) == f"{title}, film 2, AP 14:05"
    assert series_title(title, header(), 1, None) == title
    assert series_title(title, header(), 1, taken("ContentDate")) == f"{title}, 14:05"


def test_a_series_shows_the_time_that_the_rule_used_and_no_other():
    film = header(ViewPosition="AP", AcquisitionTime="235900", ContentTime="235900")
    for said, shown in (
        (taken(), ", AP 14:05"),
        (taken(precision=Precision.HOUR), ", AP 14h"),
        (taken(precision=Precision.DAY), ", AP"),
        (taken("StudyTime"), ", AP"),  # both films of a study have it
        (None, ", AP"),
    ):
        assert series_title("report", film, 1, said) == f"report{shown}"


@given(NUMBER)
def test_a_series_description_has_64_characters_at_most(number):
    ds = header(ViewPosition="PA")
    for kind in KINDS:
        assert len(series_title(kind.title, ds, number, taken())) <= 64
