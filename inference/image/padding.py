"""What of a picture is no film: padding around it, and what a shutter keeps from view."""

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from inference.image.codecs import StoredPixels
from inference.image.header import number


def kept_from_view(
    stored: StoredPixels, ds: Dataset, shutter: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.bool_] | None:
    """Return what is no film (rows, columns): behind the shutter, or padding; None where all is.

    Padding (PS3.3 C.7.5.1.1.2) hangs together with the border: a dense bone or a pacemaker may
    have the same value, and is no hole.
    """
    first = number(ds, "PixelPaddingValue")
    if first is None:
        return shutter
    last = number(ds, "PixelPaddingRangeLimit")
    ends = (_as_stored(value, stored.dtype) for value in (first, first if last is None else last))
    low, high = sorted(ends)
    padded = (stored >= low) & (stored <= high)
    edge = np.zeros_like(padded)
    for side in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        edge[side] = padded[side]
    if not edge.any():
        return shutter
    from scipy.ndimage import binary_propagation  # noqa: PLC0415 -- large, and few films pad

    padded = np.asarray(binary_propagation(edge, mask=padded), dtype=np.bool_)
    return padded if shutter is None else padded | shutter


def _as_stored(value: float, dtype: np.dtype[Any]) -> float:
    """Return a value as pixels of a type have it: 63536 as US is -2000 in a signed film."""
    limits = np.iinfo(dtype)
    if limits.min <= value <= limits.max:
        return value
    return (value - limits.min) % 2.0 ** (8 * dtype.itemsize) + limits.min
