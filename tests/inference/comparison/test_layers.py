"""What a page lays over a film and its prior."""

import numpy as np
import pytest
from invented import blob, comparison

from inference.comparison.alignment import align, at_working_size
from inference.comparison.layers import Layers
from inference.drawing.layers import difference_layer, heat_layer
from inference.findings import LABELS


def test_layers_are_small_and_come_back_as_they_were():
    made = Layers.of(comparison(rows=512, columns=420))
    data = made.to_bytes()
    assert len(data) < 60_000
    back = Layers.from_bytes(data)
    assert np.allclose(back.places, made.places)
    assert back.inverted is False
    assert np.allclose(back.structural, made.structural, atol=1 / 127)
    assert np.allclose(back.heatmaps, made.heatmaps, atol=1 / 127)
    assert back.heatmaps[LABELS.index("Nodule")].max() > 0.8


@pytest.mark.parametrize("size", [(512, 420), (1111, 907), (200, 164)])
def test_a_prior_is_laid_onto_the_film_at_any_resolution(size):
    # the invented pair: the prior is the mirrored film
    layers = Layers.of(comparison(rows=512, columns=420))
    prior = (1000 * blob(*size, 0.25, 0.3, 0.1)).astype(np.uint16)
    laid = layers.move(prior, *size)
    assert laid.shape == size
    assert np.abs(laid - prior[:, ::-1]).max() < 25


def test_the_mesh_lays_a_film_as_the_alignment_itself_does():
    y, x = np.mgrid[0:512, 0:448]
    film = (0.5 + 0.25 * np.sin(x / 31) * np.cos(y / 23) + 0.2 * np.sin(x * y / 9000)).astype("f4")
    moved = np.roll(np.pad(film, 20, mode="edge"), (9, -7), (0, 1))[20:-20, 20:-20]
    alignment = align(at_working_size(film), at_working_size(moved))
    whole = comparison(rows=512, columns=448)
    object.__setattr__(whole, "places", alignment.relative_coordinates)
    laid = Layers.of(whole).move(moved, 512, 448)
    inside = alignment.overlap
    assert np.abs(laid - alignment.move(moved))[inside].mean() < 0.002


def test_where_the_prior_has_no_field_it_is_black():
    whole = comparison(rows=512, columns=420)
    object.__setattr__(whole, "places", whole.places + 0.5)  # x is mirrored: 1.5 to 0.5
    laid = Layers.of(whole).move(np.full((1000, 800), 7, np.uint8), 1000, 800)
    assert (laid[:480, 420:] == 7).all()
    assert (laid[520:] == 0).all()
    assert (laid[:, :380] == 0).all()


def test_a_layer_is_thick_where_the_map_is_strong_and_leaves_the_markers_bare():
    layer = heat_layer(blob(16, 16, 0.5, 0.5, 0.1), (1000, 800))
    assert layer.shape[2] == 4
    rows, columns = layer.shape[:2]
    assert layer[rows // 2, columns // 2, 3] > 250
    assert layer[rows // 4, columns // 4, 3] == 0
    everywhere = difference_layer(np.full((100, 80), -1.0, np.float32))
    assert everywhere[50, 40, 3] == 255
    assert everywhere[2, 2, 3] == everywhere[-2, -2, 3] == 0
    blue, orange = everywhere[50, 40], difference_layer(np.ones((100, 80), np.float32))[50, 40]
    assert blue[2] > blue[0]
    assert orange[0] > orange[2]
