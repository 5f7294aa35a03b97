"""Where the time of a comparison goes, and how well real pairs are laid onto each other.

    python benchmarks/comparison.py                          # made-up films, seconds
    python benchmarks/comparison.py --data ../shared/data    # real pairs (pairs.csv, films/)

Prints the share of each stage within this run, and with real films the quality of pairs of one
patient, with and without the second step of the alignment, against pairs that must not be
compared. `MINIMUM_QUALITY` was chosen from that table.
"""

import argparse
import csv
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from inference.comparison.align import align, pixel_ratio, resized, working_shape
from inference.comparison.compare import MINIMUM_QUALITY
from inference.comparison.heatmaps import heatmap_differences
from inference.comparison.structural import aligned_pair, difference, quality, similarity
from inference.film import Film, film_from_pixels
from inference.findings import ModelIdentity, Prediction

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from films import chest

Pair = tuple[Film, Film]


class Stages:
    """Adds up the seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0) + time.perf_counter() - start


def run(pair: Pair, stages: Stages, *, fine: bool = True) -> float:
    current, prior = pair
    said = prediction()
    with stages("resize"):
        shown, before = (resized(f.pixels, working_shape(f.pixels)) for f in pair)
    with stages("align"):
        alignment = align(shown, before, pixel_ratio(current, prior), fine=fine)
    with stages("normalise"):
        laid = aligned_pair(shown, alignment.move(before), alignment.overlap)
        agreement = quality(laid)
    with stages("difference"):
        difference(laid)
    with stages("ssim"):
        similarity(laid)
    with stages("heat maps"):
        heatmap_differences(said, said, alignment)
    return -1.0 if alignment.implausible else agreement


def prediction() -> Prediction:
    rng = np.random.default_rng(0)
    return Prediction(
        rng.random(14, dtype=np.float32),
        np.full(14, 0.5, dtype=np.float32),
        rng.random((14, 16, 16), dtype=np.float32),
        ModelIdentity("none", "0", ""),
    )


def made_up_pairs(count: int) -> list[Pair]:
    return [
        (Film(chest(1200, 1000, seed=seed)), Film(chest(1100, 1000, seed=seed + 100)))
        for seed in range(count)
    ]


def real_pairs(data: Path, count: int) -> list[Pair]:
    """Take pairs of one patient whose films were both published at 1024 px."""
    files = {path.stem: path for path in (data / "films").iterdir()}
    with (data / "pairs.csv").open() as table:
        rows = [row for row in csv.DictReader(table) if row["prior_px"] == "1024"]
    names = [
        (Path(r["current"]).stem, Path(r["prior"]).stem) for r in rows if r["current_px"] == "1024"
    ]
    known = [pair for pair in names if set(pair) <= set(files)]
    chosen = np.random.default_rng(1).permutation(len(known))[:count]

    def film(name: str) -> Film:
        return film_from_pixels(np.asarray(Image.open(files[name]).convert("L")))

    return [(film(known[i][0]), film(known[i][1])) for i in chosen]


def spread(name: str, qualities: Iterable[float]) -> None:
    """Print percentiles; an implausible alignment counts as -1."""
    values = np.array(list(qualities))
    cells = " ".join(
        f"{value:6.2f}" for value in np.percentile(values, [0, 5, 25, 50, 75, 95, 100])
    )
    print(f"{name:28s} {cells}   comparable {np.mean(values >= MINIMUM_QUALITY):4.0%}")


def qualities_of_real(pairs: list[Pair]) -> None:
    print(f"\n{'quality, percentile':28s}     0      5     25     50     75     95    100")
    unused = Stages()
    spread("one patient", (run(pair, unused) for pair in pairs))
    spread("one patient, first step only", (run(pair, unused, fine=False) for pair in pairs))
    spoilt: dict[str, Callable[[Film, int], Film]] = {
        "another patient": lambda _, i: pairs[(i + 1) % len(pairs)][1],
        "upside down": lambda prior, _: Film(prior.pixels[::-1]),
        "on its side": lambda prior, _: Film(np.rot90(prior.pixels)),
        "inverted": lambda prior, _: Film(1 - prior.pixels),
        "noise": lambda prior, i: Film(
            np.random.default_rng(i).random(prior.pixels.shape, dtype=np.float32)
        ),
    }
    for name, spoil in spoilt.items():
        spread(name, (run((c, spoil(p, i)), unused) for i, (c, p) in enumerate(pairs)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with pairs.csv and films/")
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    pairs = (
        real_pairs(options.data, options.pairs) if options.data else made_up_pairs(options.pairs)
    )
    stages = Stages()
    run(pairs[0], Stages())  # the first run loads libraries
    for pair in pairs:
        run(pair, stages)
    total = sum(stages.seconds.values())
    print(f"{len(pairs)} comparisons, {1000 * total / len(pairs):.0f} ms each")
    for name, seconds in stages.seconds.items():
        print(f"  {name:12s} {seconds / total:5.0%}")
    if options.data:
        qualities_of_real(pairs)


if __name__ == "__main__":
    main()
