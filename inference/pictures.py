"""The films and maps themselves, without any text."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from inference.canvas import CYAN, GREEN, WHITE, Colour, stroke
from inference.colours import Rgb, blend, colour_of, difference_table, heat_table
from inference.comparison.result import MARK
from inference.findings import FloatArray
from inference.regions import GRID, resize

Rgba = npt.NDArray[np.uint8]

# how the outlines of the first, second and third finding look: colour, dash in units
STROKES: tuple[tuple[Colour, float | None], ...] = ((CYAN, None), (GREEN, 12), (WHITE, 5))
STROKE_WIDTH = 2.4  # units

CORNER = 0.1  # of each edge: where markers are, nothing is painted
MAP_OPACITY = 0.5
DIFFERENCE_OPACITY = 0.9
FAINT = 0.15  # a smaller difference is not painted
DIMMED = 0.5  # the film under a difference, so that both signs of it stand out


def grey(eight: npt.NDArray[np.uint8], columns: int, rows: int) -> Rgb:
    """Scale a film of 8 bits into a box, keeping its shape: (h, w, 3)."""
    size = fitted_size(eight.shape, columns, rows)[::-1]
    small = Image.fromarray(eight).resize(size, Image.Resampling.BICUBIC, reducing_gap=2)
    return np.repeat(np.asarray(small)[..., None], 3, axis=-1)


def fitted_size(shape: Sequence[int], columns: int, rows: int) -> tuple[int, int]:
    """Return the rows and columns of the largest picture of this shape inside a box."""
    scale = min(columns / shape[1], rows / shape[0])
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def heat_over(
    film: Rgb,
    heatmaps: Sequence[FloatArray],
    rings: Sequence[FloatArray | None],
    shape: Sequence[int],
    unit: float,
) -> Rgb:
    """Lay heat maps and their outlines over a film; no maps, no paint.

    Parameters
    ----------
    heatmaps
        (h, w) each, in [0, 1].
    rings
        Outline of each map, (n, 2) in pixels of the film of this ``shape``, or None.
    """
    if not heatmaps:
        return film
    rows, columns = film.shape[:2]
    finer = [resize(heatmap, *fitted_size(film.shape, GRID, GRID)) for heatmap in heatmaps]
    heat = np.clip(resize(np.max(finer, axis=0), rows, columns), 0, 1)  # (rows, columns)
    picture = _paint(film, heat, heat_table(), heat_opacity(heat))
    for ring, (colour, dash) in zip(rings, STROKES, strict=False):
        if ring is not None:
            dash_px = None if dash is None else dash * unit
            drawn = scaled(ring, shape, film.shape)
            picture = stroke(picture, drawn, colour, STROKE_WIDTH * unit, dash=dash_px)
    return keep_corners(picture, film)


def heat_opacity(heat: FloatArray) -> FloatArray:
    """Return how thick a heat map in [0, 1] is painted; below 0.3 the film stays bare."""
    opacity: FloatArray = MAP_OPACITY * np.clip((heat - 0.3) / 0.3, 0, 1)
    return opacity


def difference_opacity(signed: FloatArray) -> FloatArray:
    """Return how thick a difference in [-1, 1] is painted; a faint one not at all."""
    opacity: FloatArray = np.clip((np.abs(signed) - FAINT) / (MARK - FAINT), 0, 1)
    return DIFFERENCE_OPACITY * opacity


def heat_layer(heatmap: FloatArray, shape: Sequence[int]) -> Rgba:
    """Return a heat map to be laid over a film of this shape by somebody else: (h, w, 4).

    Fully opaque where the map is strongest: the reader says how much of it is to be seen.
    """
    heat = np.clip(resize(heatmap, *fitted_size(shape, GRID, GRID)), 0, 1)
    return _layer(colour_of(heat, heat_table()), heat_opacity(heat) / MAP_OPACITY)


def difference_layer(signed: FloatArray) -> Rgba:
    """Return a difference in [-1, 1] to be laid over a film by somebody else: (h, w, 4)."""
    values = np.clip(signed, -1, 1)
    colours = colour_of((values + 1) / 2, difference_table())
    return _layer(colours, difference_opacity(values) / DIFFERENCE_OPACITY)


def _layer(colours: Rgb, opacity: FloatArray) -> Rgba:
    alpha = np.rint(255 * opacity).astype(np.uint8)[..., None]
    painted = np.concatenate([colours, alpha], axis=-1)
    return keep_corners(painted, np.zeros_like(painted))


def scaled(ring: FloatArray, film: Sequence[int], picture: Sequence[int]) -> FloatArray:
    """Take an outline from the pixels of a film to those of its picture; shapes (h, w, ...)."""
    return ring * (picture[1] / film[1], picture[0] / film[0])


def _paint(picture: Rgb, values: FloatArray, table: Rgb, opacity: FloatArray) -> Rgb:
    """Lay colours over the rectangle of a picture in which any is seen."""
    painted = picture.copy()
    rows, columns = (np.flatnonzero(opacity.any(axis=axis)) for axis in (1, 0))
    if rows.size:
        part = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        painted[part] = blend(picture[part], colour_of(values[part], table), opacity[part])
    return painted


def difference_over(film: Rgb, signed: FloatArray, where: npt.NDArray[np.bool_]) -> Rgb:
    """Lay a signed map in [-1, 1] over the dimmed film; 0 leaves the film as it is."""
    rows, columns = film.shape[:2]
    dark = dimmed(film)
    values = np.clip(resize(np.where(where, signed, 0), rows, columns), -1, 1)
    painted = _paint(dark, (values + 1) / 2, difference_table(), difference_opacity(values))
    return keep_corners(painted, dark)


def dimmed(film: Rgb) -> Rgb:
    """Darken a film."""
    dark: Rgb = np.rint(film * np.float32(DIMMED)).astype(np.uint8)
    return dark


def keep_corners(picture: Rgb, film: Rgb) -> Rgb:
    """Give a picture the corners of the bare film: the left and right markers are there."""
    kept = picture.copy()
    y, x = (max(1, round(CORNER * n)) for n in film.shape[:2])
    for rows in (slice(None, y), slice(-y, None)):
        for columns in (slice(None, x), slice(-x, None)):
            kept[rows, columns] = film[rows, columns]
    return kept
