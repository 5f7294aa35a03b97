"""The bits of a sample that hold its value (PS3.5 8.1.1)."""

from typing import Any

import numpy as np
import numpy.typing as npt


def within_bits_stored(
    pixels: npt.NDArray[np.integer[Any]], bits: int, *, exact: bool
) -> npt.NDArray[np.integer[Any]]:
    """Return pixels of any shape, each within Bits Stored.

    Of ``exact`` ones the bits above are cleared (overlays were kept there once), and a sign stays.
    Lossy coding overshoots white slightly, which cleared bits would make black: such values are
    clipped.
    """
    unused = 8 * pixels.dtype.itemsize - bits
    if unused <= 0:  # a stream of 8 bits in a header of 16
        return pixels
    signed = np.issubdtype(pixels.dtype, np.signedinteger)
    if not exact:
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        clipped: npt.NDArray[np.integer[Any]] = np.clip(pixels, low, high)
        return clipped
    if signed:
        shifted: npt.NDArray[np.integer[Any]] = np.right_shift(
            np.left_shift(pixels, unused), unused
        )
        return shifted
    masked: npt.NDArray[np.integer[Any]] = pixels & pixels.dtype.type(2**bits - 1)
    return masked
