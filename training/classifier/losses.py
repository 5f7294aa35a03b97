"""Loss functions, by name.

References
----------
Lin et al., Focal Loss for Dense Object Detection, ICCV 2017; Ridnik et al., Asymmetric Loss for
Multi-Label Classification, ICCV 2021; Li et al., Thoracic Disease Identification and Localization
with Limited Supervision, CVPR 2018 (boxes teach the maps).
"""

from collections.abc import Callable

import torch
from monai.losses import FocalLoss
from torch import nn

from training.settings import Objective

LEAST_OF_A_CELL = 0.1  # of its greatest cell; a box that was turned out of the film teaches nothing
LEAST_SHARE = 1e-4  # of a map; bounds the loss of one that misses its box

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def objective(name: Objective, labels: torch.Tensor, device: str) -> Loss:
    """Return a function of logits (b, 14) and labels (b, 14) whose value is a mean.

    Parameters
    ----------
    labels
        (films, 14) of the train films: how rare each finding is.
    """
    if name == "soft_margin":  # the objective of the project that hilum began as
        return nn.MultiLabelSoftMarginLoss()
    if name == "weighted_bce":
        return nn.BCEWithLogitsLoss(pos_weight=rarity(labels).to(device))
    if name == "focal":
        return FocalLoss(gamma=2.0)  # type: ignore[no-any-return]
    return AsymmetricLoss()


def rarity(labels: torch.Tensor) -> torch.Tensor:
    """Return each finding's weight, (14,): the root of its negatives per positive, at most 6.

    The root, because the full ratio lets a dozen Hernias drown everything else.
    """
    positives = labels.sum(dim=0).clamp(min=1)
    return ((len(labels) - positives) / positives).sqrt().clamp(1, 6)


def outside_boxes(maps: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Return how far maps point outside the boxes of their findings: 0 where all lie inside.

    A map's softmax over its cells says where it points. The loss is minus the logarithm of the part
    of it that lies in the box, summed over the findings with a box, divided by the films.

    Parameters
    ----------
    maps
        (b, 14, h, w), not scaled.
    places
        (b, 14, h, w): how much of each cell lies in a box of the finding, 0 to 1; all 0 without
        a box. A box that fills no cell counts as if it filled at least half of its greatest one.
    """
    most = places.amax(dim=(2, 3))  # (b, 14)
    inside = places / most.clamp(min=0.5)[..., None, None]
    pointing = maps.float().flatten(2).softmax(dim=2)
    share = (pointing * inside.flatten(2)).sum(dim=2)[most > LEAST_OF_A_CELL]
    return -(share + LEAST_SHARE).log().sum() / len(maps)


class AsymmetricLoss(nn.Module):
    """Focus on positives less than on negatives, and pass over easy negatives (ASL).

    Parameters
    ----------
    positive_focus, negative_focus
        Exponents of the distance from the label; the paper's 1 and 4.
    margin
        Probability below which a negative costs nothing; the paper's 0.05.
    """

    def __init__(
        self, positive_focus: float = 1.0, negative_focus: float = 4.0, margin: float = 0.05
    ) -> None:
        super().__init__()
        self.positive_focus, self.negative_focus = positive_focus, negative_focus
        self.margin = margin

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean over films and findings, a scalar; both arguments are (b, labels)."""
        present = torch.sigmoid(logits)
        absent = (1 - present + self.margin).clamp(max=1)
        tiny = torch.finfo(logits.dtype).tiny
        seen = labels * present.clamp(min=tiny).log() * (1 - present) ** self.positive_focus
        unseen = (1 - labels) * absent.clamp(min=tiny).log() * (1 - absent) ** self.negative_focus
        return -(seen + unseen).mean()
