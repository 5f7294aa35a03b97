"""Files with a data set that are not DICOM files: no preamble, or no file meta information.

Scanners' disks and old archives have them. `hilum analyse` and `hilum compare` read them; over the
network a data set comes with its transfer syntax.
"""

import shutil
from pathlib import Path

from pydicom import FileDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from inference.image.dicom_file import read_dicom
from inference.image.header import MALFORMED, text
from inference.image.undecodable import NotAFilm
from scp.archive import valid_uid
from scp.errors import Unreadable

_PREAMBLE_BYTES = 128
_MAGIC = b"DICM"
_META_GROUP = b"\x02\x00"  # always little endian, PS3.10 7.1


def copy_as_part10(source: Path, target: Path) -> None:
    """Copy a film's file; what is but a data set becomes a file of PS3.10.

    Raises
    ------
    Unreadable
        It is no data set either.
    OSError
        It cannot be read, or there is no room.
    """
    with source.open("rb") as file:
        begins = file.read(_PREAMBLE_BYTES + len(_MAGIC + _META_GROUP))
    if begins[_PREAMBLE_BYTES:] == _MAGIC + _META_GROUP:
        shutil.copyfile(source, target)
        return
    if begins.startswith(_MAGIC + _META_GROUP):  # all but the preamble is there
        target.write_bytes(bytes(_PREAMBLE_BYTES) + source.read_bytes())
        return
    try:
        ds = read_dicom(source, force=True)
        valid_uid(ds.get("SOPClassUID"), "SOPClassUID")
        valid_uid(ds.get("SOPInstanceUID"), "SOPInstanceUID")
        _name_the_encoding(ds)
        ds.save_as(target, enforce_file_format=True)
    except NotAFilm as error:
        raise Unreadable(str(error)) from error
    except (Unreadable, InvalidDicomError, *MALFORMED) as error:
        raise Unreadable("not a DICOM data set") from error


def _name_the_encoding(ds: FileDataset) -> None:
    """Fill in the file meta information as far as it is missing."""
    implicit, little = ds.original_encoding
    if not text(ds.file_meta, "TransferSyntaxUID"):
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
