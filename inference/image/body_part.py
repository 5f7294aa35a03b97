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
from inference.image.vocabulary import Concept, Said, Vocabulary, vocabulary


class BodyPart(StrEnum):
    """The part of the body, as far as it matters here."""

    CHEST = "chest"
    OTHER = "other"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class StatedPart:
    """A part of the body, the element that names it, and what stands there."""

    part: BodyPart = BodyPart.UNKNOWN
    keyword: str = ""
    value: str = ""
    doubt: Doubt = Doubt.NONE


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


def body_part_of(ds: Dataset, words: Vocabulary | None = None) -> StatedPart:
    r"""Return the part of the body that a header names.

    Body Part Examined comes first, by all of its values: "ABDOMEN\CHEST" is a chest film's. One
    that says nothing ("UNKNOWN", "-") leaves the question to codes and free text.

    Parameters
    ----------
    words
        The vocabulary; None for hilum's own.
    """
    words = words or vocabulary()
    examined = texts(ds, "BodyPartExamined")
    if found := _part_in([words.read(one) for one in examined]):
        return replace(found, keyword="BodyPartExamined", value="\\".join(examined))
    regions = items(ds, "AnatomicRegionSequence")
    if any(text(item, "CodeValue") in CHEST_CODES for item in regions):
        return StatedPart(BodyPart.CHEST, "AnatomicRegionSequence")
    meanings = [text(item, "CodeMeaning") or text(item, "CodeValue") for item in regions]
    if found := _part_in([words.read(one) for one in meanings]):
        return replace(found, keyword="AnatomicRegionSequence", value=meanings[0])
    for keyword, value in (*image_texts(ds), *study_texts(ds)):
        part = _part_of(words.read(value))
        if part is not BodyPart.UNKNOWN:
            return StatedPart(part, keyword, value)
    return StatedPart()


def _part_in(values: list[Said]) -> StatedPart | None:
    """Return what the values of a field for parts say; None when they say nothing."""
    parts = {_part_of(said, alone=True) for said in values}
    for part in (BodyPart.CHEST, BodyPart.OTHER):
        if part in parts:
            return StatedPart(part)
    unknown = any(said.unknown for said in values)
    return StatedPart(doubt=Doubt.NOT_UNDERSTOOD) if unknown else None


def _part_of(said: Said, *, alone: bool = False) -> BodyPart:
    """Return the part that words name; ``alone``: they are there to name it and nothing else."""
    if Concept.OTHER_PART in said:  # "CHEST AND ABDOMEN" too: exposed for both
        return BodyPart.OTHER
    if Concept.CHEST in said:
        return BodyPart.CHEST
    return BodyPart.OTHER if alone and Concept.OTHER_PART_ALONE in said else BodyPart.UNKNOWN
