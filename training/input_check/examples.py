"""Examples for the input check: a film or a counter-example, varied as scanners vary films."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from inference.model.metadata import LOOKS, Look
from training.input_check.counterexamples import OF_FILMS, OF_NOTHING, Greys, photograph_part

# how often each look is shown; upright most, for a good film refused is a film not read
SHARES = {
    Look.UPRIGHT: 0.38,
    Look.HEAD_RIGHT: 0.08,
    Look.UPSIDE_DOWN: 0.10,
    Look.HEAD_LEFT: 0.08,
    Look.INVERTED: 0.10,
    Look.NOT_FRONTAL_CHEST: 0.26,
}
QUARTERS = {Look.UPRIGHT: 0, Look.HEAD_RIGHT: 3, Look.UPSIDE_DOWN: 2, Look.HEAD_LEFT: 1}


@dataclass(frozen=True, eq=False)
class Example:
    """A picture (size, size), what it looks like, and whether left and right are exchanged."""

    greys: Greys
    look: Look
    mirrored: bool


def example(film: Greys, rng: np.random.Generator, size_px: int) -> Example:
    """Make an example of an upright film, or of what is none.

    ``film`` is (rows, columns) in [0, 1], the example (size_px, size_px).
    """
    look = LOOKS[rng.choice(len(LOOKS), p=list(SHARES.values()))]
    mirrored = bool(rng.random() < 0.5)
    invert = look is Look.INVERTED
    if look is Look.NOT_FRONTAL_CHEST:
        greys, invert = _not_frontal(film, rng), rng.random() < 0.3
        quarters = int(rng.integers(4))
    else:
        greys = film[:, ::-1] if mirrored else film
        quarters = QUARTERS.get(look, int(rng.integers(4)) if rng.random() < 0.4 else 0)
    greys = _placed(np.rot90(greys, quarters), rng, size_px)
    return Example(varied(greys, rng, invert=bool(invert)), look, mirrored)


def _not_frontal(film: Greys, rng: np.random.Generator) -> Greys:
    if rng.random() < 0.25:
        return photograph_part(rng)
    makers = list((OF_FILMS if rng.random() < 0.65 else OF_NOTHING).values())
    return makers[rng.integers(len(makers))](film, rng)


def _placed(greys: Greys, rng: np.random.Generator, size_px: int) -> Greys:
    """Turn a little, crop or surround with a border, shrink to (size_px, size_px)."""
    picture = Image.fromarray(np.ascontiguousarray(greys))
    fill = float(rng.choice([0.0, 0.0, 1.0, greys.mean()]))
    if rng.random() < 0.6:
        degrees = rng.uniform(-9, 9)
        picture = picture.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=fill)
    width, height = picture.size
    shares = rng.uniform(0.86, 1.0, 2)
    x, y = (1 - shares) * rng.random(2)
    box = (x * width, y * height, (x + shares[0]) * width, (y + shares[1]) * height)
    inner = (size_px, size_px)
    if rng.random() < 0.25:  # collimation, or a film in the corner of a larger plate
        inner = (int(size_px * rng.uniform(0.65, 1)), int(size_px * rng.uniform(0.65, 1)))
    small = picture.resize(inner, Image.Resampling.BOX, box=box)
    whole = Image.new("F", (size_px, size_px), fill)
    left, top = (int(rng.integers(size_px - side + 1)) for side in inner)
    whole.paste(small, (left, top))
    return np.asarray(whole, np.float32)


def varied(greys: Greys, rng: np.random.Generator, *, invert: bool) -> Greys:
    """Vary sharpness, greys and noise, burn in letters, invert; each but the last by chance.

    ``greys`` (rows, columns) in [0, 1], as what is returned.
    """
    steps: tuple[Callable[[Greys], Greys], ...] = tuple(
        partial(step, rng=rng) for step in (_blurred, _gamma, _windowed, _noisy, _marked)
    )
    inversion = int(rng.integers(1, len(steps) + 1))  # before the marker or after it
    for count, step in enumerate(steps, 1):
        if rng.random() < 0.5:
            greys = step(greys)
        if invert and count == inversion:
            greys = 1 - greys
    return np.clip(greys, 0, 1).astype(np.float32)


def _blurred(greys: Greys, rng: np.random.Generator) -> Greys:
    soft: Greys = gaussian_filter(greys, 0.8)
    changed: Greys = greys + np.float32(rng.uniform(-1, 0.8)) * (greys - soft)
    return changed.clip(0, 1)  # softer, or sharpened


def _gamma(greys: Greys, rng: np.random.Generator) -> Greys:
    bent: Greys = np.clip(greys, 0, 1) ** np.float32(np.exp(rng.uniform(-0.9, 0.9)))
    return bent


def _windowed(greys: Greys, rng: np.random.Generator) -> Greys:
    low, high = rng.uniform(-0.3, 0.2), rng.uniform(0.75, 1.4)
    stretched: Greys = np.clip((greys - low) / (high - low), 0, 1).astype(np.float32)
    return stretched


def _noisy(greys: Greys, rng: np.random.Generator) -> Greys:
    return (greys + rng.normal(0, rng.uniform(0, 0.03), greys.shape)).astype(np.float32)


def _marked(greys: Greys, rng: np.random.Generator) -> Greys:
    """Burn in a letter or a line of text near an edge."""
    picture = Image.fromarray(greys)
    side = greys.shape[0]
    near = rng.choice([0.03, 0.8], 2) * side + rng.uniform(-0.03, 0.1, 2) * side
    words = str(rng.choice(["L", "R", "AP", "PORTABLE", "SUPINE 1.2 m"]))
    grey = float(rng.choice([0.0, 1.0, 1.0, 0.8]))
    ImageDraw.Draw(picture).text(tuple(near), words, fill=grey, font_size=int(rng.integers(5, 12)))
    return np.asarray(picture, np.float32)
