"""Stored values -> [0, 1], bright is dense.

Every step of the grayscale pipeline (PS3.4 N.2) is a function of the stored value alone, and a
stored value has 16 bits at most. So the steps are worked out once for every possible value, and
the film is one look-up: 8 ms for 2048 x 2500 instead of several passes in float64.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from inference.findings import FloatArray
from inference.image.codecs import StoredPixels
from inference.image.header import items, number, text
from inference.image.lut import Lut, read_lut
from inference.image.padding import kept_from_view
from inference.image.undecodable import NotAFilm

# a window or VOI LUT is taken to be meant for this film when it shows this share of the exposed
# field neither black nor white, and spreads it over this share of the grey scale
PLAUSIBLE_INSIDE = 0.25
PLAUSIBLE_SPREAD = 0.10

# without a plausible window: these percentiles of the exposed field become black and white
ROBUST_PERCENTILES = (0.5, 99.5)

_SAMPLES = 200_000  # pixels looked at to judge windows and percentiles
_FLAT_EDGE = 0.02  # a line at the edge varying less than this share of the range is collimation


@dataclass(frozen=True)
class Window:
    """A window over modality values: LINEAR, LINEAR_EXACT or SIGMOID (PS3.3 C.11.2.1)."""

    centre: float
    width: float
    function: str = "LINEAR"


@dataclass(frozen=True, eq=False)
class Greys:
    """A film with all the greys that it has, for a window that a reader chooses.

    Attributes
    ----------
    values
        (rows, columns) uint8 or uint16: in the order of the modality values, or in the opposite
        one, so that more is dense. Padding, and what a shutter keeps from view, is 0.
    shown
        (256,) or (65536,) uint8: the grey of each value, as hilum itself reads the film.
    """

    values: npt.NDArray[np.unsignedinteger[Any]]
    shown: npt.NDArray[np.uint8]


def displayed(
    stored: StoredPixels,
    photometric: str,
    ds: Dataset,
    occluded: npt.NDArray[np.bool_] | None = None,
) -> tuple[FloatArray, Window | Lut]:
    """Apply modality LUT, VOI and polarity.

    Polarity follows the photometric interpretation alone. For DX, Presentation LUT Shape INVERSE
    restates MONOCHROME1 and is no second inversion (PS3.3 C.8.11.3.1.2); where the two contradict
    each other, the gate reports it.

    Parameters
    ----------
    stored
        (rows, columns), as decoded.
    occluded
        (rows, columns): True where a shutter covers the film; ignored, as padding is.

    Returns
    -------
    tuple
        (rows, columns) float32 in [0, 1]; bright is dense; padding is 0. All 0 for a constant
        image. And what made the greys: a window, or the file's first VOI LUT.

    Raises
    ------
    NotAFilm
        No pixel is left beside padding and shutter.
    """
    occluded = kept_from_view(stored, ds, occluded)
    table, chosen = _table(stored, photometric, ds, occluded)
    film: FloatArray = table.astype(np.float32)[_patterns(stored)]
    if occluded is not None:
        film[occluded] = 0
    return film, chosen


def greys(
    stored: StoredPixels,
    photometric: str,
    ds: Dataset,
    occluded: npt.NDArray[np.bool_] | None = None,
) -> Greys:
    """Keep every value of (rows, columns), with the greys that `displayed` gives them.

    Raises
    ------
    NotAFilm
        As `displayed`.
    """
    occluded = kept_from_view(stored, ds, occluded)
    table, _ = _table(stored, photometric, ds, occluded)
    patterns = _patterns(stored)
    order = np.arange(table.size, dtype=patterns.dtype)
    if np.issubdtype(stored.dtype, np.signedinteger):
        order ^= patterns.dtype.type(table.size // 2)  # the lowest of all is a pattern's high bit
    if table[order.argmax()] < table[order.argmin()]:
        order = patterns.dtype.type(table.size - 1) - order
    shown = np.empty(table.size, dtype=np.uint8)
    shown[order] = np.rint(table * 255)
    values = order[patterns]
    if occluded is not None:
        values[occluded] = 0
    return Greys(values, shown)


def _patterns(stored: StoredPixels) -> npt.NDArray[np.unsignedinteger[Any]]:
    """Return the stored values as the bit patterns that tables are looked up by."""
    return stored.view(np.dtype(f"u{stored.dtype.itemsize}"))


def _table(
    stored: StoredPixels,
    photometric: str,
    ds: Dataset,
    occluded: npt.NDArray[np.bool_] | None,
) -> tuple[npt.NDArray[np.float64], Window | Lut]:
    """Return the grey in [0, 1] of every bit pattern, and what makes it."""
    modality = _modality(_every_value(stored.dtype), ds)
    sample = _exposed_field(_patterns(stored), modality, occluded)
    table, chosen = _voi(modality, sample, ds)
    return 1 - table if photometric == "MONOCHROME1" else table, chosen


def _every_value(dtype: np.dtype[Any]) -> npt.NDArray[np.float64]:
    """Return the value of each unsigned bit pattern of ``dtype``."""
    patterns = np.arange(2 ** (8 * dtype.itemsize), dtype=f"u{dtype.itemsize}")
    values: npt.NDArray[np.float64] = patterns.view(dtype).astype(np.float64)
    return values


def _modality(values: npt.NDArray[np.float64], ds: Dataset) -> npt.NDArray[np.float64]:
    """Apply the Modality LUT Sequence, or rescale (PS3.3 C.11.1)."""
    for item in items(ds, "ModalityLUTSequence"):
        if lut := read_lut(item, ds):
            return lut.look_up(values)
    slope, intercept = number(ds, "RescaleSlope"), number(ds, "RescaleIntercept")
    return values * (slope or 1.0) + (intercept or 0.0)


def _exposed_field(
    unsigned: StoredPixels,
    modality: npt.NDArray[np.float64],
    occluded: npt.NDArray[np.bool_] | None,
) -> npt.NDArray[np.float64]:
    """Sample the film without what is no film and flat collimated edges; (n,) modality values."""
    step = max(1, round((unsigned.size / _SAMPLES) ** 0.5))
    coarse = unsigned[::step, ::step]
    inside = np.ones(coarse.shape, dtype=bool)
    if occluded is not None:
        inside &= ~occluded[::step, ::step]
    if not inside.any():
        raise NotAFilm("Every pixel is padding, or behind the display shutter.")
    values = modality[coarse]
    flat = _FLAT_EDGE * np.ptp(values[inside])
    rows, columns = (
        _inner(np.ptp(np.where(inside, values, values[inside].min()), axis=axis) > flat)
        for axis in (1, 0)
    )
    exposed: npt.NDArray[np.float64] = values[rows, columns][inside[rows, columns]]
    return exposed if exposed.size else values[inside]


def _inner(varying: npt.NDArray[np.bool_]) -> slice:
    """Return the range from the first to the last varying line; everything when none varies."""
    (found,) = np.nonzero(varying)
    return slice(found[0], found[-1] + 1) if found.size else slice(None)


def _voi(
    modality: npt.NDArray[np.float64], sample: npt.NDArray[np.float64], ds: Dataset
) -> tuple[npt.NDArray[np.float64], Window | Lut]:
    """Return the grey in [0, 1] of each modality value, and what makes it."""
    for item in items(ds, "VOILUTSequence")[:1]:
        lut = read_lut(item, ds)
        if lut and _plausible(lut.grey(sample)):
            return lut.grey(modality), lut
    chosen = _window(modality, sample, ds)
    return window(modality, chosen), chosen


def _window(
    modality: npt.NDArray[np.float64], sample: npt.NDArray[np.float64], ds: Dataset
) -> Window:
    """Return the file's window where it is plausible, else one that shows the exposed field."""
    centre, width = number(ds, "WindowCenter"), number(ds, "WindowWidth")
    if centre is not None and width is not None:
        stated = Window(centre, width, text(ds, "VOILUTFunction").upper() or "LINEAR")
        if _plausible(window(sample, stated)):
            return stated
    elif modality.size == 256 and _plausible(sample / 255):
        return Window(128, 256)  # 8 bits without a window are ready for display
    low, high = map(float, np.percentile(sample, ROBUST_PERCENTILES))
    if high <= low:
        low, high = float(sample.min()), float(sample.max())
    return Window((low + high + 1) / 2, high - low + 1)


def window(values: npt.NDArray[np.float64], shown: Window) -> npt.NDArray[np.float64]:
    """Apply a window to values of any shape; the result is in [0, 1].

    A width of less than 1 (LINEAR), or of nothing, is a threshold at the centre. A function that
    is none of the three is taken as LINEAR.

    References
    ----------
    PS3.3 C.11.2.1.2 and C.11.2.1.3.
    """
    centre, width = shown.centre, shown.width
    if shown.function == "SIGMOID" and width > 0:
        sigmoid: npt.NDArray[np.float64] = 0.5 + 0.5 * np.tanh(2 * (values - centre) / width)
        return sigmoid  # 1 / (1 + exp(-4 (x - c) / w)), which cannot overflow
    if shown.function != "LINEAR_EXACT":
        centre, width = centre - 0.5, width - 1
    if width <= 0:
        return (values > centre).astype(np.float64)
    return np.clip((values - centre) / width + 0.5, 0, 1)


def _plausible(sample: npt.NDArray[np.float64]) -> bool:
    inside = np.mean((sample > 0) & (sample < 1))
    low, high = np.percentile(sample, ROBUST_PERCENTILES)
    return bool(inside >= PLAUSIBLE_INSIDE and high - low >= PLAUSIBLE_SPREAD)
