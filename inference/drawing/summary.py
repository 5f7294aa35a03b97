"""Findings and comparisons as pictures that a radiologist reads at a glance.

All text is beside the film, never on it, and the film's corners stay as they are: the left
and right markers are there. Left and right of each film are the letters of its sides, where the
header states them. No picture carries anything that identifies the patient.

Where space is short, what limits the reading comes first, the legend goes, and that no physician
has verified it always stays.
"""

from dataclasses import dataclass

from inference.comparison import Comparison
from inference.drawing.canvas import GREY, PANEL, WHITE, YELLOW, Canvas
from inference.drawing.colours import Rgb
from inference.drawing.layers import (
    SIDE,
    STROKES,
    dimmed,
    heat_over,
    measured_over,
    shown,
    sided,
)
from inference.drawing.outlines import Outlines
from inference.drawing.panels import (
    TextColumn,
    changes_table,
    difference_legend,
    findings_table,
    heat_legend,
)
from inference.drawing.plates import Figure, changed, film_plates, heat_plates
from inference.findings import (
    FINDINGS,
    NOT_VERIFIED,
    PLACE_NOT_VERIFIED,
    WITHHELD,
    ModelIdentity,
    Prediction,
)
from inference.image.acquisition import AcquisitionTime, interval
from inference.image.film import Film, View
from inference.settings import DrawingSettings
from inference.statements import outcome_in_full

# Page layout in units of 1/1500 of the long edge. 1500 x 984 fits a 1080p screen at 100 %.
PAGE_WIDTH, HEADER, BODY = 1500, 54, 930
PANEL_WIDTH, MARGIN, TITLE = 560, 18, 30

_MEANING = "Probability: the model's calibrated estimate. Below the threshold is not absent."


@dataclass(frozen=True)
class Caption:
    """The text beside a film's picture. No patient identifiers.

    ``taken`` is when it was taken, None where that is not stated.
    """

    view: View = View.UNKNOWN
    taken: AcquisitionTime | None = None

    def __str__(self) -> str:
        """Read as "2024-01-02 08:00, PA"."""
        view = "view not stated" if self.view is View.UNKNOWN else str(self.view)
        return f"{self.taken.text_with_source if self.taken else 'date not stated'}, {view}"


def draw_findings(
    film: Film,
    prediction: Prediction,
    outlines: Outlines,
    *,
    caption: Caption,
    software: str,
    prior: Caption | None = None,
    comparison: Comparison | None = None,
    notes: tuple[str, ...] = (),
    settings: DrawingSettings | None = None,
) -> Rgb:
    """Draw the film with the maps of its strongest positive findings, and all 14 in a table.

    No finding at its threshold: the film as it is, and the panel says so; so of withheld maps.

    Parameters
    ----------
    outlines
        In pixels of the film, as `inference.drawing.outlines.outlines` makes them.
    software
        Product and version that drew, for the header.
    prior, comparison
        The earlier film, and what has changed since: adds the column of changes, if comparable.
    notes
        What limits the reading, one sentence each.

    Returns
    -------
    (rows, columns, 3) uint8, ``settings.long_edge_px`` columns wide.
    """
    settings = settings or DrawingSettings()
    page, panel = _page(settings, software)
    order = _ranked(prediction)
    mapped = prediction.mapped[: settings.most_findings]
    strokes = {i: STROKES[k] for k, i in enumerate(mapped) if outlines[i] is not None}
    maps, rings = [prediction.heatmaps[i] for i in mapped], [outlines[i] for i in mapped]
    painted = heat_over(_whole(page, film), film, maps, rings, page.unit)
    ratio = prediction.ratio.stated if prediction.ratio else None
    lines = (ratio.heart, ratio.chest) if ratio else ()
    _centre(page, film, measured_over(painted, lines, film.pixels.shape, page.unit))
    panel.closing(f"{_MEANING} {NOT_VERIFIED}")
    panel.line(f"Chest X-ray {caption}", 26)
    panel.line(_model(prediction.model), 17, GREY)
    panel.gap(6)
    above = int(prediction.positive.sum())
    panel.paragraph(outcome_in_full(above, prediction.not_assessed), 20, YELLOW if above else WHITE)
    panel.line(_compared_with(caption, prior, comparison), 17, GREY)
    panel.gap(2)
    findings_table(panel, prediction, order, strokes, comparison)
    panel.gap(8)
    if ratio and prediction.ratio:
        panel.paragraph(f"{prediction.ratio.sentence}: two white lines.", 19, WHITE)
        panel.gap(6)
    panel.notes((*_limits(prediction, order, mapped), *notes))
    if mapped:
        panel.gap(4)
        heat_legend(panel, strokes)
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
    """Draw aligned prior | current above structural difference | heat-map difference.

    Films that are not comparable: the current film, and the words why.

    Parameters
    ----------
    film
        The current film; lends its shape, since the comparison's grid need not keep it.
    software, notes
        As in `draw_findings`.

    Returns
    -------
    (rows, columns, 3) uint8, ``settings.long_edge_px`` columns wide.
    """
    page, panel = _page(settings or DrawingSettings(), software)
    panel.closing(NOT_VERIFIED)
    panel.line("Comparison with the prior film", 26)
    panel.line(_model(model), 17, GREY)
    panel.gap(8)
    panel.line(f"Current: {current}", 19)
    panel.line(f"Prior: {prior}{since(current, prior)}", 19)
    if comparison.comparable:
        _draw_quarters(page, film, comparison, current, prior)
        _comparison_panel(panel, comparison, notes)
    else:
        _centre(page, film, _whole(page, film))
        panel.gap(16)
        panel.paragraph(f"Not comparable: {comparison.reason}", 26, YELLOW)
        panel.gap(8)
        panel.paragraph("No difference is drawn. The current film is shown.", 19, WHITE)
        panel.gap(8)
        panel.notes(notes)
    return page.done()


def _page(settings: DrawingSettings, software: str) -> tuple[Canvas, TextColumn]:
    """Return an empty page with its header, and its panel."""
    unit = settings.long_edge_px / PAGE_WIDTH
    page = Canvas(settings.long_edge_px, round((HEADER + BODY) * unit), unit)
    edge, room, width = page.px(MARGIN), _room(page), page.px(PANEL_WIDTH)
    page.text(edge, page.px(13), settings.label, 26, YELLOW, width=room - 2 * edge)
    page.text(room, page.px(17), software, 19, GREY, width=width - edge, align="right")
    page.box(room, page.px(HEADER), width, page.px(BODY), PANEL)
    return page, TextColumn(page, room, page.px(HEADER), width, page.px(HEADER + BODY))


def _room(page: Canvas) -> int:
    """Return the columns left of the panel."""
    return page.px(PAGE_WIDTH) - page.px(PANEL_WIDTH)


def _whole(page: Canvas, film: Film) -> Rgb:
    """Draw a film as large as the room left of the panel holds it between its letters."""
    return shown(film, _room(page) - 2 * page.px(SIDE), page.px(BODY))


def _centre(page: Canvas, film: Film, picture: Rgb) -> None:
    """Paste the picture of a film between the letters of its sides."""
    lettered = sided(picture, film.presentation.sides, page.unit)
    x = (_room(page) - lettered.shape[1]) // 2
    page.paste(lettered, x, page.px(HEADER) + (page.px(BODY) - lettered.shape[0]) // 2)


def _ranked(prediction: Prediction) -> list[int]:
    """Return all findings by index: positive ones first, the more probable first."""
    p, positive = prediction.probabilities, prediction.positive
    return sorted(range(len(FINDINGS)), key=lambda i: (not positive[i], -p[i]))


def _model(model: ModelIdentity) -> str:
    return f"Model {model.name} {model.version}  (SHA-256 {model.sha256[:12]})"


def _compared_with(current: Caption, prior: Caption | None, comparison: Comparison | None) -> str:
    if prior is None or comparison is None:
        return "No earlier film was compared: no statement about change"
    verb = "Change since" if comparison.comparable else "NOT comparable with"
    return f"{verb} the film of {prior}{since(current, prior)}"


def _limits(prediction: Prediction, order: list[int], shown: list[int]) -> tuple[str, ...]:
    """Say whose map is withheld, and which place that is shown is not verified."""
    withheld = [FINDINGS[i].name for i in order if prediction.withheld[i]]
    unverified = [FINDINGS[i].name for i in shown if not prediction.verified[i]]
    limits = {
        f"{', '.join(withheld)}: {WITHHELD}": withheld,
        f"{', '.join(unverified)}: {PLACE_NOT_VERIFIED}": unverified,
    }
    return tuple(f"{sentence}." for sentence, names in limits.items() if names)


def since(current: Caption, prior: Caption) -> str:
    """Say how far apart two films are, to follow the prior; ""  where a date is missing."""
    apart = interval(current.taken, prior.taken)
    return f", {apart}" if apart else ""


def _comparison_panel(panel: TextColumn, comparison: Comparison, notes: tuple[str, ...]) -> None:
    panel.line(f"Alignment: correlation {comparison.quality:.2f}, SSIM {comparison.ssim:.2f}", 19)
    panel.gap(6)
    changes_table(panel, comparison)
    panel.gap(8)
    panel.notes((*filter(None, (comparison.limited,)), *notes))
    panel.gap(4)
    difference_legend(panel)


def _draw_quarters(
    page: Canvas, film: Film, comparison: Comparison, current: Caption, prior: Caption
) -> None:
    half = _room(page) // 2
    room, rows = half - page.px(6), page.px(BODY / 2 - TITLE)
    columns = room - 2 * page.px(SIDE)
    now, before, structural = film_plates(film, comparison, str(current), str(prior), columns, rows)
    heat = heat_plates(film, comparison, columns, rows, 1) or [_no_heat(now, comparison)]
    # as on the page, and as readers hang films: the prior left, the current film right
    for k, plate in enumerate((before, now, structural, *heat)):
        x, y = (k % 2) * half, page.px(HEADER + (k // 2) * BODY / 2)
        width = room - page.px(MARGIN)
        page.text(x + page.px(MARGIN), y + page.px(5), plate.title, 18, width=width)
        picture = plate.sided(page.unit)
        page.paste(picture, x + (room - picture.shape[1]) // 2, y + page.px(TITLE))


def _no_heat(film: Figure, comparison: Comparison) -> Figure:
    """Say why there is no heat-map difference, over the current film."""
    names = ", ".join(FINDINGS[i].name for i in changed(comparison))
    why = f"no map shows the change of {names}" if names else "no change of a finding is named"
    return Figure(f"Heat-map difference: {why}", dimmed(film.picture), sides=film.sides)
