from typing import get_args

import pytest
import torch
from torch import nn

from training.classifier.losses import AsymmetricLoss, objective, outside_boxes, rarity
from training.settings import Objective

NAMES = get_args(Objective)


@pytest.fixture
def labels():
    return (torch.rand(20, 14, generator=torch.Generator().manual_seed(0)) < 0.3).float()


@pytest.mark.parametrize("name", NAMES)
def test_an_objective_falls_as_logits_come_nearer_to_the_labels(name, labels):
    loss_of = objective(name, labels, "cpu")
    right = 2 * labels - 1
    losses = [float(loss_of(scale * right, labels)) for scale in (-4, -1, 0, 1, 4)]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > 3 * losses[-1] >= 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [0.1, 200])
def test_an_objective_can_be_descended_even_from_far_away(name, scale, labels):
    logits = (
        scale * torch.randn(20, 14, generator=torch.Generator().manual_seed(1))
    ).requires_grad_()
    loss = objective(name, labels, "cpu")(logits, labels)
    assert loss.ndim == 0
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()
    assert logits.grad.abs().sum() > 0


def test_soft_margin_is_torch_s(labels):
    logits = torch.randn(20, 14)
    wanted = nn.functional.multilabel_soft_margin_loss(logits, labels)
    assert torch.equal(objective("soft_margin", labels, "cpu")(logits, labels), wanted)


# logit 0 is a probability of 1/2, logit log 3 one of 3/4; log 2 is 0.693147, log 4/3 0.287682

ZERO, THREE = torch.tensor([[0.0]]), torch.tensor([[3.0]]).log()
YES, NO = torch.ones(1, 1), torch.zeros(1, 1)


@pytest.mark.parametrize(
    ("logits", "label", "by_hand"),
    [
        (ZERO, YES, 0.25 * 0.693147),  # (1 - p)^2 * -log p
        (ZERO, NO, 0.25 * 0.693147),
        (THREE, YES, 0.0625 * 0.287682),
        (THREE, NO, 0.5625 * 1.386294),
    ],
)
def test_focal_loss_is_the_paper_s(logits, label, by_hand):
    loss_of = objective("focal", YES, "cpu")
    assert float(loss_of(logits, label)) == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize(
    ("logits", "label", "by_hand"),
    [
        (ZERO, YES, 0.5 * 0.693147),  # (1 - p) * -log p
        (ZERO, NO, 0.45**4 * 0.597837),  # (p - 0.05)^4 * -log(1 - p + 0.05)
        (THREE, YES, 0.25 * 0.287682),
        (THREE, NO, 0.7**4 * 1.203973),
        (torch.tensor([[-3.0]]), NO, 0.0),  # a probability below 0.05 costs nothing
    ],
)
def test_asymmetric_loss_is_the_paper_s(logits, label, by_hand):
    assert float(AsymmetricLoss()(logits, label)) == pytest.approx(by_hand, rel=1e-5)


def test_rare_findings_weigh_more_within_bounds():
    labels = torch.zeros(100, 3)
    labels[:50, 0] = 1
    labels[:10, 1] = 1
    assert torch.allclose(rarity(labels), torch.tensor([1.0, 3.0, 6.0]))


def test_weighted_bce_weighs_a_rare_finding_s_positives():
    labels = torch.zeros(100, 14)
    labels[:10] = 1
    loss_of = objective("weighted_bce", labels, "cpu")
    logits = torch.zeros(1, 14)
    missed, told = (loss_of(logits, torch.full((1, 14), one)) for one in (1.0, 0.0))
    assert float(missed / told) == pytest.approx(3.0)


# boxes teach the maps


def places(*cells, label=3, side=4):
    """One film of which these cells lie in a box of one finding."""
    found = torch.zeros(1, 14, side, side)
    for row, column, part in cells:
        found[0, label, row, column] = part
    return found


def test_a_map_that_lies_in_its_box_costs_nothing_and_one_that_lies_outside_costs_much():
    box = places((1, 1, 1.0), (1, 2, 1.0))
    inside = torch.full((1, 14, 4, 4), -9.0)
    outside = inside.clone()
    inside[0, 3, 1, 1], outside[0, 3, 3, 3] = 9, 9
    assert float(outside_boxes(inside, box)) == pytest.approx(0, abs=1e-3)
    assert float(outside_boxes(outside, box)) > 5


def test_maps_of_findings_without_a_box_are_free():
    maps = torch.randn(2, 14, 4, 4)
    assert float(outside_boxes(maps, torch.zeros(2, 14, 4, 4))) == 0
    maps.requires_grad_()
    outside_boxes(maps, torch.cat([places((0, 0, 1.0)), torch.zeros(1, 14, 4, 4)])).backward()
    touched = maps.grad.abs().sum(dim=(2, 3)).nonzero().tolist()
    assert touched == [[0, 3]]


@pytest.mark.parametrize("part", [0.2, 1.0])
def test_a_box_draws_the_peak_of_its_map_into_it_even_one_smaller_than_a_cell(part):
    maps = torch.zeros(1, 14, 4, 4).requires_grad_()
    outside_boxes(maps, places((2, 1, part))).backward()
    assert (-maps.grad[0, 3]).argmax() == 2 * 4 + 1


def test_a_box_that_was_moved_out_of_the_film_teaches_nothing():
    maps = torch.randn(1, 14, 4, 4)
    assert float(outside_boxes(maps, places((0, 0, 0.05)))) == 0
