"""How much of an opacity is marked that came or went, from small to half of the film.

    python -m tests.benchmarks.opacity_sizes --films films.csv --pairs pairs.csv --split test

Into the lungs of pairs without change of labels and of view an opacity of 4 to 50 % of the width is
painted, faint or plain: into the current film (new), or into the prior (gone). The films are then
compared as the product does. The control are the same pairs with nothing painted: what is marked
of them is false, as far as labels tell, and part of every row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from itertools import product

import numpy as np
from rich.console import Console
from rich.table import Column, Table
from scipy.ndimage import label

from inference.comparison import Comparison
from inference.comparison.alignment import align, at_working_size
from inference.comparison.compare import FindsLungs, compare
from inference.comparison.posture import POSTURE
from inference.comparison.result import MARK
from inference.image.film import Film
from tests.benchmarks.comparison import prediction
from tests.benchmarks.opacities import Mask, chosen_still_pairs, opacity, somewhere, whiter
from training.change.film_pairs import FilmPair
from training.data.film_set import read_picture

SIZES = (0.04, 0.08, 0.15, 0.3, 0.5)  # of the width
CONTRASTS = {"faint": 0.08, "plain": 0.2}  # of the grey scale
REACHES = 0.5  # of the contrast: to there an opacity reaches
WHOLE = 0.8  # of an opacity: when so much is marked it is marked whole
NOTHING = "nothing painted"


@dataclass(frozen=True)
class Marked:
    """What a comparison marks; shares in [0, 1], NaN where there is nothing to have a share of.

    Attributes
    ----------
    right, wrong
        Of the opacity in the lungs: marked with its sign, and with the other.
    elsewhere
        Of the rest of the lungs: marked with either sign.
    places
        How many places are marked.
    posture
        Whether another posture is said to be the likely cause.
    """

    comparable: bool
    right: float
    wrong: float
    elsewhere: float
    places: int
    posture: bool


def marked(found: Comparison, lungs: Mask, place: Mask, sign: int) -> Marked:
    """Return what is marked of an opacity (h, w) that came (sign 1) or went (-1)."""
    inside, rest = lungs & place, lungs & ~place
    signed = sign * found.structural
    marks = np.abs(signed) >= MARK
    return Marked(
        found.comparable,
        _share((signed >= MARK)[inside]),
        _share((signed <= -MARK)[inside]),
        _share(marks[rest]),
        int(label(marks)[1]),
        POSTURE in found.reason,
    )


def _share(flags: Mask) -> float:
    return float(flags.mean()) if flags.size else float("nan")


def of_each_size(
    pair: FilmPair, lungs: FindsLungs | None, seed: int
) -> Iterator[tuple[str, Marked]]:
    """Compare a pair as it is, and with opacities of each size; yield the row and what is seen."""
    current, prior = (
        Film(at_working_size(read_picture(record.path).pixels))
        for record in (pair.current, pair.prior)
    )
    said = prediction()
    bare = compare(current, prior, said, said, lungs=lungs)
    inside = bare.lungs & bare.overlap
    yield NOTHING, marked(bare, inside, np.zeros_like(inside), 1)
    back = align(prior.pixels, current.pixels)
    for size, (name, contrast) in product(SIZES, CONTRASTS.items()):
        rng = np.random.default_rng((seed, round(100 * size)))
        radius = size * current.pixels.shape[1] / 2
        painted = opacity(current.pixels.shape, somewhere(inside, rng), radius, rng)
        new = replace(current, pixels=whiter(current.pixels, contrast * painted))
        gone = replace(prior, pixels=whiter(prior.pixels, contrast * back.move(painted)))
        for sign, films in ((1, (new, prior)), (-1, (current, gone))):
            found = compare(*films, said, said, lungs=lungs)
            row = f"{'new' if sign > 0 else 'gone'}, {name}, {size:.0%}"
            yield row, marked(found, inside, painted >= REACHES, sign)


def table(rows: dict[str, list[Marked]]) -> Table:
    made = Table(
        Column("opacity, contrast, width", no_wrap=True),
        "comparable",
        "of it marked (mean)",
        f"marked whole ({WHOLE:.0%})",
        "not marked",
        "wrong sign",
        "of other lung marked",
        "places a film",
        "posture named",
        title=f"{len(rows[NOTHING])} pairs without change; contrast "
        + ", ".join(f"{name} {contrast}" for name, contrast in CONTRASTS.items()),
    )
    for name in sorted(rows, key=lambda row: (row != NOTHING, row.split(", ")[:2])):
        values = np.array([astuple(one) for one in rows[name]], dtype=float)
        comparable, right, wrong, elsewhere, places, posture = values.T
        shares = (right, right >= WHOLE, right == 0, wrong)
        nothing = name == NOTHING
        cells = ["-" if nothing else f"{np.nanmean(one):.0%}" for one in shares]
        made.add_row(
            name,
            f"{comparable.mean():.0%}",
            *cells,
            f"{np.nanmean(elsewhere):.1%}",
            f"{places.mean():.2f}",
            f"{posture.mean():.0%}",
        )
    return made


def main(said: Sequence[str] | None = None) -> None:
    chosen, lungs = chosen_still_pairs(__doc__.splitlines()[0], said)
    rows: dict[str, list[Marked]] = {}
    for seed, pair in enumerate(chosen):
        for name, one in of_each_size(pair, lungs, seed):
            rows.setdefault(name, []).append(one)
    Console(width=140).print(table(rows))


if __name__ == "__main__":
    main()
