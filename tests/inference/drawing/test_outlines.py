import numpy as np
import pytest
from invented import blob

from inference.drawing.outlines import outline
from inference.settings import RegionSettings


def area(ring):
    x, y = ring[:, 0], ring[:, 1]
    return abs(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1])) / 2


def test_an_outline_goes_round_the_peak_of_the_map_in_pixels_of_the_film():
    ring = outline(blob(16, 16, 0.75, 0.3, 0.1), rows=1000, columns=800)
    assert ring.mean(axis=0) == pytest.approx((600, 300), abs=8)
    # half of a Gaussian's peak lies 1.177 standard deviations out
    assert np.ptp(ring[:, 0]) / 2 == pytest.approx(1.177 * 0.1 * 800, rel=0.06)
    assert np.ptp(ring[:, 1]) / 2 == pytest.approx(1.177 * 0.1 * 1000, rel=0.06)


def test_an_outline_is_closed_and_has_few_points():
    ring = outline(blob(16, 16, 0.5, 0.5, 0.1), rows=2500, columns=2048)
    assert ring.shape == (64, 2)
    assert (ring[0] == ring[-1]).all()


@pytest.mark.parametrize(("x", "y"), [(0, 0), (1, 0), (0, 1), (1, 1), (0.5, 1.0)])
def test_an_outline_at_the_border_stays_inside_the_film_and_closed(x, y):
    ring = outline(blob(16, 16, x, y, 0.15), 300, 200, RegionSettings(threshold=0.1))
    assert (ring >= 0).all()
    assert (ring <= (200, 300)).all()
    assert (ring[0] == ring[-1]).all()
    assert area(ring) > 0.005 * 300 * 200


def test_of_two_parts_the_larger_is_outlined():
    both = np.maximum(blob(32, 32, 0.2, 0.5, 0.05), 0.8 * blob(32, 32, 0.75, 0.5, 0.12))
    ring = outline(both, rows=100, columns=100)
    assert ring.mean(axis=0) == pytest.approx((75, 50), abs=2)
    assert ring[:, 0].min() > 40


def test_a_part_below_half_of_the_greatest_value_is_not_outlined():
    both = np.maximum(blob(32, 32, 0.2, 0.5, 0.06), 0.4 * blob(32, 32, 0.75, 0.5, 0.12))
    assert outline(both, rows=100, columns=100)[:, 0].max() < 50


@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
def test_a_map_that_is_the_same_everywhere_has_no_outline(level):
    assert outline(np.full((16, 16), level, np.float32), rows=100, columns=100) is None


def test_a_speck_has_no_outline():
    speck = blob(64, 64, 0.5, 0.5, 0.015)
    assert outline(speck, rows=100, columns=100) is None
    assert outline(speck, 100, 100, RegionSettings(smallest_area=0.0)) is not None


@pytest.mark.parametrize(("rows", "columns"), [(64, 64), (4000, 300), (300, 4000), (4000, 4000)])
def test_films_of_every_shape_have_outlines(rows, columns):
    ring = outline(blob(7, 7, 0.5, 0.5, 0.15), rows, columns)
    assert ring.mean(axis=0) == pytest.approx((columns / 2, rows / 2), rel=0.05)


def test_a_part_with_a_hole_is_outlined_on_its_outside():
    ringed = blob(64, 64, 0.5, 0.5, 0.2) * (blob(64, 64, 0.5, 0.5, 0.08) < 0.5)
    assert np.ptp(outline(ringed, rows=100, columns=100)[:, 0]) > 40
