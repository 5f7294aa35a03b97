"""What lets a film pass the gate but limits what may be read from it."""

from pydicom.dataset import Dataset
from pydicom.uid import UID

from inference.film import BodyPart, View, body_part_of, view_of
from inference.gate import CAPTURE_CLASSES, polarity_contradicted
from inference.header import number, text, texts
from inference.patient import age_years


def notes_of(ds: Dataset) -> tuple[str, ...]:
    """Say what lets an image pass but limits what may be read from it."""
    view, _ = view_of(ds)
    orientation = [one.upper()[:1] for one in texts(ds, "PatientOrientation")]
    notes = {
        "age not stated": age_years(ds) is None,
        "body part not stated": body_part_of(ds)[0] is BodyPart.UNKNOWN,
        "view not stated": view is View.UNKNOWN,
        "frontal film, PA or AP not stated: heart size may be magnified": view is View.FRONTAL,
        "AP film: heart size is magnified": view is View.AP,
        "portable film": _is_portable(ds),
        "stored mirrored (PatientOrientation)": orientation[:1] == ["R"],
        "stored with lossy compression": text(ds, "LossyImageCompression") == "01",
        "polarity contradicted: photometric interpretation followed": polarity_contradicted(ds),
        "Secondary Capture": UID(text(ds, "SOPClassUID")) in CAPTURE_CLASSES,
        "pixel spacing not stated": not (
            number(ds, "ImagerPixelSpacing") or number(ds, "PixelSpacing")
        ),
    }
    return tuple(note for note, holds in notes.items() if holds)


def _is_portable(ds: Dataset) -> bool:
    said = ("SeriesDescription", "StudyDescription", "ProtocolName", "StationName")
    words = " ".join(text(ds, keyword).upper() for keyword in said)
    return any(word in words for word in ("PORTABLE", "MOBILE", "BEDSIDE"))
