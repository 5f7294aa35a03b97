"""The picture of maps beside boxes: which are drawn, what counts as a hit, and the command."""

import numpy as np
import pytest
from labelled import write_films
from PIL import Image
from typer.testing import CliRunner

from inference.findings import LABELS
from training.cli import app
from training.data.boxes import Box
from training.evaluation.map_figure import SHOWN, MapExample, chosen_boxes, draw_maps, is_hit

MASS, NODULE = LABELS.index("Mass"), LABELS.index("Nodule")


def box(film, label="Mass", x=0.0, y=0.0, w=0.5, h=0.5):
    return Box(film, label, x, y, w, h)


def example(row, column, label="Mass", **place):
    grid = np.zeros((4, 4), np.float32)
    grid[row, column] = 1
    lungs = np.zeros((40, 40), np.bool_)
    lungs[10:30, 5:15] = lungs[10:30, 25:35] = True
    return MapExample(box("film", label, **place), grid, lungs)


def test_findings_take_turns_and_no_box_is_on_a_film_without_a_map():
    boxes = [box(f"{k}") for k in range(20)] + [box("0", "Nodule"), box("elsewhere", "Hernia")]
    chosen = chosen_boxes(boxes, {f"{k}": None for k in range(20)})
    assert [one.label for one in chosen] == ["Mass", "Nodule", *["Mass"] * (SHOWN - 2)]


def test_which_boxes_are_drawn_does_not_hang_on_the_order_of_the_list():
    boxes = [box(f"{k}") for k in range(20)]
    films = {f"{k}": None for k in range(20)}
    assert chosen_boxes(boxes, films) == chosen_boxes(boxes[::-1], films)


@pytest.mark.parametrize(
    ("map_and_box", "hit"),
    [
        (example(0, 0), True),
        (example(3, 3), False),
        (example(1, 1), True),
        (example(3, 0, x=0.0, y=0.5), True),
        (MapExample(box("film"), np.zeros((4, 4), np.float32), np.zeros((4, 4), np.bool_)), False),
    ],
    ids=["in the box", "outside", "beside the edge", "below", "a flat map"],
)
def test_a_map_hits_where_its_peak_lies_in_the_box(map_and_box, hit):
    assert is_hit(map_and_box) is hit


def test_hits_and_misses_have_colours_of_their_own(tmp_path):
    colours = []
    for row in (0, 3):
        draw_maps([example(row, row)], "maps", tmp_path / "one.png")
        with Image.open(tmp_path / "one.png") as picture:
            colours.append({colour for _, colour in picture.convert("RGB").getcolors(1 << 20)})
    blue, orange = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)
    assert [blue in one for one in colours] == [True, False]
    assert [orange in one for one in colours] == [False, True]


def test_the_command_says_how_many_it_drew_and_hit(tmp_path, tiny_bundle):
    rows = [
        {"file": f"{k}.png", "patient_id": k, "split": "test", "source_px": 1024}
        | dict.fromkeys(LABELS, k % 2)
        for k in range(4)
    ]
    films = write_films(tmp_path / "films", rows)
    lines = ["image_index,finding,x,y,w,h", "0.png,Mass,0,0,512,512", "1.png,Nodule,0,0,1024,1024"]
    (tmp_path / "boxes.csv").write_text("\n".join(lines) + "\n")
    options = ["--boxes", str(tmp_path / "boxes.csv"), "--bundle", str(tiny_bundle), "--on-test"]
    figure = ["--figure", str(tmp_path / "maps.png"), "--device", "cpu"]
    done = CliRunner().invoke(app, ["judge", "--films", str(films), *options, *figure])
    assert done.exit_code == 0, done.output
    assert "of 2 maps have their peak in the box" in done.output
    with Image.open(tmp_path / "maps.png") as picture:
        assert picture.size[0] > 1000
