"""What the header says of the part of the body, and where it says so.

References
----------
PS3.16 CID 4009 (anatomic regions), CID 4031 (terms of Body Part Examined, PS3.16 Annex L).
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from pydicom.dataset import Dataset

from inference.image.header import items, text, texts
from inference.image.view import Doubt, image_texts, study_texts
from inference.image.view_codes import code_of
from inference.image.vocabulary import Concept, Interpretation, Vocabulary, vocabulary


class BodyPart(StrEnum):
    """The part of the body, as far as it matters here."""

    CHEST = "chest"
    OTHER = "other"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class StatedPart:
    """A part of the body, the element that names it, and its value.

    Attributes
    ----------
    against
        Another element, which names the chest.
    """

    part: BodyPart = BodyPart.UNKNOWN
    keyword: str = ""
    value: str = ""
    doubt: Doubt = Doubt.NONE
    against: str = ""


CHEST_CODES = frozenset(
    {
        "43799004",  # SCT chest cavity
        "51185008",  # SCT thorax (older)
        "816094009",  # SCT thorax
        "39607008",  # SCT lung
        "302551006",  # SCT entire thorax
        "181216001",  # SCT entire lung
        "72410000",  # SCT mediastinum
        "80891009",  # SCT heart
        "T-D3300",  # SRT mediastinum
        "T-32000",  # SRT heart
        "T-D3000",  # SRT chest
        "T-28000",  # SRT lung
    }
)


def body_part_of(ds: Dataset, words: Vocabulary | None = None) -> StatedPart:
    r"""Return the part of the body that a header names.

    Body Part Examined comes first, by all of its values: "ABDOMEN\CHEST" is a chest film's. One
    that says nothing ("UNKNOWN", "-") leaves the question to codes and free text. A chest that
    codes or the image's own texts contradict ("KNEE AP") is none: consoles write it by default.

    Parameters
    ----------
    words
        The vocabulary; None for hilum's own.
    """
    words = words or vocabulary()
    examined = texts(ds, "BodyPartExamined")
    regions = _regions(ds, words)
    if found := _part_in([words.read(one) for one in examined]):
        found = replace(found, keyword="BodyPartExamined", value="\\".join(examined))
        return _contradicted(ds, words, regions, found)
    if regions:
        return regions
    for keyword, value in (*image_texts(ds), *study_texts(ds)):
        part = _part_of(words.read(value))
        if part is not BodyPart.UNKNOWN:
            return StatedPart(part, keyword, value)
    return StatedPart()


def _contradicted(
    ds: Dataset, words: Vocabulary, regions: StatedPart | None, found: StatedPart
) -> StatedPart:
    """Return what else says of the image that a stated chest, a console's default, is none."""
    if found.part is not BodyPart.CHEST:
        return found
    if regions and regions.part is not BodyPart.CHEST:
        return replace(regions, against=found.keyword)
    for keyword, value in image_texts(ds):
        meaning = words.read(value)
        if _part_of(meaning) is BodyPart.OTHER and Concept.CHEST not in meaning:
            return StatedPart(BodyPart.OTHER, keyword, value, against=found.keyword)
    return found


def _regions(ds: Dataset, words: Vocabulary) -> StatedPart | None:
    """Return what the codes of Anatomic Region say, which agree with their meanings."""
    found: dict[BodyPart, StatedPart] = {}
    for item in items(ds, "AnatomicRegionSequence"):
        code, meaning = code_of(item), text(item, "CodeMeaning")
        read = words.read(meaning)
        part = _part_of(read, alone=True)
        if part is BodyPart.UNKNOWN and code in CHEST_CODES and not read.unknown:
            part = BodyPart.CHEST
        lost = part is BodyPart.UNKNOWN and (read.unknown or not meaning)
        doubt = Doubt.NOT_UNDERSTOOD if lost else Doubt.NONE
        if lost and not code and not meaning:
            continue
        if part is not BodyPart.UNKNOWN or lost:
            found[part] = StatedPart(part, "AnatomicRegionSequence", meaning or code, doubt)
    return next((found[part] for part in BodyPart if part in found), None)


def _part_in(values: list[Interpretation]) -> StatedPart | None:
    """Return what the values of a field for parts say; None when they say nothing."""
    parts = {_part_of(value, alone=True) for value in values}
    for part in (BodyPart.CHEST, BodyPart.OTHER):
        if part in parts:
            return StatedPart(part)
    unknown = any(value.unknown for value in values)
    return StatedPart(doubt=Doubt.NOT_UNDERSTOOD) if unknown else None


def _part_of(meaning: Interpretation, *, alone: bool = False) -> BodyPart:
    """Return the part that words name; ``alone``: they are there to name it and nothing else."""
    if Concept.OTHER_PART in meaning:  # "CHEST AND ABDOMEN" too: exposed for both
        return BodyPart.OTHER
    if Concept.CHEST in meaning:
        return BodyPart.CHEST
    if Concept.OTHER_PART_UNLESS_CHEST in meaning:
        return BodyPart.OTHER
    return BodyPart.OTHER if alone and Concept.OTHER_PART_ALONE in meaning else BodyPart.UNKNOWN
