"""Shutter, overlays, proportions and sides: what a header says of how its film is shown."""

import numpy as np
import pytest
from films import chest, make_film_ds, overlaid
from invented import comparison, drawn, everything_positive, prediction
from scipy.ndimage import gaussian_filter

from inference.comparison.alignment import align, at_working_size, pixel_ratio
from inference.comparison.compare import compare
from inference.comparison.presented import presented
from inference.comparison.result import MARK
from inference.drawing.closeup import draw_closeup
from inference.drawing.layers import STROKES, shown, sided
from inference.drawing.outlines import outlines
from inference.drawing.plates import draw_plates, film_plates
from inference.drawing.summary import Caption, draw_comparison
from inference.findings import LABELS, NOT_VERIFIED
from inference.image.film import Film, read_film, read_greys
from inference.image.gate import GateSettings, check_pixels
from inference.image.presentation import Presentation, Sides, pixel_aspect, read_presentation
from inference.model.preprocessing import Preprocessing
from inference.settings import DrawingSettings
from scp.pipeline.reader import open_film

ROWS, COLUMNS = 256, 224
SMALL = DrawingSettings(long_edge_px=900)
WORDS = {"software": "hilum 0.1.0", "settings": SMALL}


def shuttered(shape, **elements):
    return make_film_ds(ShutterShape=shape, **elements)


RECTANGLE = {
    "ShutterLeftVerticalEdge": 21,
    "ShutterRightVerticalEdge": 200,
    "ShutterUpperHorizontalEdge": 11,
    "ShutterLowerHorizontalEdge": 240,
}
CIRCLE = {"CenterOfCircularShutter": [128, 112], "RadiusOfCircularShutter": 110}
TRIANGLE = {"VerticesOfThePolygonalShutter": [1, 112, 256, 224, 256, 1]}


def inside_rectangle():
    seen = np.zeros((ROWS, COLUMNS), bool)
    seen[10:240, 20:200] = True
    return seen


def inside_circle(radius=110, aspect=1.0):
    y, x = np.mgrid[1 : ROWS + 1, 1 : COLUMNS + 1]
    return ((y - 128) * aspect) ** 2 + (x - 112) ** 2 <= radius**2


def inside_triangle():
    y, x = np.mgrid[1 : ROWS + 1, 1 : COLUMNS + 1]
    half = (y - 1) / 255 * 112
    return (x >= 112 - half) & (x <= 112 + half)


SHUTTERS = {
    "rectangular": ("RECTANGULAR", RECTANGLE, inside_rectangle()),
    "circular": ("CIRCULAR", CIRCLE, inside_circle()),
    "polygonal": ("POLYGONAL", TRIANGLE, inside_triangle()),
    "combined": (
        ["RECTANGULAR", "CIRCULAR"],
        RECTANGLE | CIRCLE,
        inside_rectangle() & inside_circle(),
    ),
    "circle-of-tall-pixels": (
        "CIRCULAR",
        CIRCLE | {"RadiusOfCircularShutter": 140, "ImagerPixelSpacing": ["0.3", "0.2"]},
        inside_circle(140, 1.5),
    ),
    "edges-beyond-the-film": (
        "RECTANGULAR",
        RECTANGLE | {"ShutterLeftVerticalEdge": -50, "ShutterRightVerticalEdge": 9000},
        np.repeat(inside_rectangle()[:, 112:113], COLUMNS, axis=1),
    ),
}


@pytest.mark.parametrize("name", SHUTTERS)
def test_nothing_outside_a_shutter_is_read_and_everything_inside_is(name):
    shape, elements, seen = SHUTTERS[name]
    ds = shuttered(shape, **elements)
    film, bare = read_film(ds), read_film(make_film_ds())
    sure = np.ones_like(seen)
    if name == "polygonal":  # its edge runs through pixels
        sure = (seen == np.roll(seen, 1, 1)) & (seen == np.roll(seen, -1, 1))
    assert (film.pixels[~seen & sure] == 0).all()
    assert (film.pixels[seen & sure] == bare.pixels[seen & sure]).all()
    assert film.presentation.problems == ()
    assert (read_greys(ds).values[~seen & sure] == 0).all()


def test_a_bitmap_shutter_hides_what_its_overlay_marks_and_is_not_drawn_as_one():
    covered = np.zeros((ROWS, COLUMNS), bool)
    covered[:40] = True
    ds = overlaid(shuttered("BITMAP", ShutterOverlayGroup=0x6002), covered, 0x6002)
    film = read_film(ds)
    assert (film.pixels[covered] == 0).all()
    assert film.pixels[~covered].min() > 0
    assert film.presentation.overlays is None


MALFORMED = {
    "shape unknown": ("SQUARE", RECTANGLE),
    "no elements": ("RECTANGULAR", {}),
    "edges exchanged": (
        "RECTANGULAR",
        RECTANGLE | {"ShutterLeftVerticalEdge": 200, "ShutterRightVerticalEdge": 21},
    ),
    "beside the film": (
        "RECTANGULAR",
        RECTANGLE | {"ShutterLeftVerticalEdge": 5000, "ShutterRightVerticalEdge": 6000},
    ),
    "leaves a strip": ("RECTANGULAR", RECTANGLE | {"ShutterLowerHorizontalEdge": 14}),
    "no radius": ("CIRCULAR", {"CenterOfCircularShutter": [128, 112]}),
    "zero radius": ("CIRCULAR", CIRCLE | {"RadiusOfCircularShutter": 0}),
    "circle beside the film": ("CIRCULAR", CIRCLE | {"CenterOfCircularShutter": [9000, 9000]}),
    "one vertex": ("POLYGONAL", {"VerticesOfThePolygonalShutter": [10, 10]}),
    "no vertex": ("POLYGONAL", {}),
    "odd vertices": ("POLYGONAL", {"VerticesOfThePolygonalShutter": [1, 1, 9, 9, 5]}),
    "vertices on a line": ("POLYGONAL", {"VerticesOfThePolygonalShutter": [1, 1, 9, 9, 99, 99]}),
    "polygon beside the film": (
        "POLYGONAL",
        {"VerticesOfThePolygonalShutter": [900, 900, 900, 999, 2**31 - 1, 900]},
    ),
    "no overlay": ("BITMAP", {"ShutterOverlayGroup": 0x6000}),
    "no group": ("BITMAP", {}),
    "nothing in common": (
        ["RECTANGULAR", "CIRCULAR"],
        RECTANGLE
        | {"ShutterRightVerticalEdge": 100}
        | CIRCLE
        | {"CenterOfCircularShutter": [128, 224]},
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_shutter_that_cannot_be_meant_leaves_the_film_as_it_is_and_is_named(name):
    shape, elements = MALFORMED[name]
    film = read_film(shuttered(shape, **elements))
    assert (film.pixels == read_film(make_film_ds()).pixels).all()
    assert film.presentation.shutter is None
    (problem,) = film.presentation.problems
    assert "display shutter" in problem
    assert "not applied" in problem


def test_of_two_shapes_the_one_that_can_be_applied_is():
    film = read_film(shuttered(["POLYGONAL", "RECTANGULAR"], **RECTANGLE))
    assert (film.pixels[~inside_rectangle()] == 0).all()
    assert len(film.presentation.problems) == 1
    assert film.presentation.shutter.elements.ShutterShape == "RECTANGULAR"


def test_a_shutter_that_hides_most_of_the_film_is_named():
    film = read_film(shuttered("CIRCULAR", **CIRCLE | {"RadiusOfCircularShutter": 80}))
    assert film.presentation.problems == ("the display shutter hides 65% of the film",)


def test_a_window_is_judged_by_what_the_shutter_leaves():
    # bright borders that nobody may see: greys are those of the part that is left
    pixels = chest(ROWS, COLUMNS)
    pixels[~inside_rectangle()] = 1
    no_window = {"WindowCenter": None, "WindowWidth": None}
    ds = make_film_ds(0.5 * pixels, ShutterShape="RECTANGULAR", **RECTANGLE, **no_window)
    film = read_film(ds)
    visible = film.pixels[inside_rectangle()]
    assert visible.min() < 0.02
    assert visible.max() > 0.98
    assert check_pixels(film, GateSettings()) is None


def test_nothing_is_drawn_outside_the_shutter_in_any_picture():
    ds = shuttered("RECTANGULAR", **RECTANGLE | {"ShutterRightVerticalEdge": 150})
    film, found = read_film(ds), everything_positive()
    picture = shown(film, 448, 512)
    assert picture.shape == (512, 448, 3)
    assert not picture[:, 302:].any()
    assert picture[40:440, 60:280].all()
    pair = comparison(rows=256, columns=224)
    now, _, structural = film_plates(film, pair, "now", "then", 448, 512)
    for plate in (now, structural):
        assert not plate.picture[:, 302:].any()
    # a map whose middle lies behind the shutter
    hidden = prediction({"Nodule": (0.9, 0.85, 0.5, 0.2)})
    with_map, without = drawn(film, hidden, caption=Caption(), **WORDS), None
    without = drawn(film, prediction({}), caption=Caption(), **WORDS)
    left = (564 - round(558 * 224 / 256)) // 2
    edge = left + round(558 * 224 / 256 * 152 / 224)
    assert (with_map[40:580, edge:540] == without[40:580, edge:540]).all()
    assert (with_map[40:580, left:edge] != without[40:580, left:edge]).any()
    assert found.positive.all()


@pytest.mark.parametrize("origin", [(31, 101), (-4, -9), (240, 210)])
def test_an_overlay_is_placed_by_its_origin_and_is_not_in_the_pixels(origin):
    plane = np.ones((20, 30), bool)
    film = read_film(overlaid(make_film_ds(), plane, 0x6004, origin=origin))
    expected = np.zeros((ROWS, COLUMNS), bool)
    top, left = (max(0, n - 1) for n in origin)
    expected[top : max(0, origin[0] + 19), left : max(0, origin[1] + 29)] = True
    assert (film.presentation.graphics == expected).all()
    assert film.presentation.overlays.groups == (0x6004,)
    assert (film.pixels == read_film(make_film_ds()).pixels).all()


def test_a_region_of_interest_is_drawn_by_its_edge():
    plane = np.zeros((ROWS, COLUMNS), bool)
    plane[50:100, 60:120] = True
    graphics = read_film(overlaid(make_film_ds(), plane, kind="R")).presentation.graphics
    assert graphics[50, 60:120].all()
    assert not graphics[51:99, 61:119].any()


def test_an_overlay_that_is_cut_short_or_covers_the_film_is_left_out_and_named():
    ds = overlaid(make_film_ds(), np.ones((ROWS, COLUMNS), bool))
    short = overlaid(ds, np.ones((8, 8), bool), 0x6002)
    short[0x6002, 0x10].value = 800
    how = read_presentation(short, (ROWS, COLUMNS))
    assert how.overlays is None
    assert how.problems == (
        "overlay 6000 is not drawn: it covers 100%",
        "overlay 6002 is not drawn: it cannot be read",
    )


def test_a_marker_is_drawn_over_the_film_its_maps_and_its_shutter():
    plane = np.zeros((ROWS, COLUMNS), bool)
    plane[120:123, 100:160] = True  # thin: it must not vanish when the film gets smaller
    plane[2:8, 10:30] = True  # behind the shutter: annotations follow it (PS3.4 N.2.3.1)
    ds = overlaid(shuttered("RECTANGULAR", **RECTANGLE), plane)
    film = read_film(ds)
    found = prediction({"Nodule": (0.9, 130 / 224, 121 / 256, 0.1)})
    rgb = drawn(film, found, caption=Caption(), **WORDS)
    scale, left = 558 / 256, (564 - round(558 * 224 / 256)) // 2
    middle = rgb[33 + round(121.5 * scale), left + round(130 * scale)]
    assert (middle == 240).all()
    assert (rgb[33 + round(5 * scale), left + round(20 * scale)] == 240).all()
    assert (shown(film, 60, 60)[28] == 240).all(axis=-1).sum() > 10


def test_the_overlay_of_a_prior_lies_on_it_where_the_prior_was_laid():
    plane = np.zeros((ROWS, COLUMNS), bool)
    plane[60:70, 30:60] = True
    film, found = read_film(make_film_ds()), prediction()
    prior = read_film(overlaid(make_film_ds(PatientOrientation=None), plane))
    pair = compare(film, prior, found, found)
    rows, columns = np.nonzero(pair.prior_graphics)
    assert rows.mean() / pair.prior_graphics.shape[0] == pytest.approx(65 / ROWS, abs=0.01)
    assert columns.mean() / pair.prior_graphics.shape[1] == pytest.approx(45 / COLUMNS, abs=0.01)
    assert pair.prior_sides is None
    before = film_plates(film, pair, "now", "then", 448, 512)[1].picture
    assert (before[130, 90] == 240).all()


def test_the_letters_and_overlays_of_a_prior_that_was_laid_mirrored_change_sides():
    # the invented pair: the prior is the mirrored film
    plane = np.zeros((ROWS, COLUMNS), bool)
    plane[60:70, 30:60] = True
    prior = read_film(overlaid(make_film_ds(PatientOrientation=["R", "F"]), plane))
    pair = presented(comparison(rows=512, columns=448), prior)
    assert pair.prior_sides == ("R", "L")
    rows, columns = np.nonzero(pair.prior_graphics)
    assert rows.mean() / 512 == pytest.approx(65 / ROWS, abs=0.01)
    assert columns.mean() / 448 == pytest.approx(1 - 45 / COLUMNS, abs=0.01)


ASPECTS = {
    "square": ({"ImagerPixelSpacing": ["0.2", "0.2"]}, 1),
    "spacing": ({"PixelSpacing": ["0.2", "0.4"], "ImagerPixelSpacing": None}, 0.5),
    "at the detector": ({"ImagerPixelSpacing": ["0.3", "0.2"]}, 1.5),
    "ratio": ({"PixelAspectRatio": ["2", "3"], "ImagerPixelSpacing": None}, 2 / 3),
    "a spacing comes before a ratio": ({"PixelAspectRatio": ["2", "3"]}, 1),
    "zero spacing": (
        {"PixelSpacing": ["0", "0"], "ImagerPixelSpacing": None, "PixelAspectRatio": ["4", "3"]},
        4 / 3,
    ),
    "nothing": ({"ImagerPixelSpacing": None}, 1),
}


@pytest.mark.parametrize("name", ASPECTS)
def test_a_pixel_is_as_tall_and_wide_as_the_header_says(name):
    elements, aspect = ASPECTS[name]
    assert pixel_aspect(make_film_ds(**elements)) == (pytest.approx(aspect), ())


def test_pixels_of_impossible_proportions_are_shown_as_squares_and_named():
    aspect, problems = pixel_aspect(make_film_ds(ImagerPixelSpacing=["0.2", "20"]))
    assert aspect == 1
    assert problems == ("ImagerPixelSpacing is implausible: pixels are shown as squares",)


def test_a_film_of_uneven_pixels_passes_the_gate_and_what_was_not_obeyed_is_a_limit(tmp_path):
    path = tmp_path / "film.dcm"
    ds = make_film_ds(**UNEVEN, ShutterShape="CIRCULAR")
    ds.save_as(path, enforce_file_format=True)
    opened = open_film(path, GateSettings())
    assert opened.notes[0] == (
        "the display shutter CIRCULAR is not applied: the centre or the radius is missing"
    )


UNEVEN = {"pixels": chest(512, 224), "ImagerPixelSpacing": ["0.1", "0.2"]}


def test_a_film_of_uneven_pixels_is_drawn_and_judged_in_its_proportions():
    film = read_film(make_film_ds(**UNEVEN))
    assert film.proportions == (256, 224)
    assert shown(film, 448, 512).shape == (512, 448, 3)
    assert check_pixels(film, GateSettings()) is None  # as stored it is a strip
    found = prediction({"Nodule": (0.9, 0.5, 0.5, 0.06)})
    i = LABELS.index("Nodule")
    rgb = draw_closeup(
        film, found, i, outlines(found, film.pixels.shape)[i], caption=Caption(), **WORDS
    )
    even = read_film(make_film_ds(chest(256, 224)))
    ring = outlines(found, even.pixels.shape)[i]
    other = draw_closeup(even, found, i, ring, caption=Caption(), **WORDS)
    assert np.abs(rgb.astype(int) - other).mean() < 6


def test_films_of_even_and_uneven_pixels_are_laid_onto_each_other():
    even, uneven = read_film(make_film_ds(chest(256, 224))), read_film(make_film_ds(**UNEVEN))
    shapes = [at_working_size(f.pixels, f.proportions) for f in (even, uneven)]
    assert shapes[0].shape == shapes[1].shape
    alignment = align(*shapes, pixel_ratio(even, uneven))
    assert alignment.scale == pytest.approx(1, abs=0.03)
    assert np.abs(alignment.matrix[:, :2].numpy() - np.eye(2)).max() < 0.05
    assert pixel_ratio(even, uneven) == pytest.approx(1)


def test_the_network_sees_the_same_of_even_and_uneven_pixels():
    seen = [
        Preprocessing(64).resize(read_film(make_film_ds(**film)))
        for film in (
            {"pixels": chest(512, 448)},
            {"pixels": chest(512, 448)[:, ::2], "ImagerPixelSpacing": ["0.1", "0.2"]},
        )
    ]
    assert (seen[0] - seen[1]).abs().mean() < 0.01


SIDES = {
    "as a reader sees it": (["L", "F"], ("R", "L")),
    "stored mirrored": (["R", "F"], ("L", "R")),
    "oblique": (["LA", "F"], ("R", "L")),
    "lateral": (["A", "F"], ("P", "A")),
    "not stated": (None, None),
    "empty": ("", None),
    "one value": ("L", None),
    "one axis twice": (["L", "R"], None),
    "no direction": (["X", "F"], None),
}


@pytest.mark.parametrize("name", SIDES)
def test_the_letters_of_a_film_are_those_of_its_orientation(name):
    stated, expected = SIDES[name]
    how = read_presentation(make_film_ds(PatientOrientation=stated), (ROWS, COLUMNS))
    assert how.sides == expected
    if expected is not None:
        assert how.mirrored().sides == expected[::-1]


def test_each_letter_stands_beside_its_edge_and_never_on_the_film():
    picture = np.full((100, 80, 3), 128, np.uint8)
    lettered = sided(picture, Sides("R", "L"), 1.0)
    assert (lettered[:, 26:-26] == picture).all()
    left, right = lettered[:, :26], lettered[:, -26:]
    assert left.any()
    assert right.any()
    turned = sided(picture, Sides("L", "R"), 1.0)
    assert (turned[:, :26] == right).all()
    assert not sided(picture, None, 1.0)[:, :26].any()


@pytest.mark.parametrize("orientation", [["L", "F"], ["R", "F"], None])
def test_every_picture_has_the_letters_that_the_header_states_and_no_others(orientation):
    film = read_film(make_film_ds(PatientOrientation=orientation))
    found, pair = prediction(), comparison()
    i = LABELS.index("Nodule")
    ring = outlines(found, film.pixels.shape)[i]
    sides = film.presentation.sides
    pictures = [
        drawn(film, found, caption=Caption(), **WORDS),
        draw_closeup(film, found, i, ring, caption=Caption(), **WORDS),
        draw_plates(film_plates(film, pair, "", "", 500, 500)[:1], SMALL),
    ]
    strips = sided(np.zeros((60, 60, 3), np.uint8), sides, 0.6)
    letters = [strips[:, :16], strips[:, -16:]]
    for rgb in pictures:
        assert all(_holds(rgb, letter) for letter in letters) == (sides is not None)


def _holds(rgb, letter):
    """Whether a letter is somewhere in a picture."""
    rows, columns = (np.flatnonzero(letter.any(axis=axis).any(axis=-1)) for axis in (1, 0))
    if not rows.size:
        return False
    cut = letter[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    windows = np.lib.stride_tricks.sliding_window_view(rgb[..., 0], cut.shape[:2])
    return bool((windows == cut[..., 0]).all(axis=(2, 3)).any())


def test_the_prior_is_drawn_left_and_the_current_film_right():
    film = Film(chest(250, 200))
    caption = {"current": Caption(), "prior": Caption(), "model": prediction().model}
    rgb = draw_comparison(film, comparison(), **caption, **WORDS)
    right = rgb[60:300, 300:540].astype(int)
    left = rgb[60:300, 20:260].astype(int)
    # the invented prior is noise
    assert (
        np.abs(np.diff(left[..., 0], axis=1)).mean()
        > 3 * np.abs(np.diff(right[..., 0], axis=1)).mean()
    )


@pytest.mark.parametrize("many", [0, 3, 40])
def test_what_limits_comes_first_and_that_nobody_verified_it_never_goes(many, written):
    film, found, pair = Film(chest(250, 200)), everything_positive(), comparison()
    notes = tuple(
        f"limit number {k} of the film, in as many words as it takes" for k in range(many)
    )
    i, caption = 13, {"current": Caption(), "prior": Caption(), "model": found.model}
    ring = outlines(found, film.pixels.shape)[i]
    pictures = {
        "findings": lambda: drawn(film, found, caption=Caption(), notes=notes, **WORDS),
        "closeup": lambda: draw_closeup(
            film, found, i, ring, caption=Caption(), notes=notes, **WORDS
        ),
        "comparison": lambda: draw_comparison(film, pair, notes=notes, **caption, **WORDS),
        "not comparable": lambda: draw_comparison(
            film,
            comparison(comparable=False, reason="no overlap"),
            notes=notes,
            **caption,
            **WORDS,
        ),
        "plates": lambda: draw_plates(film_plates(film, pair, "", "", 500, 500), SMALL),
    }
    for name, draw in pictures.items():
        written.clear()
        draw()
        said = " ".join(written)
        assert NOT_VERIFIED in said, name
        if many and name != "plates":
            assert "limit number 0" in said, name
            assert "limit number 2" in said or "more notes are in the report" in said, name
        if many == 40 and name != "plates":
            assert "more notes are in the report" in said, name
            assert "Colour:" not in said, name
        if name == "findings":
            assert ("Line: half of the map" in said) == (many < 40)


def test_no_two_outlines_look_alike_and_those_that_are_drawn_are_named(written):
    assert len(set(STROKES)) == 14
    film, found = Film(chest(250, 200)), everything_positive()
    drawn(film, found, caption=Caption(), **WORDS)
    for name in ("Hernia", "Pleural thickening", "Fibrosis"):
        assert written.count(name) == 2  # in the table, and in the legend
    assert written.count("Emphysema") == 1


def test_a_mirrored_film_is_mirrored_with_all_that_lies_on_it():
    plane = np.zeros((ROWS, COLUMNS), bool)
    plane[10:20, 10:20] = True
    film = read_film(overlaid(shuttered("RECTANGULAR", **RECTANGLE), plane))
    turned = film.mirrored()
    assert (turned.pixels == film.pixels[:, ::-1]).all()
    assert (turned.presentation.graphics == film.presentation.graphics[:, ::-1]).all()
    assert (turned.presentation.occluded == film.presentation.occluded[:, ::-1]).all()
    assert turned.presentation.sides == ("L", "R")
    assert isinstance(Presentation().mirrored(), Presentation)


# ribs and vessels are what films are laid onto each other by
TEXTURED = np.clip(
    chest(512, 448) + 1.4 * gaussian_filter(np.random.default_rng(3).normal(size=(512, 448)), 4),
    0,
    1,
)
WIDE_FRAME = {
    "ShutterLeftVerticalEdge": 46,
    "ShutterRightVerticalEdge": 402,
    "ShutterUpperHorizontalEdge": 62,
    "ShutterLowerHorizontalEdge": 450,
}


@pytest.mark.parametrize("which", [0, 1])
def test_what_a_shutter_hides_on_one_film_counts_on_neither(which):
    films = [read_film(make_film_ds(TEXTURED)) for _ in range(2)]
    films[which] = read_film(shuttered("RECTANGULAR", pixels=TEXTURED, **WIDE_FRAME))
    made = compare(*films, prediction(), prediction())
    assert made.quality > 0.95
    assert made.ssim > 0.95
    assert (np.abs(made.structural) >= MARK).mean() < 0.01
    hidden = films[which].presentation.occluded
    assert made.overlap.mean() == pytest.approx(1 - hidden.mean(), abs=0.05)
    assert (made.overlap & hidden).mean() < 0.01
