import datetime as dt
from dataclasses import replace

import numpy as np
import pytest
from films import chest
from invented import MODEL, comparison, drawn, everything_positive, prediction
from skimage.color import rgb2lab

from inference.cardiothoracic import CardiothoracicRatio, Line, RatioStatement
from inference.drawing.canvas import Canvas, plain
from inference.drawing.closeup import draw_closeup
from inference.drawing.colours import difference_table, heat_table
from inference.drawing.outlines import outlines
from inference.drawing.summary import Caption, draw_comparison
from inference.findings import LABELS
from inference.image.acquisition import AcquisitionTime, Precision
from inference.image.film import Film, View
from inference.settings import DrawingSettings

FILM = Film(chest(250, 200), View.PA)


def taken(year, month, day, hour, source="AcquisitionDate"):
    at = dt.datetime(year, month, day, hour, 15, tzinfo=dt.UTC)
    return AcquisitionTime(at, Precision.SECOND, source)


CURRENT = Caption(View.PA, taken(2025, 1, 2, 14))
PRIOR = Caption(View.AP, taken(2024, 1, 2, 8, "StudyDate"))
SMALL = DrawingSettings(long_edge_px=900)
WORDS = {"caption": CURRENT, "software": "hilum 0.1.0", "settings": SMALL}
PAIR = {"current": CURRENT, "prior": PRIOR, "software": "hilum 0.1.0", "model": MODEL}


def film_area(rgb):
    """Left of the panel, below the header."""
    return rgb[33:, :564].astype(int)


def coloured(rgb):
    """Where a picture is not grey."""
    return np.ptp(rgb, axis=-1) > 6


def test_a_film_without_positive_findings_is_drawn_without_any_colour(written):
    rgb = drawn(FILM, prediction({}), **WORDS)
    assert not coloured(film_area(rgb)).any()
    said = " ".join(written)
    assert "None of the 14 findings looked for is above the site's threshold." in said
    assert "This is no statement that the film is normal." in said


def test_a_strong_heat_map_below_the_threshold_is_not_drawn():
    below = prediction({"Nodule": (0.29, 0.75, 0.35, 0.06)})
    assert not coloured(film_area(drawn(FILM, below, **WORDS))).any()


def test_the_map_lies_where_the_finding_is():
    rgb = drawn(FILM, prediction({"Nodule": (0.9, 0.75, 0.35, 0.06)}), **WORDS)
    rows, columns = np.nonzero(coloured(film_area(rgb)))
    height, width = 558, 558 * 200 / 250
    left = (564 - width) / 2
    assert rows.mean() == pytest.approx(0.35 * height, abs=8)
    assert columns.mean() == pytest.approx(left + 0.75 * width, abs=8)


def test_the_corners_of_the_film_stay_as_they_are():
    nowhere = drawn(FILM, prediction({}), **WORDS)
    corners = {
        "Nodule": (0.9, 0.02, 0.02, 0.2),
        "Mass": (0.9, 0.98, 0.02, 0.2),
        "Effusion": (0.9, 0.02, 0.98, 0.2),
    }
    rgb = drawn(FILM, prediction(corners), **WORDS)
    left, width, height = 59, 446, 558
    for x in (left, left + width - 44):
        for y in (33, 33 + height - 55):
            part = (slice(y, y + 55), slice(x, x + 44))
            assert (rgb[part] == nowhere[part]).all()
    assert coloured(film_area(rgb)).any()


def test_the_table_says_probability_threshold_result_and_change_of_all_findings(written):
    drawn(FILM, prediction(), comparison=comparison(), **WORDS)
    for k in range(14):
        start = written.index("Change") + 1 + 4 * k
        name, probability, threshold, change = written[start : start + 4]
        if name == "Nodule":
            assert (probability, threshold, change) == ("93.0 %", "ABOVE 30.0 %", "new")
        elif name == "Effusion":
            assert (probability, threshold, change) == ("81.0 %", "ABOVE 30.0 %", "decreased")
        else:
            assert (probability, threshold, change) == ("5.0 %", "below 30.0 %", "unchanged")


def test_what_is_burned_in_names_label_software_model_and_date(written):
    drawn(FILM, prediction(), **WORDS)
    text = "\n".join(written)
    assert "AI RESULT - FOR RESEARCH USE ONLY" in text
    assert "hilum 0.1.0" in text
    assert "Model invented-net 1.2.0 (SHA-256 ab12ab12ab12)" in text
    assert "Chest X-ray 2025-01-02 14:15, PA" in text


def test_at_most_the_strongest_three_findings_are_drawn():
    one = DrawingSettings(long_edge_px=900, most_findings=1)
    single = drawn(FILM, prediction(), **(WORDS | {"settings": one}))
    alone = drawn(FILM, prediction({"Nodule": (0.93, 0.75, 0.35, 0.06)}), **WORDS)
    assert (film_area(single) == film_area(alone)).all()


def test_the_comparison_names_both_dates_and_how_far_apart_they_are(written):
    draw_comparison(FILM, comparison(), settings=SMALL, **PAIR)
    assert "Prior: 2024-01-02 08:15 (study time), AP, 366 days earlier" in written
    assert "Heat-map difference: Nodule (new)" in written
    assert "Alignment: correlation 0.93, SSIM 0.71" in written


def test_a_prior_that_is_the_later_film_is_said_to_be_later(written):
    draw_comparison(
        FILM, comparison(), settings=SMALL, **(PAIR | {"current": PRIOR, "prior": CURRENT})
    )
    assert "Prior: 2025-01-02 14:15, PA, 366 days LATER" in written


def test_films_that_are_not_comparable_are_said_to_be_so_and_no_difference_is_drawn(written):
    apart = comparison(comparable=False, reason="the films do not overlap")
    rgb = draw_comparison(FILM, apart, settings=SMALL, **PAIR)
    assert "Not comparable: the films do not overlap" in " ".join(written)
    assert not coloured(film_area(rgb)).any()
    assert not {"new", "decreased", "Structural difference"} & set(written)


def test_more_opaque_is_orange_and_less_is_blue():
    rgb = film_area(draw_comparison(FILM, comparison(), settings=SMALL, **PAIR))
    structural = rgb[280:, :280]
    painted = structural[coloured(structural)]
    assert len(painted)
    assert (painted[:, 0] > painted[:, 2]).all()


@pytest.mark.parametrize(
    "shape", [(64, 64), (4000, 700), (700, 4000), (1, 1), (3000, 3000)], ids=str
)
def test_films_of_every_shape_are_drawn_at_the_size_that_is_set(shape):
    film = Film(np.linspace(0, 1, shape[0] * shape[1], dtype=np.float32).reshape(shape))
    notes = ("a note of many words " * 20, "x" * 400, "another", "one more") * 2
    found = drawn(film, everything_positive(), comparison=comparison(), notes=notes, **WORDS)
    compared = draw_comparison(film, comparison(), settings=SMALL, notes=notes, **PAIR)
    for rgb in (found, compared):
        assert rgb.shape == (590, 900, 3)
        assert rgb.dtype == np.uint8


def closeup(found, label, **words):
    i = LABELS.index(label)
    rings = outlines(found, FILM.pixels.shape)
    return draw_closeup(FILM, found, i, rings[i], **(WORDS | words))


def test_a_single_finding_is_shown_with_its_map_and_with_its_place_enlarged_and_unpainted():
    rgb = closeup(prediction({"Nodule": (0.9, 0.75, 0.35, 0.06)}), "Nodule")
    assert rgb.shape == (445, 432, 3)
    film, enlarged = rgb[70:317, :250].astype(int), rgb[70:317, 272:416].astype(int)
    assert coloured(film).any()
    assert not coloured(enlarged).any()
    rows, columns = enlarged.shape[:2]
    middle = enlarged[rows // 2 - 20 : rows // 2 + 20, columns // 2 - 20 : columns // 2 + 20]
    place = FILM.pixels[int(0.35 * 250) - 6 : int(0.35 * 250) + 6, 150 - 6 : 150 + 6]
    assert middle.mean() == pytest.approx(255 * place.mean(), abs=8)


def test_a_single_finding_says_probability_threshold_and_change(written):
    change = comparison().changes[LABELS.index("Nodule")]
    closeup(prediction(), "Nodule", prior=PRIOR, change=change)
    assert "Nodule 93.0 %, above the site's threshold (30.0 %)" in written
    assert "Chest X-ray 2025-01-02 14:15, PA" in written
    since = "since 2024-01-02 08:15 (study time), 366 days earlier"
    assert f"Change: new {since}" in written
    assert WORDS["settings"].label in written
    closeup(prediction(), "Nodule")
    assert "Change: not known" in written


def test_a_finding_without_a_place_is_shown_without_an_enlarged_part():
    flat = prediction()
    flat.heatmaps[LABELS.index("Nodule")] = 1
    rgb = closeup(flat, "Nodule")
    assert not rgb[70:317, 256:].any()


@pytest.mark.parametrize("place", [(0, 0), (1, 0), (0, 1), (1, 1), (0.5, 0.5)])
@pytest.mark.parametrize("width", [0.02, 0.1, 0.4])
def test_the_corners_of_a_single_findings_film_stay_as_they_are(place, width):
    found = prediction({"Mass": (0.9, *place, width)})
    bare = prediction({"Mass": (0.9, *place, width)})
    bare.heatmaps[:] = 0
    rgb, without = closeup(found, "Mass"), closeup(bare, "Mass")
    rows, columns = 247, 198
    left = (251 - columns) // 2
    for y in (70, 70 + rows - 24):
        for x in (left, left + columns - 19):
            part = (slice(y, y + 24), slice(x, x + 19))
            assert (rgb[part] == without[part]).all()


def test_text_stays_inside_its_width_however_long_it_is():
    page = Canvas(300, 40, 1.0)
    page.text(50, 5, "a very long line that can not possibly fit " * 5, 20, width=100)
    columns = np.nonzero(page.done().any(axis=(0, 2)))[0]
    assert columns.min() >= 50
    assert columns.max() <= 150


def test_text_becomes_ascii():
    assert plain("Müller  90 %\n") == "M?ller 90 %"


def test_equal_steps_of_a_value_are_equal_steps_to_the_eye():
    for table in (heat_table(), difference_table()):
        lab = rgb2lab(table[None] / 255.0)[0]
        steps = np.linalg.norm(lab[16:] - lab[:-16], axis=1)
        turn = slice(104, 136) if table is difference_table() else slice(0, 0)  # the neutral grey
        steps = np.delete(steps, turn)
        assert steps.max() < 1.35 * steps.min()
    lightness = rgb2lab(heat_table()[None] / 255.0)[0, :, 0]
    assert (np.diff(lightness[::8]) > 0).all()


def test_no_difference_is_grey():
    middle = difference_table()[127:129].astype(int)
    assert (np.ptp(middle, axis=-1) < 6).all()


def test_a_ratio_that_is_stated_is_drawn_as_two_lines_and_one_that_is_not_is_not(written):
    heart, chest_width = Line(160, 60, 130), Line(120, 30, 170)
    ratio = RatioStatement(CardiothoracicRatio(heart, chest_width), "", 0.012, 50)

    def picture(statement):
        return film_area(drawn(FILM, replace(prediction({}), ratio=statement), **WORDS))

    bare = picture(None)
    assert np.array_equal(picture(replace(ratio, forbidden="not PA")), bare)
    lines = (picture(ratio) != bare).any(axis=-1)
    long = [row for row in lines if row.sum() > 40]  # the others cross the ends alone
    spans = {int(np.ptp(np.flatnonzero(row))) for row in long}
    assert min(spans) / max(spans) == pytest.approx(70 / 140, abs=0.03)
    assert any("Cardiothoracic ratio 0.50 (mean absolute error 0.012" in one for one in written)
