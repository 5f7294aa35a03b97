"""How well the alignment finds movements that are known, beside other methods.

    python -m tests.benchmarks.alignment --films ../shared/data/films.csv

Real films are turned (8 degrees at most), scaled (8 %), shifted (40 px), bent (12 px), windowed and
grained, and laid back. Errors are distances of landmarks in pixels, the long edge being 512: of
corners that a person could point at, and of a grid over the whole film, flat air included.
"""

import argparse
import csv
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from skimage.registration import phase_cross_correlation

from inference.comparison.alignment import align, at_working_size
from tests.benchmarks.warps import Array, Picture, Warped, warped

LOST_PX = 5  # a film whose median error is larger was not found

# points (n, 2) of the current film -> on the prior, in pixels
Method = Callable[[Picture, Picture, Array], Array]


def unmoved(_current: Picture, _prior: Picture, at: Array) -> Array:
    return at


def phase_correlation(current: Picture, prior: Picture, at: Array) -> Array:
    down, right = phase_cross_correlation(prior, current, upsample_factor=4)[0]
    return at + np.array([right, down])


def simpleitk(kind: str) -> Method:
    """Register at 256 pixels by SimpleITK, correlation of greys, three resolutions."""

    def method(current: Picture, prior: Picture, at: Array) -> Array:
        fixed, moving = (sitk.GetImageFromArray(film[::2, ::2]) for film in (current, prior))
        transform = sitk.CenteredTransformInitializer(
            fixed,
            moving,
            sitk.AffineTransform(2) if kind == "affine" else sitk.Similarity2DTransform(),
            sitk.CenteredTransformInitializerFilter.GEOMETRY,
        )
        found = sitk.ImageRegistrationMethod()
        found.SetNumberOfThreads(1)
        found.SetMetricAsCorrelation()
        found.SetInterpolator(sitk.sitkLinear)
        found.SetShrinkFactorsPerLevel([4, 2, 1])
        found.SetSmoothingSigmasPerLevel([2, 1, 0])
        found.SetOptimizerAsRegularStepGradientDescent(2.0, 0.01, 200)
        found.SetOptimizerScalesFromPhysicalShift()
        found.SetInitialTransform(transform, inPlace=True)
        found.Execute(fixed, moving)
        return 2 * np.array([transform.TransformPoint(tuple(point / 2)) for point in at])

    return method


def hilum(*, deform: bool) -> Method:
    def method(current: Picture, prior: Picture, at: Array) -> Array:
        places = align(current, prior, deform=deform).places.numpy()
        columns, rows = at.astype(int).T
        height, width = prior.shape
        middle = ((width - 1) / 2, (height - 1) / 2)
        return places[:, rows, columns].T * max(prior.shape) + middle

    return method


METHODS = {
    "no alignment": unmoved,
    "phase correlation (scikit-image)": phase_correlation,
    "similarity (SimpleITK)": simpleitk("similarity"),
    "affine (SimpleITK)": simpleitk("affine"),
    "hilum, affine part": hilum(deform=False),
    "hilum": hilum(deform=True),
}


def films(table: Path, count: int) -> list[Path]:
    """Choose films that were published at 1024 px, by chance but always the same."""
    with table.open() as rows:
        files = [row["file"] for row in csv.DictReader(rows) if row["source_px"] == "1024"]
    chosen = np.random.default_rng(0).permutation(len(files))[:count]
    return [table.parent / files[i] for i in chosen]


def read(path: Path) -> Picture:
    with Image.open(path) as picture:
        return at_working_size(np.asarray(picture.convert("L"), np.float32) / 255)


def errors(method: Method, pair: Warped) -> tuple[Array, Array]:
    """Distances of the corners and of the grid, in pixels at a long edge of 512."""
    found = method(pair.current, pair.prior, np.concatenate([pair.landmarks, pair.everywhere]))
    right = np.concatenate([pair.there, pair.everywhere_there])
    far = np.linalg.norm(found - right, axis=1) * 512 / max(pair.prior.shape)
    return far[: len(pair.landmarks)], far[len(pair.landmarks) :]


def row_of(pairs: list[Warped], method: Method) -> tuple[str, ...]:
    start = time.process_time()
    far = [errors(method, pair) for pair in pairs]
    seconds = time.process_time() - start
    corners, grid = (np.concatenate(some) for some in zip(*far, strict=True))
    spread = (f"{q:.2f}" for some in (corners, grid) for q in np.percentile(some, (50, 95)))
    lost = np.mean([np.median(film) > LOST_PX for film, _ in far])
    return (*spread, f"{lost:.1%}", f"{1000 * seconds / len(pairs):.0f}")


def main(said: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=Path, required=True, help="films.csv")
    parser.add_argument("--count", type=int, default=200)
    options = parser.parse_args(said)
    torch.set_num_threads(1)
    paths = films(options.films, options.count)
    pairs = [warped(read(path), seed) for seed, path in enumerate(paths)]
    row_of(pairs[:1], METHODS["hilum"])  # the first run loads libraries
    table = Table(
        "method",
        "corners: median",
        "95 %",
        "whole film: median",
        "95 %",
        f"films lost (> {LOST_PX} px)",
        "CPU ms",
        title=f"landmark error in px at 512, {len(pairs)} films",
    )
    for name, method in METHODS.items():
        table.add_row(name, *row_of(pairs, method))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
