"""Lays the prior film onto the current one.

All likely turns, sizes and shifts are tried on small pictures (`search`); from the best, an affine
transform and then a smooth deformation are improved on finer and finer ones (`refine`). How well
that does beside other methods: benchmarks/alignment.py.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from inference.comparison.levels import Level, level, moved, points, spanned
from inference.comparison.local import field, resized, tensor, working_shape
from inference.comparison.refine import Bend, bent, refined, unbent
from inference.comparison.search import search
from inference.film import Film
from inference.findings import FloatArray

WORKING_PX = 512  # long edge of the maps that are drawn
FIELD_PX = 128  # long edge where a film's field is looked for
COARSE, MIDDLE, FINE = (64, 1 / 8), (128, 1 / 16), (256, 1 / 16)  # long edge, local window
# turn, size and shift; the affine transform; the deformation
SIMILAR, AFFINE, BENT = (COARSE,), (MIDDLE,), ((64, 1 / 16), MIDDLE, FINE)

# what a second film of the same chest can plausibly need; beyond it the search was lost
SCALE_LIMITS = (0.6, 1.7)
MAXIMUM_ROTATION_DEG = 25.0
MINIMUM_OVERLAP = 0.5


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where the prior film lies on the current one.

    Attributes
    ----------
    matrix
        (2, 3): the point (x, y, 1) of the current film -> (x, y) of the prior, both from the
        middle of the film and in units of its long edge.
    bend
        The deformation that comes on top; None without one.
    shape
        (h, w) of the working grid, which spans the current film edge to edge.
    prior_shape
        (y, x) of the prior film.
    inverted
        Whether bright and dark are exchanged between the films.
    """

    matrix: torch.Tensor
    bend: Bend | None
    shape: tuple[int, int]
    prior_shape: tuple[int, int]
    inverted: bool

    @property
    def scale(self) -> float:
        """Size of the current anatomy over that of the prior, each as a share of its film."""
        area = abs(float(torch.linalg.det(self.matrix[:, :2])))
        return 1 / math.sqrt(max(area, 1e-6))

    @property
    def rotation_deg(self) -> float:
        """Angle between the films."""
        (a, b), (c, d) = self.matrix[:, :2].tolist()
        return float(np.degrees(np.arctan2(c - b, a + d)))

    @cached_property
    def overlap(self) -> npt.NDArray[np.bool_]:
        """(h, w), True where both films have a field."""
        inside: npt.NDArray[np.bool_] = (self._grid.abs() <= 1).all(-1)[0].numpy()
        return inside

    @property
    def implausible(self) -> str:
        """Why no second film of one chest lies like this; "" when it can."""
        if not SCALE_LIMITS[0] <= self.scale <= SCALE_LIMITS[1]:
            return f"the films would differ in scale by {self.scale:.2f}"
        if abs(self.rotation_deg) > MAXIMUM_ROTATION_DEG:
            return f"the films would be turned by {self.rotation_deg:.0f} degrees"
        if self.overlap.mean() < MINIMUM_OVERLAP:
            return f"only {self.overlap.mean():.0%} of the film would overlap"
        return ""

    def move(self, maps: FloatArray) -> FloatArray:
        """Move maps that span the prior film, (..., y, x) -> (..., h, w); 0 outside its field."""
        stack = tensor(maps).transpose(0, 1)  # (1, n, y, x)
        laid = functional.grid_sample(
            stack, self._grid, padding_mode="border", align_corners=False
        )  # (1, n, h, w)
        laid *= torch.from_numpy(self.overlap)
        return np.asarray(laid.reshape(*maps.shape[:-2], *self.shape).numpy())

    @cached_property
    def places(self) -> torch.Tensor:
        """(2, h, w): where each pixel of the working grid lies on the prior, as `points`."""
        laid = moved(self.matrix, points(self.shape))
        return laid if self.bend is None else laid + self.bend.on(self.shape)

    @property
    def shares(self) -> FloatArray:
        """(2, h, w): `places` as shares of the prior's width and height, inside it in [0, 1]."""
        return np.asarray(((self._grid[0] + 1) / 2).permute(2, 0, 1).numpy())

    @cached_property
    def _grid(self) -> torch.Tensor:
        return spanned(self.places, self.prior_shape)


@torch.inference_mode()
def align(
    current: FloatArray, prior: FloatArray, pixel_ratio: float = 1.0, *, deform: bool = True
) -> Alignment:
    """Find the transform that lays the prior onto the current film.

    Parameters
    ----------
    current, prior
        (h, w) in [0, 1], each with a long edge of `WORKING_PX`.
    pixel_ratio
        Size of the prior's pixel over that of the current film's, where known; a first guess.
    deform
        False leaves the deformation out, to measure what it brings.
    """
    films = (tensor(current), tensor(prior))
    fields = tuple(field(resized(film, working_shape(film.shape, FIELD_PX))) for film in films)
    guess = search(*films, pixel_ratio)
    if guess.inverted:
        films = (films[0], 1 - films[1])
    levels = _Levels(films, (fields[0], fields[1]))
    matrix, bend = guess.matrix, None
    for at in SIMILAR:
        matrix = refined(levels[at], matrix, similarity=True)
    for at in AFFINE:
        matrix = refined(levels[at], matrix, similarity=False)
    if deform:
        bend = unbent(levels[BENT[0]])
        for at in BENT:
            bend = bent(levels[at], matrix, bend)
    sizes = [(film.shape[2], film.shape[3]) for film in films]
    return Alignment(matrix, bend, sizes[0], sizes[1], guess.inverted)


class _Levels(dict[tuple[int, float], Level]):
    """A pair at each resolution, made when it is first asked for."""

    def __init__(
        self,
        films: tuple[torch.Tensor, torch.Tensor],
        fields: tuple[torch.Tensor, torch.Tensor],
    ) -> None:
        super().__init__()
        self._films, self._fields = films, fields

    def __missing__(self, at: tuple[int, float]) -> Level:
        self[at] = level(self._films, self._fields, *at)
        return self[at]


def at_working_size(pixels: FloatArray, aspect: float = 1.0) -> FloatArray:
    """Return a film in its proportions with a long edge of `WORKING_PX`, (h, w).

    ``aspect`` is the height of a pixel over its width.
    """
    height, width = pixels.shape
    return on_grid(pixels, working_shape((height * aspect, width), WORKING_PX))


def on_grid(maps: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Resize maps (..., y, x) -> (..., h, w), edge to edge."""
    made = resized(tensor(maps), shape)
    return np.asarray(made.reshape(*maps.shape[:-2], *shape).numpy())


def pixel_ratio(current: Film, prior: Film) -> float:
    """Return the size of a prior's working pixel over a current one's; 1 where unknown."""
    if current.spacing_mm is None or prior.spacing_mm is None:
        return 1.0
    ratio = _long_edge_mm(prior.pixels, prior.spacing_mm) / _long_edge_mm(
        current.pixels, current.spacing_mm
    )
    # a header that claims a film of twice the size is not believed
    return ratio if 0.5 < ratio < 2 else 1.0


def _long_edge_mm(pixels: FloatArray, spacing_mm: tuple[float, float]) -> float:
    rows, columns = pixels.shape
    return float(max(rows * spacing_mm[0], columns * spacing_mm[1]))
