"""How much of the lungs is marked where nothing has changed.

    python -m tests.benchmarks.false_marks --films films.csv --pairs pairs.csv --split test

Pairs of films without change of labels and of view are compared as the product does: what is
marked of them is false, as far as labels tell. It is the price of every opacity that is found
(tests/benchmarks/opacity_sizes.py), so both belong together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Column, Table
from scipy.ndimage import label

from inference.comparison import Comparison
from inference.comparison.alignment import at_working_size
from inference.comparison.compare import FindsLungs, compare
from inference.comparison.posture import POSTURE
from inference.comparison.result import MARK
from inference.image.film import Film
from tests.benchmarks.comparison import prediction
from tests.benchmarks.opacities import chosen_still_pairs
from training.change.film_pairs import FilmPair
from training.data.film_set import read_picture

LARGE = 0.2  # of the lungs
ALL = "all"


@dataclass(frozen=True)
class FalseMarks:
    """What is marked of a pair without change.

    Attributes
    ----------
    share
        Of the lungs that both films show, in [0, 1].
    places
        How many places are marked.
    posture
        Whether another posture is said to be the likely cause.
    """

    share: float
    places: int
    posture: bool


def false_marks(found: Comparison) -> FalseMarks | None:
    """Return what is marked of a comparison of films without change; None if not comparable."""
    if not found.comparable:
        return None
    marks = np.abs(found.structural) >= MARK
    inside = found.lungs & found.overlap
    share = float(marks[inside].mean()) if inside.any() else 0.0
    return FalseMarks(share, int(label(marks)[1]), POSTURE in found.reason)


def of_pairs(
    pairs: Sequence[FilmPair], lungs: FindsLungs | None
) -> Iterator[tuple[str, FalseMarks | None]]:
    """Compare each pair; yield its condition and what is marked."""
    said = prediction()
    for pair in pairs:
        current, prior = (
            Film(at_working_size(read_picture(record.path).pixels))
            for record in (pair.current, pair.prior)
        )
        yield str(pair.condition), false_marks(compare(current, prior, said, said, lungs=lungs))


def table(seen: Sequence[tuple[str, FalseMarks | None]]) -> Table:
    made = Table(
        Column("condition", no_wrap=True),
        "comparable",
        "any mark",
        "of the lungs marked (mean)",
        f"more than {LARGE:.0%} of the lungs",
        "places a film",
        "posture named",
        title=f"{len(seen)} pairs without change",
    )
    for condition in (ALL, *sorted({name for name, _ in seen})):
        of_it = [one for name, one in seen if condition in (ALL, name)]
        made.add_row(condition, *_cells(of_it))
    return made


def _cells(of_it: Sequence[FalseMarks | None]) -> list[str]:
    marked = [one for one in of_it if one is not None]
    cells = [f"{len(marked)} of {len(of_it)}"]
    if not marked:
        return cells
    shares = np.array([one.share for one in marked])
    return [
        *cells,
        f"{sum(one.places > 0 for one in marked)}",
        f"{shares.mean():.1%}",
        f"{(shares > LARGE).sum()}",
        f"{np.mean([one.places for one in marked]):.2f}",
        f"{sum(one.posture for one in marked)}",
    ]


def main(said: Sequence[str] | None = None) -> None:
    chosen, lungs = chosen_still_pairs(__doc__.splitlines()[0], said)
    Console(width=120).print(table(list(of_pairs(chosen, lungs))))


if __name__ == "__main__":
    main()
