"""The films and maps themselves, without any text."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from inference.cardiothoracic import Line
from inference.comparison.result import MARK
from inference.drawing.canvas import CYAN, GREEN, GREY, PAGE, WHITE, YELLOW, Colour, font_of, stroke
from inference.drawing.colours import Rgb, blend, colour_of, difference_table, heat_table
from inference.drawing.outlines import GRID
from inference.findings import FloatArray
from inference.image.film import Film
from inference.image.overlays import BoolArray, rim, shrunk
from inference.image.presentation import Sides
from inference.image.resizing import resize

Rgba = npt.NDArray[np.uint8]

_ORANGE: Colour = (255, 165, 90)
_ROSE: Colour = (255, 150, 200)
_COLOURS = (CYAN, GREEN, WHITE, YELLOW, _ORANGE, _ROSE, GREY)
_DASHES = (None, 12, 5, 20, 3, 8, 16)
Stroke = tuple[Colour, float | None]  # dash in units
# how the outlines look, that of the most probable finding first. No two of the 14 are alike
STROKES: tuple[Stroke, ...] = (
    *zip(_COLOURS, _DASHES, strict=True),
    *zip(_COLOURS, (*_DASHES[1:], None), strict=True),
)
STROKE_WIDTH = 2.4  # units

SIDE = 26  # units: the strip left and right of a film, for the letters of its sides
_LETTER = 24  # units

MEASURE: Colour = (255, 255, 255)  # lines that were measured, and their ends
MEASURE_WIDTH, MEASURE_END = 2.0, 9  # units

CORNER = 0.1  # of each edge: where markers are, nothing is painted
MAP_OPACITY = 0.5
DIFFERENCE_OPACITY = 0.9
FAINT = 0.15  # a smaller difference is not painted
DIMMED = 0.5  # the film under a difference, so that both signs of it stand out


Part = tuple[slice, slice]  # rows and columns of a film


def shown(film: Film, columns: int, rows: int, part: Part | None = None) -> Rgb:
    """Draw a film, or a part of it, as large as a box holds, in its proportions: (h, w, 3).

    Its shutter and its overlays are over it.
    """
    whole = film.eight_bits if part is None else film.eight_bits[part]
    height, width = whole.shape
    size = fitted_size((height * film.presentation.aspect, width), columns, rows)
    return finished(grey(whole, *size), film, part)


def grey(eight: npt.NDArray[np.uint8], rows: int, columns: int) -> Rgb:
    """Scale a picture of 8 bits: (rows, columns, 3)."""
    picture, size = Image.fromarray(eight), (columns, rows)
    small = picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=2)
    return np.repeat(np.asarray(small)[..., None], 3, axis=-1)


def finished(picture: Rgb, film: Film, part: Part | None = None) -> Rgb:
    """Draw the shutter and then the overlays of a film over a picture of it, or of a part of it.

    ``picture`` is (rows, columns, 3). In this order: what is annotated behind a shutter stays
    visible (PS3.4 N.2.3.1).
    """
    how, (rows, columns) = film.presentation, picture.shape[:2]
    done = picture.copy()
    if how.occluded is not None:
        occluded = how.occluded if part is None else how.occluded[part]
        done[shrunk(occluded, rows, columns, 0.5)] = PAGE
    if how.graphics is None:
        return done
    return marked(done, how.graphics if part is None else how.graphics[part])


def marked(picture: Rgb, graphics: BoolArray) -> Rgb:
    """Draw overlay graphics, (y, x) of the same film: white, with a dark rim."""
    drawn = shrunk(graphics, *picture.shape[:2])
    done = picture.copy()
    done[rim(drawn)] = PAGE
    done[drawn] = WHITE
    return done


def sided(picture: Rgb, sides: Sides | None, unit: float) -> Rgb:
    """Put a strip of `SIDE` units left and right of a film's picture, with its sides' letters.

    (rows, columns, 3) becomes (rows, columns + 2 strips, 3). Where the header states no sides the
    strips are empty.
    """
    strip = round(SIDE * unit)
    page = Image.fromarray(np.pad(picture, ((0, 0), (strip, strip), (0, 0))))
    if sides is not None:
        pen, font = ImageDraw.Draw(page), font_of(max(8, round(_LETTER * unit)))
        middle = page.height // 2
        for letter, x in ((sides.left, strip // 2), (sides.right, page.width - strip // 2)):
            pen.text((x, middle), letter, WHITE, font, anchor="mm")
    return np.asarray(page)


def fitted_size(shape: Sequence[float], columns: int, rows: int) -> tuple[int, int]:
    """Return the rows and columns of the largest picture of this shape inside a box."""
    scale = min(columns / shape[1], rows / shape[0])
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def heat_over(
    plain: Rgb,
    film: Film,
    heatmaps: Sequence[FloatArray],
    rings: Sequence[FloatArray | None],
    unit: float,
    first: int = 0,
) -> Rgb:
    """Lay heat maps and their outlines over the picture of a film; no maps, no paint.

    Parameters
    ----------
    plain
        The film as `shown` draws it.
    heatmaps
        (h, w) each, in [0, 1].
    rings
        Outline of each map, (n, 2) in pixels of the film, or None.
    first
        Place among `STROKES` of the first outline.
    """
    if not heatmaps:
        return plain
    rows, columns = plain.shape[:2]
    finer = [resize(heatmap, fitted_size(plain.shape, GRID, GRID)) for heatmap in heatmaps]
    heat = np.clip(resize(np.max(finer, axis=0), (rows, columns)), 0, 1)  # (rows, columns)
    picture = _paint(plain, heat, heat_table(), heat_opacity(heat))
    for ring, (colour, dash) in zip(rings, STROKES[first:], strict=False):
        if ring is not None:
            dash_px = None if dash is None else dash * unit
            drawn = scaled(ring, film.pixels.shape, plain.shape)
            picture = stroke(picture, drawn, colour, STROKE_WIDTH * unit, dash=dash_px)
    return finished(keep_corners(picture, plain), film)


def measured_over(picture: Rgb, lines: Sequence[Line], film: Sequence[int], unit: float) -> Rgb:
    """Draw horizontal lines with their ends over the picture of a film: (rows, columns, 3).

    ``film`` is the shape of the film, in whose pixels the lines are.
    """
    for line in lines:
        (left, row), (right, _) = scaled(
            np.array([(line.left, line.row), (line.right, line.row)]), film, picture.shape
        )
        end = MEASURE_END * unit
        for piece in (
            [(left, row), (right, row)],
            [(left, row - end), (left, row + end)],
            [(right, row - end), (right, row + end)],
        ):
            picture = stroke(picture, np.array(piece), MEASURE, MEASURE_WIDTH * unit)
    return picture


def heat_opacity(heat: FloatArray) -> FloatArray:
    """Return the opacity of a heat map in [0, 1], of the same shape; 0 where it is below 0.3."""
    opacity: FloatArray = MAP_OPACITY * np.clip((heat - 0.3) / 0.3, 0, 1)
    return opacity


def difference_opacity(signed: FloatArray) -> FloatArray:
    """Return the opacity of a difference in [-1, 1], of the same shape; 0 where it is faint."""
    opacity: FloatArray = np.clip((np.abs(signed) - FAINT) / (MARK - FAINT), 0, 1)
    return DIFFERENCE_OPACITY * opacity


def heat_layer(heatmap: FloatArray, shape: Sequence[float]) -> Rgba:
    """Return a heat map to be laid over a film of this shape by somebody else: (h, w, 4).

    Fully opaque where the map is strongest: the reader says how much of it is to be seen.
    """
    heat = np.clip(resize(heatmap, fitted_size(shape, GRID, GRID)), 0, 1)
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
    """Draw a signed map in [-1, 1] over the dimmed film; where it is 0 the film stays as it is.

    ``film`` is (rows, columns, 3). ``signed`` and ``where`` have the same shape, (h, w), and are
    scaled to the film edge to edge.
    """
    rows, columns = film.shape[:2]
    dark = dimmed(film)
    values = np.clip(resize(np.where(where, signed, 0), (rows, columns)), -1, 1)
    painted = _paint(dark, (values + 1) / 2, difference_table(), difference_opacity(values))
    return keep_corners(painted, dark)


def dimmed(film: Rgb) -> Rgb:
    """Return a picture (rows, columns, 3), darkened."""
    dark: Rgb = np.rint(film * np.float32(DIMMED)).astype(np.uint8)
    return dark


def keep_corners(picture: Rgb, film: Rgb) -> Rgb:
    """Copy the corners of the bare film into a picture: the left and right markers are there.

    Both are (rows, columns, 3).
    """
    result = picture.copy()
    y, x = (max(1, round(CORNER * n)) for n in film.shape[:2])
    for rows in (slice(None, y), slice(-y, None)):
        for columns in (slice(None, x), slice(-x, None)):
            result[rows, columns] = film[rows, columns]
    return result
