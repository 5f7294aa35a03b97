import numpy as np
import pytest
import torch
from tiny import bright_patch_network
from torch import nn
from torchvision.models import resnet50

from inference.model.network import FindingNetwork
from inference.model.operating_points import heatmaps


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = FindingNetwork("resnet18")
    network.train()
    with torch.no_grad():  # give the batch normalisations some statistics
        network(torch.randn(8, 1, 64, 64))
    return network.eval().requires_grad_(False)


def test_the_mean_of_a_map_is_the_logit(network):
    logits, maps = network(torch.randn(3, 1, 64, 64))
    assert logits.shape == (3, 14)
    assert maps.shape == (3, 14, 4, 4)
    assert torch.allclose(maps.mean(dim=(2, 3)), logits, atol=1e-6)


def test_with_probability_pooling_one_sure_cell_is_enough():
    network = FindingNetwork("resnet18", labels=1, pooling="probability")
    maps = torch.full((2, 1, 8, 8), -6.0)
    maps[0, 0, 2, 5] = 5.0
    said, silent = network.pooled(maps)[:, 0]
    assert 3 < said < 5  # though 63 of 64 cells speak against it
    assert silent == pytest.approx(-6.0)  # where all agree, that is the logit
    mean = FindingNetwork("resnet18", labels=1).pooled(maps)[0, 0]
    assert mean == pytest.approx(-6 + 11 / 64)


@pytest.mark.parametrize("pooling", ["mean", "probability"])
def test_a_logit_lies_between_the_extremes_of_its_map(pooling):
    torch.manual_seed(3)
    maps = (40 * torch.randn(16, 14, 10, 10)).half()
    logits = FindingNetwork("resnet18", pooling=pooling).pooled(maps)
    assert (maps.amin(dim=(2, 3)) <= logits).all()
    assert (logits <= maps.amax(dim=(2, 3))).all()


def test_the_logits_are_those_of_pooling_and_a_linear_head(network):
    films = torch.randn(2, 1, 64, 64)
    pooled = nn.functional.adaptive_avg_pool2d(network.trunk(films), 1).flatten(1)
    linear = nn.functional.linear(pooled, network.head.weight.flatten(1), network.head.bias)
    assert torch.allclose(network(films)[0], linear, atol=1e-5)


def test_the_default_is_a_resnet50_with_a_grey_stem():
    ours, theirs = FindingNetwork(), resnet50()
    names = {name.removeprefix("trunk."): value for name, value in ours.state_dict().items()}
    for name, value in theirs.state_dict().items():
        if name.startswith("fc."):
            continue
        grey = (64, 1, 7, 7) if name == "conv1.weight" else value.shape
        assert names[name].shape == torch.Size(grey)


def test_maps_have_a_stride_of_sixteen():
    with torch.no_grad():
        _, maps = FindingNetwork("resnet50").eval()(torch.zeros(1, 1, 128, 128))
    assert maps.shape == (1, 14, 8, 8)


def test_one_marks_the_patch_that_spoke_for_the_finding():
    films = torch.full((1, 1, 64, 64), -1.0)
    films[..., 16:32, 48:64] = 3.0  # planted: second row, last column
    with torch.no_grad():
        _, maps = bright_patch_network()(films)
    hot = heatmaps(maps.numpy(), np.zeros(14))
    assert hot[0, 0, 1, 3] == 1.0
    assert hot[0, 0].sum() == 1.0
    # what speaks against a finding is not marked: the second finding likes the dark
    assert hot[0, 1, 1, 3] == 0.0
    assert (hot[0, 1] == 1.0).sum() == 15


def test_where_nothing_spoke_for_a_finding_the_map_is_zero():
    assert not heatmaps(np.full((1, 14, 4, 4), -0.5), np.zeros(14)).any()


def test_a_film_at_its_operating_point_always_shows_something():
    maps = np.random.default_rng(1).normal(size=(5, 14, 4, 4)) - 3
    hot = heatmaps(maps, maps.mean(axis=(0, 2, 3)))
    reached = maps.mean(axis=(2, 3)) >= maps.mean(axis=(0, 2, 3))
    assert reached.any()
    assert (hot.max(axis=(2, 3))[reached] == 1.0).all()


def test_heatmaps_stay_between_zero_and_one():
    draw = np.random.default_rng(2)
    hot = heatmaps(100 * draw.normal(size=(4, 14, 8, 8)), draw.normal(size=14))
    assert hot.min() >= 0.0
    assert hot.max() == 1.0
