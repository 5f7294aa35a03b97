"""Patient and study as the source names them, and hilum's own UIDs."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydicom import config
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID
from pydicom.valuerep import validate_value

from inference.image.header import MALFORMED

UTF8 = "ISO_IR 192"

# Groups of the header that may say something of patient, study, series or picture. Private
# groups, acquisition parameters, overlays and pixels stay out: they can only break.
KEPT_GROUPS = (0x0008, 0x0010, 0x0012, 0x0020, 0x0028, 0x0032, 0x0038, 0x0040)
KEPT_BESIDE = ("BodyPartExamined", "ViewPosition")

# Type 2 in every image and report: absent becomes empty (PS3.3 C.7.1.1, C.7.2.1).
ALWAYS_THERE = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyID",
    "ReferringPhysicianName",
)

# Elsewhere a value that breaks its representation's rule is left out: receivers refuse it.
_JUDGED = frozenset({"AS", "CS", "DA", "DS", "DT", "IS", "LO", "SH", "TM"})


@dataclass(frozen=True)
class Product:
    """The software that speaks: the equipment of every object it makes."""

    version: str
    serial: str
    manufacturer: str = "hilum"
    model_name: str = "hilum"

    def __str__(self) -> str:
        """Read as "hilum 0.1.0"."""
        return f"{self.model_name} {self.version}"


def derive_uid(*parts: object) -> UID:
    """Make the same UID of the same parts, always.

    References
    ----------
    PS3.5 B.2 (UUID derived UID); RFC 9562 5.8 (version 8: custom).
    """
    text = "|".join(str(part) for part in parts)
    digest = bytearray(hashlib.sha256(text.encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80  # version 8
    digest[8] = digest[8] & 0x3F | 0x80  # variant 10
    return UID(f"2.25.{int.from_bytes(digest, 'big')}")


def prepare_source(ds: Dataset) -> Dataset:
    """Copy a film's header so that valid objects can be made from it; no pixels.

    The patient's name, birth date and every identifier stay letter for letter, in UTF-8
    (ISO_IR 192) whatever the source's character set; bytes above 127 without a stated set are
    read as ISO_IR 100. Attributes of Type 2 that are absent become empty, other values that no
    receiver may accept (an age like "66") are left out, and a sex that is none of M, F, O
    becomes empty: not known.

    References
    ----------
    PS3.3 C.7.1.1, C.7.2.1, C.12.1.1.2.
    """
    header = _copy(ds, _is_kept)
    header.SpecificCharacterSet = UTF8
    for keyword in ALWAYS_THERE:
        if keyword not in header:
            setattr(header, keyword, "")
    sex = str(header.PatientSex or "").strip().upper()
    header.PatientSex = sex if sex in ("M", "F", "O") else ""
    return header


def _is_kept(tag: BaseTag) -> bool:
    return tag.group in KEPT_GROUPS or keyword_for_tag(tag) in KEPT_BESIDE


def _copy(ds: Dataset, is_kept: Callable[[BaseTag], bool]) -> Dataset:
    made = Dataset()
    for tag in list(ds.keys()):
        if keyword_for_tag(tag) != "SpecificCharacterSet" and is_kept(tag):
            element = _readable(ds, tag)
            if element is not None:
                made.add(element)
    return made


def _readable(ds: Dataset, tag: BaseTag) -> DataElement | None:
    """Return a copy of an element that holds decoded text; None where it is malformed."""
    try:
        element = ds[tag]
        value = _decoded(element)
        if element.VR == "SQ" and not value:
            return None  # most sequences may be absent, but not empty
        if element.VR in _JUDGED and element.keyword not in ALWAYS_THERE:
            for one in value if element.VM > 1 else [value]:
                validate_value(element.VR, str(one), config.RAISE)
    except MALFORMED:
        return None
    return DataElement(tag, element.VR, value, validation_mode=config.IGNORE)


def _decoded(element: DataElement) -> Any:
    if element.VR == "SQ":
        return [_copy(item, lambda tag: not tag.is_private) for item in element.value]
    return "" if element.is_empty else element.value
