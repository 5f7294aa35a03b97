"""Whether a heat map lies where a radiologist drew a box, beside what chance would reach.

Per box, of the map of the box's finding on the box's film:

- *pointing game*: the centre of the map's greatest cell lies in the box;
- *IoU, IoBB*, as Wang et al. 2017: the map, scaled to [0, 1] by its least and greatest cell, is
  interpolated bilinearly to `FINE` x `FINE` and cut at 60/255 and at 180/255; each connected part
  becomes the smallest upright box around it. IoU is the intersection over the union with the
  radiologist's box, IoBB the intersection over the area of the *detected* box; the best detected
  box counts, and T(IoU) or T(IoBB) is the share of boxes whose best lies above T.

A map without a greatest cell (all equal, or nan) points nowhere and detects nothing.

Two controls ask what a map that knows nothing of the film would reach. *uniform*: the point is
anywhere on the film, each detected box keeps its size and lies anywhere on the film. *pooled*: the
point, and the centre of each detected box, is the centre of a radiologist's box on another film,
drawn at random from the whole list (moved in from the edge by as little as is needed). The pointing
game's controls are exact; the others are means of `DRAWS` seeded draws a box. The figure given is
that of the stronger control.

Whether a map is verified is another question, with controls of its own:
`training.evaluation.pointing`.

References
----------
Wang et al., ChestX-ray8, CVPR 2017, section 4.2.
Zhang et al., Top-down Neural Attention by Excitation Backprop, ECCV 2016 (pointing game).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from skimage.measure import label as connected
from skimage.measure import regionprops

from inference.findings import LABELS, FloatArray
from training.data.boxes import Box
from training.evaluation.statistics import Doubles

FINE = 256  # a film of NIH is 1024 px: a cell is 4 of them
CUTS = (60 / 255, 180 / 255)  # Wang et al.: intensities scaled to [0, 255], then {60, 180}
OVERLAPS = (0.1, 0.25, 0.5)  # T of T(IoU) and T(IoBB)
DRAWS = 200
CONTROLS = ("uniform", "pooled")


@dataclass(frozen=True, eq=False)
class Score:
    """How one map meets one box, and the share of random tries that would.

    ``chance_hit`` is (2,), in the order of `CONTROLS`; ``chance_iou`` and ``chance_iobb`` are
    (2, 3), by control and `OVERLAPS`.
    """

    label: str
    hit: bool
    iou: float
    iobb: float
    chance_hit: Doubles
    chance_iou: Doubles
    chance_iobb: Doubles


@dataclass(frozen=True)
class Rate:
    """A share of boxes, and that of the stronger control."""

    value: float
    control: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.control:.2f})"


@dataclass(frozen=True)
class FindingLocalisation:
    """What was measured on a finding's boxes; ``iou`` and ``iobb`` are by `OVERLAPS`."""

    label: str
    boxes: int
    pointing: Rate
    iou: tuple[Rate, ...]
    iobb: tuple[Rate, ...]


def peak(grid: FloatArray) -> tuple[float, float] | None:
    """Return x and y of the centre of the greatest cell of a map (h, w), as fractions of the film.

    None where no cell is greater than all others.
    """
    if not _singles_out(grid):
        return None
    row, column = np.unravel_index(int(grid.argmax()), grid.shape)
    return (float(column) + 0.5) / grid.shape[1], (float(row) + 0.5) / grid.shape[0]


def detections(grid: FloatArray) -> Doubles:
    """Return the boxes around what stands out of a map, (n, 4): left, top, right, bottom."""
    if not _singles_out(grid):
        return np.zeros((0, 4))
    cells = torch.from_numpy(np.ascontiguousarray(grid, dtype=np.float32))[None, None]
    scaled = (cells - cells.min()) / (cells.max() - cells.min())
    fine = torch.nn.functional.interpolate(scaled, size=(FINE, FINE), mode="bilinear")[0, 0]
    found = [
        (left, top, right, bottom)
        for cut in CUTS
        for top, left, bottom, right in (
            part.bbox for part in regionprops(connected(fine.numpy() >= cut))
        )
    ]
    return np.array(found, dtype=float).reshape(-1, 4) / FINE


def _singles_out(grid: FloatArray) -> bool:
    return bool(np.isfinite(grid).all() and grid.max() > grid.min())


def overlaps(detected: Doubles, box: Box) -> tuple[Doubles, Doubles]:
    """Return IoU and IoBB of detected boxes (..., 4) with a radiologist's box, (...) each."""
    left, top, right, bottom = box.corners
    width = np.minimum(detected[..., 2], right) - np.maximum(detected[..., 0], left)
    height = np.minimum(detected[..., 3], bottom) - np.maximum(detected[..., 1], top)
    shared = width.clip(0) * height.clip(0)
    area = (detected[..., 2] - detected[..., 0]) * (detected[..., 3] - detected[..., 1])
    return shared / (area + box.w * box.h - shared), shared / area


def score(grid: FloatArray, box: Box, pool: Sequence[Box], seed: int = 0) -> Score:
    """Measure one map (h, w), spanning the film edge to edge, against one box.

    Parameters
    ----------
    pool
        All boxes of the list; those on the box's own film are left out.
    """
    others = np.array([other.corners for other in pool if other.film != box.film]).reshape(-1, 4)
    centres = (others[:, :2] + others[:, 2:]) / 2  # (others, 2)
    point, found = peak(grid), detections(grid)
    iou, iobb = overlaps(found, box)
    chance_iou, chance_iobb = _chance(found, box, centres, np.random.default_rng(seed))
    return Score(
        label=box.label,
        hit=point is not None and bool(inside(np.array(point), box)),
        iou=float(iou.max(initial=0)),
        iobb=float(iobb.max(initial=0)),
        chance_hit=np.array([box.w * box.h, inside(centres, box).mean() if len(centres) else 0]),
        chance_iou=chance_iou,
        chance_iobb=chance_iobb,
    )


def inside(points: Doubles, box: Box) -> Any:
    """Return whether points, (..., 2) as x and y, lie in the box: (...)."""
    left, top, right, bottom = box.corners
    x, y = points[..., 0], points[..., 1]
    return (left <= x) & (x <= right) & (top <= y) & (y <= bottom)


def _chance(
    found: Doubles, box: Box, centres: Doubles, generator: np.random.Generator
) -> tuple[Doubles, Doubles]:
    """Return how often boxes of the detected sizes at random places pass, (2, 3) each."""
    sizes = found[:, 2:] - found[:, :2]  # (n, 2)
    room = 1 - sizes
    uniform = generator.random((DRAWS, len(found), 2)) * room
    drawn = generator.integers(max(1, len(centres)), size=(DRAWS, len(found)))
    pooled = (centres[drawn] - sizes / 2).clip(0, room) if len(centres) else uniform
    shares = []
    for corner in (uniform, pooled):  # (draws, n, 2)
        measures = overlaps(np.concatenate([corner, corner + sizes], axis=-1), box)
        best = [measure.max(axis=1, initial=0) for measure in measures]  # (draws,) each
        shares.append([[(values > t).mean() for t in OVERLAPS] for values in best])
    both = np.array(shares)  # (controls, measures, overlaps)
    return both[:, 0], both[:, 1]


def summarise(scores: Sequence[Score]) -> list[FindingLocalisation]:
    """Sum scores up by finding, in the order of `LABELS`; findings without a box are left out."""
    by_label = {label: [s for s in scores if s.label == label] for label in LABELS}
    return [overall(some, label) for label, some in by_label.items() if some]


def overall(scores: Sequence[Score], label: str = "all findings") -> FindingLocalisation:
    """Sum scores up, whatever their findings; there must be one."""
    hits = sum(s.hit for s in scores)
    return FindingLocalisation(
        label=label,
        boxes=len(scores),
        pointing=Rate(hits / len(scores), _stronger([s.chance_hit for s in scores])),
        iou=_rates([s.iou for s in scores], [s.chance_iou for s in scores]),
        iobb=_rates([s.iobb for s in scores], [s.chance_iobb for s in scores]),
    )


def _rates(values: Sequence[float], chances: Sequence[Doubles]) -> tuple[Rate, ...]:
    return tuple(
        Rate(float(np.mean([v > t for v in values])), _stronger([c[:, k] for c in chances]))
        for k, t in enumerate(OVERLAPS)
    )


def _stronger(chances: Sequence[Doubles]) -> float:
    return float(np.mean(chances, axis=0).max())
