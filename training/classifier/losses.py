"""Loss functions, by name.

References
----------
Lin et al., Focal Loss for Dense Object Detection, ICCV 2017; Ridnik et al., Asymmetric Loss for
Multi-Label Classification, ICCV 2021.
"""

from collections.abc import Callable

import torch
from monai.losses import FocalLoss
from torch import nn

from training.settings import Objective

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
        """Return the mean over films and findings."""
        present = torch.sigmoid(logits)
        absent = (1 - present + self.margin).clamp(max=1)
        tiny = torch.finfo(logits.dtype).tiny
        seen = labels * present.clamp(min=tiny).log() * (1 - present) ** self.positive_focus
        unseen = (1 - labels) * absent.clamp(min=tiny).log() * (1 - absent) ** self.negative_focus
        return -(seen + unseen).mean()
