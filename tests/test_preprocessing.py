import time

import numpy as np
import pytest
import torch

from inference.film import Film
from inference.preprocessing import Preprocessing

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


def test_black_and_white_are_not_rescaled_per_film():
    dim = PREPROCESSING(Film(np.linspace(0, 0.5, 6400, dtype=np.float32).reshape(80, 80)))
    assert dim.max() <= 0.0  # a dim film stays dim: 0.5 is the mean


def test_the_film_itself_is_left_alone():
    film = film_of(100, 100)
    before = film.pixels.copy()
    PREPROCESSING(film)
    assert np.array_equal(film.pixels, before)


def test_a_full_size_film_takes_a_few_milliseconds():
    film, preprocessing = film_of(2500, 2048), Preprocessing(224)
    preprocessing(film)
    times = []
    for _ in range(5):
        start = time.thread_time()
        preprocessing(film)
        times.append(time.thread_time() - start)
    assert min(times) < 0.04
