"""From a rough transform to one that lays rib on rib: Gauss-Newton on local structure.

First an affine transform: turn, shift, size, and what the distance of the tube and the tilt of
the patient make of them. Then a smooth deformation, for breath and posture.
"""

from dataclasses import dataclass

import torch

from inference.comparison.pyramid import Gradient, PyramidLevel, gradient, transform_points

AFFINE_STEPS = 10
AFFINE_ENOUGH = 2e-4  # long edges: a twentieth of a pixel at 256
BEND_STEPS = 6
BEND_ENOUGH = 2e-4
CELLS = 8  # of the deformation's lattice along the long edge: some 4 cm of a chest film
STIFFNESS = (
    0.2  # of the deformation, over what the films say; chosen by tests/benchmarks/alignment.py
)
MOST_BENT = 40 / 512  # long edges, some 3 cm: what a deep breath moves; no point is moved further


def refined(pair: PyramidLevel, matrix: torch.Tensor, *, similarity: bool) -> torch.Tensor:
    """Improve a transform (2, 3) by Gauss-Newton; turn, size and shift alone if ``similarity``."""
    places = pair.points()
    x, y = places
    for _ in range(AFFINE_STEPS):
        at = gradient(pair, transform_points(matrix, places))
        basis = _similarity(at, x, y) if similarity else _affine(at, x, y)  # (k, h, w)
        step = _solved(basis.flatten(1), at)
        change = _as_matrix(step, similarity=similarity)
        matrix = matrix + change
        if float(change.abs().max()) < AFFINE_ENOUGH:
            break
    return matrix


def _affine(at: Gradient, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    along = (at.along_x, at.along_y)
    return torch.stack([part for one in along for part in (one * x, one * y, one)])


def _similarity(at: Gradient, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    grows = at.along_x * x + at.along_y * y
    turns = at.along_y * x - at.along_x * y
    return torch.stack([grows, turns, at.along_x, at.along_y])


def _as_matrix(step: torch.Tensor, *, similarity: bool) -> torch.Tensor:
    if not similarity:
        return step.view(2, 3)
    grows, turns, right, down = step
    return torch.stack([grows, -turns, right, turns, grows, down]).view(2, 3)


def _solved(basis: torch.Tensor, at: Gradient) -> torch.Tensor:
    """Return the step (k,) that would take most of the difference away; ``basis`` is (k, h w)."""
    weighted = basis * at.weight.flatten()
    normal = weighted @ basis.T  # (k, k)
    damping = 1e-4 * normal.diagonal().mean() + 1e-9  # a blank film has no slope at all
    normal = normal + damping * torch.eye(len(normal))
    step: torch.Tensor = torch.linalg.solve(normal, weighted @ at.residual.flatten())
    return step


@dataclass(frozen=True, eq=False)
class BSplineDeformation:
    """A smooth displacement: cubic B-splines on a lattice over the current film.

    Attributes
    ----------
    knots
        (2, rows, columns): what is added to x and y, in long edges.
    """

    knots: torch.Tensor

    def on(self, shape: tuple[int, ...]) -> torch.Tensor:
        """Return the displacement on a grid (..., h, w) over the current film, (2, h, w)."""
        rows, columns = (count - 3 for count in self.knots.shape[1:])
        down, across = _splines(shape[-2], rows), _splines(shape[-1], columns)
        free = down @ self.knots @ across.T
        length = free.square().sum(0).sqrt()
        return free / (length / MOST_BENT).clamp_min(1)


def identity_deformation(pair: PyramidLevel) -> BSplineDeformation:
    """Return a deformation that moves nothing, on the lattice for this pair."""
    height, width = pair.current.shape[1:]
    rows, columns = (max(2, round(CELLS * side / max(height, width))) for side in (height, width))
    return BSplineDeformation(torch.zeros(2, rows + 3, columns + 3))


def refined_deformation(
    pair: PyramidLevel, matrix: torch.Tensor, deformation: BSplineDeformation
) -> BSplineDeformation:
    """Improve a deformation that comes on top of a transform, by Gauss-Newton.

    ``matrix`` is (2, 3): current pixels to prior pixels. Thin plates bend like this: second
    derivatives cost, an affine transform is free (Rueckert et al., IEEE Trans. Medical Imaging
    18(8), 1999).
    """
    height, width = pair.current.shape[1:]
    start = transform_points(matrix, pair.points())
    knots = deformation.knots
    rows, columns = knots.shape[1:]
    lattice = _Lattice(_splines(height, rows - 3), _splines(width, columns - 3))
    for _ in range(BEND_STEPS):
        at = gradient(pair, start + lattice.down @ knots @ lattice.across.T)
        change = lattice.step(at, knots)
        knots = knots + change
        if float(change.abs().max()) < BEND_ENOUGH:
            break
    return BSplineDeformation(knots)


class _Lattice:
    """Normal equations of the deformation; products of splines are separable, so they are cheap."""

    def __init__(self, down: torch.Tensor, across: torch.Tensor) -> None:
        self.down, self.across = down, across
        self._down2 = (down[:, :, None] * down[:, None]).flatten(1)  # (h, rows * rows)
        self._across2 = (across[:, :, None] * across[:, None]).flatten(1)
        self._bending = _bending(down.shape[1], across.shape[1])

    def step(self, at: Gradient, knots: torch.Tensor) -> torch.Tensor:
        """Return the change of the knots that Gauss-Newton asks for, (2, rows, columns)."""
        pull = at.weight * at.residual
        xx = self._products(at.weight * at.along_x**2)
        xy = self._products(at.weight * at.along_x * at.along_y)
        yy = self._products(at.weight * at.along_y**2)
        curvature = (xx.diagonal().mean() + yy.diagonal().mean()) / 2 + 1e-9
        stiff = STIFFNESS * curvature * self._bending
        normal = torch.cat([torch.cat([xx + stiff, xy], 1), torch.cat([xy, yy + stiff], 1)])
        normal = normal + 1e-5 * curvature * torch.eye(len(normal))
        descent = torch.cat(
            [
                self._sums(pull * along) - stiff @ knots[axis].flatten()
                for axis, along in enumerate((at.along_x, at.along_y))
            ]
        )
        change: torch.Tensor = torch.linalg.solve(normal, descent).view_as(knots)
        return change

    def _products(self, weight: torch.Tensor) -> torch.Tensor:
        """Sum weight times each two splines; (knots, knots)."""
        rows, columns = self.down.shape[1], self.across.shape[1]
        summed = self._down2.T @ weight @ self._across2
        square = summed.view(rows, rows, columns, columns).permute(0, 2, 1, 3)
        return square.reshape(rows * columns, rows * columns)

    def _sums(self, weight: torch.Tensor) -> torch.Tensor:
        return (self.down.T @ weight @ self.across).flatten()


def _splines(pixels: int, cells: int) -> torch.Tensor:
    """(pixels, cells + 3): cubic B-splines over a side, at the pixels' centres."""
    at = (torch.arange(pixels) + 0.5) / pixels * cells
    distance = (at[:, None] - (torch.arange(cells + 3) - 1)).abs()
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = (2 - distance).clamp_min(0) ** 3 / 6
    return torch.where(distance < 1, near, far)


def _bending(rows: int, columns: int) -> torch.Tensor:
    """(knots, knots): how much second differences of a lattice cost."""

    def cost(difference: torch.Tensor) -> torch.Tensor:
        return difference.T @ difference

    def differences(count: int, order: int) -> torch.Tensor:
        made = torch.eye(count)
        for _ in range(order):
            made = made[1:] - made[:-1]
        return made

    first = [cost(differences(count, 1)) for count in (rows, columns)]
    second = [cost(differences(count, 2)) for count in (rows, columns)]
    down = torch.kron(second[0], torch.eye(columns))
    across = torch.kron(torch.eye(rows), second[1])
    return down + across + 2 * torch.kron(first[0], first[1])
