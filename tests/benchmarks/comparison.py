"""What a comparison costs, and how well real pairs are laid onto each other.

    python tests/benchmarks/comparison.py                          # made-up films, seconds
    python tests/benchmarks/comparison.py --data ../shared/data    # real pairs (pairs.csv,
    films.csv)

Prints the time and memory of one comparison of decoded films, the share of each stage within this
run, and with real films the quality of pairs of one patient, with and without the deformation,
against pairs that must not be compared. `MINIMUM_QUALITY` was chosen from that table.
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from inference.comparison.alignment import align, at_working_size, pixel_ratio
from inference.comparison.compare import MINIMUM_QUALITY, FindsLungs, compare, lung_fields
from inference.comparison.difference import AlignedPair, difference, quality, similarity
from inference.comparison.heatmap_differences import compare_heatmaps
from inference.comparison.one_thread import one_thread
from inference.findings import ModelIdentity, Prediction
from inference.image.film import Film
from inference.model.bundle import load_bundle
from inference.model.metadata import bundle_folder
from tests.benchmarks.opacities import still_pairs
from training.data.film_set import read_picture

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
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


def run(
    pair: Pair, stages: Stages, lungs: FindsLungs | None = None, *, deform: bool = True
) -> float:
    """Do what `compare` does, stage by stage; return the quality, -1 when implausible."""
    current, prior = pair
    said = prediction()
    with stages("resize"):
        shown, before = (at_working_size(f.pixels) for f in pair)
    with stages("align"):
        alignment = align(shown, before, pixel_ratio(current, prior), deform=deform)
    with stages("move"):
        before = 1 - before if alignment.inverted else before
        laid = AlignedPair(shown, alignment.move(before), alignment.overlap)
    with stages("quality"):
        agreement = quality(laid)
    with stages("lung fields"):
        where = lung_fields(laid, lungs)
    with stages("difference"):
        difference(laid, where)
    with stages("SSIM"):
        similarity(laid)
    with stages("heat maps"):
        compare_heatmaps(said, said, alignment)
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
    """Take pairs of one patient, of one view and without change of labels."""
    chosen = still_pairs(data / "films.csv", [data / "pairs.csv"])[:count]
    return [(read_picture(one.current.path), read_picture(one.prior.path)) for one in chosen]


def spread(name: str, qualities: Iterable[float]) -> None:
    """Print percentiles; an implausible alignment counts as -1."""
    values = np.array(list(qualities))
    cells = " ".join(
        f"{value:6.2f}" for value in np.percentile(values, [0, 5, 25, 50, 75, 95, 100])
    )
    print(f"{name:28s} {cells}   comparable {np.mean(values >= MINIMUM_QUALITY):4.0%}")


@one_thread()
def qualities_of_real(pairs: list[Pair]) -> None:
    print(f"\n{'quality, percentile':28s}     0      5     25     50     75     95    100")
    unused = Stages()
    spread("one patient", (run(pair, unused) for pair in pairs))
    spread("one patient, not deformed", (run(pair, unused, deform=False) for pair in pairs))
    spoilt: dict[str, Callable[[Film, int], Film]] = {
        "another patient": lambda _, i: pairs[(i + 1) % len(pairs)][1],
        "upside down": lambda prior, _: Film(prior.pixels[::-1].copy()),
        "on its side": lambda prior, _: Film(np.rot90(prior.pixels).copy()),
        "inverted (is turned back)": lambda prior, _: Film(1 - prior.pixels),
        "mirrored": lambda prior, _: Film(prior.pixels[:, ::-1].copy()),
        "noise": lambda prior, i: Film(
            np.random.default_rng(i).random(prior.pixels.shape, dtype=np.float32)
        ),
    }
    for name, spoil in spoilt.items():
        spread(name, (run((c, spoil(p, i)), unused) for i, (c, p) in enumerate(pairs)))


def main(said: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with pairs.csv and films/")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--bundle", type=Path, help="whose lung fields; hilum's when left out")
    options = parser.parse_args(said)
    pairs = (
        real_pairs(options.data, options.pairs) if options.data else made_up_pairs(options.pairs)
    )
    lungs = load_bundle(bundle_folder(options.bundle)).lung_fields()
    before = peak_mib()
    compare(*pairs[0], prediction(), prediction(), lungs=lungs)  # loads what is still to be loaded
    grown, stages = peak_mib() - before, Stages()
    start, cpu = time.perf_counter(), time.process_time()
    for pair in pairs:
        compare(*pair, prediction(), prediction(), lungs=lungs)
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    each = 1000 / len(pairs)
    print(
        f"{len(pairs)} comparisons: {each * wall:.0f} ms each, {each * cpu:.0f} ms CPU;"
        f" {grown:.0f} MiB more than before the first"
    )
    with one_thread():
        for pair in pairs:
            run(pair, stages, lungs)
    total = sum(stages.seconds.values())
    for name, seconds in stages.seconds.items():
        print(f"  {name:12s} {seconds / total:5.0%}")
    if options.data:
        qualities_of_real(pairs)


def peak_mib() -> float:
    """The most memory that this process has had, resident."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
