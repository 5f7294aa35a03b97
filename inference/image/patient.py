"""Who is on the film, as far as the gate must know: a child, an animal. Never a name."""

import re
import unicodedata

from pydicom.dataset import Dataset

from inference.image.age import age_years
from inference.image.header import items, text, texts
from inference.image.view import image_texts, study_texts
from inference.image.vocabulary import Concept, Vocabulary, vocabulary

_ANIMAL_TEXTS = (
    "SeriesDescription",
    "StudyDescription",
    "ProtocolName",
    "AcquisitionDeviceProcessingDescription",
    "InstitutionName",
)
_ANIMAL_WORDS = ("CANINE", "FELINE", "EQUINE", "BOVINE", "AVIAN", "VETERINAR")
# "Chest 4 years", "< 1 y", "6 months": an age, unless the text tells of a time that has passed
_YOUNG = re.compile(
    r"(?<![\d.,/-])(\d|0\d|1[0-7])[\s-]*(y|yrs?|years?|jahre?|ans|a[nñ]os|anni|jaar|лет|года|ya[sş]|"
    r"months?|mths?|monate|mois|meses|mesi|maanden|месяцев|[歳才岁歲]|[かカヶヵ个個]月)(?![^\W\d_])"
    r"|(<|\bunder|\bunter)\s*(\d|1[0-8])(?!\d)",
    re.IGNORECASE,
)
_TIME_PASSED = re.compile(
    r"\bago\b|post|follow|\bf\W?u\b|after|since|nach|seit|ontr|smok|history|prior|depuis|desde|dopo",
    re.IGNORECASE,
)
_HUMAN_CODES = frozenset({"337915000", "L-85003"})  # Homo sapiens in SCT and SRT (CID 7454)


def child_by(ds: Dataset, words: Vocabulary | None = None) -> str:
    """Return the element whose words indicate a child; "" when none does.

    Parameters
    ----------
    words
        The vocabulary; None for hilum's own.
    """
    words = words or vocabulary()
    own = [(keyword, " ".join(texts(ds, keyword))) for keyword in ("PatientAge", "ViewPosition")]
    for keyword, value in (*own, *image_texts(ds), *study_texts(ds)):
        meaning = words.read(value)
        if Concept.CHILD in meaning and Concept.ADULT not in meaning:
            return keyword
    if age_years(ds) is None:
        young = (keyword for keyword, value in image_texts(ds) if _tells_a_young_age(value))
        return next(young, "")
    return ""


def _tells_a_young_age(value: str) -> bool:
    plain = unicodedata.normalize("NFKC", value)
    return bool(_YOUNG.search(plain)) and not _TIME_PASSED.search(plain)


def animal_evidence(ds: Dataset) -> str:
    """Return the element that says the patient is an animal; "" when none does.

    References
    ----------
    PS3.3 C.7.1.1: species, breed and neutering are elements of non-human organisms.
    """
    species = text(ds, "PatientSpeciesDescription").upper()
    if species and not ("HUMAN" in species or "HOMO SAPIENS" in species):
        return "PatientSpeciesDescription"
    codes = [text(item, "CodeValue") for item in items(ds, "PatientSpeciesCodeSequence")]
    if any(code and code not in _HUMAN_CODES for code in codes):
        return "PatientSpeciesCodeSequence"
    for keyword in ("PatientBreedDescription", "PatientSexNeutered"):
        if text(ds, keyword):
            return keyword
    for keyword in _ANIMAL_TEXTS:
        stated = text(ds, keyword).upper()
        if any(word in stated for word in _ANIMAL_WORDS):
            return keyword
    return ""
