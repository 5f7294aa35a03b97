"""One finding on a page of its own: the film with its map, and the place enlarged.

The enlarged part carries no paint: there the reader sees what the map points at.
"""

import numpy as np

from inference.comparison import FindingChange
from inference.drawing.canvas import GREY, WHITE, YELLOW, Canvas, stroke
from inference.drawing.colours import Rgb
from inference.drawing.layers import (
    SIDE,
    STROKE_WIDTH,
    STROKES,
    Part,
    heat_over,
    keep_corners,
    scaled,
    shown,
    sided,
)
from inference.drawing.outlines import rectangle
from inference.drawing.panels import TextColumn, heat_legend
from inference.drawing.summary import Caption, since
from inference.findings import FINDINGS, NOT_VERIFIED, FloatArray, Prediction
from inference.image.film import Film
from inference.settings import DrawingSettings
from inference.statements import against_threshold

# layout in units of 1/1500 of the long edge that is set: letters are those of the other pages,
# and a page needs a third of their bytes
WIDTH, HEADER, WORDS, BODY, LEGEND = 720, 42, 74, 412, 214
MARGIN, GAP = 12, 8
FILM_SHARE = 0.58  # of the width; the rest is for the enlarged part
CONTEXT = 1.25  # the enlarged part's edges, as multiples of the outline's
LEAST = 0.25  # of the film's edges: less is more enlarged than a film bears


def draw_closeup(
    film: Film,
    prediction: Prediction,
    finding: int,
    ring: FloatArray | None,
    *,
    caption: Caption,
    software: str,
    prior: Caption | None = None,
    change: FindingChange | None = None,
    notes: tuple[str, ...] = (),
    settings: DrawingSettings | None = None,
) -> Rgb:
    """Draw one positive finding.

    Parameters
    ----------
    finding
        Index in `FINDINGS`.
    ring
        Its outline in pixels of the film; None: the map singles nothing out, nothing is enlarged.
    prior, change
        The earlier film and what has become of the finding since; None when not compared.
    notes
        What limits the reading, one sentence each.

    Returns
    -------
    (rows, columns, 3) uint8.
    """
    settings = settings or DrawingSettings()
    unit = settings.long_edge_px / 1500
    page = Canvas(round(WIDTH * unit), round((HEADER + WORDS + BODY + LEGEND) * unit), unit)
    edge, width = page.px(MARGIN), page.px(WIDTH - 2 * MARGIN)
    page.text(edge, page.px(10), settings.label, 20, YELLOW, width=page.px(WIDTH * 0.66))
    page.text(edge, page.px(13), software, 16, GREY, width=width, align="right")
    probability, threshold = prediction.probabilities[finding], prediction.thresholds[finding]
    title = f"{FINDINGS[finding].name} {against_threshold(probability, threshold)}"
    title += prediction.place_of(finding)
    page.text(edge, page.px(HEADER), title, 22, YELLOW, width=width)
    about = (f"Chest X-ray {caption}", _change(caption, prior, change))
    for y, line in zip((30, 51), about, strict=True):
        page.text(edge, page.px(HEADER + y), line, 17, WHITE, width=width)
    # the outline looks as on the picture of all findings
    place = prediction.mapped.index(finding) if finding in prediction.mapped else 0
    _draw_pictures(page, film, prediction.heatmaps[finding], ring, place)
    top = page.px(HEADER + WORDS + BODY)
    panel = TextColumn(page, 0, top, page.px(WIDTH), top + page.px(LEGEND))
    panel.closing(NOT_VERIFIED)
    panel.notes(notes)
    heat_legend(panel, {} if ring is None else {finding: STROKES[place]})
    return page.done()


def _change(caption: Caption, prior: Caption | None, change: FindingChange | None) -> str:
    if prior is None or change is None:
        return "Change: not known"
    taken = prior.taken.text_with_source if prior.taken else "a film without a date"
    return f"Change: {change.change} since {taken}{since(caption, prior)}"


def _draw_pictures(
    page: Canvas, film: Film, heatmap: FloatArray, ring: FloatArray | None, place: int
) -> None:
    sides, strips = film.presentation.sides, 2 * page.px(SIDE)
    top, rows = page.px(HEADER + WORDS), page.px(BODY)
    room = page.px(FILM_SHARE * WIDTH)
    plain = shown(film, room - strips, rows)
    picture = heat_over(plain, film, [heatmap], [ring], page.unit, place)
    if ring is not None:
        beside = page.px(WIDTH) - room - page.px(GAP)
        tall = rows / (beside - strips) / film.presentation.aspect
        part = _place(ring, film.pixels.shape, tall)
        enlarged = sided(shown(film, beside - strips, rows, part), sides, page.unit)
        page.paste(enlarged, room + page.px(GAP), top + (rows - enlarged.shape[0]) // 2)
        picture = _framed(picture, plain, film, part, page.unit)
    lettered = sided(picture, sides, page.unit)
    x = (room - lettered.shape[1]) // 2
    page.paste(lettered, x, top + (rows - lettered.shape[0]) // 2)


def _framed(picture: Rgb, plain: Rgb, film: Film, part: Part, unit: float) -> Rgb:
    """Draw a frame around the part that is enlarged."""
    rows, columns = part
    edges = rectangle(columns.start, rows.start, columns.stop, rows.stop)
    frame = scaled(edges, film.pixels.shape, plain.shape)
    return keep_corners(stroke(picture, frame, WHITE, STROKE_WIDTH * unit / 2), plain)


def _place(ring: FloatArray, shape: tuple[int, ...], tall: float) -> Part:
    """Return the rows and columns to enlarge; ``tall`` is rows to columns of the room for them."""
    low, high = ring.min(axis=0), ring.max(axis=0)  # x, y
    width, height = np.maximum(CONTEXT * (high - low), LEAST * np.array(shape[1::-1]))
    width, height = max(width, height / tall), max(height, width * tall)
    x, y = (low + high) / 2
    return _span(y, height, shape[0]), _span(x, width, shape[1])


def _span(middle: float, length: float, available: int) -> slice:
    """Return a range of this length around the middle, moved to stay inside."""
    length = min(max(1, round(length)), available)
    first = min(max(0, round(middle - length / 2)), available - length)
    return slice(first, first + length)
