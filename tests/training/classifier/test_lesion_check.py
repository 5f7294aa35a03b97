import json

import numpy as np
import pytest
import torch
from films import chest
from labelled import rows_of, write_list
from PIL import Image
from typer.testing import CliRunner

from inference.image.film import Film
from inference.model.preprocessing import Preprocessing
from training.classifier.lesion_check import (
    MIDDLE,
    RADII,
    Disc,
    disc_of,
    greatest,
    lesion_films,
    with_disc,
)
from training.cli import app
from training.data.film_list import Source

pytestmark = pytest.mark.xdist_group("lesion_check")  # its fixtures are made once


@pytest.fixture(scope="module")
def chests(tmp_path_factory):
    """The list of 80 invented chests."""
    folder = tmp_path_factory.mktemp("chests")
    rows = list(rows_of(patients=80, films_each=1))
    for number, row in enumerate(rows):
        pixels = (255 * chest(80, 64, seed=number)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / row["file"])
    return write_list(folder / "films.csv", rows)


def test_half_of_the_films_have_a_disc_in_their_middle_and_always_the_same(tmp_path):
    discs = [disc_of(tmp_path / f"{k}.png") for k in range(1000)]
    there = [disc for disc in discs if disc]
    assert 450 < len(there) < 550
    assert discs[:9] == [disc_of(tmp_path / "elsewhere" / f"{k}.jpg") for k in range(9)]
    for disc in there:
        assert MIDDLE[0] <= min(disc[:2]) <= max(disc[:2]) <= MIDDLE[1]
        assert RADII[0] <= disc.radius <= RADII[1]


def test_a_disc_adds_its_contrast_inside_and_nothing_outside():
    film = Film(np.full((200, 100), 0.3, dtype=np.float32))
    added = with_disc(film, Disc(0.5, 0.25, 0.1), 0.25).pixels - film.pixels
    assert added.dtype == np.float32
    assert added[100, 25] == pytest.approx(0.25)
    rows, columns = np.nonzero(added)
    assert (rows.min(), rows.max()) == (80, 119)
    assert (columns.min(), columns.max()) == (15, 34)
    assert 0 < added[82, 25] < 0.25  # its edge is soft
    white = with_disc(Film(np.ones((50, 50), np.float32)), Disc(0.5, 0.5, 0.1), 0.25)
    assert white.pixels.max() == 1


def test_films_without_a_disc_are_as_they_were(chests):
    records = Source(films=chests).records()
    plain = lesion_films(records, Preprocessing(32), contrast=0.0)
    films = lesion_films(records, Preprocessing(32), contrast=0.25)
    for k in range(len(films)):
        changed = not torch.equal(films.pixels[k], plain.pixels[k])
        assert changed == bool(films.labels[k, 0]) == (disc_of(records[k].path) is not None)


def test_a_map_is_pointed_at_where_it_is_greatest_even_between_its_cells():
    maps = torch.zeros(2, 1, 8, 8)
    maps[0, 0, 2, 5] = 1.0
    maps[1, 0, 4, 3:5] = 1.0  # two cells alike: in between
    (row, column), between = greatest(maps)
    assert (row, column) == pytest.approx((2.5 / 8, 5.5 / 8), abs=0.01)
    assert between == pytest.approx((4.5 / 8, 0.5), abs=0.02)


def test_a_place_is_in_a_disc_or_beside_it():
    disc = Disc(0.5, 0.25, 0.1)
    assert disc.reaches(0.5, 0.34)
    assert not disc.reaches(0.58, 0.33)


def test_the_command_says_how_well_discs_are_found(chests, tmp_path):
    small = ["architecture=resnet18", "size_px=48", "start_px=48", "epochs=2", "batch_size=8"]
    chosen = [word for one in small for word in ("--set", one)]
    words = ["lesions", "--films", str(chests), "--out", str(tmp_path), "--device", "cpu"]
    result = CliRunner().invoke(app, [*words, *chosen, "--contrast", "0.3", "--json"])
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said == json.loads((tmp_path / "lesions.json").read_text())
    assert (said["films"], said["contrast"]) == (20, 0.3)
    assert 5 <= said["lesions"] < 20
    assert 0 <= said["auc"] <= 1
    assert 0 <= said["pointing"] <= 1
    larger = [*words, *chosen, "--contrast", "0.3", "--size-px", "80"]
    plain = CliRunner().invoke(app, larger)  # the run is at its end: it is only measured
    assert plain.stdout.startswith("20 held-out films")


def test_too_few_films_for_both_halves_are_refused(chests, tmp_path):
    rows = list(rows_of(patients=3, films_each=1))
    path = write_list(tmp_path / "films.csv", rows)
    words = ["lesions", "--films", str(path), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert "would have a disc" in result.stderr
