"""The single pictures of a comparison: the films and the differences between them."""

from collections.abc import Sequence
from dataclasses import dataclass

from inference.canvas import GREY, YELLOW, Canvas
from inference.colours import Rgb
from inference.comparison import Comparison
from inference.film import Film, eight_bits
from inference.findings import FINDINGS
from inference.pictures import difference_over, fitted_size, grey
from inference.regions import resize
from inference.settings import DrawingSettings

# layout in units of 1/1500 of the long edge of a page; the narrowest has room for the label
STRIP, MARGIN, NARROWEST = 88, 12, 720


@dataclass(frozen=True, eq=False)
class Plate:
    """A picture (h, w, 3), and the words that stand beside it."""

    title: str
    picture: Rgb
    legend: str = ""


def film_plates(
    film: Film, comparison: Comparison, current: str, prior: str, columns: int, rows: int
) -> tuple[Plate, Plate, Plate]:
    """Fit the current film, the aligned prior and their difference into a box each.

    Only of films that are comparable. All three have the current film's shape.
    """
    plain = grey(film.eight_bits, columns, rows)
    aligned = resize(comparison.prior, *fitted_size(film.pixels.shape, columns, rows))
    return (
        Plate(f"Current: {current}", plain),
        Plate(f"Prior, aligned: {prior}", grey(eight_bits(aligned), columns, rows)),
        Plate(
            "Structural difference",
            difference_over(plain, comparison.structural, comparison.overlap),
            "Orange is more opaque than on the prior film, blue is less.",
        ),
    )


def heat_plates(
    film: Film, comparison: Comparison, columns: int, rows: int, most: int
) -> list[Plate]:
    """Lay the heat-map differences of the most changed findings over the film, one a plate.

    A finding whose map is withheld, or shows nothing inside of what both films show, has none.
    """
    plain = grey(film.eight_bits, columns, rows)
    changes, differences = comparison.changes, comparison.heatmap_differences
    mapped = [i for i in changed(comparison) if differences[i].any()]
    strongest = sorted(mapped, key=lambda i: -abs(changes[i].current - changes[i].prior))
    return [
        Plate(
            f"Heat-map difference: {FINDINGS[i].name} ({changes[i].change})",
            difference_over(plain, differences[i], comparison.overlap),
            "Orange spoke more for the finding than on the prior film, blue less.",
        )
        for i in strongest[:most]
    ]


def changed(comparison: Comparison) -> list[int]:
    """Return the findings that are said to have changed, by index."""
    return [i for i, change in enumerate(comparison.changes) if change.called]


def draw_plates(plates: Sequence[Plate], settings: DrawingSettings) -> Rgb:
    """Draw plates of one size in a row, each below its words: (rows, columns, 3).

    Of one size and alone, they lie at the same place of their pages: a viewer can flip between
    them.
    """
    unit = settings.long_edge_px / 1500
    rows, columns = plates[0].picture.shape[:2]
    room = max(columns, round(NARROWEST * unit))
    page = Canvas(room * len(plates), round(STRIP * unit) + rows, unit)
    edge = page.px(MARGIN)
    width = room - 2 * edge
    page.text(edge, page.px(8), settings.label, 22, YELLOW, width=width)
    for k, plate in enumerate(plates):
        page.text(k * room + edge, page.px(38), plate.title, 19, width=width)
        page.text(k * room + edge, page.px(63), plate.legend, 16, GREY, width=width)
        page.paste(plate.picture, k * room + (room - columns) // 2, page.px(STRIP))
    return page.done()
