"""Perturbations of a film, and how far probabilities move under them."""

import json

import numpy as np
import pytest
from film_lists import write_film_list
from films import chest
from typer.testing import CliRunner

from inference.findings import LABELS
from inference.image.film import Film, View
from inference.model.bundle import load_bundle
from inference.model.engine import Engine
from inference.model.preprocessing import Preprocessing
from training.cli import app
from training.data.film_list import read_film_list
from training.data.perturbations import PERTURBATIONS, Perturbation, as_dataset
from training.evaluation.invariance import GOAL, ProbabilityChange, measure_invariance, table

FILM = Film(chest(200, 161, seed=4), View.PA, (0.2, 0.2))
BY_NAME = {one.name: one for one in PERTURBATIONS}
SAME_SHAPE = {name for name in BY_NAME if "crop" not in name and "border" not in name}


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    return write_film_list(tmp_path_factory.mktemp("films"))


def test_perturbations_have_names_of_their_own():
    assert len(BY_NAME) == len(PERTURBATIONS)


@pytest.mark.parametrize("one", PERTURBATIONS, ids=lambda one: one.name)
def test_a_perturbed_film_is_a_film_and_the_first_stays_as_it_was(one):
    before = FILM.pixels.copy()
    changed = one(FILM, 1)
    assert changed.pixels.dtype == np.float32
    assert changed.pixels.min() >= 0
    assert changed.pixels.max() <= 1
    assert (changed.pixels.shape == FILM.pixels.shape) is (one.name in SAME_SHAPE)
    assert (changed.view, changed.spacing_mm) == (FILM.view, FILM.spacing_mm)
    assert np.array_equal(FILM.pixels, before)


@pytest.mark.parametrize("one", PERTURBATIONS, ids=lambda one: one.name)
def test_the_same_seed_gives_the_same_film(one):
    assert np.array_equal(one(FILM, 5).pixels, one(FILM, 5).pixels)


@pytest.mark.parametrize("name", ["shifted by 3 %", "black border", "burned-in marker", "noise"])
def test_what_is_random_varies_with_the_seed(name):
    films = [BY_NAME[name](FILM, seed).pixels for seed in range(4)]
    assert any(not np.array_equal(films[0], other) for other in films[1:])


@pytest.mark.parametrize(
    "name", [name for name in BY_NAME if "bits" in name or "window" in name or "gamma" in name]
)
def test_another_window_depth_or_polarity_gives_nearly_the_same_input(name):
    if name == "tight window":
        pytest.skip("it clips: that loses greys, by intent")
    preprocessing = Preprocessing(64)
    changed = preprocessing(BY_NAME[name](FILM)) - preprocessing(FILM)
    assert changed.abs().mean() * preprocessing.std < 0.02


def test_monochrome1_is_stored_as_the_complement():
    first, second = (as_dataset(FILM, 12, f"MONOCHROME{k}").pixel_array.astype(int) for k in (1, 2))
    assert np.array_equal(first, 4095 - second)


def test_a_crop_takes_a_twentieth_off_the_side_that_it_names():
    assert np.array_equal(BY_NAME["5 % crop, top"](FILM).pixels, FILM.pixels[10:])
    assert BY_NAME["5 % crop, all sides"](FILM).pixels.shape == (180, 145)


def test_a_film_that_does_not_change_does_not_move(films, tiny_bundle):
    same = Perturbation("as it is", lambda film, _seed: film)
    black = Perturbation("black", lambda film, _seed: Film(np.zeros_like(film.pixels)))
    records = read_film_list(films)[:3]
    with Engine(load_bundle(tiny_bundle), device="cpu") as engine:
        still, moved = measure_invariance(engine, records, (same, black))
    assert still.mean < 1e-6
    assert (still.films, moved.films) == (3, 3)
    assert 0 < moved.mean <= moved.worst
    assert moved.worst_label in LABELS


def test_the_table_marks_what_misses_the_goal():
    moved = [
        ProbabilityChange("small", 1, GOAL / 2, 0.1, "Mass"),
        ProbabilityChange("large", 1, GOAL, 0.1, "Mass"),
    ]
    assert list(table(moved).columns[4].cells) == ["met", "MISSED"]


def test_the_command_prints_every_perturbation(films, tiny_bundle):
    words = ["invariance", "--films", str(films), "--bundle", str(tiny_bundle), "--device", "cpu"]
    words += ["--films-at-most", "2"]
    said = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert [one["perturbation"] for one in said] == list(BY_NAME)
    assert {one["films"] for one in said} == {2}
    assert "mean absolute change" in CliRunner().invoke(app, words).stdout


def test_a_split_without_films_is_said_in_one_line(films, tiny_bundle):
    words = ["invariance", "--films", str(films), "--split", "nothing"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert "no film is in split 'nothing'" in result.stderr
