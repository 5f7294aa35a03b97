"""The initial transform: every likely rotation and scale is tried, every shift at once."""

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from inference.comparison.filters import locally_normalised, resized, working_shape
from inference.comparison.pyramid import points, sampling_grid, transform_points

LONG_EDGE = 64
SHARE = 1 / 5  # window of the local normalisation: lungs against mediastinum and shoulders
TURNS_DEG = tuple(range(-12, 13, 4))
SIZES = tuple(1.07**step for step in range(-4, 5))
LEAST_OVERLAP = 0.4  # of the current film


@dataclass(frozen=True, eq=False)
class InitialTransform:
    """A first transform.

    Attributes
    ----------
    matrix
        (2, 3): the point (x, y, 1) of the current film -> (x, y) of the prior, in long edges.
    inverted
        Whether bright and dark are exchanged between the films.
    """

    matrix: torch.Tensor
    inverted: bool


def search(
    films: tuple[torch.Tensor, ...], visible: tuple[torch.Tensor, ...], pixel_ratio: float
) -> InitialTransform:
    """Lay the second film onto the first, (1, 1, h, w) each, in all likely ways; take the best.

    ``visible`` is 1 where a film may be seen, and 0 where a shutter hides it.

    Normalised cross-correlation of the part that both share, by Fourier transform for all shifts
    at once. A larger part that agrees is preferred to a smaller one.

    References
    ----------
    Padfield, Masked object registration in the Fourier domain, IEEE Trans. Image Processing
    21(5), 2012.
    """
    shapes = [working_shape(film.shape, LONG_EDGE) for film in films]
    seen, moving_seen = (resized(where, to) for where, to in zip(visible, shapes, strict=True))
    fixed, moving = (
        locally_normalised(resized(film, to), SHARE * LONG_EDGE, where) * where
        for film, to, where in zip(films, shapes, (seen, moving_seen), strict=True)
    )
    matrices = _tried(pixel_ratio)
    scores = _scores(fixed[0], seen[0], *_warped(moving, moving_seen, matrices, shapes[0]))
    inverted = bool(-scores.min() > scores.max())
    best = int(scores.abs().argmax()) if inverted else int(scores.argmax())
    which, row, column = (int(k) for k in torch.unravel_index(torch.tensor(best), scores.shape))
    height, width = scores.shape[1:]
    shift = torch.tensor(
        [column - width * (column > width // 2), row - height * (row > height // 2)]
    )
    matrix = matrices[which].clone()
    matrix[:, 2] = matrix[:, :2] @ (shift / LONG_EDGE)
    return InitialTransform(matrix, inverted)


def _tried(pixel_ratio: float) -> torch.Tensor:
    """(n, 2, 3): every turn with every size, without a shift."""
    return torch.stack(
        [
            size / pixel_ratio * _turn(math.radians(degrees))
            for degrees in TURNS_DEG
            for size in SIZES
        ]
    )


def _turn(radians: float) -> torch.Tensor:
    cosine, sine = math.cos(radians), math.sin(radians)
    return torch.tensor([[cosine, -sine, 0], [sine, cosine, 0]])


def _warped(
    moving: torch.Tensor, seen: torch.Tensor, matrices: torch.Tensor, shape: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sample the prior by each transform: (n, h, w), and where its field is."""
    with_field = torch.cat([moving, seen], dim=1)
    places = points(shape)
    grids = torch.cat(
        [sampling_grid(transform_points(matrix, places), moving.shape) for matrix in matrices]
    )
    laid = functional.grid_sample(
        with_field.expand(len(matrices), -1, -1, -1), grids, align_corners=False
    )
    return laid[:, 0] * laid[:, 1], laid[:, 1]


def _scores(
    fixed: torch.Tensor, seen: torch.Tensor, laid: torch.Tensor, where: torch.Tensor
) -> torch.Tensor:
    """(n, 2h, 2w) in [-1, 1]: correlation at every shift, which wraps round; 0 if little overlaps.

    Parameters
    ----------
    fixed, seen
        (1, h, w), and in [0, 1] where that film has a field.
    laid, where
        (n, h, w), and in [0, 1] where the prior has a field.
    """
    height, width = fixed.shape[1:]
    size = (2 * height, 2 * width)

    def spectrum(maps: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = torch.fft.rfft2(maps, s=size)
        return made

    def at_every_shift(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = torch.fft.irfft2(one.conj() * other, s=size)
        return made

    everywhere, has = spectrum(seen), spectrum(where)
    share = at_every_shift(everywhere, has) / seen.sum().clamp_min(1)
    energy = at_every_shift(spectrum(fixed**2), has).clamp_min(1e-3)
    energy = energy * at_every_shift(everywhere, spectrum(laid**2)).clamp_min(1e-3)
    agreement = at_every_shift(spectrum(fixed), spectrum(laid)) / energy.sqrt()
    return agreement * share.clamp(0, 1).sqrt() * (share >= LEAST_OVERLAP)
