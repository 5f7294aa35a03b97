"""Films with outlines of lungs and heart, drawn like `films.chest`, for tests of the heart."""

import csv
from pathlib import Path

import numpy as np
import torch
from films import chest
from PIL import Image
from torch import nn

from inference.model.heart import HeartFinder, RatioReader
from inference.model.input_check import InputCheck
from inference.model.metadata import LOOKS, CheckSpec, RatioError


def lungs_and_heart(rows: int = 96, columns: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """Return where `films.chest` has its lungs and its heart: (rows, columns) bool each."""
    y, x = np.mgrid[0:rows, 0:columns] + 0.5
    y, x = y / rows, x / columns
    down = ((y - 0.44) / 0.27) ** 2
    lungs = np.minimum(*(((x - cx) / 0.15) ** 2 for cx in (0.28, 0.72))) + down < 1
    return lungs, ((x - 0.56) / 0.14) ** 2 + ((y - 0.63) / 0.13) ** 2 < 1


def write_hearts(folder: Path, films: int = 40, rows: int = 96, columns: int = 80) -> Path:
    """Write a folder of films with masks of both lungs (bits 1 and 2) and the heart (4)."""
    (folder / "films").mkdir(parents=True)
    (folder / "masks").mkdir()
    lungs, heart = lungs_and_heart(rows, columns)
    left = np.arange(columns) >= columns / 2
    marks = lungs * np.where(left, 2, 1) + heart * 4
    with (folder / "films.csv").open("w", newline="") as file:
        listed = csv.writer(file)
        listed.writerow(("set", "file", "mask"))
        for k in range(films):
            grey = (chest(rows, columns, seed=k) * 255).astype(np.uint8)
            Image.fromarray(grey).save(folder / "films" / f"{k:02}.png")
            Image.fromarray(marks.astype(np.uint8)).save(folder / "masks" / f"{k:02}.png")
            listed.writerow(("drawn", f"films/{k:02}.png", f"masks/{k:02}.png"))
    return folder


class DrawnHeart(nn.Module):
    """A network that says of every film where `films.chest` has lungs and heart."""

    def forward(self, films: torch.Tensor) -> torch.Tensor:
        """Return logits (b, 2, size, size)."""
        size = films.shape[-1]
        masks = torch.from_numpy(np.stack(lungs_and_heart(size, size))).float()
        return (8 * masks - 4).expand(len(films), -1, -1, -1)


def ratio_reader(error: float = 0.012) -> RatioReader:
    """Return a reader of ratios that finds what is drawn, with this mean absolute error."""
    measured = RatioError(films=50, withheld=2, mean_absolute=error, bias=0, limits=(-0.03, 0.03))
    return RatioReader(HeartFinder(DrawnHeart(), 128, 0.5), measured)


class _Upright(nn.Module):
    def __init__(self, mirrored: float) -> None:
        super().__init__()
        self.mirrored = mirrored

    def forward(self, films: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        looks = torch.full((len(films), len(LOOKS)), -9.0)
        looks[:, 0] = 9
        return looks, torch.full((len(films),), self.mirrored)


def upright(*, mirrored: bool = False) -> InputCheck:
    """Return an input check that takes every film for an upright one, straight or mirrored."""
    spec = CheckSpec(size_px=64, looks=LOOKS, upright=0.5, mirrored=0.5, sha256="0" * 64)
    return InputCheck(_Upright(9.0 if mirrored else -9.0), spec)
