"""High-Throughput JPEG 2000 by OpenJPH, as a decoder of pydicom's."""

from importlib.util import find_spec

from pydicom.pixels.decoders.base import DecodeRunner
from pydicom.uid import HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL

from inference.image.codestream import declared

DECODER_DEPENDENCIES = dict.fromkeys((HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL), ("imagecodecs",))


def is_available(uid: str) -> bool:
    """Whether OpenJPH is there for a transfer syntax; pydicom asks."""
    return uid in DECODER_DEPENDENCIES and find_spec("imagecodecs") is not None


def decode(src: bytes, runner: DecodeRunner) -> bytes:
    """Decode one frame to native bytes; pydicom calls it.

    Raises
    ------
    ValueError
        The stream is lossy: imagecodecs 2026.3 lets values beyond white begin again at black.
    """
    import imagecodecs  # noqa: PLC0415 -- few films need it

    stream = declared(src, HTJ2K)
    if stream is None or not stream.lossless:
        raise ValueError("a lossy stream is for another decoder")
    pixels = imagecodecs.htj2k_decode(src)
    runner.set_option("bits_allocated", 8 * pixels.dtype.itemsize)
    made: bytes = pixels.tobytes()
    return made
