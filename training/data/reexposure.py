"""The same chest on another film: what a second exposure would differ in though nothing changed."""

import io
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from inference.image.film import Film

Greys = npt.NDArray[np.float32]

# each drawn evenly from as far as this, all at once
TURN_DEG = 5.0
SHIFT = 0.05  # of a side
SCALE = 0.05
CROP = 0.05  # of each side
WINDOW = 0.12  # of the greys, at either end
GAMMA = 0.25  # of its logarithm
GRAIN = 0.02  # standard deviation, of the greys
JPEG_QUALITY = (70, 95)


def exposed_again(film: Film, seed: int) -> Film:
    """Turn, shift, scale, crop, window, grain and compress a film, as the seed says."""
    rng = np.random.default_rng(seed)
    greys = _compressed(
        _grained(_windowed(_cropped(_repositioned(film.pixels, rng), rng), rng), rng), rng
    )
    return replace(film, pixels=greys)


def _repositioned(greys: npt.NDArray[np.floating], rng: np.random.Generator) -> Greys:
    """Lay the film differently; what opens at its edges is black, as behind a collimator."""
    height, width = greys.shape
    angle = np.radians(rng.uniform(-TURN_DEG, TURN_DEG))
    scale = 1 + rng.uniform(-SCALE, SCALE)
    right, down = rng.uniform(-SHIFT, SHIFT, 2) * (width, height)
    a, b = scale * np.cos(angle), scale * np.sin(angle)
    middle = np.array([width / 2, height / 2])
    offset = middle - np.array([[a, -b], [b, a]]) @ middle + (right, down)
    moved = Image.fromarray(greys.astype(np.float32)).transform(
        (width, height),
        Image.Transform.AFFINE,
        (a, -b, offset[0], b, a, offset[1]),
        Image.Resampling.BILINEAR,
    )
    return np.array(moved, np.float32)


def _cropped(greys: Greys, rng: np.random.Generator) -> Greys:
    height, width = greys.shape
    top, bottom = (round(height * share) for share in rng.uniform(0, CROP, 2))
    left, right = (round(width * share) for share in rng.uniform(0, CROP, 2))
    return greys[top : height - bottom, left : width - right]


def _windowed(greys: Greys, rng: np.random.Generator) -> Greys:
    low, high = rng.uniform(-WINDOW, WINDOW), 1 + rng.uniform(-WINDOW, WINDOW)
    bent = np.clip((greys - low) / (high - low), 0, 1) ** np.exp(rng.uniform(-GAMMA, GAMMA))
    windowed: Greys = bent.astype(np.float32)
    return windowed


def _grained(greys: Greys, rng: np.random.Generator) -> Greys:
    grain = rng.normal(0, rng.uniform(0, GRAIN), greys.shape)
    grained: Greys = np.clip(greys + grain, 0, 1).astype(np.float32)
    return grained


def _compressed(greys: Greys, rng: np.random.Generator) -> Greys:
    file = io.BytesIO()
    eight = np.rint(greys * 255).astype(np.uint8)
    Image.fromarray(eight).save(file, "JPEG", quality=int(rng.integers(*JPEG_QUALITY)))
    with Image.open(file) as picture:
        compressed: Greys = np.asarray(picture, np.float32) / np.float32(255)
    return compressed
