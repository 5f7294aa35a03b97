"""What the header says of the view, and where it says so.

From most to least reliable: codes, View Position, orientation, free text. What is in a field
and is not understood is not taken for absent.

References
----------
PS3.3 C.8.1.2 (View Position of CR), C.8.11.5 (DX positioning), C.7.6.1.1.1 (Patient Orientation).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from pydicom.dataset import Dataset

from inference.image.header import items, text, texts
from inference.image.view_codes import MODIFIER_CODES, VIEW_CODES, code_of, in_snomed
from inference.image.vocabulary import Concept, Interpretation, Vocabulary, vocabulary


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
    """Why a header that mentions the view or the part does not state it."""

    NONE = ""
    SEVERAL_VIEWS = "several views"
    NOT_UNDERSTOOD = "not understood"


@dataclass(frozen=True)
class StatedView:
    """A view, and who says so.

    Attributes
    ----------
    keyword
        The element that says so; "" where none states the view.
    value
        Its value.
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
        """Whether the film is stated to be frontal."""
        return self.view in (View.PA, View.AP, View.FRONTAL)


# what describes the image itself, and what the order or study that it is a part of
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
    lateral, oblique or another view that is not read is believed. And nothing replaces a code
    or an orientation that is there and cannot be understood, nor free text for a View Position.

    Parameters
    ----------
    words
        The vocabulary; None for hilum's own.
    """
    words = words or vocabulary()
    coded = list(_coded_views(ds, words))
    stated = [*coded, *_position(ds, words)]
    kinds = [("ImageType", value) for value in texts(ds, "ImageType")[2:]]
    described = [
        *_told_views(image_texts(ds), words),
        *(one for one in _told_views(kinds, words) if one.view not in FRONTAL),
    ]
    oriented = _oriented_view(ds, words)
    turned = [one for one in (*stated, *described, *oriented) if one.view not in FRONTAL]
    frontal = [one for one in (*stated, *described) if one.is_frontal]
    if turned:
        return replace(turned[0], against=frontal[0].keyword if frontal else "")
    lost = [one for one in (*coded, *oriented) if one.doubt is Doubt.NOT_UNDERSTOOD]
    if not any(one.is_frontal for one in described):  # "Chest L" as a series' name: left lateral?
        lost += [
            one
            for one in described
            if one.doubt is Doubt.NOT_UNDERSTOOD and one.keyword != "BodyPartExamined"
        ]
    if lost:
        return lost[0]
    study = list(_told_views(study_texts(ds), words))
    if any(one.is_frontal for one in stated):
        frontal += [one for one in study if one.is_frontal]
        return next((one for one in frontal if one.view is not View.FRONTAL), frontal[0])
    return stated[0] if stated else _told_or_oriented([*frontal, *described, *study], oriented)


def _told_or_oriented(described: list[StatedView], oriented: list[StatedView]) -> StatedView:
    """Return the view where neither a code nor View Position states it."""
    first = described[0] if described else StatedView()
    upright = oriented and oriented[0].is_frontal
    if (upright and first.view in (View.FRONTAL, View.UNKNOWN)) or not described:
        return oriented[0] if oriented else first
    return first


def _coded_views(ds: Dataset, words: Vocabulary) -> Iterator[StatedView]:
    """Yield what each item of the View Code Sequence says, with its modifiers."""
    for item in items(ds, "ViewCodeSequence"):
        found = _coded_view(item, words, VIEW_CODES)
        modified = [
            _coded_view(one, words, MODIFIER_CODES)
            for one in items(item, "ViewModifierCodeSequence")
        ]
        turned = [one for one in (found, *modified) if one.view not in FRONTAL]
        doubt = any(one.doubt for one in modified)
        if turned:
            found = turned[0]
        elif doubt or (found.view is View.UNKNOWN and (code_of(item) or found.doubt)):
            found = StatedView(doubt=found.doubt or Doubt.NOT_UNDERSTOOD)
        if found != StatedView():
            value = text(item, "CodeMeaning") or code_of(item)
            yield replace(found, keyword="ViewCodeSequence", value=value)


def _coded_view(item: Dataset, words: Vocabulary, codes: Mapping[str, str]) -> StatedView:
    """Return what one code says: what it means by itself, and what its meaning says, agree."""
    code, meaning = code_of(item), text(item, "CodeMeaning")
    read = words.read(meaning)
    view = _view_in(read)
    known = codes.get(code) if meaning or in_snomed(item) else None
    listed = View(known or View.UNKNOWN)
    turned = [one for one in (listed, view.view) if one not in FRONTAL]
    if turned:
        return StatedView(turned[0])
    nameless = bool(code) and not meaning and known is None
    unknown = view.view is View.UNKNOWN and bool(read.unknown)
    if nameless or unknown or {listed, view.view} == {View.PA, View.AP}:
        return StatedView(doubt=Doubt.NOT_UNDERSTOOD)
    return view if view.doubt or listed is View.UNKNOWN else StatedView(listed)


def _position(ds: Dataset, words: Vocabulary) -> Iterator[StatedView]:
    value = " ".join(texts(ds, "ViewPosition"))
    read = words.read(value)
    found = _view_in(read)
    vague = read.unknown or Concept.SIDE in read or re.search(r"(?<!\d)[02-9](?!\d)", value)
    if found.view is View.UNKNOWN and not found.doubt and vague:
        found = StatedView(doubt=Doubt.NOT_UNDERSTOOD)
    if found != StatedView():
        yield replace(found, keyword="ViewPosition", value=value)


def _view_in(meaning: Interpretation) -> StatedView:
    """Return the view that words name; several of them where that is all they say."""
    several = StatedView(doubt=Doubt.SEVERAL_VIEWS)
    frontal = meaning.concepts & {Concept.PA, Concept.AP, Concept.FRONTAL}
    for concept in (Concept.DECUBITUS, Concept.LORDOTIC, Concept.OBLIQUE):
        if concept in meaning:
            return StatedView(View(concept.value))
    if Concept.LATERAL in meaning:
        return several if frontal else StatedView(View.LATERAL)
    if Concept.DORSAL_DECUBITUS in meaning:
        return StatedView(View.AP if frontal else View.DECUBITUS)
    if Concept.SEVERAL in meaning:
        return several
    if Concept.LETTER in meaning and not (
        frontal or Concept.SUPINE in meaning or Concept.PRONE in meaning
    ):
        return StatedView(doubt=Doubt.NOT_UNDERSTOOD)
    return StatedView(_frontal_in(meaning))


def _frontal_in(meaning: Interpretation) -> View:
    """Return the frontal view that words name: who lies on the back is taken AP."""
    turned = Concept.AP in meaning or Concept.SUPINE in meaning
    if Concept.PA in meaning:
        return View.FRONTAL if turned else View.PA
    if turned:
        return View.AP
    frontal = Concept.FRONTAL in meaning or Concept.PRONE in meaning
    return View.FRONTAL if frontal else View.UNKNOWN


def directions_of(ds: Dataset) -> tuple[str, ...]:
    r"""Return the first letter of each direction of Patient Orientation: "L\F", "L/F", "LF"."""
    stated = " ".join(texts(ds, "PatientOrientation")).upper()
    values = [one for one in re.split(r"[\\/,; ]+", stated) if one]
    if len(values) == 1 and re.fullmatch("[LRAPHF]{2}", values[0]):
        values = list(values[0])
    return tuple(one[:1] for one in values)


_AXES = {"L": "x", "R": "x", "A": "y", "P": "y", "H": "z", "F": "z"}


def _oriented_view(ds: Dataset, words: Vocabulary) -> list[StatedView]:
    """Read Patient Orientation: it tells frontal from lateral, never PA from AP."""
    directions, value = directions_of(ds), "\\".join(texts(ds, "PatientOrientation"))
    letters = len(directions) > 1 and re.fullmatch(r"[A-Z]([\\/,; ]+[A-Z])+", value.upper())
    meaning = words.read(value)
    if meaning.concepts == {Concept.NOTHING} and not meaning.unknown and not letters:
        return []  # a word for nothing
    if not value.strip("-. ?*") or value.upper() in ("N/A", "N\\A"):
        return []
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
    """Return (keyword, text) of what describes the image itself in words."""
    found = [(keyword, " ".join(texts(ds, keyword))) for keyword in IMAGE_TEXTS]
    return (*found, *_meanings(ds, _IMAGE_CODES))


def study_texts(ds: Dataset) -> tuple[tuple[str, str], ...]:
    """Return (keyword, text) of what describes the study and the request in words."""
    found = [(keyword, " ".join(texts(ds, keyword))) for keyword in STUDY_TEXTS]
    found += [
        (keyword, text(item, keyword))
        for item in items(ds, "RequestAttributesSequence")
        for keyword in ("ScheduledProcedureStepDescription", "RequestedProcedureDescription")
    ]
    return (*found, *_meanings(ds, _STUDY_CODES))


def _meanings(ds: Dataset, sequences: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for keyword in sequences:
        yield from ((keyword, text(item, "CodeMeaning")) for item in items(ds, keyword))
