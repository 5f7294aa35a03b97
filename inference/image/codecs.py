"""The native decoders, and the order in which they are tried.

A stream that is damaged, or made for it, can end the process that decodes it: call this only in a
decoder process (`inference.image.decoder_pool`).
"""

from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import Decoder, get_decoder

from inference.image.codestream import declared, with_rubbish_at_its_end
from inference.image.pixel_count import rle_contradiction
from inference.image.reduced import decode_reduced
from inference.image.undecodable import NotAFilm, undecodable, why_undecodable

StoredPixels = npt.NDArray[np.integer[Any]]

# by speed at 2048x2500 (docs/decisions/009-pixel-decoders.md). A damaged JPEG Baseline stream makes
# gdcm end the whole process, so gdcm is used only where it is the fastest or the only one
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
    uid.HTJ2KLossless: ("openjph", "pylibjpeg"),
    uid.HTJ2KLosslessRPCL: ("openjph", "pylibjpeg"),
    uid.HTJ2K: ("openjph", "pylibjpeg"),
}
for _syntax in (uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K):
    if "openjph" not in get_decoder(_syntax).available_plugins:
        get_decoder(_syntax).add_plugin("openjph", ("inference.image.openjph", "decode"))


def decode(frame: Dataset, coded: bytes, levels: int = 0) -> StoredPixels:
    """Decode one frame.

    Parameters
    ----------
    frame
        What describes its pixels (PS3.3 C.7.6.3), and its transfer syntax, an encapsulated one.
    coded
        Its codestream.
    levels
        How often its sides may be halved (`inference.image.reduced.levels_to_leave`).

    Returns
    -------
    array
        (rows, columns), or (rows, columns, 3) of a frame in colour: 8 or 16 bits.

    Raises
    ------
    NotAFilm
        No decoder can read it, or its data end early.
    MemoryError
        It needs more than there is.
    """
    stream = declared(coded, frame.file_meta.TransferSyntaxUID)
    if levels and stream:
        with suppress(ValueError, OSError, RuntimeError):  # the whole film then says what is wrong
            return decode_reduced(frame, coded, stream, levels)
    syntax = frame.file_meta.TransferSyntaxUID
    if syntax == uid.RLELossless and (contradiction := rle_contradiction(frame, coded)):
        raise NotAFilm(f"The pixel data ({syntax.name}) {contradiction}")
    decoder = get_decoder(syntax)
    installed = [
        plugin for plugin in DECODERS.get(syntax, ()) if plugin in decoder.available_plugins
    ]
    for plugin in installed:
        pixels = _pixels(decoder, plugin, frame, coded)
        if pixels is None or stream is None or stream.counted:
            again = pixels
        else:
            again = _pixels(decoder, plugin, frame, with_rubbish_at_its_end(coded, stream))
        if pixels is None or again is None:
            continue
        if not np.array_equal(pixels, again):
            why = "the stream is cut short: its data end before the picture"
            raise undecodable(syntax, why)
        return pixels
    raise undecodable(syntax, why_undecodable(frame, stream, installed))


def _pixels(decoder: Decoder, plugin: str, frame: Dataset, coded: bytes) -> StoredPixels | None:
    """Decode with one library; None: it cannot.

    The broad ``except`` is meant: six third-party decoders in C++, Rust and Python read bytes from
    the network here, and each raises what it likes; a panic in Rust is not even an
    ``Exception``. Their texts are left out of the reason, because they may quote the header.
    """
    frame.PixelData = encapsulate([coded], has_bot=False)
    frame["PixelData"].is_undefined_length = True
    try:
        pixels, _ = decoder.as_array(frame, index=0, decoding_plugin=plugin)
    except (MemoryError, KeyboardInterrupt, SystemExit):
        raise  # says nothing of the film
    except BaseException:
        return None
    return pixels
