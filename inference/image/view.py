"""What the header says of the view, and where it says so.

From most to least reliable: codes, View Position, orientation, free text. What stands in a field
and is not understood is not taken for absent.

References
----------
PS3.16 CID 4010 (views); PS3.3 C.8.1.2 (View Position of CR),
C.8.11.5 (DX positioning), C.7.6.1.1.1 (Patient Orientation). SRT codes are those that CID 4010
carried before SNOMED CT replaced them.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from pydicom.dataset import Dataset

from inference.image.header import items, text, texts
from inference.image.vocabulary import Concept, Said, Vocabulary, vocabulary


class View(StrEnum):
    """The projection, as far as the header tells."""

    PA = "PA"
    AP = "AP"
    FRONTAL = "frontal"
    LATERAL = "lateral"
    OBLIQUE = "oblique"
    DECUBITUS = "decubitus"  # frontal rays, but a patient who lies on the side
    LORDOTIC = "lordotic"  # frontal, but tilted
    UNKNOWN = "unknown"


# what is compared; a film of unstated view is taken for frontal once the gate has let it through
FRONTAL = frozenset({View.PA, View.AP, View.FRONTAL, View.UNKNOWN})


def same_projection(one: str, other: str) -> bool:
    """Say whether two views are known to be the same: "frontal" twice may be PA and AP."""
    return one == other and one in (View.PA, View.AP)


class Doubt(StrEnum):
    """Why a header that speaks of the view or the part does not tell it."""

    NONE = ""
    SEVERAL_VIEWS = "several views"
    NOT_UNDERSTOOD = "not understood"


@dataclass(frozen=True)
class StatedView:
    """A view, and who says so.

    Attributes
    ----------
    keyword
        The element that says so; "" where none speaks of the view.
    value
        What stands there.
    against
        Another element, which says that the film is frontal.
    """

    view: View = View.UNKNOWN
    keyword: str = ""
    value: str = ""
    doubt: Doubt = Doubt.NONE
    against: str = ""

    @property
    def is_frontal(self) -> bool:
        """Whether it is said that the film is frontal."""
        return self.view in (View.PA, View.AP, View.FRONTAL)


VIEW_CODES: dict[str, View] = {
    # SCT, all of CID 4010 that a chest can be taken in
    "272479007": View.PA,  # postero-anterior
    "399348003": View.AP,  # antero-posterior, although lists in the field call it PA
    "399033003": View.FRONTAL,
    "399067008": View.LATERAL,
    "399173006": View.LATERAL,  # left lateral
    "399198007": View.LATERAL,  # right lateral
    "399260004": View.LATERAL,  # medial-lateral
    "399352003": View.LATERAL,  # lateral-medial
    "30730003": View.LATERAL,  # sagittal
    "399182000": View.OBLIQUE,
    "399059000": View.OBLIQUE,  # postero-anterior oblique
    "399312000": View.OBLIQUE,  # antero-posterior oblique
    "399160007": View.OBLIQUE,  # frontal oblique
    "399132005": View.OBLIQUE,  # frontal-oblique axial
    "399135007": View.OBLIQUE,  # left anterior oblique
    "399356000": View.OBLIQUE,  # right anterior oblique
    "399006002": View.OBLIQUE,  # left posterior oblique
    "399038007": View.OBLIQUE,  # right posterior oblique
    "399184004": View.OBLIQUE,  # left oblique
    "399236003": View.OBLIQUE,  # right oblique
    "260426006": View.OBLIQUE,  # medial oblique
    "260427002": View.OBLIQUE,  # lateral oblique
    "399368009": View.OBLIQUE,  # medio-lateral oblique
    "399099002": View.OBLIQUE,  # latero-medial oblique
    "399004004": View.OBLIQUE,  # oblique axial
    "399325008": View.OBLIQUE,  # sagittal-oblique axial
    "399225005": View.OBLIQUE,  # oblique caudo-cranial
    "399288005": View.OBLIQUE,  # oblique cranio-caudal
    "399061009": View.LORDOTIC,  # axial
    "399196006": View.LORDOTIC,  # caudo-cranial
    "399162004": View.LORDOTIC,  # cranio-caudal
    "399110001": View.LORDOTIC,  # tangential
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

# what is said of the image itself, and what of the order or study that it is a part of
IMAGE_TEXTS = (
    "BodyPartExamined",
    "SeriesDescription",
    "AcquisitionDeviceProcessingDescription",
    "ProtocolName",
    "PerformedProcedureStepDescription",
)
STUDY_TEXTS = ("StudyDescription", "RequestedProcedureDescription")
_IMAGE_CODES = ("PerformedProtocolCodeSequence",)
_STUDY_CODES = ("ProcedureCodeSequence", "RequestedProcedureCodeSequence")


def view_of(ds: Dataset, words: Vocabulary | None = None) -> StatedView:
    r"""Return the projection that a header states.

    Codes and View Position are trusted over orientation, and orientation over free text, with two
    exceptions. Consoles write PA and L\F by default, so whatever says of the image that it is
    lateral, oblique or another view that is not read is believed. And free text does not stand
    for a code or a View Position that is there and cannot be understood.

    Parameters
    ----------
    words
        The vocabulary; None for hilum's own.
    """
    words = words or vocabulary()
    stated = [*_coded_views(ds, words), *_position(ds, words)]
    told = list(_told_views(image_texts(ds), words))
    oriented = _oriented_view(ds, words)
    turned = [one for one in (*stated, *told, *oriented) if one.view not in FRONTAL]
    frontal = [one for one in (*stated, *told) if one.is_frontal]
    if turned:
        return replace(turned[0], against=frontal[0].keyword if frontal else "")
    study = list(_told_views(study_texts(ds), words))
    if any(one.is_frontal for one in stated):
        frontal += [one for one in study if one.is_frontal]
        return next((one for one in frontal if one.view is not View.FRONTAL), frontal[0])
    return stated[0] if stated else _told_or_oriented([*frontal, *told, *study], oriented)


def _told_or_oriented(told: list[StatedView], oriented: list[StatedView]) -> StatedView:
    """Return the view where neither a code nor View Position speaks of it."""
    said = told[0] if told else StatedView()
    upright = oriented and oriented[0].is_frontal
    if (upright and said.view in (View.FRONTAL, View.UNKNOWN)) or not told:
        return oriented[0] if oriented else said
    return said


def _coded_views(ds: Dataset, words: Vocabulary) -> Iterator[StatedView]:
    """Yield what each item of the View Code Sequence says, with its modifiers."""
    for item in items(ds, "ViewCodeSequence"):
        code, meaning = text(item, "CodeValue"), text(item, "CodeMeaning")
        modifiers = [text(one, "CodeMeaning") for one in items(item, "ViewModifierCodeSequence")]
        modified = _view_in(words.read(*modifiers)).view
        known = VIEW_CODES.get(code)
        said = words.read(meaning or code)
        found = StatedView(known) if known else _view_in(said)
        if modified not in FRONTAL:
            found = StatedView(modified)
        if found.view is View.UNKNOWN and (said.unknown or code):
            found = StatedView(doubt=Doubt.NOT_UNDERSTOOD)
        if found != StatedView():
            yield replace(found, keyword="ViewCodeSequence", value=meaning or code)


def _position(ds: Dataset, words: Vocabulary) -> Iterator[StatedView]:
    value = " ".join(texts(ds, "ViewPosition"))
    said = words.read(value)
    found = _view_in(said)
    if found.view is View.UNKNOWN and not found.doubt and (said.unknown or Concept.SIDE in said):
        found = StatedView(doubt=Doubt.NOT_UNDERSTOOD)
    if found != StatedView():
        yield replace(found, keyword="ViewPosition", value=value)


def _view_in(said: Said) -> StatedView:
    """Return the view that words name; several of them where that is all they say."""
    several = StatedView(doubt=Doubt.SEVERAL_VIEWS)
    frontal = said.concepts & {Concept.PA, Concept.AP, Concept.FRONTAL}
    for concept in (Concept.DECUBITUS, Concept.LORDOTIC, Concept.OBLIQUE):
        if concept in said:
            return StatedView(View(concept.value))
    if Concept.LATERAL in said:
        return several if frontal else StatedView(View.LATERAL)
    if Concept.DORSAL_DECUBITUS in said:
        return StatedView(View.AP if frontal else View.DECUBITUS)
    if Concept.SEVERAL in said:
        return several
    if Concept.LETTER in said and not (frontal or Concept.SUPINE in said or Concept.PRONE in said):
        return StatedView(doubt=Doubt.NOT_UNDERSTOOD)
    return StatedView(_frontal_in(said))


def _frontal_in(said: Said) -> View:
    """Return the frontal view that words name: who lies on the back is taken AP."""
    turned = Concept.AP in said or Concept.SUPINE in said
    if Concept.PA in said:
        return View.FRONTAL if turned else View.PA
    if turned:
        return View.AP
    frontal = Concept.FRONTAL in said or Concept.PRONE in said
    return View.FRONTAL if frontal else View.UNKNOWN


def directions_of(ds: Dataset) -> tuple[str, ...]:
    r"""Return the first letter of each direction of Patient Orientation: "L\F", "L/F", "LF"."""
    said = " ".join(texts(ds, "PatientOrientation")).upper()
    values = [one for one in re.split(r"[\\/,; ]+", said) if one]
    if len(values) == 1 and re.fullmatch("[LRAPHF]{2}", values[0]):
        values = list(values[0])
    return tuple(one[:1] for one in values)


_AXES = {"L": "x", "R": "x", "A": "y", "P": "y", "H": "z", "F": "z"}


def _oriented_view(ds: Dataset, words: Vocabulary) -> list[StatedView]:
    """Read Patient Orientation: it tells frontal from lateral, never PA from AP."""
    directions, value = directions_of(ds), "\\".join(texts(ds, "PatientOrientation"))
    if not set(directions) & set(_AXES) and not words.read(value).unknown:
        return []  # nothing, or a word for that
    axes = "".join(sorted(_AXES.get(one, "?") for one in directions))
    view = {"xz": View.FRONTAL, "yz": View.LATERAL}.get(axes)
    if view is None:
        return [StatedView(View.UNKNOWN, "PatientOrientation", value, Doubt.NOT_UNDERSTOOD)]
    return [StatedView(view, "PatientOrientation", value)]


def _told_views(texts_of: Iterable[tuple[str, str]], words: Vocabulary) -> Iterator[StatedView]:
    """Yield each text that names views; one that names none says nothing."""
    for keyword, value in texts_of:
        found = _view_in(words.read(value))
        if found != StatedView():
            yield replace(found, keyword=keyword, value=value)


def image_texts(ds: Dataset) -> tuple[tuple[str, str], ...]:
    """Return (keyword, text) of what is said in words of the image itself."""
    said = [(keyword, " ".join(texts(ds, keyword))) for keyword in IMAGE_TEXTS]
    return (*said, *_meanings(ds, _IMAGE_CODES))


def study_texts(ds: Dataset) -> tuple[tuple[str, str], ...]:
    """Return (keyword, text) of what is said in words of the study and of what was asked for."""
    said = [(keyword, " ".join(texts(ds, keyword))) for keyword in STUDY_TEXTS]
    said += [
        (keyword, text(item, keyword))
        for item in items(ds, "RequestAttributesSequence")
        for keyword in ("ScheduledProcedureStepDescription", "RequestedProcedureDescription")
    ]
    return (*said, *_meanings(ds, _STUDY_CODES))


def _meanings(ds: Dataset, sequences: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for keyword in sequences:
        yield from ((keyword, text(item, "CodeMeaning")) for item in items(ds, keyword))
