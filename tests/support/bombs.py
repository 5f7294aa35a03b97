"""Objects that are small on the wire and large in memory."""

import zlib
from functools import cache
from pathlib import Path

from films import make_film_ds
from pydicom.uid import DeflatedExplicitVRLittleEndian
from pynetdicom.dsutils import encode, split_dataset

_ZEROS = 1 << 20
_PIXELS_AT = b"\xe0\x7f\x10\x00OW\0\0"


def deflated_bomb(path: Path, *, megabytes: int = 2000, in_header: bool = False) -> Path:
    """Write a deflated film with one element of zeros, in the header or its pixels."""
    ds = make_film_ds(rows=16, columns=16)
    del ds.PixelData
    head = encode(ds, is_implicit_vr=False, is_little_endian=True)
    begins = b"\x09\x70\x10\x10OB\0\0" if in_header else _PIXELS_AT
    data = head + begins + (megabytes * _ZEROS).to_bytes(4, "little")
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = deflate.compress(data) + deflate.flush(zlib.Z_FULL_FLUSH)
    last = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS).flush()
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    ds.save_as(path, enforce_file_format=True)
    begins_at = split_dataset(path)[1]
    path.write_bytes(path.read_bytes()[:begins_at] + packed + megabytes * _block() + last)
    return path


@cache
def _block() -> bytes:
    """Return a mebibyte of zeros, deflated so that it can be repeated."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflate.compress(bytes(_ZEROS)) + deflate.flush(zlib.Z_FULL_FLUSH)
