import numpy as np
import pytest
import torch
from films import chest

from inference.image.film import Film
from inference.model.preprocessing import Preprocessing, comparable_greys

PREPROCESSING = Preprocessing(size_px=64, mean=0.5, std=0.25)


def film_of(rows, columns, seed=0):
    return Film(np.random.default_rng(seed).random((rows, columns), dtype=np.float32))


@pytest.mark.parametrize("shape", [(250, 205), (64, 64), (30, 40), (200, 50), (50, 200)])
def test_any_shape_becomes_one_square_of_float32(shape):
    pixels = PREPROCESSING(film_of(*shape))
    assert type(pixels) is torch.Tensor
    assert pixels.shape == (1, 64, 64)
    assert pixels.dtype == torch.float32


def test_the_film_is_stretched_edge_to_edge():
    pixels = np.zeros((300, 200), np.float32)
    pixels[:150] = 1.0  # the upper half
    pixels[:, 100:] *= 0.5  # its right half is darker
    square = PREPROCESSING.resize(Film(pixels))[0]
    assert torch.allclose(square[:31, :31], torch.tensor(1.0))
    assert torch.allclose(square[:31, 33:], torch.tensor(0.5))
    assert torch.allclose(square[33:], torch.tensor(0.0))


def test_a_fine_pattern_averages_to_grey_instead_of_moire():
    stripes = np.zeros((1000, 1000), np.float32)
    stripes[::2] = 1.0
    square = PREPROCESSING.resize(Film(stripes))
    assert (square - 0.5).abs().max() < 0.05


def test_mean_becomes_zero_and_one_spread_becomes_one():
    assert torch.allclose(
        PREPROCESSING(Film(np.full((80, 80), 0.5, np.float32))), torch.tensor(0.0), atol=1e-6
    )
    assert torch.allclose(
        PREPROCESSING(Film(np.full((80, 80), 0.75, np.float32))), torch.tensor(1.0), atol=1e-6
    )


@pytest.mark.parametrize(
    "exposed",
    [
        lambda grey: 0.3 + 0.4 * grey,  # another window
        lambda grey: grey**0.8,
        lambda grey: grey**1.25,
        lambda grey: 0.1 + 0.8 * grey**1.2,
    ],
    ids=["window", "gamma 0.8", "gamma 1.25", "both"],
)
def test_another_window_or_gamma_of_a_film_gives_the_same_input(exposed):
    grey = chest()
    same, other = PREPROCESSING(Film(grey)), PREPROCESSING(Film(exposed(grey)))
    assert (same - other).abs().mean() < 0.02  # of 4, from black to white


def test_borders_and_burned_in_markers_do_not_drive_the_greys():
    grey = chest()
    framed = grey.copy()
    framed[:18] = framed[-18:] = 0  # collimation
    framed[20:30, 2:20] = 1  # a marker
    middle = slice(8, 56)
    same, other = (PREPROCESSING(Film(one))[0, middle, middle] for one in (grey, framed))
    assert (same - other).abs().max() < 0.05


def test_an_inverted_film_stays_inverted():
    # polarity must not be hidden: the input check is there to see it
    straight, inverted = PREPROCESSING(Film(chest())), PREPROCESSING(Film(1 - chest()))
    assert torch.corrcoef(torch.stack([straight.flatten(), inverted.flatten()]))[0, 1] < -0.9


def test_films_of_a_batch_are_made_comparable_each_on_its_own():
    films = torch.stack([torch.from_numpy(chest(64, 64, seed=k))[None] for k in range(3)])
    together = comparable_greys(films)
    for film, grey in zip(films, together, strict=True):
        assert torch.allclose(comparable_greys(film), grey, atol=1e-6)


def test_the_film_itself_is_left_alone():
    film = film_of(100, 100)
    before = film.pixels.copy()
    PREPROCESSING(film)
    assert np.array_equal(film.pixels, before)
