"""Who is on the film, as far as the gate must know: age and species. Never a name."""

import re
from datetime import date

from pydicom.dataset import Dataset

from inference.image.folding import fold
from inference.image.header import items, text, texts
from inference.image.view import IMAGE_TEXTS, STUDY_TEXTS
from inference.image.vocabulary import Concept, Vocabulary, vocabulary

# units of an age in days, each with how its names begin; the first that fits counts
_UNITS = (
    (1.0, ("jour",)),
    (7.0, ("haf",)),
    (1 / 24, ("h", "uur", "ore", "ora", "std", "stu", "godz", "sa", "ч", "時", "小时")),
    (30.44, ("m", "ay", "мес", "か月", "ヶ月", "ケ月", "カ月", "个月", "個月", "月")),
    (7.0, ("w", "sem", "set", "ned", "tyg", "нед", "週", "周")),
    (365.25, ("y", "j", "a", "let", "lat", "rok", "лет", "год", "г", "歳", "才", "岁", "歲")),
    (1.0, ("d", "t", "g", "дн", "日", "天")),
)

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

    A bare number, as some exporters write, is years. An age of 0 beside a birth date is what
    programs write that know none; of two other ages that differ the younger counts.

    References
    ----------
    PS3.5 6.2, value representation AS.
    """
    stated, counted = _stated_age(text(ds, "PatientAge")), _age_by_birth(ds)
    if stated and counted is not None:
        return min(stated, counted)
    return stated if counted is None else counted


def _stated_age(said: str) -> float | None:
    """Read "064Y", "64", "5 years old", "Y064" or "1Y 3M"; None for anything else."""
    said = fold(said)
    found = re.findall(r"(\d+(?:[.,]\d+)?)\W*([^\W\d]*)", said)
    before = re.match(r"\W*([^\W\d]*)", said)
    if not found or len(found) > 3 or said.startswith("-"):
        return None
    first, unit = found[0]
    unit = unit or (before[1] if before else "") or "y"
    days = [_days(first, unit), *(_days(amount, more or "?") for amount, more in found[1:])]
    return None if None in days else sum(one or 0 for one in days) / 365.25


def _days(amount: str, unit: str) -> float | None:
    days = next((days for days, names in _UNITS if unit.startswith(names)), None)
    whole = amount.partition(",")[0].partition(".")[0]
    return None if days is None or len(whole) > 4 else float(amount.replace(",", ".")) * days


def _age_by_birth(ds: Dataset) -> float | None:
    birth = _last_day(text(ds, "PatientBirthDate"))
    for keyword in ("AcquisitionDate", "StudyDate", "SeriesDate", "ContentDate"):
        taken = _last_day(text(ds, keyword))
        if birth and taken and birth <= taken:
            return (taken - birth).days / 365.25
    return None


def _last_day(value: str) -> date | None:
    """Read a date as programs write it: "19400305", "1940-03-05", "5 Mar 1940", "1940".

    Where only its year can be told it is the last day of that: nobody is made older by it. When a
    film was taken is read more strictly (`inference.image.acquisition`): there a guess may change
    which of two films is the earlier.
    """
    numbers = re.findall(r"\d+", value)
    if numbers and len(numbers[0]) in (6, 8, 12, 14):  # the longer ones have a time
        first = numbers[0]
        numbers = [part for part in (first[:4], first[4:6], first[6:8]) if part]
    years = [one for one in numbers if len(one) == 4 and "1850" <= one <= "2200"]
    if len(years) != 1:
        return None
    try:
        return date(*map(int, numbers[:3]))  # year, month, day
    except (TypeError, ValueError):
        return date(int(years[0]), 12, 31)


def child_by(ds: Dataset, words: Vocabulary | None = None) -> str:
    """Return the element whose words speak of a child; "" when none does.

    Parameters
    ----------
    words
        The vocabulary; None for hilum's own.
    """
    words = words or vocabulary()
    for keyword in (*IMAGE_TEXTS, *STUDY_TEXTS):
        said = words.read(*texts(ds, keyword))
        if Concept.CHILD in said and Concept.ADULT not in said:
            return keyword
    return ""


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
