"""The cardiothoracic ratio of two masks, and the masks that allow none."""

import numpy as np
import pytest
from hearts import lungs_and_heart

from inference.cardiothoracic import Line
from inference.model.cardiothoracic import implausible, measure


def box(shape, rows, columns):
    mask = np.zeros(shape, bool)
    mask[slice(*rows), slice(*columns)] = True
    return mask


LUNGS = box((100, 200), (20, 80), (20, 80)) | box((100, 200), (20, 80), (120, 180))
HEART = box((100, 200), (50, 85), (70, 150))


def test_the_ratio_is_the_width_of_the_heart_over_that_of_the_chest():
    found = measure(LUNGS, HEART)
    assert (found.heart.left, found.heart.right) == (70, 150)
    assert found.chest == Line(49.5, 20, 180)  # the middle of the rows that are as wide
    assert found.value == pytest.approx(80 / 160)
    assert implausible(LUNGS, HEART) is None


def test_left_and_right_of_the_heart_are_its_farthest_points_in_whatever_rows():
    heart = box((100, 200), (40, 60), (70, 110)) | box((100, 200), (60, 80), (100, 150))
    found = measure(LUNGS, heart)
    assert (found.heart.left, found.heart.right) == (70, 150)
    assert 50 < found.heart.row < 70  # between the two


def test_the_chest_is_measured_in_one_row_and_where_both_lungs_are():
    lungs = LUNGS | box((100, 200), (20, 30), (2, 80)) | box((100, 200), (70, 80), (120, 190))
    assert measure(lungs, HEART).chest == Line(24.5, 2, 180)
    lungs = LUNGS.copy()
    lungs[80:95, 20:60] = lungs[94, 0:60] = True  # the right angle alone reaches so far down
    assert measure(lungs, HEART).chest.left == 20


def test_the_ratio_does_not_depend_on_the_grid():
    ratios = [
        measure(*lungs_and_heart(rows, columns)).value
        for rows, columns in ((512, 448), (1024, 600), (300, 900))
    ]
    assert np.ptp(ratios) < 0.005
    assert ratios[0] == pytest.approx(0.28 / 0.74, abs=0.01)


def test_masks_without_a_width_have_no_ratio():
    nothing = np.zeros((100, 200), bool)
    assert measure(nothing, HEART) is None
    assert measure(LUNGS, nothing) is None


@pytest.mark.parametrize(
    ("lungs", "heart", "why"),
    [
        (np.zeros_like(LUNGS), HEART, "two separate lungs"),
        (box(LUNGS.shape, (20, 80), (20, 80)), HEART, "two separate lungs"),
        (LUNGS & ~box(LUNGS.shape, (0, 65), (100, 200)), HEART, "much smaller"),
        (LUNGS, np.zeros_like(LUNGS), "heart was not found"),
        (LUNGS, HEART & ~box(LUNGS.shape, (0, 100), (100, 115)), "in pieces"),
        (LUNGS | box(LUNGS.shape, (20, 80), (0, 80)), HEART, "edge of the film"),
        (LUNGS | box(LUNGS.shape, (20, 80), (120, 200)), HEART, "edge of the film"),
        (LUNGS | box(LUNGS.shape, (0, 80), (20, 80)), HEART, "edge of the film"),
        (LUNGS | box(LUNGS.shape, (20, 100), (20, 80)), HEART, "edge of the film"),
        (LUNGS, box(LUNGS.shape, (50, 85), (160, 190)), "between the lungs"),
        (LUNGS, box(LUNGS.shape, (50, 85), (95, 105)), "cannot be those"),
        (LUNGS, box(LUNGS.shape, (50, 85), (22, 178)), "cannot be those"),
        (LUNGS, box(LUNGS.shape, (50, 85), (90, 185)), "beyond the lungs"),
    ],
)  # fmt: skip
def test_masks_that_went_wrong_are_named(lungs, heart, why):
    assert why in implausible(lungs, heart)
