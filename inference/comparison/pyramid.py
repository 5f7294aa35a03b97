"""Two films at one resolution, and how they differ when points of one are laid on the other.

Points are (2, h, w): x and y from the middle of a film, in units of its long edge. So one
transform holds at every resolution.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional

from inference.comparison.filters import locally_normalised, resized, working_shape

ROBUST = 0.4  # local standard deviations; a larger difference is rather disease than misplacement


@dataclass(frozen=True, eq=False)
class PyramidLevel:
    """A pair of films at one resolution, locally normalised.

    Attributes
    ----------
    current
        (2, h, w): the film, and in [0, 1] how much each pixel counts.
    prior
        (4, y, x): the same, and the film's slope along x and y, per long edge.
    long_edge
        Of both, in pixels.
    """

    current: torch.Tensor
    prior: torch.Tensor
    long_edge: int

    def points(self) -> torch.Tensor:
        """Return where the pixels of the current film lie on it, (2, h, w)."""
        return points((self.current.shape[1], self.current.shape[2]))


@dataclass(frozen=True, eq=False)
class Gradient:
    """How a pair differs, (h, w), and what moving the prior along x and y would change."""

    residual: torch.Tensor
    along_x: torch.Tensor
    along_y: torch.Tensor
    weight: torch.Tensor


def level(
    films: tuple[torch.Tensor, torch.Tensor],
    fields: tuple[torch.Tensor, torch.Tensor],
    long_edge: int,
    share: float,
) -> PyramidLevel:
    """Bring two films (1, 1, h, w) to a resolution; ``share`` of the long edge is the window."""
    current, prior = (
        _normalised(film, where, long_edge, share)
        for film, where in zip(films, fields, strict=True)
    )
    across = functional.pad(prior[None, :1], (1, 1, 1, 1), mode="replicate")[0, 0]
    along_x = (across[1:-1, 2:] - across[1:-1, :-2]) * (long_edge / 2)
    along_y = (across[2:, 1:-1] - across[:-2, 1:-1]) * (long_edge / 2)
    return PyramidLevel(current, torch.cat([prior, along_x[None], along_y[None]]), long_edge)


def points(shape: tuple[int, int]) -> torch.Tensor:
    """Return where the pixels of a grid over a whole film lie, (2, h, w)."""
    height, width = shape
    y = (torch.arange(height) - (height - 1) / 2) / max(shape)
    x = (torch.arange(width) - (width - 1) / 2) / max(shape)
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)])


def transform_points(matrix: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Apply a transform (2, 3) to points (2, h, w)."""
    return torch.einsum("ij,jhw->ihw", matrix[:, :2], places) + matrix[:, 2, None, None]


def sampling_grid(places: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Express points (2, h, w) on a picture (..., y, x) as `grid_sample` wants them.

    Returns
    -------
    Tensor
        (1, h, w, 2): the picture spans [-1, 1] in both directions, edge to edge.
    """
    height, width = shape[-2:]
    half = torch.tensor([width, height]) / (2 * max(height, width))
    return (places / half[:, None, None]).permute(1, 2, 0)[None]


def gradient(pair: PyramidLevel, places: torch.Tensor) -> Gradient:
    """Compare the current film with the prior, sampled at one point for each pixel.

    ``places`` is (2, h, w): x and y on the prior, in its pixels.
    """
    grid = sampling_grid(places, pair.prior.shape)
    seen = functional.grid_sample(
        pair.prior[None], grid, padding_mode="border", align_corners=False
    )[0]  # (4, h, w)
    inside = (grid[0].abs() <= 1).all(-1)
    residual = pair.current[0] - seen[0]
    weight = pair.current[1] * seen[1] * inside / (1 + (residual / ROBUST) ** 2)
    return Gradient(residual, seen[2], seen[3], weight)


def _normalised(
    film: torch.Tensor, where: torch.Tensor, long_edge: int, share: float
) -> torch.Tensor:
    shape = working_shape(film.shape, long_edge)
    counts = functional.interpolate(where, size=shape, mode="bilinear")
    normal = locally_normalised(resized(film, shape), share * long_edge, counts)
    return torch.cat([normal * counts, counts], dim=1)[0]  # (2, h, w)
