"""Convert an object to another transfer syntax, where the peer accepts that (PS3.5 10.1)."""

import io
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from inference.image.dicom_file import read_dicom
from scp.errors import HilumError

# in the order in which they are preferred
CONVERTIBLE_TO = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))


class NotConverted(HilumError):
    """An object cannot be brought into another transfer syntax; the text says why."""


def converted(path: Path, syntax: UID) -> Dataset:
    """Return an object in one of `CONVERTIBLE_TO`; compressed pixels are decompressed.

    It stays the same object: its UID is kept, and its values are.

    Raises
    ------
    NotConverted
        Its pixels cannot be decompressed, or it is not what it says.
    OSError
        It cannot be read.
    """
    content = io.BytesIO()
    try:
        ds = read_dicom(path)
        if ds.file_meta.TransferSyntaxUID.is_encapsulated:
            ds.decompress(as_rgb=False, generate_instance_uid=False)
        ds.file_meta.TransferSyntaxUID = syntax
        ds.save_as(
            content,
            implicit_vr=syntax.is_implicit_VR,
            little_endian=True,
            enforce_file_format=True,
        )
        content.seek(0)
        return dcmread(content)
    except OSError:
        raise
    except Exception as error:  # a decoder's or a parser's answer to odd bytes may be anything
        raise NotConverted(f"to {syntax.name}: {type(error).__name__}") from error
