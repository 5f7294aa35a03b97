"""Make pydicom read elements as DCMTK does where a sender wrote an impossible VR or length.

Imported by `inference.image.header` for its effect: it holds for the whole process. Without it one
such element costs the film: an unknown VR is taken for implicit VR, and its length for one that
swallows the rest of the data set.
"""

from typing import Any

from pydicom import config, hooks
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.valuerep import VR

_KNOWN = {vr.value for vr in VR}
# bytes of one value of the binary VRs (PS3.5 Table 6.2-1)
_BYTES = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "AT": 4, "FD": 8, "SV": 8, "UV": 8}


def _vr_of(raw: RawDataElement, data: dict[str, Any], **more: Any) -> None:
    """Take the dictionary's VR where the file's is none or cannot be; else keep the bytes."""
    if raw.VR is not None and not _can_be(raw, raw.VR):
        try:
            raw = raw._replace(VR=dictionary_VR(raw.tag))
        except KeyError:
            raw = raw._replace(VR=VR.UN)
        if not _can_be(raw, raw.VR):  # as "US or SS", or no whole number of values either
            raw = raw._replace(VR=VR.UN)
    hooks.raw_element_vr(raw, data, **more)


def _can_be(raw: RawDataElement, vr: str | None) -> bool:
    return vr in _KNOWN and len(raw.value or b"") % _BYTES.get(str(vr), 1) == 0


config.assume_implicit_vr_switch = False  # an unknown VR has a length of two bytes (PS3.5 7.1.2)
hooks.hooks.register_callback("raw_element_vr", _vr_of)
