"""What the header says of projection and body part, and where it says so.

From most to least reliable: codes, defined terms, orientation, free text.

References
----------
PS3.16 CID 4010 (views), CID 4009 (anatomic regions); PS3.3 C.8.1.2 (View Position of CR),
C.8.11.5 (DX positioning), C.7.6.1.1.1 (Patient Orientation). SRT codes are those that CID 4010
carried before SNOMED CT replaced them.
"""

import re
from enum import StrEnum

from pydicom.dataset import Dataset

from inference.header import items, text, texts


class View(StrEnum):
    """The projection, as far as the header tells."""

    PA = "PA"
    AP = "AP"
    FRONTAL = "frontal"
    LATERAL = "lateral"
    OBLIQUE = "oblique"
    UNKNOWN = "unknown"


# what is compared; a film of unstated view is taken for frontal once the gate has let it through
FRONTAL = frozenset({View.PA, View.AP, View.FRONTAL, View.UNKNOWN})


def same_projection(one: str, other: str) -> bool:
    """Say whether two views are known to be the same: "frontal" twice may be PA and AP."""
    return one == other and one in (View.PA, View.AP)


class BodyPart(StrEnum):
    """The part of the body, as far as it matters here."""

    CHEST = "chest"
    OTHER = "other"
    UNKNOWN = "unknown"


VIEW_CODES: dict[str, View] = {
    # SCT
    "272479007": View.PA,  # postero-anterior
    "399348003": View.AP,  # antero-posterior, although lists in the field call it PA
    "399033003": View.FRONTAL,
    "399067008": View.LATERAL,
    "399173006": View.LATERAL,  # left lateral
    "399198007": View.LATERAL,  # right lateral
    "399260004": View.LATERAL,  # medial-lateral
    "399352003": View.LATERAL,  # lateral-medial
    "399182000": View.OBLIQUE,
    "399059000": View.OBLIQUE,  # postero-anterior oblique
    "399312000": View.OBLIQUE,  # antero-posterior oblique
    "399160007": View.OBLIQUE,  # frontal oblique
    "399135007": View.OBLIQUE,  # left anterior oblique
    "399356000": View.OBLIQUE,  # right anterior oblique
    "399006002": View.OBLIQUE,  # left posterior oblique
    "399038007": View.OBLIQUE,  # right posterior oblique
    "399184004": View.OBLIQUE,  # left oblique
    "399236003": View.OBLIQUE,  # right oblique
    # SRT
    "R-10214": View.PA,  # both are met in the field
    "R-40888": View.PA,
    "R-10206": View.AP,
    "R-10202": View.FRONTAL,
    "R-102CD": View.LATERAL,
    "R-10236": View.LATERAL,
    "R-10232": View.LATERAL,
    "R-102C1": View.OBLIQUE,
    "R-10216": View.OBLIQUE,
    "R-10208": View.OBLIQUE,
    "R-10204": View.OBLIQUE,
    "R-10220": View.OBLIQUE,
}

VIEW_POSITIONS: dict[str, View] = {
    "PA": View.PA,
    "AP": View.AP,
    "LL": View.LATERAL,
    "RL": View.LATERAL,
    "LAT": View.LATERAL,
    "LATERAL": View.LATERAL,
    "RLD": View.OBLIQUE,  # decubitus: frontal rays, but a lying patient on the side
    "LLD": View.OBLIQUE,
    "RLO": View.OBLIQUE,
    "LLO": View.OBLIQUE,
    "LAO": View.OBLIQUE,
    "RAO": View.OBLIQUE,
}

VIEW_WORDS: dict[View, re.Pattern[str]] = {
    View.LATERAL: re.compile(r"\b(LAT|LL|LATERAL|LATERALE|SEITLICH|PROFIL)\b"),
    View.OBLIQUE: re.compile(r"\b(OBL|OBLIQUE|DECUB|DECUBITUS|LORDOTIC)\b"),
    View.PA: re.compile(r"\b(PA|P\.A\.?|POSTEROANTERIOR)(?!\w)"),
    View.AP: re.compile(r"\b(AP|A\.P\.?|ANTEROPOSTERIOR)(?!\w)"),
    View.FRONTAL: re.compile(r"\b(FRONTAL|FACE)\b"),
}
# "2 VIEWS", "2V", "2 EBENEN": a lateral is among them, and nothing says which one this is
SEVERAL_VIEWS = re.compile(r"\b([2-9]|TWO|THREE|MULTI\w*) ?(V|VW|VWS|VIEWS?|EBENEN)\b")

CHEST_CODES = frozenset(
    {
        "43799004",  # SCT chest cavity
        "51185008",  # SCT thorax (older)
        "816094009",  # SCT thorax
        "39607008",  # SCT lung
        "T-D3000",  # SRT chest
        "T-28000",  # SRT lung
    }
)
CHEST_TERMS = frozenset({"CHEST", "THORAX", "LUNG", "LUNGS", "THORAX LUNG"})
CHEST_WORDS = re.compile(r"\b(CHEST|CXR|THORAX|THORACIC|LUNGS?|TORAX|TÓRAX|TORACE)\b")
# parts whose studies also name the thorax: "THORACIC SPINE" is no chest film
OTHER_WORDS = re.compile(
    r"\b(SPINE|RIBS?|STERNUM|ABDOMEN|SHOULDER|CLAVICLE|PELVIS|HIP|KNEE|HAND|FOOT|SKULL)\b"
)

_IMAGE_TEXTS = ("SeriesDescription", "AcquisitionDeviceProcessingDescription", "ProtocolName")
_STUDY_TEXTS = ("StudyDescription", "RequestedProcedureDescription")


def view_of(ds: Dataset) -> tuple[View, str]:
    r"""Return the projection and the element that says so.

    Codes and View Position are trusted over orientation, and orientation over free text, with
    one exception: text that says lateral or oblique overrides an orientation that says no more
    than "frontal", because consoles write L\F by default.

    Returns
    -------
    tuple
        The view and a DICOM keyword. UNKNOWN with "": nothing speaks of the view. UNKNOWN with
        a keyword: that element names several views, so this may well be the lateral of them.
    """
    view, where = _coded_view(ds)
    if view is View.UNKNOWN:
        view, where = _oriented_view(ds)
    if view not in (View.UNKNOWN, View.FRONTAL):
        return view, where
    told, told_where = _told_view(ds)
    if view is View.FRONTAL and told in (View.UNKNOWN, View.FRONTAL):
        return view, where
    return told, told_where


def _coded_view(ds: Dataset) -> tuple[View, str]:
    for item in items(ds, "ViewCodeSequence"):
        if view := VIEW_CODES.get(text(item, "CodeValue")):
            return view, "ViewCodeSequence"
    if view := VIEW_POSITIONS.get(text(ds, "ViewPosition").upper()):
        return view, "ViewPosition"
    return View.UNKNOWN, ""


def _oriented_view(ds: Dataset) -> tuple[View, str]:
    """Read Patient Orientation: it tells frontal from lateral, never PA from AP."""
    directions = [one.upper()[:1] for one in texts(ds, "PatientOrientation")]
    if len(directions) != 2 or "" in directions:
        return View.UNKNOWN, ""
    axes = {{"L": "x", "R": "x", "A": "y", "P": "y"}.get(one, "z") for one in directions}
    if axes == {"x", "z"}:
        return View.FRONTAL, "PatientOrientation"
    if axes == {"y", "z"}:
        return View.LATERAL, "PatientOrientation"
    return View.UNKNOWN, ""


def _told_view(ds: Dataset) -> tuple[View, str]:
    for keyword in _IMAGE_TEXTS + _STUDY_TEXTS:
        said = _words(ds, keyword)
        named = [view for view, words in VIEW_WORDS.items() if words.search(said)]
        if len(named) > 1 or SEVERAL_VIEWS.search(said):
            return View.UNKNOWN, keyword
        if named:
            return named[0], keyword
    return View.UNKNOWN, ""


def body_part_of(ds: Dataset) -> tuple[BodyPart, str]:
    """Return whether the image shows a chest, and the element that says so ("" when none does)."""
    if term := text(ds, "BodyPartExamined").upper():
        part = BodyPart.CHEST if term in CHEST_TERMS else BodyPart.OTHER
        return part, "BodyPartExamined"
    regions = [text(item, "CodeValue") for item in items(ds, "AnatomicRegionSequence")]
    if any(regions):
        chest = any(code in CHEST_CODES for code in regions)
        return BodyPart.CHEST if chest else BodyPart.OTHER, "AnatomicRegionSequence"
    for keyword in _IMAGE_TEXTS + _STUDY_TEXTS:
        said = _words(ds, keyword)
        if OTHER_WORDS.search(said):
            return BodyPart.OTHER, keyword
        if CHEST_WORDS.search(said):
            return BodyPart.CHEST, keyword
    return BodyPart.UNKNOWN, ""


def _words(ds: Dataset, keyword: str) -> str:
    """Return free text in capitals, with the separators of consoles as spaces."""
    return re.sub(r"[_^/,:;()+-]+", " ", text(ds, keyword)).upper()
