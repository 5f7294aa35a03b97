"""Whether two files under one SOP Instance UID are one film: the same, corrected, or another.

A PACS sends a film again after a correction, in another transfer syntax, or with elements of its
own. The picture must be the same to the bit; then what the two headers say of the patient decides.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from inference.image.decoding import stored_pixels
from inference.image.dicom_file import read_dicom
from inference.image.header import text
from inference.image.undecodable import NotAFilm

# their pixel data are the same bytes
_LITTLE_ENDIAN = frozenset(
    (ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian)
)
# what a correction may change: whose a film is, when it was taken, and of what
CORRECTED = (
    "PatientID",
    "IssuerOfPatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "AccessionNumber",
    "StudyDate",
    "StudyTime",
    "SeriesDate",
    "SeriesTime",
    "AcquisitionDate",
    "AcquisitionTime",
    "AcquisitionDateTime",
    "ContentDate",
    "ContentTime",
    "TimezoneOffsetFromUTC",
    "BodyPartExamined",
)
# beside group 0028, what says how the picture is to be seen
_IMAGE = (
    "ImageType",
    "PatientOrientation",
    "ImageLaterality",
    "Laterality",
    "ViewPosition",
    "PixelIntensityRelationship",
    "PresentationLUTShape",
    "PresentationIntentType",
)
# of group 0028, what says how pixels are packed, or how they once were
_PACKING = ("PlanarConfiguration", "LossyImageCompression", "LossyImageCompressionRatio")
_PACKED = (*_PACKING, "LossyImageCompressionMethod")


@dataclass(frozen=True)
class Compared:
    """What two files have in common.

    ``conflict`` says why they are two films, "" when they are one; ``corrected`` names the elements
    of one film that state something else than before.
    """

    conflict: str = ""
    corrected: tuple[str, ...] = ()


def compare_files(archived: Path, received: Path) -> Compared:
    """Compare a film with what came under its UID. It never raises for what is in the files."""
    try:
        one, other = read_dicom(archived), read_dicom(received)
        conflict = _conflict(one, other)
        if conflict or (conflict := _other_pixels(one, other)):
            return Compared(conflict)
        return Compared(corrected=_corrected(one, other))
    except Exception as error:  # a parser's answer to odd bytes may be anything
        return Compared(f"the two cannot be compared ({type(error).__name__})")


def _conflict(one: Dataset, other: Dataset) -> str:
    for keyword in ("SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID"):
        if text(one, keyword) != text(other, keyword):
            return f"its {keyword} differs"
    for keyword in (*_IMAGE, *_described(one, other)):
        if _value(one, keyword) != _value(other, keyword):
            return f"its {keyword} differs"
    return ""


def _described(*headers: Dataset) -> list[str]:
    """Return the keywords of group 0028 in any of the headers."""
    found = {
        element.keyword
        for ds in headers
        for element in ds.group_dataset(0x0028)
        if element.keyword and element.VR != "SQ"
    }
    return sorted(found - set(_PACKED))


def _value(ds: Dataset, keyword: str) -> object:
    """Return a value as it can be compared, whichever transfer syntax it came in."""
    value: Any = ds.get(keyword)
    if value is None or value == "":
        return ()
    if isinstance(value, bytes):  # US or SS of a data set without explicit VR
        return tuple(int(v) for v in np.frombuffer(value[: len(value) // 2 * 2], "<u2"))
    values = value if isinstance(value, (list, tuple)) or hasattr(value, "append") else [value]
    return tuple(_plain(v) for v in values)


def _plain(value: Any) -> object:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value).strip()
    return number % 65536 if number.is_integer() and -32768 <= number < 0 else number


def _corrected(one: Dataset, other: Dataset) -> tuple[str, ...]:
    """Return the elements that state something else now; an element that is gone states nothing."""
    pairs = ((keyword, text(one, keyword), text(other, keyword)) for keyword in CORRECTED)
    return tuple(keyword for keyword, before, now in pairs if now and now != before)


def _other_pixels(one: Dataset, other: Dataset) -> str:
    """Say why the pixels are not the same; "" when they are."""
    syntaxes = [ds.file_meta.TransferSyntaxUID for ds in (one, other)]
    raw, other_raw = (bytes(ds.get("PixelData") or b"") for ds in (one, other))
    if syntaxes[0] == syntaxes[1] and raw == other_raw:
        return ""
    if _LITTLE_ENDIAN.issuperset(syntaxes):
        short, long = sorted((raw, other_raw), key=len)  # one byte may fill up to an even length
        same = long.startswith(short) and long[len(short) :] in (b"", b"\0")
        return "" if same else "its pixels differ"
    try:
        (one_pixels, _), (other_pixels, _) = (stored_pixels(ds) for ds in (one, other))
    except NotAFilm:
        return "its pixels cannot be decoded and compared"
    return "" if np.array_equal(one_pixels, other_pixels) else "its pixels differ"
