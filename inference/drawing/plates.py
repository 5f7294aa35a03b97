"""The single pictures of a comparison: the films and the differences between them."""

from collections.abc import Sequence
from dataclasses import dataclass

from inference.comparison import Comparison, FindingChange
from inference.comparison.result import shows
from inference.drawing.canvas import GREY, YELLOW, Canvas
from inference.drawing.colours import Rgb
from inference.drawing.layers import (
    difference_over,
    finished,
    grey,
    marked,
    shown,
    sided,
)
from inference.findings import FINDINGS, NOT_VERIFIED, PLACE_NOT_VERIFIED
from inference.image.film import Film, eight_bits
from inference.image.presentation import Sides
from inference.image.resizing import resize
from inference.settings import DrawingSettings

# layout in units of 1/1500 of the long edge of a page; the narrowest has room for the label
STRIP, FOOT, MARGIN, NARROWEST = 88, 28, 12, 720


@dataclass(frozen=True, eq=False)
class Figure:
    """A picture (h, w, 3), the words beside it, and the sides of the patient."""

    title: str
    picture: Rgb
    legend: str = ""
    sides: Sides | None = None

    def sided(self, unit: float) -> Rgb:
        """Return the picture between the letters of its sides, (rows, columns, 3)."""
        return sided(self.picture, self.sides, unit)


def film_plates(
    film: Film, comparison: Comparison, current: str, prior: str, columns: int, rows: int
) -> tuple[Figure, Figure, Figure]:
    """Fit the current film, the aligned prior and their difference into a box each.

    Only of films that are comparable. All three have the current film's shape.
    """
    plain = shown(film, columns, rows)
    size = plain.shape[0], plain.shape[1]
    aligned = grey(eight_bits(resize(comparison.prior, size)), *size)
    if comparison.prior_graphics is not None:
        aligned = marked(aligned, comparison.prior_graphics)
    structural = difference_over(plain, comparison.structural, comparison.overlap)
    sides = film.presentation.sides
    return (
        Figure(f"Current: {current}", plain, sides=sides),
        Figure(f"Prior, aligned: {prior}", aligned, sides=comparison.prior_sides),
        Figure(
            "Structural difference",
            finished(structural, film),
            "Orange is more opaque than on the prior film, blue is less.",
            sides,
        ),
    )


def heat_plates(
    film: Film, comparison: Comparison, columns: int, rows: int, most: int
) -> list[Figure]:
    """Lay the heat-map differences of the most changed findings over the film, one a plate.

    A finding whose map does not show its change has none (`inference.comparison.result.shows`).
    """
    plain = shown(film, columns, rows)
    changes, differences = comparison.changes, comparison.heatmap_differences
    mapped = [i for i in changed(comparison) if shows(changes[i].change, differences[i])]
    strongest = sorted(mapped, key=lambda i: -abs(changes[i].current - changes[i].prior))
    return [
        Figure(
            f"Heat-map difference: {FINDINGS[i].name} ({changes[i].change}){_place(changes[i])}",
            finished(difference_over(plain, differences[i], comparison.overlap), film),
            "Orange contributed more to the finding than on the prior film, blue less.",
            film.presentation.sides,
        )
        for i in strongest[:most]
    ]


def _place(change: FindingChange) -> str:
    return "" if change.verified else f", {PLACE_NOT_VERIFIED}"


def changed(comparison: Comparison) -> list[int]:
    """Return the findings whose change is named, by index."""
    return [i for i, change in enumerate(comparison.changes) if change.called]


def draw_plates(plates: Sequence[Figure], settings: DrawingSettings) -> Rgb:
    """Draw plates of one size in a row, each below its words: (rows, columns, 3).

    Of one size and alone, they lie at the same place of their pages: a viewer can flip between
    them.
    """
    unit = settings.long_edge_px / 1500
    pictures = [plate.sided(unit) for plate in plates]
    rows, columns = pictures[0].shape[:2]
    room = max(columns, round(NARROWEST * unit))
    page = Canvas(room * len(plates), round((STRIP + FOOT) * unit) + rows, unit)
    edge = page.px(MARGIN)
    width = room - 2 * edge
    page.text(edge, page.px(8), settings.label, 22, YELLOW, width=width)
    for k, (plate, picture) in enumerate(zip(plates, pictures, strict=True)):
        page.text(k * room + edge, page.px(38), plate.title, 19, width=width)
        page.text(k * room + edge, page.px(63), plate.legend, 16, GREY, width=width)
        page.paste(picture, k * room + (room - columns) // 2, page.px(STRIP))
    page.text(edge, page.px(STRIP + 5) + rows, NOT_VERIFIED, 16, GREY, width=width)
    return page.done()
