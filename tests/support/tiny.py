"""A tiny untrained bundle, made by the real export code."""

from pathlib import Path

import torch
from invented import TOLD_APART, VERIFIED
from torch import nn

from inference.findings import LABELS
from inference.model.calibration import OutputCalibration
from inference.model.network import FindingNetwork
from inference.model.preprocessing import Preprocessing
from training.bundle.files import write_bundle
from training.bundle.model_card import Description


def make_tiny_bundle(folder: Path) -> Path:
    """Write a seeded resnet18 bundle with 64 px input to `folder`, which must not exist."""
    torch.manual_seed(14)
    network = FindingNetwork("resnet18")
    with torch.no_grad():  # in training mode: gives the batch normalisations some statistics
        network(torch.randn(8, 1, 64, 64))
    readings = {
        label: OutputCalibration(
            slope=1.0,
            intercept=0.0,
            threshold=0.5,
            prevalence=0.1,
            maps=VERIFIED,
            unseen=TOLD_APART,
        )
        for label in LABELS
    }
    description = Description(
        name="tiny",
        version="0.0.1",
        architecture="resnet18",
        training_data="nothing: its weights are random.",
        command="tests/support/tiny.py",
    )
    write_bundle(folder, network, Preprocessing(64), readings, description)
    return folder


def bright_patch_network():
    """A network whose first finding is brightness: only its head and one channel count."""
    network = FindingNetwork("resnet18").eval()
    network.trunk = nn.AvgPool2d(16)
    network.head = nn.Conv2d(1, 14, 1)
    nn.init.zeros_(network.head.weight)
    nn.init.zeros_(network.head.bias)
    network.head.weight.data[0] = 1.0
    network.head.weight.data[1] = -1.0
    return network
