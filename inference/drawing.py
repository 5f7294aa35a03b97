"""Findings and comparisons as pictures that a radiologist reads at a glance.

All text stands beside the film, never on it, and the film's corners stay as they are: the left
and right markers are there. No picture carries anything that identifies the patient.
"""

import datetime as dt
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from inference.canvas import CYAN, GREEN, GREY, PANEL, WHITE, YELLOW, Canvas, Colour, stroke
from inference.colours import Rgb, blend, colour_of, difference_table, heat_table
from inference.comparison import Comparison
from inference.film import Film, View
from inference.findings import FINDINGS, FloatArray, ModelIdentity, Prediction
from inference.panels import (
    CHANGED,
    Panel,
    changes_table,
    difference_legend,
    findings_table,
    heat_legend,
)
from inference.regions import RegionSettings, outline, resize

RESEARCH_LABEL = "AI RESULT - FOR RESEARCH USE ONLY"

# Page layout in units of 1/1500 of the long edge. 1500 x 984 fits a 1080p screen at 100 %.
PAGE_WIDTH, HEADER, BODY = 1500, 54, 930
PANEL_WIDTH, MARGIN, CELL_TITLE = 560, 18, 30

STROKES: tuple[tuple[Colour, float | None], ...] = ((CYAN, None), (GREEN, 12), (WHITE, 5))
CORNER = 0.1  # of each edge: where markers are, nothing is painted
MAP_OPACITY = 0.5
DIFFERENCE_OPACITY = 0.8
DIMMED = 0.6  # the film under a difference, so that both signs of it stand out


class DrawingSettings(BaseModel):
    """How results are drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str = Field(
        RESEARCH_LABEL, min_length=1, max_length=64, description="ASCII; burned in on every picture"
    )
    long_edge_px: int = Field(
        1500, ge=600, le=4000, description="pixels; 1500 is readable on a 1080p screen at 100 %"
    )
    most_findings: int = Field(
        3, ge=1, le=len(STROKES), description="maps drawn at once; more hide the film"
    )


@dataclass(frozen=True)
class Caption:
    """What is said of a film beside its picture. No patient identifiers.

    ``day`` is the date of the study; ``view`` how the film was taken.
    """

    view: View = View.UNKNOWN
    day: dt.date | None = None

    def __str__(self) -> str:
        """Read as "2024-01-02, PA"."""
        view = "view not stated" if self.view is View.UNKNOWN else str(self.view)
        return f"{self.day.isoformat() if self.day else 'date not stated'}, {view}"


def draw_findings(
    film: Film,
    prediction: Prediction,
    *,
    caption: Caption,
    software: str,
    comparison: Comparison | None = None,
    notes: tuple[str, ...] = (),
    settings: DrawingSettings | None = None,
    regions: RegionSettings | None = None,
) -> Rgb:
    """Draw the film with the maps of its strongest positive findings, and all 14 in a table.

    With no finding at its threshold the film is drawn as it is, and the panel says so.

    Parameters
    ----------
    software
        Product and version that drew, for the header.
    comparison
        Adds the column of changes, if comparable.
    notes
        What limits the reading, one sentence each.
    """
    settings = settings or DrawingSettings()
    page, room = _page(settings, software)
    shown = _shown(prediction, settings.most_findings)
    picture = _grey(film.pixels, room, page.px(BODY))
    columns = picture.shape[1]
    picture = _paint_maps(page, picture, prediction, shown, regions or RegionSettings())
    page.paste(picture, (room - columns) // 2, page.px(HEADER))
    panel = _panel(page, room)
    panel.line(f"Chest X-ray {caption}", 26)
    panel.line(_model(prediction.model), 17, GREY)
    panel.gap(6)
    panel.line(_summary(prediction), 22, YELLOW if shown else WHITE)
    panel.gap(6)
    order = _ranked(prediction)
    findings_table(panel, prediction, order, shown, STROKES, comparison)
    panel.gap(8)
    if shown:
        heat_legend(panel)
        panel.gap(6)
    panel.notes(notes)
    return page.done()


def draw_comparison(
    film: Film,
    comparison: Comparison,
    *,
    current: Caption,
    prior: Caption,
    software: str,
    model: ModelIdentity,
    notes: tuple[str, ...] = (),
    settings: DrawingSettings | None = None,
) -> Rgb:
    """Draw current | aligned prior above structural difference | heat-map difference.

    Films that are not comparable: the current film, and the words why.

    Parameters
    ----------
    film
        The current film; lends its shape, since the comparison's grid need not keep it.
    model
        Which weights spoke.
    """
    page, room = _page(settings or DrawingSettings(), software)
    panel = _panel(page, room)
    panel.line("Comparison with the prior film", 26)
    panel.line(_model(model), 17, GREY)
    panel.gap(8)
    panel.line(f"Current: {current}", 19)
    panel.line(f"Prior: {prior}{_interval(current, prior)}", 19)
    if comparison.comparable:
        _draw_quarters(page, room, film, comparison, current, prior)
        _comparison_panel(panel, comparison, notes)
    else:
        picture = _grey(film.pixels, room, page.px(BODY))
        page.paste(picture, (room - picture.shape[1]) // 2, page.px(HEADER))
        panel.gap(16)
        panel.paragraph(f"Not comparable: {comparison.reason}", 26, YELLOW)
        panel.gap(8)
        panel.paragraph("No difference is drawn. The current film is shown.", 19, WHITE)
        panel.notes(notes)
    return page.done()


def preview_png(rgb: Rgb) -> bytes:
    """Encode a picture (h, w, 3) as PNG."""
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, "PNG", compress_level=4)
    return out.getvalue()


# -- the page -------------------------------------------------------------------------------


def _page(settings: DrawingSettings, software: str) -> tuple[Canvas, int]:
    """Return an empty page with its header, and the columns left of the panel."""
    unit = settings.long_edge_px / PAGE_WIDTH
    page = Canvas(settings.long_edge_px, round((HEADER + BODY) * unit), unit)
    edge, width = page.px(MARGIN), settings.long_edge_px - page.px(PANEL_WIDTH)
    page.text(edge, page.px(13), settings.label, 26, YELLOW, width=width - 2 * edge)
    page.text(
        width,
        page.px(17),
        software,
        19,
        GREY,
        width=page.px(PANEL_WIDTH) - edge,
        align="right",
    )
    page.box(width, page.px(HEADER), page.px(PANEL_WIDTH), page.px(BODY), PANEL)
    return page, width


def _grey(pixels: FloatArray, columns: int, rows: int) -> Rgb:
    """Scale a film in [0, 1] into a box, keeping its shape: (h, w, 3)."""
    scale = min(columns / pixels.shape[1], rows / pixels.shape[0])
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    eight = np.rint(np.clip(pixels, 0, 1) * np.float32(255)).astype(np.uint8)
    grey = Image.fromarray(eight).resize(size, Image.Resampling.BICUBIC, reducing_gap=3)
    return np.repeat(np.asarray(grey)[..., None], 3, axis=-1)


def _shown(prediction: Prediction, most: int) -> list[int]:
    """Return the strongest positive findings, strongest first, by index into `FINDINGS`."""
    return [i for i in _ranked(prediction) if prediction.positive[i]][:most]


def _ranked(prediction: Prediction) -> list[int]:
    """Return all findings: positive ones first, the more probable first."""
    p, positive = prediction.probabilities, prediction.positive
    return sorted(range(len(FINDINGS)), key=lambda i: (not positive[i], -p[i]))


def _paint_maps(
    page: Canvas,
    film: Rgb,
    prediction: Prediction,
    shown: list[int],
    regions: RegionSettings,
) -> Rgb:
    if not shown:
        return film
    rows, columns = film.shape[:2]
    maps = [resize(prediction.heatmaps[i], rows, columns) for i in shown]
    heat = np.clip(np.max(maps, axis=0), 0, 1)  # (rows, columns)
    opacity = MAP_OPACITY * np.clip((heat - 0.3) / 0.3, 0, 1)  # below 0.3 the film stays bare
    picture = blend(film, colour_of(heat, heat_table()), opacity)
    for i, (colour, dash) in zip(shown, STROKES, strict=False):
        ring = outline(prediction.heatmaps[i], rows, columns, regions)
        if ring is not None:
            length = None if dash is None else dash * page.unit
            picture = stroke(picture, ring, colour, 2.4 * page.unit, dash=length)
    return _keep_corners(picture, film)


def _keep_corners(picture: Rgb, film: Rgb) -> Rgb:
    kept = picture.copy()
    y, x = (max(1, round(CORNER * n)) for n in film.shape[:2])
    for rows in (slice(None, y), slice(-y, None)):
        for columns in (slice(None, x), slice(-x, None)):
            kept[rows, columns] = film[rows, columns]
    return kept


# -- the panel ------------------------------------------------------------------------------


def _panel(page: Canvas, left: int) -> Panel:
    return Panel(page, left, page.px(HEADER), page.px(PANEL_WIDTH), page.px(HEADER + BODY))


def _model(model: ModelIdentity) -> str:
    return f"Model {model.name} {model.version}  (SHA-256 {model.sha256[:12]})"


def _summary(prediction: Prediction) -> str:
    count = int(prediction.positive.sum())
    if not count:
        return "No finding at or above its threshold"
    return f"{count} of {len(FINDINGS)} findings at or above the threshold"


def _interval(current: Caption, prior: Caption) -> str:
    if current.day is None or prior.day is None:
        return ""
    days = (current.day - prior.day).days
    if days == 0:
        return ", same day"
    word = "day" if abs(days) == 1 else "days"
    return f", {abs(days)} {word} {'earlier' if days > 0 else 'LATER'}"


def _comparison_panel(panel: Panel, comparison: Comparison, notes: tuple[str, ...]) -> None:
    panel.line(f"Alignment: correlation {comparison.quality:.2f}, SSIM {comparison.ssim:.2f}", 19)
    panel.gap(6)
    changes_table(panel, comparison)
    panel.gap(8)
    difference_legend(panel)
    panel.gap(6)
    panel.notes((*((comparison.reason,) if comparison.reason else ()), *notes))


# -- the comparison's pictures --------------------------------------------------------------


def _draw_quarters(
    page: Canvas,
    room: int,
    film: Film,
    comparison: Comparison,
    current: Caption,
    prior: Caption,
) -> None:
    finding = _most_changed(comparison)
    heat_title = "Heat-map difference: no finding has changed"
    if finding is not None:
        change = comparison.changes[finding].change
        heat_title = f"Heat-map difference: {FINDINGS[finding].name} ({change})"
    columns, rows = room // 2 - page.px(6), page.px(BODY / 2 - CELL_TITLE)
    shape = film.pixels.shape
    aligned = _fit(comparison.prior, shape, columns, rows)
    plain = _grey(film.pixels, columns, rows)
    quarters = (
        (f"Current: {current}", plain),
        (f"Prior, aligned: {prior}", aligned),
        ("Structural difference", _difference(plain, comparison.structural, comparison.overlap)),
        (heat_title, _heat_difference(plain, comparison, finding)),
    )
    for k, (title, picture) in enumerate(quarters):
        x, y = (k % 2) * (room // 2), page.px(HEADER + (k // 2) * BODY / 2)
        page.text(x + page.px(MARGIN), y + page.px(5), title, 18, width=columns - page.px(MARGIN))
        left = x + (columns - picture.shape[1]) // 2
        page.paste(picture, left, y + page.px(CELL_TITLE))


def _fit(grid: FloatArray, shape: tuple[int, ...], columns: int, rows: int) -> Rgb:
    """Scale a map of the working grid into a box, in the shape of the film."""
    scale = min(columns / shape[1], rows / shape[0])
    size = (max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale)))
    return _grey(resize(grid, *size), size[1], size[0])


def _most_changed(comparison: Comparison) -> int | None:
    """Return the changed finding with the largest change of probability, by index."""
    changed = [i for i, change in enumerate(comparison.changes) if change.change in CHANGED]
    changes = comparison.changes
    return max(changed, key=lambda i: abs(changes[i].current - changes[i].prior), default=None)


def _difference(film: Rgb, signed: FloatArray, where: FloatArray) -> Rgb:
    """Lay a signed map in [-1, 1] over the dimmed film; 0 leaves the film as it is."""
    rows, columns = film.shape[:2]
    dimmed = np.rint(film * DIMMED).astype(np.uint8)
    values = np.clip(resize(np.where(where, signed, 0), rows, columns), -1, 1)
    opacity = DIFFERENCE_OPACITY * np.clip((np.abs(values) - 0.05) / 0.45, 0, 1)
    painted = blend(dimmed, colour_of((values + 1) / 2, difference_table()), opacity)
    return _keep_corners(painted, dimmed)


def _heat_difference(film: Rgb, comparison: Comparison, finding: int | None) -> Rgb:
    if finding is None:
        return np.rint(film * DIMMED).astype(np.uint8)
    return _difference(film, comparison.heatmap_differences[finding], comparison.overlap)
