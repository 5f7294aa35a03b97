"""Pictures that are no upright frontal chest film, made of such films or of nothing.

All take and return greys (h, w) float32 in [0, 1]; all that is random comes from ``rng``.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import skimage
from PIL import Image
from scipy.ndimage import gaussian_filter, zoom
from skimage.draw import disk, ellipse, polygon

Greys = npt.NDArray[np.float32]
Maker = Callable[[Greys, np.random.Generator], Greys]

# photographs and drawings inside the package scikit-image; those of the second row never teach
PHOTOGRAPHS = (
    "astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png", "chessboard_GRAY.png",
    "clock_motion.png", "coffee.png", "gravel.png", "hubble_deep_field.jpg", "logo.png",
    "microaneurysms.png", "motorcycle_left.png", "page.png", "retina.jpg",
)  # fmt: skip
HELD_PHOTOGRAPHS = (
    "coins.png", "color.png", "grass.png", "horse.png", "ihc.png", "moon.png", "phantom.png",
    "rocket.jpg", "text.png",
)  # fmt: skip

_PHOTOGRAPH_PX = 256  # kept; a check looks at 64
_PART = (0.25, 0.45)  # of each side: no such part shows both lungs


@cache
def photograph(name: str) -> Greys:
    """Return a picture that comes with scikit-image, (rows, columns) in [0, 1].

    Its shorter side has at most 256 px.
    """
    with Image.open(Path(skimage.__file__).parent / "data" / name) as picture:
        grey = picture.convert("RGBA" if "A" in picture.mode else "RGB").convert("L")
        grey.thumbnail((2 * _PHOTOGRAPH_PX, _PHOTOGRAPH_PX))
        return np.asarray(grey, np.float32) / np.float32(255)


def photograph_part(rng: np.random.Generator, names: tuple[str, ...] = PHOTOGRAPHS) -> Greys:
    """Return a part of a photograph, (rows, columns), 40 % of each side or more, perhaps turned."""
    greys = photograph(names[rng.integers(len(names))])
    return np.rot90(_part(greys, rng, 0.4, 1.0), int(rng.integers(4)))


def shoulder(film: Greys, rng: np.random.Generator) -> Greys:
    """Return one upper corner of a film, (rows, columns)."""
    height, width = _sides(film, rng)
    return film[:height, :width] if rng.random() < 0.5 else film[:height, -width:]


def abdomen(film: Greys, rng: np.random.Generator) -> Greys:
    """Return what lies below the diaphragm, (rows, columns)."""
    height, width = _sides(film, rng)
    left = rng.integers(film.shape[1] - width + 1)
    return film[-height:] if rng.random() < 0.5 else film[-height:, left : left + width]


def small_part(film: Greys, rng: np.random.Generator) -> Greys:
    """Return a part of a film from anywhere, (rows, columns)."""
    return _part(film, rng, *_PART)


def one_side(film: Greys, rng: np.random.Generator) -> Greys:
    """Return one of the two sides of a film, cut from head to foot, (rows, columns)."""
    width = round(film.shape[1] * rng.uniform(0.3, 0.5))
    return film[:, :width] if rng.random() < 0.5 else film[:, -width:]


def shuffled(film: Greys, rng: np.random.Generator) -> Greys:
    """Return a film (rows, columns) whose 4 or 9 fields are in another order."""
    count = int(rng.integers(2, 4))
    height, width = film.shape[0] // count, film.shape[1] // count
    order = rng.permutation(count**2)
    while np.mean(order != np.arange(count**2)) < 0.7:
        order = rng.permutation(count**2)
    fields = [
        film[row * height : (row + 1) * height, column * width : (column + 1) * width]
        for row, column in (divmod(int(k), count) for k in order)
    ]
    return np.block([fields[k * count : (k + 1) * count] for k in range(count)])


def noise(film: Greys, rng: np.random.Generator) -> Greys:
    """Return noise, (rows, columns): white, of any coarseness, or with little contrast."""
    grid = int(rng.choice([2, 3, 4, 8, 16, 32, 64]))
    greys = zoom(rng.random((grid, grid)), film.shape[0] / grid, order=1)
    if rng.random() < 0.3:
        greys = rng.normal(0.5, 0.2, film.shape)
    return _grey(greys)


def gradient(film: Greys, rng: np.random.Generator) -> Greys:
    """Return an empty film, (rows, columns): a gradient, some grain, perhaps collimated."""
    rows, columns = np.mgrid[0 : film.shape[0], 0 : film.shape[1]] / film.shape[0]
    slope, fall = rng.uniform(-1, 1, 2)
    greys = 0.5 + slope * (rows - 0.5) + fall * (columns - 0.5)
    return _grey(greys + rng.normal(0, rng.uniform(0, 0.05), film.shape))


def limbs(film: Greys, rng: np.random.Generator) -> Greys:
    """Return bright bones and soft tissue on black, (rows, columns): a hand, a knee, a pelvis."""
    side = film.shape[0]
    greys = np.zeros((side, side))
    for _ in range(rng.integers(1, 6)):
        (y, x), angle = rng.uniform(0.1, 0.9, 2) * side, rng.uniform(0, np.pi)
        long, thin = rng.uniform(0.2, 0.9) * side, rng.uniform(0.03, 0.25) * side
        for share, bright in ((1.0, 0.35), (0.5, 0.5)):
            if rng.random() < 0.4:
                greys[ellipse(y, x, long / 2, thin * share, greys.shape, angle)] += bright
            else:
                greys[_bar(y, x, long, thin * share, angle, side)] += bright
    greys /= max(1.0, greys.max())
    return _grey(gaussian_filter(greys, rng.uniform(0.5, 3)) + rng.normal(0, 0.02, greys.shape))


def _bar(
    y: float, x: float, long: float, thin: float, angle: float, side: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    along = np.array([np.sin(angle), np.cos(angle)]) * long / 2
    across = np.array([np.cos(angle), -np.sin(angle)]) * thin
    corners = [along + across, along - across, -along - across, -along + across]
    rows, columns = np.array(corners).T
    filled: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]] = polygon(
        rows + y, columns + x, (side, side)
    )
    return filled


def discs(film: Greys, rng: np.random.Generator) -> Greys:
    """Return round things of any grey, (rows, columns): phantoms, coins, cells."""
    greys = np.full(film.shape, rng.random())
    for _ in range(rng.integers(1, 12)):
        centre = rng.uniform(0, film.shape[0], 2)
        where = disk(centre, rng.uniform(0.03, 0.4) * film.shape[0], shape=film.shape)
        greys[where] = rng.random()
    return _grey(gaussian_filter(greys, rng.uniform(0, 2)))


# what is made of a film, and what is made of nothing but has its size
OF_FILMS: dict[str, Maker] = {
    "shoulder": shoulder,
    "abdomen": abdomen,
    "small part": small_part,
    "one side": one_side,
    "shuffled": shuffled,
}
OF_NOTHING: dict[str, Maker] = {
    "noise": noise,
    "gradient": gradient,
    "limbs": limbs,
    "discs": discs,
}


def _sides(film: Greys, rng: np.random.Generator) -> tuple[int, int]:
    height, width = (round(side * rng.uniform(*_PART)) for side in film.shape)
    return height, width


def _part(greys: Greys, rng: np.random.Generator, least: float, most: float) -> Greys:
    height, width = (max(2, round(side * rng.uniform(least, most))) for side in greys.shape)
    top, left = (
        rng.integers(whole - part + 1)
        for whole, part in zip(greys.shape, (height, width), strict=True)
    )
    return greys[top : top + height, left : left + width]


def _grey(greys: npt.NDArray[np.float64]) -> Greys:
    return np.clip(greys, 0, 1).astype(np.float32)
