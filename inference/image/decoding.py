"""Encoded pixel data -> the stored values of one grey frame."""

from contextlib import suppress
from copy import copy
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import Decoder, get_decoder

from inference.image.codestream import (
    Codestream,
    declared,
    frame_of,
    with_rubbish_at_its_end,
    without_remarks,
)
from inference.image.header import number, text
from inference.image.reduced import decode_reduced, levels_to_leave
from inference.image.stored_bits import within_bits_stored
from inference.image.undecodable import why_undecodable

StoredPixels = npt.NDArray[np.integer[Any]]


class NotAFilm(ValueError):
    """The object cannot be decoded to one grey image; the text says why, naming no patient."""


# decoders in the order in which they are tried: by speed at 2048x2500
# (docs/decisions/009-pixel-decoders.md). A damaged JPEG Baseline stream makes gdcm end the whole
# process, so gdcm is used only where it is the fastest or the only one. pydicom's own decoder
# decodes every other syntax
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

# no X-ray detector has more: 43 x 43 cm at 0.05 mm. A header that claims more asks for memory
MAXIMUM_PIXELS = 75_000_000

# JPEG stored as colour comes back with this much rounding between channels that were equal
GREY_TOLERANCE = 4

_ITEM = b"\xfe\xff\x00\xe0"  # of encapsulated pixel data
_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff")  # JPEG and JPEG-LS; JPEG 2000
_LAYOUT = ("SamplesPerPixel", "BitsAllocated", "BitsStored", "PixelRepresentation")
_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_422")


def stored_pixels(ds: Dataset, at_least: int = 0) -> tuple[StoredPixels, str]:
    """Decode the one frame of an object.

    Parameters
    ----------
    at_least
        Pixels that the long edge must have: JPEG 2000 may then be decoded at a half, a quarter, ...
        of its size (`inference.image.reduced`). 0: as it is stored.

    Returns
    -------
    tuple
        (rows, columns) integers of 8 or 16 bits as stored, without what stands in their unused
        bits, and the photometric interpretation they have: MONOCHROME1 or MONOCHROME2 (a grey
        picture stored as colour is MONOCHROME2).

    Raises
    ------
    NotAFilm
        When it has no pixels, several frames, true colour, or cannot be decoded.
    """
    photometric = _check_layout(ds)
    frame, coded = _one_frame(ds, photometric)
    stream = declared(coded, frame.file_meta.TransferSyntaxUID) if coded else None
    _check_stream(frame, stream)
    if (
        at_least
        and stream
        and stream.counted
        and (levels := levels_to_leave(ds, frame, coded, stream, at_least))
    ):
        with suppress(ValueError, OSError, RuntimeError):  # the whole film then says what is wrong
            reduced = decode_reduced(frame, coded, stream, levels)
            return within_bits_stored(reduced, frame.BitsStored, exact=False), photometric
    pixels = _decode(frame, coded, stream)
    if pixels.ndim == 3:
        return _grey_of_colour(pixels), "MONOCHROME2"
    exact = stream is None or stream.lossless
    return within_bits_stored(pixels, frame.BitsStored, exact=exact), photometric


def _check_layout(ds: Dataset) -> str:
    """Check the elements that describe the pixels; return the photometric interpretation."""
    if "PixelData" not in ds:
        raise NotAFilm("The object holds no pixel data.")
    frames = number(ds, "NumberOfFrames") or 1
    if frames > 1:
        raise NotAFilm(f"The object holds {frames:.0f} frames; a film has one.")
    pixels = (number(ds, "Rows") or 0) * (number(ds, "Columns") or 0)
    if not 0 < pixels <= MAXIMUM_PIXELS:
        raise NotAFilm("Rows and Columns are missing, or larger than any film.")
    for keyword in _LAYOUT:
        if number(ds, keyword) is None:
            raise NotAFilm(f"{keyword} is missing or no number; the pixels cannot be told apart.")
    allocated, stored = number(ds, "BitsAllocated"), number(ds, "BitsStored")
    if allocated not in (8, 16):
        raise NotAFilm("Bits Allocated is neither 8 nor 16.")
    if stored is None or not 1 <= stored <= allocated:
        raise NotAFilm(f"Bits Stored {stored} does not fit Bits Allocated {allocated:.0f}.")
    if number(ds, "SamplesPerPixel") not in (1, 3):
        raise NotAFilm("Samples per Pixel is neither 1 nor 3.")
    if number(ds, "PixelRepresentation") not in (0, 1):
        raise NotAFilm("Pixel Representation is neither 0 nor 1.")
    high_bit = number(ds, "HighBit")
    if high_bit is not None and high_bit > stored - 1:
        # allowed until 2009: values in the upper bits. Which bits are meant is a guess today
        raise NotAFilm(f"High Bit {high_bit:.0f} does not fit Bits Stored {stored:.0f}.")
    return _photometric(ds)


def _photometric(ds: Dataset) -> str:
    """Return the photometric interpretation as the Standard writes it: "monochrome2 " too."""
    stated = text(ds, "PhotometricInterpretation")
    known = stated.upper()
    if known in (*_GREY, *_COLOUR):
        return known
    if not stated:
        raise NotAFilm("Photometric Interpretation is missing: which end is white is not known.")
    raise NotAFilm(f"The photometric interpretation {stated[:16]!r} is not grey, or not known.")


def _one_frame(ds: Dataset, photometric: str) -> tuple[Dataset, bytes]:
    """Return what a decoder needs of an object, in the Standard's terms, with one frame.

    And the frame's codestream; b"" where the pixels are not encapsulated.
    """
    syntax = uid.UID(text(getattr(ds, "file_meta", Dataset()), "TransferSyntaxUID"))
    try:
        get_decoder(syntax)
    except NotImplementedError:
        raise NotAFilm(f"The transfer syntax {syntax or 'is absent'} cannot be decoded.") from None
    frame = Dataset()
    for keyword in ("Rows", "Columns", *_LAYOUT, "PlanarConfiguration"):
        if (stated := number(ds, keyword)) is not None:
            setattr(frame, keyword, int(stated))
    frame.HighBit = frame.BitsStored - 1
    frame.PhotometricInterpretation = photometric
    frame.file_meta = FileMetaDataset()
    frame.file_meta.TransferSyntaxUID = syntax
    data, coded = ds.PixelData, b""
    if syntax.is_encapsulated:
        coded = _joined(data, syntax)
        if syntax in (uid.JPEGLossless, uid.JPEGLosslessSV1):
            coded = without_remarks(coded)
        data = encapsulate([coded], has_bot=False)
    else:
        if data[:4] == _ITEM and len(data) >= 8:
            at = 8 + int.from_bytes(data[4:8], "little")
            if data[at : at + 4] == _ITEM:
                raise NotAFilm(f"The pixel data are encapsulated; {syntax.name} is not.")
        _check_length(frame, len(data))
    frame.add_new("PixelData", ds["PixelData"].VR, data)
    frame["PixelData"].is_undefined_length = syntax.is_encapsulated
    return frame, coded


def _joined(data: bytes, syntax: uid.UID) -> bytes:
    """Return all fragments as one frame."""
    if data[:4] == _ITEM and data[8:11] in _STARTS:  # offsets never begin so: they are even
        why = "have no item for the Basic Offset Table"
        raise NotAFilm(f"The pixel data ({syntax.name}) {why}.")
    try:
        frame = frame_of(data)
    except (ValueError, IndexError):  # an item breaks off
        text = f"The pixel data ({syntax.name}) are cut short: an item breaks off."
        raise NotAFilm(text) from None
    if not frame:
        raise NotAFilm(f"The pixel data ({syntax.name}) are empty.")
    return frame


def _check_length(frame: Dataset, length: int) -> None:
    expected = frame.Rows * frame.Columns * frame.SamplesPerPixel * frame.BitsAllocated // 8
    if frame.PhotometricInterpretation == "YBR_FULL_422":
        expected = expected * 2 // 3
    if length < expected:
        raise NotAFilm(
            f"The pixel data are cut short by {expected - length} of {expected} bytes: "
            f"{frame.Rows} x {frame.Columns} pixels are stated."
        )


def _decode(frame: Dataset, coded: bytes, stream: Codestream | None) -> StoredPixels:
    """Decode with the first of `DECODERS` that can; refuse a stream whose data end early.

    The broad ``except`` is meant: six third-party decoders in C++, Rust and Python read bytes from
    the network here, and each raises what it likes; a panic in Rust is not even an
    ``Exception``. Their texts are left out of the reason, because they may quote the header.
    """
    syntax = frame.file_meta.TransferSyntaxUID
    decoder = get_decoder(syntax)
    installed = _installed(decoder, syntax)
    for plugin in installed:
        try:
            pixels, _ = decoder.as_array(frame, index=0, decoding_plugin=plugin)
            if stream is None or stream.counted:
                return pixels
            longer = _with_other_data(frame, with_rubbish_at_its_end(coded, stream))
            again, _ = decoder.as_array(longer, index=0, decoding_plugin=plugin)
        except (MemoryError, KeyboardInterrupt, SystemExit):
            raise  # says nothing of the film
        except BaseException:
            continue
        if not np.array_equal(pixels, again):
            raise _undecodable("the stream is cut short: its data end before the picture", decoder)
        return pixels
    raise _undecodable(why_undecodable(frame, stream, installed), decoder)


def _with_other_data(frame: Dataset, coded: bytes) -> Dataset:
    other = copy(frame)
    other["PixelData"] = copy(frame["PixelData"])
    other["PixelData"].value = encapsulate([coded], has_bot=False)
    return other


def _undecodable(why: str, decoder: Decoder) -> NotAFilm:
    return NotAFilm(f"The pixel data ({decoder.UID.name}) cannot be decoded: {why}.")


def _installed(decoder: Decoder, syntax: uid.UID) -> list[str]:
    wanted = DECODERS.get(syntax, ("",))
    return [plugin for plugin in wanted if not plugin or plugin in decoder.available_plugins]


def _check_stream(frame: Dataset, stream: Codestream | None) -> None:
    """Refuse a stream of another size before memory is asked for it, and one that is damaged.

    gdcm ends the whole process on markers that cannot be read (C++ exception through C).
    """
    decoder = get_decoder(frame.file_meta.TransferSyntaxUID)
    if stream is None:
        if decoder.UID.is_encapsulated and uid.RLELossless != decoder.UID:
            raise _undecodable("the stream has no readable header", decoder)
        return
    if (stream.rows, stream.columns) != (frame.Rows, frame.Columns):
        raise NotAFilm(
            f"The stream has {stream.rows} x {stream.columns} pixels, "
            f"the header says {frame.Rows} x {frame.Columns}."
        )
    if stream.lack:
        raise _undecodable(stream.lack, decoder)
    if frame.BitsStored < stream.bits < frame.BitsAllocated:
        # with as many as are allocated, overlays may stand above Bits Stored (retired in 2004)
        raise NotAFilm(
            f"The stream has {stream.bits} bits a sample, the header says {frame.BitsStored}: "
            "which greys are meant is not known."
        )
    if stream.bits > frame.BitsAllocated:
        raise NotAFilm(
            f"The stream has {stream.bits} bits a sample, the header allots {frame.BitsAllocated}."
        )


def _grey_of_colour(pixels: StoredPixels) -> StoredPixels:
    """Return one channel of (rows, columns, 3) when the channels agree, as in scanned films."""
    if pixels.dtype != np.uint8:
        raise NotAFilm("The image has colour of more than 8 bits.")
    spread = pixels.max(axis=-1) - pixels.min(axis=-1)
    if spread.max() > GREY_TOLERANCE:
        raise NotAFilm("The image is in colour.")
    return np.ascontiguousarray(pixels[..., 1])
