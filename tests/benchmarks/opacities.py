"""How well a new opacity is found on the structural difference, and how often none is.

    python -m tests.benchmarks.opacities --films ../shared/data/films.csv --pairs
    ../shared/data/pairs.csv

Pairs of real films of one patient without change of labels, of the same view. Into the lungs of
the current film an opacity is painted: 4 to 15 % of the width, from just visible (0.03 of the grey
scale) to plain (0.15). A method gives a map; its answer is the map's greatest value in the lung
fields and where it lies. The area under the localisation curve (LROC; Swensson, Medical Physics
23(10), 1996) is the share of painted films on which the opacity is pointed at, averaged over the
thresholds that unpainted films set. 0: never; 1: always, and before any unpainted film. Whether
larger ones are marked whole: tests/benchmarks/opacity_sizes.py.

The window and smoothing of the difference were chosen on the first 75 of these pairs, with other
opacities and with boxes for lungs; `--skip 75` leaves those out.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.table import Table
from scipy.ndimage import label
from skimage.metrics import structural_similarity

from inference.comparison.alignment import Alignment, align, at_working_size, on_grid
from inference.comparison.compare import FindsLungs, lung_fields
from inference.comparison.difference import SMOOTH_SHARE, AlignedPair, difference
from inference.comparison.filters import blur, tensor
from inference.comparison.result import MARK
from inference.model.bundle import load_bundle
from inference.model.metadata import bundle_folder
from tests.benchmarks.warps import Picture
from training.change.film_pairs import FilmPair, read_pairs
from training.data.film_list import Source
from training.data.film_set import read_picture

Mask = npt.NDArray[np.bool_]

SIZE, CONTRAST = (0.04, 0.15), (0.03, 0.15)  # of the width; of the grey scale
NEAR = 0.025  # of the width: a mark this near to a small opacity's middle still points at it
SOFT = 0.4  # of the radius: the opacity's rim


@dataclass(frozen=True, eq=False)
class Case:
    """Two films (h, w) and, if one is painted in, an opacity: its middle (y, x) and reach in px."""

    current: Picture
    prior: Picture
    middle: tuple[float, float] = (0, 0)
    reach: float = 0
    contrast: float = 0


@dataclass(frozen=True, eq=False)
class Seen:
    """A case with what every method may use: the alignment and the lungs."""

    case: Case
    alignment: Alignment
    moved: Picture
    lungs: Mask


def stretched(seen: Seen) -> Picture:
    """The prior laid onto the current film's grid edge to edge, without alignment."""
    return on_grid(seen.case.prior, seen.case.current.shape)


def subtracted(current: Picture, prior: Picture) -> Picture:
    smooth = SMOOTH_SHARE * max(current.shape)
    return blur(tensor(current - prior), smooth)[0, 0].numpy()


def dissimilar(current: Picture, prior: Picture) -> Picture:
    _, similar = structural_similarity(
        current, prior, data_range=1.0, full=True, gaussian_weights=True, sigma=5
    )
    return 1 - similar


def ours(seen: Seen) -> Picture:
    overlap = seen.alignment.overlap
    return difference(AlignedPair(seen.case.current, seen.moved, overlap), seen.lungs)


METHODS: dict[str, Callable[[Seen], Picture]] = {
    "plain subtraction": lambda s: subtracted(s.case.current, stretched(s)),
    "SSIM without alignment": lambda s: dissimilar(s.case.current, stretched(s)),
    "subtraction, aligned": lambda s: subtracted(s.case.current, s.moved),
    "SSIM, aligned": lambda s: dissimilar(s.case.current, s.moved),
    "hilum": ours,
}


def painted(case: Case, lungs: Mask, seed: int) -> Case:
    """Paint an opacity with a soft rim somewhere into the lungs of the current film."""
    rng = np.random.default_rng(seed)
    width = case.current.shape[1]
    middle = somewhere(lungs, rng)
    radius = rng.uniform(*SIZE) * width / 2
    contrast = rng.uniform(*CONTRAST)
    film = whiter(case.current, contrast * opacity(case.current.shape, middle, radius, rng))
    return Case(film, case.prior, middle, max(radius, NEAR * width), contrast)


def somewhere(lungs: Mask, rng: np.random.Generator) -> tuple[float, float]:
    """Return a place (y, x) in the lungs."""
    places = np.argwhere(lungs)
    row, column = places[rng.integers(len(places))]
    return float(row), float(column)


def opacity(
    shape: tuple[int, ...], middle: tuple[float, float], radius: float, rng: np.random.Generator
) -> Picture:
    """Return (h, w) in [0, 1]: 1 in the middle of an ellipse, and falling to 0 at its rim."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    away = np.hypot(y - middle[0], (x - middle[1]) * rng.uniform(0.8, 1.25)) / radius
    rim = np.clip((1 - away) / SOFT, 0, 1)
    return np.asarray(rim**2 * (3 - 2 * rim), dtype=np.float32)


def whiter(film: Picture, by: Picture) -> Picture:
    """Add grey to a film (h, w) in [0, 1]."""
    return np.clip(film + by, 0, 1).astype(np.float32)


def look(case: Case, lungs: FindsLungs | None) -> Seen:
    alignment = align(case.current, case.prior)
    moved = alignment.move(case.prior)
    pair = AlignedPair(case.current, moved, alignment.overlap)
    return Seen(case, alignment, moved, lung_fields(pair, lungs) & alignment.overlap)


@dataclass(frozen=True)
class Answer:
    """The greatest value of a map in the lungs, and how many regions reach the mark."""

    greatest: float
    right: bool
    marks: int


def answer(method: Callable[[Seen], Picture], seen: Seen) -> Answer:
    inside = np.where(seen.lungs, method(seen), -np.inf)
    row, column = np.unravel_index(int(inside.argmax()), inside.shape)
    away = np.hypot(row - seen.case.middle[0], column - seen.case.middle[1])
    marks = label(np.abs(np.where(seen.lungs, inside, 0)) >= MARK)[1]
    return Answer(float(inside.max()), bool(away <= seen.case.reach), int(marks))


def still_pairs(films: Path, pairs: Sequence[Path]) -> list[FilmPair]:
    """Return the pairs without change of labels and of view, in an order that chance gave once."""
    listed = read_pairs(pairs, Source(films).records())
    kept = [one for one in listed if one.still and one.prior.view == one.current.view]
    return [kept[i] for i in np.random.default_rng(0).permutation(len(kept))]


def chosen_still_pairs(
    description: str, said: Sequence[str] | None
) -> tuple[list[FilmPair], FindsLungs | None]:
    """Return the pairs that a command line asks for, and what finds their lungs."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--films", type=Path, required=True, help="films.csv")
    parser.add_argument("--pairs", type=Path, required=True, action="append", help="pairs.csv")
    parser.add_argument("--bundle", type=Path, help="whose lung fields; hilum's own when left out")
    parser.add_argument("--split", help="of the patients, such as test; all when left out")
    parser.add_argument("--count", type=int, help="pairs at most")
    options = parser.parse_args(said)
    lungs = load_bundle(bundle_folder(options.bundle)).lung_fields()
    listed = still_pairs(options.films, options.pairs)
    chosen = [one for one in listed if options.split in (None, one.split)][: options.count]
    return chosen, lungs


def cases(pairs: list[FilmPair], lungs: FindsLungs | None) -> Iterator[tuple[Seen, Seen]]:
    """Yield each pair as it is, and with an opacity."""
    for seed, pair in enumerate(pairs):
        current, prior = (
            at_working_size(read_picture(record.path).pixels)
            for record in (pair.current, pair.prior)
        )
        bare = look(Case(current, prior), lungs)
        yield bare, look(painted(bare.case, bare.lungs, 10_000 + seed), lungs)


def main(said: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=Path, required=True, help="films.csv")
    parser.add_argument("--pairs", type=Path, required=True, action="append", help="pairs.csv")
    parser.add_argument("--bundle", type=Path, help="whose lung fields; hilum's own when left out")
    parser.add_argument("--count", type=int, help="pairs at most")
    parser.add_argument("--skip", type=int, default=0, help="leave so many out first")
    options = parser.parse_args(said)
    torch.set_num_threads(1)
    lungs = load_bundle(bundle_folder(options.bundle)).lung_fields()
    chosen = still_pairs(options.films, options.pairs)[options.skip :][: options.count]
    answers: dict[str, list[tuple[Answer, Answer]]] = {name: [] for name in METHODS}
    contrasts = []
    for bare, with_opacity in cases(chosen, lungs):
        contrasts.append(with_opacity.case.contrast)
        for name, method in METHODS.items():
            answers[name].append((answer(method, bare), answer(method, with_opacity)))
    Console(width=120).print(table(answers, np.array(contrasts)))


def table(
    answers: dict[str, list[tuple[Answer, Answer]]], contrasts: npt.NDArray[np.float64]
) -> Table:
    made = Table(
        "method",
        "LROC area",
        "pointed at",
        "contrast < 0.07",
        "0.07 to 0.11",
        "> 0.11",
        title=f"opacities painted into {len(contrasts)} pairs without change",
        caption=f"hilum, nothing painted: {_false_marks(answers['hilum'])} marks (of either sign, "
        f"{MARK} and more) a film",
    )
    bins = np.digitize(contrasts, (0.07, 0.11))
    for name, rows in answers.items():
        right = np.array([there.right for _, there in rows])
        by_contrast = (_percent(right[bins == k]) for k in range(3))
        made.add_row(name, f"{_area(rows):.3f}", f"{right.mean():.0%}", *by_contrast)
    return made


def _percent(right: npt.NDArray[np.bool_]) -> str:
    return f"{right.mean():.0%}" if right.size else "-"


def _area(rows: list[tuple[Answer, Answer]]) -> float:
    """Area under the localisation curve; see the top of this file."""
    thresholds = [bare.greatest for bare, _ in rows]
    return float(
        np.mean([[there.right and there.greatest > t for _, there in rows] for t in thresholds])
    )


def _false_marks(rows: list[tuple[Answer, Answer]]) -> str:
    marks = np.array([bare.marks for bare, _ in rows])
    return f"{marks.mean():.2f} (none on {np.mean(marks == 0):.0%} of films)"


if __name__ == "__main__":
    main()
