"""Headers as careless senders write them, and the outcome of the input check."""

import copy

from films import make_film_ds
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ComputedRadiographyImageStorage

from inference.image.gate import check_header
from inference.image.gate_settings import GateSettings
from inference.image.view import view_of

DEFAULT = GateSettings()
SILENT = {
    "BodyPartExamined": "CHEST",
    "PatientOrientation": "",
    "SeriesDescription": "",
    "StudyDescription": "",
    "ViewPosition": "",
}


def silent_header() -> Dataset:
    """Make the header of a chest film that says nothing of its view."""
    ds = make_film_ds(rows=16, columns=16, sop_class=ComputedRadiographyImageStorage, **SILENT)
    del ds.PixelData
    return ds


def header(plain, **values) -> Dataset:
    """Return the film's header with other values, as a careless sender writes them."""
    ds = copy.deepcopy(plain)
    for keyword, value in values.items():
        if isinstance(value, str):
            tag, raw = Tag(keyword), value.encode()
            ds[tag] = RawDataElement(tag, dictionary_VR(tag), len(raw), raw, 0, False, True)
        else:
            setattr(ds, keyword, value)
    return ds


def outcome(ds, settings=DEFAULT) -> str:
    """Return the view that is read, or the reason why none is."""
    refusal = check_header(ds, settings)
    return refusal.reason.value if refusal else view_of(ds, settings.vocabulary).view.value
