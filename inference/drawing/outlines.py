"""Heat map -> one closed outline in the pixels of the film.

The rule, the same for pictures, report and presentation state: the largest connected part of the
film where the heat map reaches half of its own greatest value, if it covers at least 0.5 % of the
film. An outline shows where the network looked, not the border of a lesion.
"""

import math
from collections.abc import Sequence

import numpy as np
from skimage.measure import find_contours, label

from inference.findings import FINDINGS, FloatArray, Prediction
from inference.image.overlays import BoolArray, shrunk
from inference.image.resizing import resize
from inference.settings import RegionSettings

GRID = 256  # long edge of the grid on which outlines are sought: 1/256 of the film is fine enough


Outlines = tuple[FloatArray | None, ...]


def outlines(
    prediction: Prediction,
    shape: Sequence[int],
    settings: RegionSettings | None = None,
    occluded: BoolArray | None = None,
) -> Outlines:
    """Return the outline of each finding on a film (rows, columns), in the order of `FINDINGS`.

    None of findings that are not positive, whose map is withheld, or singles nothing out. Nothing
    is outlined where a shutter has ``occluded`` (rows, columns) the film.
    """
    found: list[FloatArray | None] = [None] * len(FINDINGS)
    for i in prediction.mapped:
        found[i] = outline(prediction.heatmaps[i], shape[0], shape[1], settings, occluded)
    return tuple(found)


def rectangle(left: float, top: float, right: float, bottom: float) -> FloatArray:
    """Return the edges of a rectangle as an outline: (5, 2), closed."""
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)])


def outline(
    heatmap: FloatArray,
    rows: int,
    columns: int,
    settings: RegionSettings | None = None,
    occluded: BoolArray | None = None,
) -> FloatArray | None:
    """Return the outline of the strongest evidence, or None where the map singles nothing out.

    Parameters
    ----------
    heatmap
        (h, w), not negative, spanning the film edge to edge.
    rows, columns
        Size of the film in pixels.
    occluded
        (rows, columns), where a shutter hides the film: no outline goes there.

    Returns
    -------
    (n, 2) float, x (along the row) then y, the first point repeated at the end; n is at most
    ``settings.most_points``. x lies in [0, columns] and y in [0, rows]: 0 is the outer edge of
    the first pixel and 0.5 its centre.

    References
    ----------
    PS3.3 C.18.6.1.2 (image relative spatial coordinates).
    """
    settings = settings or RegionSettings()
    scale = GRID / max(rows, columns)
    height, width = max(8, math.ceil(rows * scale)), max(8, math.ceil(columns * scale))
    fine = resize(heatmap, (height, width))
    if occluded is not None:
        fine = np.where(shrunk(occluded, height, width), 0, fine)
    level = settings.threshold * float(fine.max())
    part = _largest_part(fine, level)
    if part is None or not settings.smallest_area <= float(part.mean()) < 1:
        return None
    alone = np.pad(np.where(part, fine, np.minimum(fine, level * 0.999)), 1)
    ring = max(find_contours(alone, level), key=_enclosed_area)  # (m, 2) row, column
    points = _even_points(ring[:, ::-1] - 0.5, settings.most_points)  # pad and half pixel
    points *= (columns / width, rows / height)
    points = np.round(np.clip(points, 0, (columns, rows)), 2)
    points[-1] = points[0]
    return points


def _largest_part(fine: FloatArray, level: float) -> FloatArray | None:
    if level <= 0:
        return None
    parts = label(fine >= level, connectivity=1)
    sizes = np.bincount(parts.ravel())[1:]
    largest: FloatArray = parts == 1 + int(sizes.argmax())
    return largest


def _enclosed_area(ring: FloatArray) -> float:
    y, x = ring[:, 0], ring[:, 1]
    return float(abs(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1])) / 2)


def _even_points(ring: FloatArray, count: int) -> FloatArray:
    """Resample a closed ring to at most ``count`` points at equal distances along it."""
    travelled = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(ring, axis=0), axis=1))])
    steps = np.linspace(0.0, travelled[-1], min(count, len(ring)))
    return np.stack([np.interp(steps, travelled, ring[:, i]) for i in (0, 1)], axis=-1)
