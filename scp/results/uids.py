"""The UIDs of results, derived from their contents: other bytes are another object, always.

What the bytes depend on (films and their headers, network, settings, what was applied, notes,
moment, product and installation) need not be listed here, and nothing can be forgotten.
"""

import hashlib
import io
from collections.abc import Sequence

from pydicom.dataset import Dataset
from pydicom.uid import UID

from scp.results.answer import ResultObject
from scp.results.identity import derive_uid
from scp.results.kinds import Kind

# placeholder for an object's own UIDs until its contents are complete
UNNAMED = UID("2.25.0")


def named(kind: Kind, *series: Dataset) -> list[ResultObject]:
    """Return the objects of one series with their UIDs; all else must be in them already."""
    give_uids(series)
    return [ResultObject(kind.name, ds) for ds in series]


def give_uids(series: Sequence[Dataset]) -> None:
    """Write the UIDs of a series' objects into them.

    The series is named after its first object, and each object after the series and its own
    contents. So the same contents keep their UIDs, and a series that gets one more object keeps
    its others.

    References
    ----------
    PS3.5 9.1 (a UID identifies one object, for good).
    """
    sums = [hashlib.sha256(to_bytes(ds)).hexdigest() for ds in series]
    series_uid = derive_uid("series", sums[0])
    for ds, contents in zip(series, sums, strict=True):
        uid = derive_uid("instance", series_uid, contents)
        ds.SeriesInstanceUID = series_uid
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = uid
        dimensions = derive_uid("dimensions", uid)
        for keyword in ("DimensionOrganizationSequence", "DimensionIndexSequence"):
            for item in ds.get(keyword) or ():
                item.DimensionOrganizationUID = dimensions


def to_bytes(ds: Dataset) -> bytes:
    """Encode an object as a file (PS3.10)."""
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()
