"""Local normalisation: structure against its surroundings, whatever the exposure and window."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from inference.findings import FloatArray

FLAT = 0.02  # grey levels in [0, 1] added to the local deviation: keeps noise of flat air small


def tensor(maps: FloatArray | npt.NDArray[np.bool_]) -> torch.Tensor:
    """Return float32 maps of any number of dimensions as (n, 1, h, w)."""
    whole = torch.from_numpy(np.ascontiguousarray(maps, dtype=np.float32))
    return whole.reshape(-1, 1, *maps.shape[-2:])


def working_shape(shape: Sequence[float], long_edge: int) -> tuple[int, int]:
    """Return (h, w) of a grid over a picture (..., y, x) with this long edge."""
    height, width = shape[-2:]
    scale = long_edge / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def resized(maps: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """Resize (n, c, y, x) -> (n, c, h, w), edge to edge, averaging where it shrinks."""
    shrinks = shape[0] < maps.shape[-2] or shape[1] < maps.shape[-1]
    return functional.interpolate(maps, size=shape, mode="bilinear", antialias=shrinks)


def blur(maps: torch.Tensor, sigma: float) -> torch.Tensor:
    """Smooth (n, c, h, w) with a Gaussian, 0 beyond the edges; a wide one on a coarser grid."""
    shrink = int(sigma / 2)
    if shrink < 2:
        return _convolved(maps, sigma)
    height, width = maps.shape[-2:]
    padded = functional.pad(maps, (0, -width % shrink, 0, -height % shrink))
    coarse = functional.avg_pool2d(padded, shrink)
    # the cells and the interpolation between them smooth too: a sixth of a cell squared together
    coarse = _convolved(coarse, math.sqrt((sigma / shrink) ** 2 - 1 / 6))
    fine = functional.interpolate(coarse, scale_factor=shrink, mode="bilinear")
    return fine[..., :height, :width]


def windowed_mean(weight: torch.Tensor, sigma: float) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the function that takes the weighted mean of maps (n, 1, h, w) around each pixel.

    Parameters
    ----------
    weight
        (n, 1, h, w), 0 or more: how much each pixel counts. Where none counts, the mean is 0.
    sigma
        Of the Gaussian window, in pixels.
    """
    covered = blur(weight, sigma).clamp_min(1e-3)
    return lambda maps: blur(maps * weight, sigma) / covered


def locally_normalised(
    film: torch.Tensor, sigma: float, inside: torch.Tensor | None = None
) -> torch.Tensor:
    """Subtract the local mean and divide by the local standard deviation; (n, 1, h, w).

    Parameters
    ----------
    sigma
        Of the Gaussian window, in pixels.
    inside
        In [0, 1], how much each pixel counts; all when None. Where none counts, the result means
        nothing.
    """
    weight = torch.ones_like(film) if inside is None else inside
    mean = windowed_mean(weight, sigma)
    centred = film - mean(film)
    variance = mean(centred**2).clamp_min(0)
    return centred / (variance.sqrt() + FLAT)


def exposed_mask(film: torch.Tensor) -> torch.Tensor:
    """Return 1 where a film shows something, 0 in flat black or white; (1, 1, h, w).

    Black corners of a turned film and collimated borders have edges, which are no anatomy.
    Meant for a long edge of some 128 pixels, where noise is averaged away.
    """
    mean = blur(film, 1.0)
    local = blur(film, 1.5)
    deviation = (blur(film**2, 1.5) - local**2).clamp_min(0).sqrt()
    flat = ((mean < 0.05) | (mean > 0.97)) & (deviation < FLAT)
    return 1 - functional.max_pool2d(flat.float(), kernel_size=5, stride=1, padding=2)


def _convolved(maps: torch.Tensor, sigma: float) -> torch.Tensor:
    reach = max(1, math.ceil(3 * sigma))
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel /= kernel.sum()
    each = maps.reshape(-1, 1, *maps.shape[-2:])
    each = functional.conv2d(each, kernel.view(1, 1, 1, -1), padding=(0, reach))
    each = functional.conv2d(each, kernel.view(1, 1, -1, 1), padding=(reach, 0))
    return each.reshape(maps.shape)
