"""How well lungs are found on films that never taught, beside two ways that need no network."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import (
    binary_closing,
    binary_erosion,
    binary_opening,
    distance_transform_edt,
    gaussian_filter,
)
from skimage.filters import threshold_otsu
from skimage.morphology import disk

from inference.comparison.one_thread import one_thread
from inference.image.film import Film
from inference.image.resizing import BILINEAR, resize
from inference.model.lung_fields import LungFields, two_parts
from inference.model.preprocessing import comparable_greys
from training.data.opacities import OPACITIES, Greys, Mask, painted
from training.data.perturbations import PERTURBATIONS, Perturbation
from training.evaluation.text_table import TextTable
from training.lungs.examples import Masked
from training.lungs.masks import MaskedFile, read_masked, small_films
from training.lungs.train import dice_of

Finder = Callable[[Greys], Mask]
Change = Callable[[Masked, np.random.Generator], Masked]

EXPOSURES = ("wider window", "darker window", "tight window", "gamma 0.8", "noise")
_CLASSIC_PX = 128  # the side at which the ways without a network work, as the network does


@dataclass(frozen=True)
class LungScore:
    """One way of finding lungs on one kind of film.

    Attributes
    ----------
    dice, worst
        Mean over the films, and what nine of ten films reach.
    distance
        Mean distance between the outlines found and true, in % of the film's long edge.
    """

    method: str
    kind: str
    films: int
    dice: float
    worst: float
    distance: float


# what becomes of a film


def _as_it_is(film: Masked, _rng: np.random.Generator) -> Masked:
    return film


def _with_opacity(film: Masked, rng: np.random.Generator, *, kind: str) -> Masked:
    return replace(film, greys=painted(film.greys, film.lungs, rng, kind))


def _turned(film: Masked, _rng: np.random.Generator, *, degrees: float) -> Masked:
    def turned(one: Greys) -> Greys:
        return np.array(Image.fromarray(one).rotate(degrees, Image.Resampling.BILINEAR), np.float32)

    return film.moved(turned)


def _exposed(film: Masked, _rng: np.random.Generator, *, change: Perturbation) -> Masked:
    return replace(film, greys=change(Film(film.greys)).pixels)


CHANGES: dict[str, Change] = {
    "as it is": _as_it_is,
    **{f"painted: {kind}": partial(_with_opacity, kind=kind) for kind in OPACITIES},
    "turned 8 degrees left": partial(_turned, degrees=8),
    "turned 8 degrees right": partial(_turned, degrees=-8),
    **{one.name: partial(_exposed, change=one) for one in PERTURBATIONS if one.name in EXPOSURES},
}


# ways without a network


def mean_mask(films: Sequence[Masked]) -> Finder:
    """Return a finder that says the same of every film: where most of ``films`` have lung."""
    mean: Greys = np.stack([film.mask for film in films]).mean(0).astype(np.float32)
    return lambda pixels: resize(mean, pixels.shape, BILINEAR) >= 0.5


def dark_parts(films: Sequence[Masked]) -> Finder:
    """Return a finder of what Otsu's threshold calls dark, where one of ten ``films`` has lung.

    Greys are made comparable first, as for the network, and the threshold is chosen there alone:
    on whole films the dark air beside the arms and under the diaphragm spoils it. Opening parts
    the lungs from what they touch, closing heals vessels and ribs.
    """
    mean = np.stack([film.mask for film in films]).mean(0)
    return partial(_dark_parts, near=mean >= 0.1)


def _dark_parts(pixels: Greys, *, near: Mask) -> Mask:
    greys = resize(pixels, (_CLASSIC_PX, _CLASSIC_PX), BILINEAR)
    greys = gaussian_filter(comparable_greys(torch.from_numpy(greys)).numpy(), 1.5)
    if greys.min() == greys.max():
        return np.zeros(pixels.shape, np.bool_)
    dark = near & (greys < threshold_otsu(greys[near]))
    lungs = two_parts(binary_closing(two_parts(binary_opening(dark, disk(2))), disk(6)))
    return resize(lungs.astype(np.float32), pixels.shape, BILINEAR) >= 0.5


# measures


def measure_lungs(lungs: LungFields, files: Sequence[MaskedFile], seed: int = 0) -> list[LungScore]:
    """Find lungs on the test films of a folder, as they are and changed; beside other ways."""
    teachers = small_films(files, "train", _CLASSIC_PX)
    finders: dict[str, Finder] = {
        "network": lungs.find,
        "mean mask": mean_mask(teachers),
        "Otsu": dark_parts(teachers),
    }
    films = [read_masked(one) for one in files if one.split == "test"]
    return [
        one
        for number, (kind, change) in enumerate(CHANGES.items())
        for one in _on_films(
            kind,
            [
                change(film, np.random.default_rng((seed, number, k)))
                for k, film in enumerate(films)
            ],
            finders,
        )
    ]


def _on_films(kind: str, films: Sequence[Masked], finders: Mapping[str, Finder]) -> list[LungScore]:
    found = []
    for method, find in finders.items():
        pairs = [(find(film.greys), film.mask) for film in films]
        dices = [float(dice_of(*(torch.from_numpy(one)[None] for one in pair))) for pair in pairs]
        distance = 100 * float(np.mean([boundary_distance(*pair) for pair in pairs]))
        worst = float(np.quantile(dices, 0.1))
        found.append(LungScore(method, kind, len(films), float(np.mean(dices)), worst, distance))
    return found


def boundary_distance(found: Mask, true: Mask) -> float:
    """Return the mean distance between two outlines, both ways, as a share of the long edge.

    Both masks have the same shape, (rows, columns). Where nothing was found it is 1: as far as the
    film is long.
    """
    if not found.any() or not true.any():
        return 1.0
    ours, theirs = (one & ~binary_erosion(one, border_value=1) for one in (found, true))
    if not ours.any() or not theirs.any():  # the whole film
        return 1.0
    there, back = distance_transform_edt(~theirs)[ours], distance_transform_edt(~ours)[theirs]
    return float((there.mean() + back.mean()) / 2 / max(found.shape))


def pace_ms(lungs: LungFields, films: int = 20) -> float:
    """Return the milliseconds of one core that one film of 512 x 420 px takes."""
    pixels = np.random.default_rng(0).random((512, 420), dtype=np.float32)
    with one_thread():
        lungs.find(pixels)  # the first is slow
        begun = time.thread_time()  # of this thread alone, whatever else the machine does
        for _ in range(films):
            lungs.find(pixels)
        return (time.thread_time() - begun) / films * 1000


def as_json(found: Sequence[LungScore]) -> list[dict[str, Any]]:
    """Return plain values."""
    return [asdict(one) for one in found]


def text_table(found: Sequence[LungScore]) -> TextTable:
    """Return a table: a row a kind of film, three columns a way."""
    methods = list(dict.fromkeys(one.method for one in found))
    heads = [f"{method}: {what}" for method in methods for what in ("Dice", "9 of 10", "off")]
    rows = []
    for kind in dict.fromkeys(one.kind for one in found):
        cells = [
            text
            for one in found
            if one.kind == kind
            for text in (f"{one.dice:.3f}", f"{one.worst:.3f}", f"{one.distance:.1f} %")
        ]
        rows.append((kind, *cells))
    films = found[0].films if found else 0
    title = (
        f"{films} films that never taught. 9 of 10: the Dice that so many reach; "
        "off: outlines apart, in % of the long edge"
    )
    return TextTable(title, ("film", *heads), tuple(rows))
