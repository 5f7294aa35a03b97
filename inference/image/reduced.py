"""A film at a half, a quarter, ... of its size, straight from its JPEG 2000 or HTJ2K codestream.

A wavelet codestream holds the picture at each of these sizes, and decoding may stop at any. Which
film is decoded so, and how far, follows from its header and codestream alone: the same on every
machine, whatever its load.

References
----------
ITU-T T.800 F.2 (a reduced resolution has ceil(side / 2^n) pixels), A.6.1 (decomposition levels).
"""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset

from inference.image.codestream import JPEG_2000, Codestream
from inference.image.header import number
from inference.image.openjph import decode_grey

_JPEG_2000_SYNTAXES = frozenset({uid.JPEG2000Lossless, uid.JPEG2000})
_HIGH_THROUGHPUT = frozenset({uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL})
SYNTAXES = _JPEG_2000_SYNTAXES | _HIGH_THROUGHPUT


def levels_to_leave(
    ds: Dataset, frame: Dataset, coded: bytes, stream: Codestream | None, at_least: int
) -> int:
    """Return how often the size can be halved and the long edge still have so many pixels.

    0, for the whole film, also where halving would change what the values mean: signed ones, bits
    of overlays above Bits Stored, padding, whose value must be met exactly.
    """
    if stream is None or not stream.counted:
        return 0
    if frame.file_meta.TransferSyntaxUID not in SYNTAXES:
        return 0
    plain = frame.SamplesPerPixel == 1 and frame.PixelRepresentation == 0 and not stream.signed
    within = stream.bits <= frame.BitsStored and stream.bits <= 8 * stream.sample_bytes
    if frame.file_meta.TransferSyntaxUID in _HIGH_THROUGHPUT:
        within &= (
            stream.bits < 8 * stream.sample_bytes and stream.lossless
        )  # else whites wrap round
    padded = number(ds, "PixelPaddingValue") is not None
    if not (plain and within and coded.startswith(JPEG_2000)) or padded:
        return 0
    edge = max(stream.rows, stream.columns)
    possible = range(stream.levels, 0, -1)
    fits = (n for n in possible if edge >> n >= at_least and _rounds_alike(stream, n))
    return next(fits, 0)


def _rounds_alike(stream: Codestream, levels: int) -> bool:
    """Say whether Pillow, which rounds to the nearest, expects as many pixels as there are."""
    nearest = ((side + 2**levels // 2) >> levels for side in (stream.rows, stream.columns))
    return stream.halved(levels) == tuple(nearest)


def decode_reduced(
    frame: Dataset, coded: bytes, stream: Codestream, levels: int
) -> npt.NDArray[np.unsignedinteger[Any]]:
    """Decode a frame at a part of its size, (rows, columns), each halved ``levels`` times.

    Values may lie slightly beyond Bits Stored.

    Raises
    ------
    ValueError
        The picture has another shape than the codestream says.
    OSError, RuntimeError
        The decoder cannot read it.
    """
    if frame.file_meta.TransferSyntaxUID in _HIGH_THROUGHPUT:
        pixels = decode_grey(coded, stream, levels)
        # undershoot below black has wrapped round to values that no film of these bits has
        pixels = np.maximum(pixels.view(f"i{pixels.dtype.itemsize}"), 0)
    else:
        with Image.open(io.BytesIO(coded)) as picture:
            picture.reduce = levels  # type: ignore[method-assign, assignment]
            pixels = np.asarray(picture)
        pixels = pixels >> (8 * pixels.dtype.itemsize - stream.bits)  # Pillow fills its type
    if pixels.shape != stream.halved(levels):
        raise ValueError(f"the reduced picture is {pixels.shape}")
    whole: npt.NDArray[np.unsignedinteger[Any]] = pixels.astype(f"u{frame.BitsAllocated // 8}")
    return whole
