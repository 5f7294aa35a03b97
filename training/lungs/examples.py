"""Examples for a segmenter: a film and its masks, bent, painted and exposed otherwise.

Films with masks are healthy and well posed; those of a hospital are neither.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import label, map_coordinates

from inference.image.resizing import resize
from training.data.opacities import Greys, Mask, painted, with_lines
from training.input_check.examples import varied

# how often each kind is painted, when one is
SHARES = {"blobs": 0.25, "effusion": 0.25, "white lung": 0.2, "haze": 0.2, "air": 0.1}
INVERTED = 0.04  # of the films: the input check refuses them, unless a site switches it off
MIRRORED = 0.15  # the heart may lie on the right
UNKNOWN = -1.0  # in a mask: nobody drew it


@dataclass(frozen=True, eq=False)
class Masked:
    """A film, (h, w) in [0, 1], and where its lungs lie, (h, w); its heart, where that is known."""

    greys: Greys
    mask: Mask
    heart: Mask | None = None

    def moved(self, move: Callable[[Greys], Greys]) -> "Masked":
        """Move the film and its masks, (h, w) each, in the same way."""

        def mask(one: Mask) -> Mask:
            there: Mask = move(one.astype(np.float32)) >= 0.5
            return there

        heart = None if self.heart is None else mask(self.heart)
        return Masked(move(self.greys), mask(self.mask), heart)

    @cached_property
    def lungs(self) -> Sequence[Mask]:
        """Each lung alone, (rows, columns); the one mask where they are not two."""
        parts, count = label(self.mask)
        sizes = np.bincount(parts.ravel())[1:]
        large = [k + 1 for k in range(count) if sizes[k] > 0.2 * sizes.sum()]
        return [parts == k for k in large] or [self.mask]


def example(
    film: Masked,
    rng: np.random.Generator,
    size_px: int,
    ill: float = 0.7,
    bent: float = 1.0,
) -> tuple[Greys, Greys]:
    """Make an example: greys, (size_px, size_px), and masks of lungs and heart, in [0, 1].

    The masks are (2, size_px, size_px); where the heart is not known its mask is `UNKNOWN`.

    Parameters
    ----------
    ill
        Share of examples on which opacities are painted.
    bent
        How far they are turned, scaled, shifted and bent, times `bent_grid`'s ranges.
    """
    greys = film.greys
    if rng.random() < ill:
        for _ in range(rng.integers(1, 3)):
            kind = str(rng.choice(list(SHARES), p=list(SHARES.values())))
            greys = painted(greys, film.lungs, rng, kind)
    if rng.random() < 0.3:
        greys = with_lines(greys, rng)
    grid = bent_grid(film.mask.shape, rng, size_px, bent)
    fill = float(rng.choice([0.0, 0.0, 1.0, greys.mean()]))
    greys = map_coordinates(greys, grid, order=1, mode="constant", cval=fill)
    known = [film.mask] if film.heart is None else [film.mask, film.heart]
    masks = np.full((2, size_px, size_px), UNKNOWN, np.float32)
    for mask, one in zip(masks, known, strict=False):
        map_coordinates(one.astype(np.float32), grid, mask, order=1, mode="constant")
    masks[: len(known)] = masks[: len(known)].clip(0, 1)
    if rng.random() < 0.3:
        _collimate(greys, masks[: len(known)], rng, fill)
    return varied(greys, rng, invert=bool(rng.random() < INVERTED)), masks


def bent_grid(
    shape: tuple[int, ...], rng: np.random.Generator, size_px: int, bent: float = 1.0
) -> Greys:
    """Return where each pixel of an example comes from, (2, size_px, size_px) rows and columns.

    Turned by up to 15 degrees, scaled (height and width apart), shifted, a little bent: all times
    ``bent``; and mirrored by chance.
    """
    at = (np.arange(size_px, dtype=np.float32) + 0.5) / size_px - 0.5
    y, x = np.meshgrid(at, at, indexing="ij")
    if rng.random() < MIRRORED:
        x = -x
    angle = np.deg2rad(bent * rng.uniform(-15, 15))
    turned = np.cos(angle) * y - np.sin(angle) * x, np.sin(angle) * y + np.cos(angle) * x
    zoom = np.exp(bent * rng.uniform(-0.3, 0.25))  # above 1 shows more than the film
    places = []
    for one in turned:
        scaled = one * zoom * np.exp(bent * rng.uniform(-0.18, 0.18))
        moved = scaled + bent * rng.uniform(-0.1, 0.1) + 0.5
        places.append(moved + bent * rng.uniform(0, 0.12) * (_waves(size_px, rng) - 0.5))
    rows, columns = (place * side - 0.5 for place, side in zip(places, shape, strict=True))
    return np.stack([rows, columns]).astype(np.float32)


def _waves(size_px: int, rng: np.random.Generator) -> Greys:
    return resize(rng.random((4, 4), dtype=np.float32), (size_px, size_px))


def _collimate(greys: Greys, masks: Greys, rng: np.random.Generator, fill: float) -> None:
    """Paint borders, up to 15 % of a side each, in place; nothing is seen under them."""
    size = len(greys)
    top, bottom, left, right = (rng.uniform(-0.05, 0.15, 4).clip(0) * size).round().astype(int)
    inside = np.zeros(greys.shape, bool)
    inside[top : size - bottom, left : size - right] = True
    greys[~inside], masks[:, ~inside] = fill, 0
