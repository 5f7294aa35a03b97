"""A classifier whose logits and class activation maps come from one forward pass.

References
----------
He et al., Deep Residual Learning for Image Recognition, CVPR 2016.
Huang et al., Densely Connected Convolutional Networks, CVPR 2017.
Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016.
Ye et al., Weakly Supervised Lesion Localization With Probabilistic-CAM Pooling, 2020.
"""

from collections import OrderedDict

import torch
from torch import nn
from torchvision.models import DenseNet, ResNet, densenet121, resnet18, resnet50

from inference.model.calibration import OutputCalibration
from inference.settings import Architecture, Pooling


class FindingNetwork(nn.Module):
    """A torchvision network with one output per finding and its class activation map.

    The linear head is a 1x1 convolution in front of the pooling: a map is what each cell says, and
    the logit is their mean. ``pooling="mean"`` weights all cells alike (the head could then as well
    follow the pooling: the network is torchvision's own). It rewards as many positive cells as
    possible, and the map of something small becomes a ring around it. ``"probability"`` weights
    cells by their probability (PCAM pooling, Ye et al.): one confident cell is enough, and maps
    peak at the finding.

    The stem takes one channel: a film is grey, and three equal channels only add a sum. (Weights
    made for three come over exactly by adding their stem over the channels.) The last stage of a
    ResNet keeps its resolution, for maps of stride 16, 8 x 8 at 128 px, instead of 32; so does a
    DenseNet's.

    Parameters
    ----------
    architecture
        "resnet50" to work with, "densenet121" to compare, "resnet18" for tests.
    labels
        Number of outputs.
    pooling
        How the cells of a map become the logit: a mean, plain or weighted by their probability.
    """

    def __init__(
        self, architecture: Architecture = "resnet50", labels: int = 14, pooling: Pooling = "mean"
    ) -> None:
        super().__init__()
        self.pooling: Pooling = pooling
        if architecture == "densenet121":
            self.trunk, features = _densenet_trunk(densenet121())
        else:
            builder = {"resnet18": resnet18, "resnet50": resnet50}[architecture]
            self.trunk, features = _resnet_trunk(builder(zero_init_residual=True))
        self.head = nn.Conv2d(features, labels, kernel_size=1)

    def forward(self, films: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (b, labels) and their class activation maps (b, labels, h, w).

        Parameters
        ----------
        films
            (b, 1, size, size), normalised by the bundle's `Preprocessing`.
        """
        features = self.trunk(films)  # (b, features, h, w)
        maps = self.head(features)  # (b, labels, h, w)
        return self.pooled(maps), maps

    def pooled(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the logits (b, labels) of maps (b, labels, h, w), between their extremes."""
        if self.pooling == "mean":
            return maps.mean(dim=(2, 3))
        cells = maps.float().flatten(2)  # half precision would call a probability of 1e-8 zero
        return (cells * nn.functional.logsigmoid(cells).softmax(dim=2)).sum(dim=2)


def _grey_stem() -> nn.Conv2d:
    stem = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    return stem


def _resnet_trunk(resnet: ResNet) -> tuple[nn.Sequential, int]:
    """Return the stages in front of the pooling, and their number of features."""
    for module in resnet.layer4.modules():
        if isinstance(module, nn.Conv2d):
            module.stride = (1, 1)
    stages = [(name, child) for name, child in resnet.named_children() if name != "fc"]
    trunk = OrderedDict(stages, conv1=_grey_stem())
    del trunk["avgpool"]
    return nn.Sequential(trunk), resnet.fc.in_features


def _densenet_trunk(densenet: DenseNet) -> tuple[nn.Sequential, int]:
    """Return the stages in front of the pooling, and their number of features."""
    trunk = OrderedDict(densenet.features.named_children(), conv0=_grey_stem())
    trunk["transition3"].pool = nn.Identity()
    trunk["relu5"] = nn.ReLU(inplace=True)  # torchvision applies it outside of its features
    return nn.Sequential(trunk), densenet.classifier.in_features


def calibrated(outputs: torch.Tensor, calibrations: tuple[OutputCalibration, ...]) -> torch.Tensor:
    """Turn logits (b, labels) or their maps (b, labels, h, w) into log odds of the same shape."""
    shape = (len(calibrations), *[1] * (outputs.dim() - 2))
    slopes = torch.tensor([one.slope for one in calibrations]).reshape(shape)
    intercepts = torch.tensor([one.intercept for one in calibrations]).reshape(shape)
    return slopes * outputs + intercepts
