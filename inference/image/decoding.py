"""Encoded pixel data -> the stored values of one grey frame."""

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.decoders.base import get_decoder

from inference.image.codecs import StoredPixels
from inference.image.codestream import Codestream, declared, frame_of, without_remarks
from inference.image.decoder_pool import decode_apart
from inference.image.header import number, text, value
from inference.image.pixel_count import native_bytes, native_contradiction
from inference.image.reduced import levels_to_leave
from inference.image.stored_bits import within_bits_stored
from inference.image.undecodable import NotAFilm, undecodable

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
        (rows, columns) integers of 8 or 16 bits as stored, without the content of their unused
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
    levels = levels_to_leave(ds, frame, coded, stream, at_least) if at_least else 0
    pixels = decode_apart(frame, coded, levels) if coded else _native(frame)
    if pixels.ndim == 3:
        return _grey_of_colour(pixels), "MONOCHROME2"
    reduced = pixels.shape != (frame.Rows, frame.Columns)
    exact = not reduced and (stream is None or stream.lossless)
    return within_bits_stored(pixels, frame.BitsStored, exact=exact), photometric


def _check_layout(ds: Dataset) -> str:
    """Check the elements that describe the pixels; return the photometric interpretation."""
    if not value(ds, "PixelData"):
        raise NotAFilm("The object holds no pixel data.")
    frames = number(ds, "NumberOfFrames") or 1
    if frames > 1:
        raise NotAFilm(f"The object holds {frames:.0f} frames; a film has one.")
    pixels = (number(ds, "Rows") or 0) * (number(ds, "Columns") or 0)
    if not 0 < pixels <= MAXIMUM_PIXELS:
        raise NotAFilm("Rows and Columns are missing, or larger than any film.")
    for keyword in _LAYOUT:
        if number(ds, keyword) is None:
            raise NotAFilm(f"{keyword} is missing or not a number; the pixels cannot be read.")
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
        raise NotAFilm("Photometric Interpretation is missing: which end is white is unknown.")
    raise NotAFilm(f"The photometric interpretation {stated[:16]!r} is not grey, or unknown.")


def _one_frame(ds: Dataset, photometric: str) -> tuple[Dataset, bytes]:
    """Return what a decoder needs of an object, in the Standard's terms, with one frame.

    And the frame's codestream; b"" where the pixels are not encapsulated.
    """
    syntax = uid.UID(text(getattr(ds, "file_meta", Dataset()), "TransferSyntaxUID"))
    try:
        get_decoder(syntax)
    except NotImplementedError:
        if not syntax:
            raise NotAFilm("The transfer syntax is absent: nothing says how to decode.") from None
        raise NotAFilm(f"The transfer syntax {syntax} cannot be decoded.") from None
    frame = Dataset()
    for keyword in ("Rows", "Columns", *_LAYOUT, "PlanarConfiguration"):
        if (stated := number(ds, keyword)) is not None:
            setattr(frame, keyword, int(stated))
    frame.HighBit = frame.BitsStored - 1
    frame.PhotometricInterpretation = photometric
    frame.file_meta = FileMetaDataset()
    frame.file_meta.TransferSyntaxUID = syntax
    data = ds.PixelData
    if syntax.is_encapsulated:
        coded = _joined(data, syntax)
        without = syntax in (uid.JPEGLossless, uid.JPEGLosslessSV1)
        return frame, without_remarks(coded) if without else coded
    if data[:4] == _ITEM and len(data) >= 8:
        at = 8 + int.from_bytes(data[4:8], "little")
        if data[at : at + 4] == _ITEM:
            raise NotAFilm(f"The pixel data are encapsulated; {syntax.name} is not.")
    if contradiction := native_contradiction(frame, len(data)):
        raise NotAFilm(f"The pixel data {contradiction}")
    size = native_bytes(frame)
    frame.add_new("PixelData", ds["PixelData"].VR, data[: size + size % 2])
    return frame, b""


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


def _native(frame: Dataset) -> StoredPixels:
    syntax = frame.file_meta.TransferSyntaxUID
    try:
        pixels, _ = get_decoder(syntax).as_array(frame, index=0)
    except (ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise undecodable(syntax, "they are damaged") from error
    return pixels


def _check_stream(frame: Dataset, stream: Codestream | None) -> None:
    """Refuse a stream of another size before memory is asked for it, and one that is damaged.

    gdcm ends the whole process on markers that cannot be read (C++ exception through C).
    """
    decoder = get_decoder(frame.file_meta.TransferSyntaxUID)
    if stream is None:
        if decoder.UID.is_encapsulated and uid.RLELossless != decoder.UID:
            raise undecodable(decoder.UID, "the stream has no readable header")
        return
    if (stream.rows, stream.columns) != (frame.Rows, frame.Columns):
        raise NotAFilm(
            f"The stream has {stream.rows} x {stream.columns} pixels, "
            f"the header says {frame.Rows} x {frame.Columns}."
        )
    if stream.lack:
        raise undecodable(decoder.UID, stream.lack)
    if frame.BitsStored < stream.bits < frame.BitsAllocated:
        # with as many as are allocated, overlays may stand above Bits Stored (retired in 2004)
        raise NotAFilm(
            f"The stream has {stream.bits} bits a sample, the header says {frame.BitsStored}: "
            "which greys are meant is unknown."
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
