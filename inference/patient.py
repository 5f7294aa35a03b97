"""Who is on the film, as far as the gate must know: age and species. Never a name."""

from datetime import date

from pydicom.dataset import Dataset

from inference.header import items, text

_DAYS = {"Y": 365.25, "M": 30.44, "W": 7.0, "D": 1.0}

_ANIMAL_TEXTS = (
    "SeriesDescription",
    "StudyDescription",
    "ProtocolName",
    "AcquisitionDeviceProcessingDescription",
    "InstitutionName",
)
_ANIMAL_WORDS = ("CANINE", "FELINE", "EQUINE", "BOVINE", "AVIAN", "VETERINAR")
_HUMAN_CODES = frozenset({"337915000", "L-85003"})  # Homo sapiens in SCT and SRT (CID 7454)


def age_years(ds: Dataset) -> float | None:
    """Return the age at the examination, from Patient's Age or else the birth date.

    A bare number, as some exporters write, is years.

    References
    ----------
    PS3.5 6.2, value representation AS.
    """
    said = text(ds, "PatientAge").upper()
    count, unit = (said[:-1], said[-1]) if said[-1:] in _DAYS else (said, "Y")
    if count.isascii() and count.isdigit() and len(count) <= 4:
        return int(count) * _DAYS[unit] / 365.25
    birth = _date(text(ds, "PatientBirthDate"))
    for keyword in ("AcquisitionDate", "StudyDate", "ContentDate"):
        taken = _date(text(ds, keyword))
        if birth and taken and birth <= taken:
            return (taken - birth).days / 365.25
    return None


def _date(value: str) -> date | None:
    digits = value.replace(".", "").replace("-", "")
    try:
        return date.fromisoformat(digits) if len(digits) == 8 else None
    except ValueError:
        return None


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
        said = text(ds, keyword).upper()
        if any(word in said for word in _ANIMAL_WORDS):
            return keyword
    return ""
