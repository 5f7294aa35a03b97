"""High-Throughput JPEG 2000 by OpenJPH, as a decoder of pydicom's."""

from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.pixels.decoders.base import DecodeRunner
from pydicom.uid import HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL

from inference.image.codestream import Codestream, declared

DECODER_DEPENDENCIES = dict.fromkeys((HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL), ("imagecodecs",))


def is_available(uid: str) -> bool:
    """Whether OpenJPH is there for a transfer syntax; pydicom asks."""
    return uid in DECODER_DEPENDENCIES and find_spec("imagecodecs") is not None


def decode(src: bytes, runner: DecodeRunner) -> bytes:
    """Decode one frame to native bytes; pydicom calls it.

    Raises
    ------
    ValueError
        The stream is lossy: imagecodecs 2026.3 lets values beyond white begin again at black. Or
        it is in colour, or damaged.
    """
    stream = declared(src, HTJ2K)
    if stream is None or not stream.lossless or stream.components != 1:
        raise ValueError("a lossy stream, and one in colour, is for another decoder")
    pixels = decode_grey(src, stream)
    runner.set_option("bits_allocated", 8 * pixels.dtype.itemsize)
    made: bytes = pixels.tobytes()
    return made


def decode_grey(coded: bytes, stream: Codestream, levels: int = 0) -> npt.NDArray[np.integer[Any]]:
    """Decode a High-Throughput JPEG 2000 stream of one component, as (rows, columns).

    Both sides are halved ``levels`` times, rounded up. imagecodecs 2026.3 drops the error of a
    damaged stream, and leaves the rows black that were not decoded. Where the last one is black,
    another decoder must say whether it really is.

    Raises
    ------
    ValueError, RuntimeError
        The stream is damaged, or its last row is black.
    """
    import imagecodecs  # noqa: PLC0415 -- few films need it

    kind = "i" if stream.signed else "u"
    memory = np.zeros(stream.halved(levels), f"{kind}{stream.sample_bytes}")
    imagecodecs.htj2k_decode(coded, skipres=levels or None, out=memory)
    if not memory[-1].any():
        raise ValueError("the last row is black, or was not decoded")
    return memory
