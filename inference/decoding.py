"""Encoded pixel data -> the stored values of one grey frame."""

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder

from inference.header import number, text

StoredPixels = npt.NDArray[np.integer[Any]]


class NotAFilm(ValueError):
    """The object cannot be decoded to one grey image; the text says why, naming no patient."""


# decoders in the order in which they are tried: by speed at 2048x2500 (docs/design.md, "pixel
# decoders"). gdcm ends the whole process on a damaged JPEG Baseline stream, so it stands only
# where it is the fastest or the only one. A syntax that is not here has pydicom's own decoder
DECODERS: dict[str, tuple[str, ...]] = {
    uid.RLELossless: ("pylibjpeg", "pydicom"),
    uid.JPEGBaseline8Bit: ("pillow",),
    uid.JPEGExtended12Bit: ("pylibjpeg", "pillow"),  # pillow: those that have 8 bits
    uid.JPEGLossless: ("gdcm", "pylibjpeg"),
    uid.JPEGLosslessSV1: ("gdcm", "pylibjpeg"),
    uid.JPEGLSLossless: ("pyjpegls",),
    uid.JPEGLSNearLossless: ("pyjpegls",),
    uid.JPEG2000Lossless: ("gdcm", "pylibjpeg"),
    uid.JPEG2000: ("gdcm", "pylibjpeg"),
    uid.HTJ2KLossless: ("pylibjpeg",),
    uid.HTJ2KLosslessRPCL: ("pylibjpeg",),
    uid.HTJ2K: ("pylibjpeg",),
}

# no X-ray detector has more: 43 x 43 cm at 0.05 mm. A header that claims more asks for memory
MAXIMUM_PIXELS = 75_000_000

# JPEG stored as colour comes back with this much rounding between channels that were equal
GREY_TOLERANCE = 4


def stored_pixels(ds: Dataset) -> tuple[StoredPixels, str]:
    """Decode the one frame of an object.

    Returns
    -------
    tuple
        (rows, columns) integers of 8 or 16 bits as stored, and the photometric interpretation
        they have: MONOCHROME1 or MONOCHROME2 (a grey picture stored as colour is MONOCHROME2).

    Raises
    ------
    NotAFilm
        When it has no pixels, several frames, true colour, or cannot be decoded.
    """
    _check_layout(ds)
    pixels, photometric = _decode(ds)
    if pixels.ndim == 3:
        return _grey_of_colour(pixels), "MONOCHROME2"
    if photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise NotAFilm(f"The photometric interpretation {photometric} is not grey.")
    return pixels, photometric


def _check_layout(ds: Dataset) -> None:
    if "PixelData" not in ds:
        raise NotAFilm("The object holds no pixel data.")
    frames = number(ds, "NumberOfFrames") or 1
    if frames > 1:
        raise NotAFilm(f"The object holds {frames:.0f} frames; a film has one.")
    pixels = (number(ds, "Rows") or 0) * (number(ds, "Columns") or 0)
    if not 0 < pixels <= MAXIMUM_PIXELS:
        raise NotAFilm("Rows and Columns are missing, or larger than any film.")
    allocated, stored = number(ds, "BitsAllocated"), number(ds, "BitsStored")
    if allocated not in (8, 16):
        raise NotAFilm("Bits Allocated is neither 8 nor 16.")
    high_bit = number(ds, "HighBit")
    if stored is not None and high_bit is not None and high_bit > stored - 1:
        # allowed until 2009: values in the upper bits. Which bits are meant is a guess today
        raise NotAFilm(f"High Bit {high_bit:.0f} does not fit Bits Stored {stored:.0f}.")


def _decode(ds: Dataset) -> tuple[StoredPixels, str]:
    """Decode with the first of `DECODERS` that can.

    The broad ``except`` is meant: five third-party decoders in C++, Rust and Python read bytes
    from the network here, and each raises what it likes; a panic in Rust is not even an
    ``Exception``. Their texts are left out of the reason, because they may quote the header.
    """
    syntax = uid.UID(text(getattr(ds, "file_meta", Dataset()), "TransferSyntaxUID"))
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise NotAFilm(f"The transfer syntax {syntax or 'is absent'} cannot be decoded.") from None
    failures = []
    for plugin in DECODERS.get(syntax, ("",)):
        if plugin and plugin not in decoder.available_plugins:
            continue
        try:
            pixels, meta = decoder.as_array(ds, index=0, decoding_plugin=plugin)
        except (MemoryError, KeyboardInterrupt, SystemExit):
            raise  # says nothing of the film
        except BaseException as error:
            failures.append(type(error).__name__)
        else:
            return pixels, str(meta["photometric_interpretation"])
    why = ", ".join(failures) or "its decoder is not installed"
    raise NotAFilm(f"The pixel data ({syntax.name}) cannot be decoded: {why}.")


def _grey_of_colour(pixels: StoredPixels) -> StoredPixels:
    """Return one channel of (rows, columns, 3) when the channels agree, as in scanned films."""
    if pixels.dtype != np.uint8:
        raise NotAFilm("The image has colour of more than 8 bits.")
    spread = pixels.max(axis=-1) - pixels.min(axis=-1)
    if spread.max() > GREY_TOLERANCE:
        raise NotAFilm("The image is in colour.")
    return np.ascontiguousarray(pixels[..., 1])
