"""Films moved by known transforms, as a second exposure of the same chest would be."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, map_coordinates
from skimage.feature import corner_peaks, corner_shi_tomasi

Array = npt.NDArray[np.float64]
Picture = npt.NDArray[np.float32]

TURN_DEG, SCALE, SHIFT, BEND = 8.0, 0.08, 40 / 512, 12 / 512  # at most; shares of the long edge
SMOOTH = 48 / 512  # sigma of the deformation
EDGE = 0.05  # landmarks keep this share of a side away from the edges of both films


@dataclass(frozen=True, eq=False)
class Warped:
    """A prior film, the current film made of it, and points that lie on both.

    Attributes
    ----------
    landmarks
        (n, 2): x and y of corners (Shi and Tomasi 1994) on the current film, in its pixels.
    there
        (n, 2): where they lie on the prior.
    everywhere, everywhere_there
        The same for a grid over the whole film, flat air and edges included.
    """

    prior: Picture
    current: Picture
    landmarks: Array
    there: Array
    everywhere: Array
    everywhere_there: Array


def warped(film: Picture, seed: int) -> Warped:
    """Turn, scale, shift, bend, window and grain a film (h, w) in [0, 1], as the seed says."""
    rng = np.random.default_rng(seed)
    x, y = _transform(film.shape, rng)
    clean = map_coordinates(film, [y, x], order=1).astype(np.float32)
    current = _exposed(clean, rng)
    corners = corner_peaks(
        corner_shi_tomasi(clean, sigma=3), min_distance=16, num_peaks=80, exclude_border=True
    )
    height, width = film.shape
    rows, columns = (np.linspace(0.1 * n, 0.9 * n, 12).astype(int) for n in (height, width))
    grid = np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2)
    landmarks, there = _shared(corners, x, y)
    everywhere, everywhere_there = _shared(grid, x, y)
    return Warped(film, current, landmarks, there, everywhere, everywhere_there)


def _transform(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[Array, Array]:
    """Return where each pixel of the current film lies on the prior."""
    height, width = shape
    edge = max(shape)
    angle = np.radians(rng.uniform(-TURN_DEG, TURN_DEG))
    scale = 1 + rng.uniform(-SCALE, SCALE)
    right, down = rng.uniform(-SHIFT, SHIFT, 2) * edge
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    x, y = x - (width - 1) / 2, y - (height - 1) / 2
    bend = gaussian_filter(rng.normal(size=(2, height, width)), (0, SMOOTH * edge, SMOOTH * edge))
    bend *= rng.uniform(0.3, 1) * BEND * edge / np.sqrt((bend**2).sum(0)).max()
    there_x = scale * (np.cos(angle) * x - np.sin(angle) * y) + right + (width - 1) / 2
    there_y = scale * (np.sin(angle) * x + np.cos(angle) * y) + down + (height - 1) / 2
    return there_x + bend[0], there_y + bend[1]


def _exposed(film: Picture, rng: np.random.Generator) -> Picture:
    """Give a film another window, gamma and grain."""
    low, high = rng.uniform(-0.1, 0.15), rng.uniform(0.85, 1.15)
    shown = np.clip((film - low) / (high - low), 0, 1) ** np.exp(rng.uniform(-0.4, 0.4))
    grain = rng.normal(0, rng.uniform(0.005, 0.03), film.shape)
    return np.clip(shown + grain, 0, 1).astype(np.float32)


def _shared(at: npt.NDArray[np.int_], x: Array, y: Array) -> tuple[Array, Array]:
    """Keep the places (row, column) that both films show; return them and where they belong."""
    height, width = x.shape
    there = np.stack([x[at[:, 0], at[:, 1]], y[at[:, 0], at[:, 1]]], -1)
    here = at[:, ::-1].astype(np.float64)
    near = np.ones(len(at), dtype=bool)
    for places in (here, there):
        share = places / (width, height)
        near &= ((share > EDGE) & (share < 1 - EDGE)).all(-1)
    return here[near], there[near]
