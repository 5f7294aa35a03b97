"""Of which films the cardiothoracic ratio is stated, whatever the network found."""

import numpy as np
import pytest
from films import chest, make_film_ds
from hearts import DrawnHeart, ratio_reader

from inference.cardiothoracic import RatioStatement
from inference.comparison.conditions import Side
from inference.image.film import read_film
from inference.image.limitations import PORTABLE, SUPINE, limitations_of
from inference.model.heart import HeartFinder, RatioReader
from inference.model.metadata import RatioError
from inference.model.ratio_rule import as_header_allows


def stated(looks=Side.AS_USUAL, notes=None, **film):
    ds = make_film_ds(**{"PatientAge": "064Y", **film})
    notes = limitations_of(ds) if notes is None else notes
    raw = ratio_reader().read(read_film(ds).pixels)
    return as_header_allows(raw, read_film(ds), ds, notes, looks)


def test_the_ratio_of_an_adults_upright_pa_film_is_stated_with_its_error():
    found = stated()
    assert found.stated.value == pytest.approx(0.28 / 0.74, abs=0.01)
    assert found.sentence == "Cardiothoracic ratio 0.38 (mean absolute error 0.012 on 50 films)"
    assert stated(Side.UNCLEAR).stated  # a heart in the middle tells neither side


@pytest.mark.parametrize(
    ("case", "why"),
    [
        ({"view": "AP"}, "PA films alone"),
        ({"view": ""}, "PA films alone"),
        ({"PatientAge": None, "PatientBirthDate": None}, "age is not known"),
        ({"PatientAge": "017Y"}, "stated of adults alone"),
        ({"PatientAge": "010M"}, "stated of adults alone"),
        ({"PatientOrientation": ["R", "F"]}, "mirrored"),
        ({"looks": Side.MIRRORED}, "mirrored"),
        ({"looks": None}, "nothing checked whether the film is upright"),
        ({"notes": (PORTABLE,)}, "portable or supine"),
        ({"notes": (SUPINE,)}, "portable or supine"),
    ],
)
def test_the_ratio_of_another_film_is_withheld_and_the_reason_is_said(case, why):
    found = stated(**case)
    assert found.stated is None
    assert why in found.withheld
    assert found.sentence == f"Cardiothoracic ratio not stated: {found.withheld}"
    assert found.measured is not None  # a header that is corrected may allow it


def test_a_ratio_whose_error_is_too_large_or_whose_outlines_went_wrong_is_withheld():
    film = chest(200, 180)
    assert "exactly enough" in ratio_reader(error=0.0201).read(film).withheld
    assert ratio_reader(error=0.02).read(film).stated
    error = RatioError(films=9, withheld=0, mean_absolute=0.01, bias=0, limits=(-0.1, 0.1))
    empty = RatioReader(HeartFinder(_Nothing(), 128, 0.5), error).read(film)
    assert (empty.stated, empty.withheld) == (None, "two separate lungs were not found")
    assert ratio_reader().read(np.full((90, 70), 0.5, np.float32)).stated is None


class _Nothing(DrawnHeart):
    def forward(self, films):
        return -super().forward(films).abs()


def test_the_lines_lie_on_the_grid_of_the_film_in_the_index_too():
    raw = ratio_reader().read(chest(500, 400))
    found = RatioStatement.from_row(raw.as_row())
    assert found == raw
    assert found.stated.heart.left == pytest.approx(0.42 * 400, abs=2)
    assert found.stated.heart.right == pytest.approx(0.70 * 400, abs=2)
    assert found.stated.heart.row == pytest.approx(0.63 * 500, abs=6)
    assert found.stated.chest.left == pytest.approx(0.13 * 400, abs=2)
    assert found.stated.chest.right == pytest.approx(0.87 * 400, abs=2)
    assert found.stated.chest.row == pytest.approx(0.44 * 500, abs=12)
    assert RatioStatement.from_row(None) is None
