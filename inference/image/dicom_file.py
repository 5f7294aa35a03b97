"""Read DICOM files; deflated ones are inflated in pieces, and no further than they may.

Deflate packs a thousand bytes into one: 2 MB could become 2 GB in memory.
"""

import io
import zlib
from pathlib import Path
from typing import BinaryIO

from pydicom import FileDataset, dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from inference.image.undecodable import NotAFilm

MOST_INFLATED_BYTES = 512_000_000  # ten times the largest film there is
MOST_HEADER_BYTES = 64_000_000  # of those, before the pixels: there is room for 16 overlays
_PIECE_BYTES = 1 << 18
_PREAMBLE_BYTES = 128
_PIXEL_DATA = (0x7FE00008, 0x7FE00009, 0x7FE00010)  # PixelData and its kin of floating point


def read_dicom(path: Path, *, stop_before_pixels: bool = False, force: bool = False) -> FileDataset:
    """Read a Part 10 file as `pydicom.dcmread` does.

    Parameters
    ----------
    stop_before_pixels
        Return the header alone.
    force
        Read a file without preamble and file meta information too.

    Raises
    ------
    NotAFilm
        Its data set is deflated and damaged, or inflates to more than `MOST_INFLATED_BYTES`, or
        its header to more than `MOST_HEADER_BYTES`.
    InvalidDicomError
        It is no DICOM file.

    References
    ----------
    PS3.5 A.5 (Deflated Explicit VR Little Endian).
    """
    with path.open("rb") as file:
        meta = _file_meta(file)
        if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
            return dcmread(path, stop_before_pixels=stop_before_pixels, force=force)
        begins = file.tell()
        if stop_before_pixels:
            _require_whole(file)
            file.seek(begins)
        most = MOST_HEADER_BYTES if stop_before_pixels else MOST_INFLATED_BYTES
        inflated = _Inflated(file, most)
        ds = read_dataset(
            inflated,  # type: ignore[arg-type]  # all of BinaryIO that is called is there
            is_implicit_VR=False,
            is_little_endian=True,
            stop_when=_at_pixels if stop_before_pixels else None,
        )
        if not stop_before_pixels:
            inflated.read()
    read = FileDataset(path, ds, _preamble(path), FileMetaDataset(meta), False, True)
    read.set_original_encoding(False, True, ds._character_set)
    return read


def _file_meta(file: BinaryIO) -> Dataset:
    """Read to the end of the file meta information; an empty Dataset where there is none."""
    if not file.read(_PREAMBLE_BYTES + 4).endswith(b"DICM"):
        file.seek(0)
    try:
        return read_dataset(file, False, True, stop_when=_after_meta)
    except Exception:  # whatever it is, `dcmread` is to say so
        return Dataset()


def _preamble(path: Path) -> bytes | None:
    with path.open("rb") as file:
        begins = file.read(_PREAMBLE_BYTES + 4)
    return begins[:_PREAMBLE_BYTES] if begins.endswith(b"DICM") else None


def _after_meta(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag.group != 2


def _at_pixels(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag in _PIXEL_DATA


def _require_whole(file: BinaryIO) -> None:
    """Inflate to the end and keep nothing. Raises `NotAFilm`."""
    pieces = _Pieces(file, MOST_INFLATED_BYTES)
    while pieces.next():
        pass


class _Pieces:
    """What a deflated stream holds, piece by piece."""

    def __init__(self, file: BinaryIO, most_bytes: int) -> None:
        self._file, self._most_bytes = file, most_bytes
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._total = 0

    def next(self) -> bytes:
        """Return the next piece; empty at the end. Raises `NotAFilm`."""
        while not self._inflater.eof:
            packed = self._inflater.unconsumed_tail or self._file.read(_PIECE_BYTES)
            try:
                piece = self._inflater.decompress(packed, _PIECE_BYTES)
            except zlib.error as error:
                raise NotAFilm("its deflated data set is damaged") from error
            self._total += len(piece)
            if self._total > self._most_bytes:
                raise NotAFilm(
                    f"its deflated data set inflates to more than {self._most_bytes // 1_000_000}"
                    " MB, which no film does"
                )
            if piece:
                return piece
            if not packed and not self._inflater.eof:
                raise NotAFilm("its deflated data set breaks off")
        return b""


class _Inflated(io.RawIOBase):
    """A deflated stream as a file that is inflated as far as it is read."""

    def __init__(self, file: BinaryIO, most_bytes: int) -> None:
        self._pieces = _Pieces(file, most_bytes)
        self._here = io.BytesIO()
        self._size = 0

    def tell(self) -> int:
        """Return the offset within what is inflated."""
        return self._here.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to an offset within what is inflated."""
        if whence == io.SEEK_END:
            self._inflate()
        return self._here.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        """Read so many bytes; all that is left where ``size`` is negative."""
        self._inflate(self.tell() + size if size >= 0 else None)
        return self._here.read(size)

    def _inflate(self, until: int | None = None) -> None:
        here = self.tell()
        self._here.seek(0, io.SEEK_END)
        while (until is None or self._size < until) and (piece := self._pieces.next()):
            self._size += self._here.write(piece)
        self._here.seek(here)
