"""Colour tables for maps over a film.

Both are drawn in CIELAB, so equal steps of the value are equal steps to the eye, and both can be
told apart by the colour-blind: the heat map by its lightness, the differences by blue and orange.
"""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.color import lab2rgb

from inference.findings import FloatArray

Rgb = npt.NDArray[np.uint8]

ENTRIES = 256


@cache
def heat_table() -> Rgb:
    """Return (256, 3): violet for little, over red and orange to pale yellow for most."""
    t = np.linspace(0.0, 1.0, 4096)
    hue = np.deg2rad(315 + 145 * t)  # violet -> red -> orange -> yellow
    chroma = 34 + 30 * np.sin(np.pi * t)  # the most that stays inside sRGB all the way
    return _even_steps(_lab(26 + 60 * t, chroma, hue))


@cache
def difference_table() -> Rgb:
    """Return (256, 3): blue for -1, grey for 0, orange for +1."""
    t = np.linspace(-1.0, 1.0, 4097)
    hue = np.deg2rad(np.where(t < 0, 272.0, 62.0))
    return _even_steps(_lab(56 + 4 * np.abs(t), 50 * np.abs(t), hue))


def colour_of(values: FloatArray, table: Rgb) -> Rgb:
    """Look up values in [0, 1]: the same shape with a last axis of red, green, blue."""
    return table[np.clip(np.rint(values * (ENTRIES - 1)), 0, ENTRIES - 1).astype(np.intp)]


def blend(picture: Rgb, colours: Rgb, opacity: FloatArray) -> Rgb:
    """Lay colours over a picture: (h, w, 3) both, opacity (h, w) in [0, 1]."""
    alpha = opacity[..., None].astype(np.float32)  # (h, w, 1)
    mixed = picture * (1 - alpha) + colours * alpha
    return np.rint(mixed).astype(np.uint8)


def _lab(lightness: FloatArray, chroma: FloatArray, hue: FloatArray) -> FloatArray:
    return np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=-1)  # (n, 3)


def _even_steps(lab: npt.NDArray[np.floating[Any]]) -> Rgb:
    """Take 256 colours of a path in CIELAB at equal colour differences (CIE 1976)."""
    lengths = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    travelled = np.concatenate([[0.0], np.cumsum(lengths)])
    steps = np.linspace(0.0, travelled[-1], ENTRIES)
    even = np.stack([np.interp(steps, travelled, lab[:, i]) for i in range(3)], axis=-1)
    table: Rgb = np.rint(lab2rgb(even) * 255).astype(np.uint8)
    return table
