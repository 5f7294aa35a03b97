"""Painted disease: opacities laid over the lungs of a healthy film, whose mask stays true.

Masks of lungs exist for healthy films; the segmenter is wanted for the others. So an opacity may
hide the edge of a lung, as effusion hides the diaphragm, and the mask still says where it is.
Nothing here is meant to look real: it must only take away what a lung is easily told by.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from inference.image.resizing import resize

Greys = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Painter = Callable[[Mask, np.random.Generator], Greys]


def painted(film: Greys, lungs: Sequence[Mask], rng: np.random.Generator, kind: str) -> Greys:
    """Lay one opacity of a kind of `OPACITIES` over one of the lungs, at random.

    Parameters
    ----------
    film
        (h, w) in [0, 1], bright is dense.
    lungs
        Each (h, w).
    """
    lung = lungs[int(rng.integers(len(lungs)))]
    cover = OPACITIES[kind](lung, rng) * np.float32(rng.uniform(0.8, 1.0))
    if kind in DARK:
        cloth = np.full_like(film, np.quantile(film[lung], rng.uniform(0.0, 0.2)))
    elif rng.random() < 0.5:
        cloth = _surroundings(film, lungs) + np.float32(rng.uniform(-0.03, 0.12))
    else:  # between the lung's own brightest and the abdomen's
        cloth = np.full_like(film, np.quantile(film, rng.uniform(0.7, 0.97)))
    cloth += 0.06 * (clouds(film.shape, rng, 8) - 0.5)
    covered: Greys = (film + cover * (cloth - film)).clip(0, 1).astype(np.float32)
    return covered


def _surroundings(film: Greys, lungs: Sequence[Mask]) -> Greys:
    """Return what lies around the lungs, carried on into them: no edge of theirs is left.

    A lung full of fluid is as bright as the chest wall, the heart and the abdomen beside it.
    """
    reach = 0.06 * max(film.shape)  # half of a lung's width is two of it
    outside = 1 - np.any(lungs, axis=0).astype(np.float32)
    weight = gaussian_filter(outside, reach) + np.float32(1e-4)
    around: Greys = gaussian_filter(film * outside, reach) / weight
    return around


def clouds(shape: tuple[int, ...], rng: np.random.Generator, cells: int) -> Greys:
    """Return smooth noise (h, w) in [0, 1], about ``cells`` clouds to a side."""
    return resize(rng.random((cells, cells), dtype=np.float32), shape).clip(0, 1)


def _around(lung: Mask, rng: np.random.Generator) -> Greys:
    """Return 1 in the lung and over its edge, falling to 0 soon after: the edge is hidden."""
    softness = rng.uniform(0.008, 0.03) * max(lung.shape)
    near: Greys = gaussian_filter(lung.astype(np.float32), softness)
    return (near * np.float32(rng.uniform(1.5, 4.0))).clip(0, 1)


def _blobs(lung: Mask, rng: np.random.Generator) -> Greys:
    """Masses and consolidations: one to four, of any size, with ragged soft edges."""
    cover = np.zeros(lung.shape, np.float32)
    y, x = np.indices(lung.shape, np.float32)
    places = np.argwhere(lung)
    for _ in range(rng.integers(1, 5)):
        row, column = places[rng.integers(len(places))]
        down, across = rng.uniform(0.04, 0.25, 2) * max(lung.shape)
        far = np.hypot((y - row) / down, (x - column) / across)
        far += rng.uniform(0, 0.8) * (clouds(lung.shape, rng, 10) - 0.5)
        edge = rng.uniform(0.05, 0.4)
        blob = 1 / (1 + np.exp(((far - 1) / edge).clip(-30, 30)))
        cover = np.maximum(cover, blob * np.float32(rng.uniform(0.5, 1)))
    return cover * _around(lung, rng)


def _effusion(lung: Mask, rng: np.random.Generator) -> Greys:
    """Fluid from below, rising towards one side, over the diaphragm and the angle beside it."""
    rows, columns = np.nonzero(lung)
    top, bottom, left, right = rows.min(), rows.max(), columns.min(), columns.max()
    y, x = np.indices(lung.shape, np.float32)
    across = ((x - left) / max(1, right - left)).clip(0, 1)
    aside = across if rng.random() < 0.5 else 1 - across
    height = bottom - top
    surface = bottom - height * (rng.uniform(0.1, 0.75) + rng.uniform(0, 0.3) * aside**2)
    softness = height * rng.uniform(0.01, 0.08) + 1e-3
    fluid = 1 / (1 + np.exp(((surface - y) / softness).clip(-30, 30)))
    cover: Greys = (fluid * _around(lung, rng)).astype(np.float32)
    return cover


def _white_lung(lung: Mask, rng: np.random.Generator) -> Greys:
    """Leave nothing of the whole lung."""
    return _around(lung, rng)


def _haze(lung: Mask, rng: np.random.Generator) -> Greys:
    """Oedema and ground glass: clouds that let the lung shine through."""
    cells = int(rng.integers(3, 12))
    hazy: Greys = (clouds(lung.shape, rng, cells) + np.float32(rng.uniform(-0.3, 0.3))).clip(0, 1)
    cover: Greys = hazy * np.float32(0.8) * _around(lung, rng)
    return cover


def _air(lung: Mask, rng: np.random.Generator) -> Greys:
    """Darken a part without vessels, as in pneumothorax and emphysema."""
    return _blobs(lung, rng)


OPACITIES: dict[str, Painter] = {
    "blobs": _blobs,
    "effusion": _effusion,
    "white lung": _white_lung,
    "haze": _haze,
    "air": _air,
}
DARK = {"air"}


def with_lines(film: Greys, rng: np.random.Generator) -> Greys:
    """Return a film (rows, columns), in [0, 1], with one to four bright cables and tubes."""
    picture = Image.fromarray(film)
    draw = ImageDraw.Draw(picture)
    height, width = film.shape
    for _ in range(rng.integers(1, 5)):
        points = rng.uniform(0, 1, (4, 2)).cumsum(0) / 2 + rng.uniform(-0.5, 0.5, 2)
        ends = [(float(x) * width, float(y) * height) for x, y in points]
        draw.line(ends, fill=float(rng.uniform(0.6, 1)), width=int(rng.integers(1, 4)))
    drawn: Greys = np.asarray(picture, np.float32)
    return drawn
