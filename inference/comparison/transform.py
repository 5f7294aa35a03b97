"""Where one film lies on another: an affine transform, a smooth displacement, and their inverse."""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from inference.comparison.filters import resized, tensor, working_shape
from inference.comparison.pyramid import points, sampling_grid, transform_points
from inference.findings import FloatArray

# what a second film of the same chest can plausibly need; beyond it the search was lost
MAXIMUM_SCALE = 1.7  # either way
MAXIMUM_ROTATION_DEG = 25.0
MINIMUM_OVERLAP = 0.5  # of either film

INVERSE_STEPS = 12  # a displacement's slope is below 0.5: 12 steps leave less than 0.01 pixels
INVERSE_PX = 128  # long edge of the grid on which it is inverted: 11 points from knot to knot


class Displacement(Protocol):
    """What comes on top of an affine transform."""

    def on(self, shape: tuple[int, ...], /) -> torch.Tensor:
        """Return the displacement on a grid (..., h, w) over the film, (2, h, w), in long edges."""


@dataclass(frozen=True, eq=False)
class Sampled:
    """A displacement that is known on a grid over a film, (2, h, w)."""

    displacement: torch.Tensor

    def on(self, shape: tuple[int, ...], /) -> torch.Tensor:
        """Return the displacement on a grid (..., h, w), (2, h, w)."""
        height, width = shape[-2:]
        if self.displacement.shape[1:] == (height, width):
            return self.displacement
        return resized(self.displacement[None], (height, width))[0]


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
    found
        The alignment as it was found, when that lays the current film onto the prior: this one is
        its inverse. None when this one was found.
    hidden, prior_hidden
        (h, w) and (y, x), True where a shutter hides that film; None where nothing does.
    """

    matrix: torch.Tensor
    deformation: Displacement | None
    shape: tuple[int, int]
    prior_shape: tuple[int, int]
    inverted: bool
    found: "Alignment | None" = None
    hidden: npt.NDArray[np.bool_] | None = None
    prior_hidden: npt.NDArray[np.bool_] | None = None

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
        """(h, w), True where both films have a field that no shutter hides."""
        shown = self._inside.copy()
        if self.hidden is not None:
            shown &= ~self.hidden
        if self.prior_hidden is not None:
            laid = functional.grid_sample(
                tensor(self.prior_hidden), self._grid, padding_mode="border", align_corners=False
            )
            shown &= laid[0, 0].numpy() == 0
        return shown

    @cached_property
    def _inside(self) -> npt.NDArray[np.bool_]:
        inside: npt.NDArray[np.bool_] = (self._grid.abs() <= 1).all(-1)[0].numpy()
        return inside

    @property
    def overlap_share(self) -> float:
        """Share of the film, or of the prior if that is less, on which both lie; in [0, 1]."""
        ours = float(self._inside.mean())
        height, width = self.shape
        rows, columns = self.prior_shape
        area = height * width / max(self.shape) ** 2
        area_of_prior = rows * columns / max(self.prior_shape) ** 2 * self.scale**2
        return min(ours, ours * area / area_of_prior)

    @property
    def implausible(self) -> str:
        """Why no second film of one chest lies like this; "" when it can."""
        if not 1 / MAXIMUM_SCALE <= self.scale <= MAXIMUM_SCALE:
            return f"the films would differ in scale by {max(self.scale, 1 / self.scale):.2f}"
        if abs(self.rotation_deg) > MAXIMUM_ROTATION_DEG:
            return f"the films would be turned by {abs(self.rotation_deg):.0f} degrees"
        if self.overlap_share < MINIMUM_OVERLAP:
            return f"only {self.overlap_share:.0%} of the film would overlap"
        return ""

    def move(self, maps: FloatArray) -> FloatArray:
        """Move maps that span the prior film, (..., y, x) -> (..., h, w); 0 outside its field."""
        stack = tensor(maps).transpose(0, 1)  # (1, n, y, x)
        laid = functional.grid_sample(
            stack, self._grid, padding_mode="border", align_corners=False
        )  # (1, n, h, w)
        laid *= torch.from_numpy(self._inside)
        return np.asarray(laid.reshape(*maps.shape[:-2], *self.shape).numpy())

    @cached_property
    def places(self) -> torch.Tensor:
        """(2, h, w): where each pixel of the working grid lies on the prior, as `points`."""
        laid = transform_points(self.matrix, points(self.shape))
        return laid if self.deformation is None else laid + self.deformation.on(self.shape)

    @property
    def relative_coordinates(self) -> FloatArray:
        """(2, h, w): `places` as shares of the prior's width and height, inside it in [0, 1]."""
        return np.asarray(((self._grid[0] + 1) / 2).permute(2, 0, 1).numpy())

    def inverse(self) -> "Alignment":
        """Return the alignment of the same two films the other way round, on the prior's grid.

        The displacement is inverted by fixed-point iteration.

        References
        ----------
        Chen et al., A simple fixed-point approach to invert a deformation field, Medical Physics
        35(1), 2008.
        """
        linear = torch.linalg.inv(self.matrix[:, :2])
        matrix = torch.cat([linear, -linear @ self.matrix[:, 2:]], dim=1)
        back = Alignment(
            matrix,
            None,
            self.prior_shape,
            self.shape,
            self.inverted,
            self,
            self.prior_hidden,
            self.hidden,
        )
        if self.deformation is None:
            return back
        grid = working_shape(self.prior_shape, INVERSE_PX)
        straight = transform_points(matrix, points(grid))  # (2, y, x)
        deformation = self.deformation.on(working_shape(self.shape, INVERSE_PX))[
            None
        ]  # (1, 2, h, w)
        away = torch.zeros_like(straight)
        for _ in range(INVERSE_STEPS):
            pulled = functional.grid_sample(
                deformation,
                sampling_grid(straight + away, self.shape),
                padding_mode="border",
                align_corners=False,
            )[0]
            away = -torch.einsum("ij,jhw->ihw", linear, pulled)
        return replace(back, deformation=Sampled(away))

    @cached_property
    def _grid(self) -> torch.Tensor:
        return sampling_grid(self.places, self.prior_shape)
