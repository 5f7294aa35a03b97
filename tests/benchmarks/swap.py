"""Whether a pair of real films gets the same verdict in both orders.

    python -m tests.benchmarks.swap --films films_all.csv --pairs pairs.csv --pairs second/pairs.csv

Pairs of one split, whatever changed between the films, each compared as it is and with prior and
current exchanged. The control shows that the agreement is none of rounding: the exchanged pair
with one of its films moved by a pixel.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from inference.comparison import Comparison
from inference.comparison.compare import FindsLungs, compare
from inference.image.film import Film
from inference.model.bundle import load_bundle
from inference.model.metadata import bundle_folder
from tests.benchmarks.comparison import prediction
from training.change.film_pairs import FilmPair, read_pairs
from training.data.film_list import Source
from training.data.film_set import read_picture

Both = tuple[Comparison, Comparison]


def moved(film: Film) -> Film:
    """Return the film with its columns moved by one."""
    return replace(film, pixels=np.roll(film.pixels, 1, axis=1))


def in_both_orders(pair: FilmPair, lungs: FindsLungs | None) -> tuple[Both, Both]:
    """Compare a pair in both orders, and with the exchanged pair moved."""
    current, prior = (read_picture(record.path) for record in (pair.current, pair.prior))
    said = prediction()
    forward, backward, control = (
        compare(one, other, said, said, lungs=lungs)
        for one, other in ((current, prior), (prior, current), (moved(prior), current))
    )
    return (forward, backward), (forward, control)


def row(name: str, compared: Sequence[Both]) -> tuple[str, ...]:
    """Return the cells of a row: in how many pairs both orders agree, and how far they do not."""
    qualities = np.array([[one.quality, other.quality] for one, other in compared])
    apart = np.abs(qualities[:, 0] - qualities[:, 1])
    agree = {
        "verdict": [one.comparable == other.comparable for one, other in compared],
        "reason": [one.reason == other.reason for one, other in compared],
        "quality": apart == 0,
        "SSIM": [one.ssim == other.ssim for one, other in compared],
    }
    counts = (f"{np.sum(same)} of {len(compared)}" for same in agree.values())
    return (name, *counts, f"{apart.max():.4f}")


def main(said: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=Path, required=True, help="films.csv")
    parser.add_argument("--pairs", type=Path, required=True, action="append", help="pairs.csv")
    parser.add_argument("--split", default="test", help="of the patients; test when left out")
    parser.add_argument("--bundle", type=Path, help="whose lung fields; hilum's own when left out")
    parser.add_argument("--count", type=int, help="pairs at most")
    options = parser.parse_args(said)
    lungs = load_bundle(bundle_folder(options.bundle)).lung_fields()
    listed = read_pairs(options.pairs, Source(options.films).records())
    chosen = [pair for pair in listed if pair.split == options.split][: options.count]
    compared = [in_both_orders(pair, lungs) for pair in chosen]
    made = Table(
        "prior and current exchanged",
        *(f"same {what}" for what in ("verdict", "reason", "quality", "SSIM")),
        "quality apart at most",
        title=f"{len(chosen)} pairs of {options.split} patients, in both orders; "
        f"{sum(both[0].comparable for both, _ in compared)} are comparable",
    )
    made.add_row(*row("as they are", [both for both, _ in compared]))
    made.add_row(*row("control: one film moved by a pixel", [both for _, both in compared]))
    Console(width=140).print(made)


if __name__ == "__main__":
    main()
