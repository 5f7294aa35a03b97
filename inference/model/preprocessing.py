"""From a film to the tensor that the network reads: one path for training and inference."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import interpolate

from inference.image.film import Film

FIELD = 0.8  # of each side: collimation, markers and lettering lie nearer to the edge
TAILS = (0.01, 0.99)  # of the greys in the field: what lies beyond becomes black and white
GAMMA = (0.4, 2.5)  # beyond it the film is no chest, or its greys are lost
MIDDLE = 0.5  # where the field's median goes


@dataclass(frozen=True)
class Preprocessing:
    """Stretch a film to a square, make its greys comparable, then normalise it.

    The film is stretched edge to edge, not padded or cropped: NIH's own films were stretched to
    squares, so the network has only ever seen squares, and one cell of a heat-map grid then spans
    the same fraction of every film.

    The greys of a film say as much about detector, window and look-up table as about the chest.
    So the middle of each film, where collimation borders and burned-in markers hardly reach, is
    stretched between two percentiles and bent by the gamma that makes its median mid-grey.
    Another window (one that clips nothing) or gamma of the same film then gives the same input.

    Attributes
    ----------
    size_px
        Side of the square.
    mean, std
        Subtracted from, and divided into, pixels in [0, 1].
    """

    size_px: int
    mean: float = 0.5
    std: float = 0.25

    def __call__(self, film: Film) -> torch.Tensor:
        """Return the network's input, (1, size_px, size_px) float32, normalised."""
        return self.normalise(self.resize(film))

    def resize(self, film: Film) -> torch.Tensor:
        """Return the film as (1, size_px, size_px) float32, still in [0, 1].

        Shrinking averages areas, which drops what the grid cannot hold instead of folding it
        back in (4 ms for 2500 x 2048 on one core); a film smaller than the grid is interpolated.
        """
        shrinks = min(film.pixels.shape) >= self.size_px
        pixels = torch.from_numpy(np.ascontiguousarray(film.pixels, np.float32))
        side = (self.size_px, self.size_px)
        return interpolate(pixels[None, None], side, mode="area" if shrinks else "bilinear")[0]

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """Make greys comparable, then normalise: pixels in [0, 1], (..., 1, h, w)."""
        return (comparable_greys(pixels) - self.mean) / self.std


def comparable_greys(pixels: torch.Tensor) -> torch.Tensor:
    """Stretch and bend each film's greys, (..., h, w) in [0, 1], by the middle of the film.

    A film whose middle is of one grey comes back as it is: there is nothing to stretch.
    """
    height, width = pixels.shape[-2:]
    top, left = round(height * (1 - FIELD) / 2), round(width * (1 - FIELD) / 2)
    field = pixels[..., top : height - top, left : width - left].flatten(-2)  # (..., n)
    tails = pixels.new_tensor((TAILS[0], 0.5, TAILS[1]))
    low, median, high = torch.quantile(field, tails, dim=-1)[..., None, None]  # (..., 1, 1) each
    flat = high - low < 1e-3
    low, high = low.masked_fill(flat, 0), high.masked_fill(flat, 1)
    middle = ((median - low) / (high - low)).clamp(1e-3, 1 - 1e-3)
    gamma = (math.log(MIDDLE) / middle.log()).clamp(*GAMMA).masked_fill(flat, 1)
    greys: torch.Tensor = ((pixels - low) / (high - low)).clamp(0, 1) ** gamma
    return greys
