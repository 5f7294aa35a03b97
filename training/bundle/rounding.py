"""Weights as a bundle stores them."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn


def rounded(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return the weights of any shape as they are stored: float16; counters stay integers."""
    return {
        name: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for name, value in network.state_dict().items()
    }


def store(network: nn.Module, path: Path) -> None:
    """Write the rounded weights as safetensors."""
    save_file(rounded(network), path)
    path.chmod(0o644)  # safetensors makes it for its owner's eyes only
