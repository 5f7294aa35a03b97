"""Films of one study: their series are told apart."""

from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

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


def test_a_series_names_its_film():
    film = header(ViewPosition="AP", AcquisitionTime="140512.5")
    title = "AI chest X-ray report (RUO)"
    assert series_title(title, film, 1) == f"{title}, AP 14:05"
    assert series_title(title, film, 2) == f"{title}, film 2, AP 14:05"
    assert series_title(title, header(), 1) == title
    assert series_title(title, header(ContentTime="14:05:12"), 1) == f"{title}, 14:05"


@given(NUMBER)
def test_a_series_description_has_64_characters_at_most(number):
    ds = header(ViewPosition="PA", AcquisitionTime="185059")
    for kind in KINDS:
        assert len(series_title(kind.title, ds, number)) <= 64
