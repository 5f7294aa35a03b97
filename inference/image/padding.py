"""What of a picture is no film: padding around it, and what a shutter keeps from view."""

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from inference.image.codecs import StoredPixels
from inference.image.header import number
from inference.image.stored_bits import within_bits_stored


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
    low, high = _padding(stored.dtype, int(number(ds, "BitsStored") or 0), first, last)
    padded = (stored >= low) & (stored <= high)
    edge = np.zeros_like(padded)
    for side in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        edge[side] = padded[side]
    if not edge.any():
        return shutter
    from scipy.ndimage import binary_propagation  # noqa: PLC0415 -- large, and few films pad

    padded = np.asarray(binary_propagation(edge, mask=padded), dtype=np.bool_)
    return padded if shutter is None else padded | shutter


def _padding(
    dtype: np.dtype[Any], bits: int, first: float, last: float | None
) -> tuple[float, float]:
    """Return the lowest and the highest padding value as the decoded pixels have them.

    One value may lie outside Bits Stored, as no pixel of the film does: 65535 in 12 bits. Its
    upper bits were cleared with all others (`inference.image.stored_bits`). A range is cut off.
    """
    values = np.array(
        sorted(_as_stored(v, dtype) for v in (first, first if last is None else last))
    )
    values = np.clip(values, np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype)
    low, high = within_bits_stored(values, bits, exact=values[0] == values[1])
    return float(low), float(high)


def _as_stored(value: float, dtype: np.dtype[Any]) -> float:
    """Return a value as pixels of a type have it: 63536 as US is -2000 in a signed film."""
    limits = np.iinfo(dtype)
    if limits.min <= value <= limits.max:
        return value
    return (value - limits.min) % 2.0 ** (8 * dtype.itemsize) + limits.min
