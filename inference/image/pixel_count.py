"""Whether there are as many pixels as the header says, where no codestream says it itself.

A header that is wrong by one column shears the picture, and no decoder objects: native pixel data
and RLE are a row of samples without a shape.

References
----------
PS3.5 8.1.1 and A.4 (native pixel data), G.3 (RLE: each segment is all bytes of one significance).
"""

import struct

from pydicom.dataset import Dataset

_HEADER_BYTES = 64  # of an RLE frame: the number of segments, and 15 offsets
_MOST_SEGMENTS = 15


def native_bytes(frame: Dataset) -> int:
    """Return how many bytes the native pixel data of a frame have, without padding."""
    expected = int(frame.Rows * frame.Columns * frame.SamplesPerPixel * frame.BitsAllocated) // 8
    return expected * 2 // 3 if frame.PhotometricInterpretation == "YBR_FULL_422" else expected


def native_contradiction(frame: Dataset, length: int) -> str:
    """Say how native pixel data of so many bytes contradict the header; "" where they do not."""
    expected = native_bytes(frame)
    stated = f"{frame.Rows} x {frame.Columns} pixels are stated"
    if length < expected:
        return f"are cut short by {expected - length} of {expected} bytes: {stated}."
    if length - expected >= _spare(frame) * frame.BitsAllocated // 8:
        return (
            f"have {length - expected} bytes more than the {expected} of the header: {stated}, of"
            f" {frame.BitsAllocated} bits, and one frame."
        )
    return ""


def rle_contradiction(frame: Dataset, coded: bytes) -> str:
    """Say how an RLE frame contradicts the header; "" where it does not, or cannot be read.

    The first segment has the highest bytes of all samples: the one that decodes fastest.
    """
    pixels, found = frame.Rows * frame.Columns, _decoded_bytes(_first_segment(coded))
    if found is None or 0 <= found - pixels < _spare(frame):
        return ""
    if found < pixels:
        return f"are cut short: they have {found} of {pixels} pixels."
    return f"have {found} pixels: {frame.Rows} x {frame.Columns} are stated."


def _spare(frame: Dataset) -> int:
    """Return the samples that are too many: fewer, at the end, are padding."""
    return int(min(frame.Rows, frame.Columns))


def _first_segment(coded: bytes) -> bytes:
    if len(coded) < _HEADER_BYTES:
        return b""
    count, first, second = struct.unpack("<3L", coded[:12])
    if not 1 <= count <= _MOST_SEGMENTS:
        return b""
    return coded[first : second if count > 1 else len(coded)]


def _decoded_bytes(segment: bytes) -> int | None:
    """Return how many bytes a segment decodes to; None where it breaks off, or is none."""
    if not segment:
        return None
    from rle.rle import decode_segment  # noqa: PLC0415 -- few films need it

    try:
        return len(decode_segment(segment))
    except ValueError:
        return None
