"""Films of one study: their series are told apart."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from inference.image.acquisition import AcquisitionTime, Precision
from scp.results.kinds import KINDS
from scp.results.series import Edition, series_number, series_title

NUMBER = st.integers(1, 400)


def header(**said):
    ds = Dataset()
    for keyword, value in said.items():
        setattr(ds, keyword, value)
    return ds


@given(st.lists(st.tuples(NUMBER, NUMBER), unique=True, max_size=50))
def test_no_two_films_or_answers_of_a_study_share_a_series_number(pairs):
    editions = [Edition(film, answer) for film, answer in pairs]
    numbers = [series_number(9001, kind.place, one) for one in editions for kind in KINDS]
    assert len(set(numbers)) == len(numbers)


def taken(source="AcquisitionDate", precision=Precision.SECOND):
    return AcquisitionTime(datetime(2024, 1, 2, 14, 5, 12, tzinfo=UTC), precision, source)


def test_a_series_names_its_film_and_its_answer():
    film = header(ViewPosition="AP")
    title = "AI chest X-ray report (RUO)"
    assert series_title(title, film, Edition(), taken()) == f"{title}, AP 14:05"
    assert series_title(title, film, Edition(2), taken()) == f"{title}, film 2, AP 14:05"
    third = series_title(title, film, Edition(2, 3), taken())
    assert third == f"{title}, film 2, answer 3, AP 14:05"
    assert series_title(title, header(), Edition(), None) == title
    assert series_title(title, header(), Edition(), taken("ContentDate")) == f"{title}, 14:05"


def test_a_series_shows_the_time_that_the_rule_used_and_no_other():
    film = header(ViewPosition="AP", AcquisitionTime="235900", ContentTime="235900")
    for said, shown in (
        (taken(), ", AP 14:05"),
        (taken(precision=Precision.HOUR), ", AP 14h"),
        (taken(precision=Precision.DAY), ", AP"),
        (taken("StudyTime"), ", AP"),  # both films of a study have it
        (None, ", AP"),
    ):
        assert series_title("report", film, Edition(), said) == f"report{shown}"


@given(NUMBER, NUMBER)
def test_a_series_description_has_64_characters_at_most(film, answer):
    ds = header(ViewPosition="PA")
    for kind in KINDS:
        said = series_title(kind.title, ds, Edition(film, answer), taken())
        assert len(said) <= 64
        assert answer == 1 or f"answer {answer}" in said
