"""The column of text beside the pictures: tables of findings, colour bars, notes."""

from collections.abc import Mapping, Sequence
from typing import Literal

from inference.comparison import Comparison
from inference.drawing.canvas import BAR, GREY, LINE, PAGE, WHITE, YELLOW, Canvas, Colour
from inference.drawing.colours import Rgb, difference_table, heat_table
from inference.drawing.layers import Stroke
from inference.findings import FINDINGS, NOT_ASSESSED, Prediction
from inference.statements import both, percent, side_of_threshold

MARGIN, ROW = 18, 29  # units
_NOTE, _SMALL = 17, 16  # units: sizes of letters
TINT: Colour = (58, 52, 30)  # behind a positive finding's row

_IN_A_ROW = 3  # names of outlines

Align = Literal["left", "right", "center"]
Cell = tuple[str, float, float, Align]  # text, left edge and width in units, alignment
FINDING_COLUMNS: tuple[tuple[float, float, Align], ...] = (
    (42, 144, "left"),
    (178, 84, "right"),
    (280, 150, "left"),
    (436, 88, "left"),
)
CHANGE_COLUMNS: tuple[tuple[float, float, Align], ...] = (
    (6, 180, "left"),
    (190, 90, "right"),
    (290, 90, "right"),
    (404, 116, "left"),
)


class TextColumn:
    """Writes downwards in a column; nothing passes its right edge or its bottom."""

    def __init__(self, page: Canvas, left: int, top: int, columns: int, bottom: int) -> None:
        self.page = page
        self.left = left + page.px(MARGIN)
        self.width = columns - 2 * page.px(MARGIN)
        self.y = top + page.px(14)
        self.bottom = bottom - page.px(8)

    def gap(self, units: float) -> None:
        """Leave a space."""
        self.y += self.page.px(units)

    def line(self, text: str, size: float, colour: Colour = WHITE) -> None:
        """Write one line."""
        self.page.text(self.left, self.y, text, size, colour, width=self.width)
        self.gap(1.4 * size)

    def paragraph(self, text: str, size: float, colour: Colour) -> None:
        """Write wrapped text."""
        self.y = self.page.paragraph(
            self.left, self.y, text, size, colour, width=self.width, bottom=self.bottom
        )

    def notes(self, notes: Sequence[str]) -> None:
        """Write what limits the reading, as far as there is room; how many more there are."""
        for k, note in enumerate(notes):
            text, left = f"Note: {note}", len(notes) - k
            after = self.page.step(_NOTE) if left > 1 else 0
            if not self.holds(text, _NOTE, after):
                more = "1 more note is" if left == 1 else f"{left} more notes are"
                self.line(f"{more} in the report.", _NOTE, YELLOW)
                return
            self.paragraph(text, _NOTE, YELLOW)
            self.gap(4)

    def holds(self, text: str, size: float, after: int = 0) -> bool:
        """Whether a paragraph, and so many pixels after it, have room."""
        lines = len(self.page.wrapped(text, size, self.width))
        return self.y + lines * self.page.step(size) + after <= self.bottom

    def closing(self, text: str) -> None:
        """Write a paragraph at the very bottom; what is written later ends above it."""
        lines = len(self.page.wrapped(text, _SMALL, self.width))
        top = self.bottom - lines * self.page.step(_SMALL)
        self.page.paragraph(
            self.left, top, text, _SMALL, GREY, width=self.width, bottom=self.bottom
        )
        self.bottom = top - self.page.px(4)

    def row(self, cells: Sequence[Cell], colour: Colour, size: float = 17) -> None:
        """Write one row of a table."""
        for text, left, width, align in cells:
            self.page.text(
                self.left + self.page.px(left),
                self.y + self.page.px(4),
                text,
                size,
                colour,
                width=self.page.px(width),
                align=align,
            )
        self.gap(ROW)

    def tint(self, colour: Colour = TINT) -> None:
        """Colour the background of the row that comes next."""
        self.page.box(self.left, self.y, self.width, self.page.px(ROW) - 1, colour)

    def rule(self) -> None:
        """Draw a thin line across."""
        self.page.box(self.left, self.y, self.width, max(1, self.page.px(1)), LINE)
        self.gap(3)

    def bar(self, table: Rgb, ends: tuple[str, str, str], meaning: str) -> None:
        """Draw a colour bar of a table (colours, 3), with what its ends and its middle mean."""
        self.page.colour_bar(self.left, self.y, self.width, table)
        self.gap(BAR + 3)
        sides: tuple[Align, ...] = ("left", "center", "right")
        for text, side in zip(ends, sides, strict=True):
            self.page.text(self.left, self.y, text, 16, width=self.width, align=side)
        self.gap(22)
        self.paragraph(meaning, 16, GREY)

    def stroke_sample(self, colour: Colour, dash: float | None, at: float = 0) -> None:
        """Draw a piece of an outline's line in the row that comes next, ``at`` units from left."""
        page, y = self.page, self.y + self.page.px(ROW / 2)
        x, end = self.left + page.px(at + 4), self.left + page.px(at + 34)
        step = page.px(dash) if dash else end - x
        page.box(x - 2, y - page.px(4), end - x + 4, page.px(8), PAGE)
        while x < end:
            page.box(x, y - page.px(1.5), min(step, end - x), max(2, page.px(3)), colour)
            x += 2 * step


def findings_table(
    panel: TextColumn,
    prediction: Prediction,
    order: Sequence[int],
    strokes: Mapping[int, Stroke],
    comparison: Comparison | None,
) -> None:
    """Write all findings: probability, side of the site's threshold, change if known.

    ``strokes`` are the lines of the outlines that are drawn, by finding.
    """
    changes = comparison.changes if comparison is not None and comparison.comparable else None
    heads = ("Finding", "Probability", "Site's threshold", "Change" if changes else "")
    panel.row(_finding_cells(heads), GREY, 16)
    panel.rule()
    for i in order:
        positive = bool(prediction.positive[i])
        if positive:
            panel.tint()
        if i in strokes:
            panel.stroke_sample(*strokes[i])
        if not prediction.assessed[i]:
            panel.row(_finding_cells((FINDINGS[i].name, "", NOT_ASSESSED, "")), GREY)
            continue
        probability, threshold = prediction.probabilities[i], prediction.thresholds[i]
        here, line = both(probability, threshold)
        word = side_of_threshold(probability, threshold)
        cells = (
            FINDINGS[i].name,
            here,
            f"{word.upper() if positive else word} {line}",
            str(changes[i].change) if changes and changes[i].assessed else "",
        )
        panel.row(_finding_cells(cells), YELLOW if positive else WHITE)
    panel.rule()


def _finding_cells(texts: Sequence[str]) -> list[Cell]:
    return [(text, *place) for text, place in zip(texts, FINDING_COLUMNS, strict=True)]


_HEAT = (
    "Colour: how much this part of the film contributed to the finding, relative to the rest of "
    "the film. It is not a probability and not the border of a lesion."
)
_LINE = "Line: half of the map's greatest value, largest part."


def heat_legend(panel: TextColumn, strokes: Mapping[int, Stroke]) -> None:
    """Say what the colours and lines of the heat map mean, where there is room for it.

    ``strokes`` are the lines of the outlines that are drawn, by finding.
    """
    rows = -(-len(strokes) // _IN_A_ROW) * ROW
    if panel.holds(f"{_HEAT} {_LINE}", _SMALL, panel.page.px(BAR + 32 + rows)):
        panel.bar(heat_table(), ("low", "", "high"), _HEAT)
        panel.paragraph(_LINE, _SMALL, GREY)
        _named_strokes(panel, strokes)


def _named_strokes(panel: TextColumn, strokes: Mapping[int, Stroke]) -> None:
    """Name the outlines."""
    width = panel.width / panel.page.unit / _IN_A_ROW
    named = list(strokes.items())
    for start in range(0, len(named), _IN_A_ROW):
        row = named[start : start + _IN_A_ROW]
        for k, (_, stroke) in enumerate(row):
            panel.stroke_sample(*stroke, at=k * width)
        names: list[Cell] = [
            (FINDINGS[i].name, k * width + 42, width - 46, "left") for k, (i, _) in enumerate(row)
        ]
        panel.row(names, GREY, _SMALL)


def changes_table(panel: TextColumn, comparison: Comparison) -> None:
    """Write prior and current probability and the change of all findings."""
    panel.row(_change_cells(("Finding", "Prior", "Current", "Change")), GREY, 16)
    panel.rule()
    for finding, change in zip(FINDINGS, comparison.changes, strict=True):
        if change.called:
            panel.tint()
        values = (percent(change.prior), percent(change.current)) if change.assessed else ("", "")
        word = str(change.change) if change.assessed else change.text
        cells = (finding.name, *values, word)
        panel.row(_change_cells(cells), YELLOW if change.called else WHITE)
    panel.rule()


def _change_cells(texts: Sequence[str]) -> list[Cell]:
    return [(text, *place) for text, place in zip(texts, CHANGE_COLUMNS, strict=True)]


_DIFFERENCE = (
    "Structure: orange is more opaque than on the prior film, blue is less. "
    "Heat map: orange contributed more to the finding than on the prior film, blue less."
)


def difference_legend(panel: TextColumn) -> None:
    """Say what the colours of the differences mean, where there is room for it."""
    if panel.holds(_DIFFERENCE, _SMALL, panel.page.px(BAR + 32)):
        panel.bar(difference_table(), ("less", "no difference", "more"), _DIFFERENCE)
