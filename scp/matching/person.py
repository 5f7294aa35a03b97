"""Whether two headers can be one person's, beside the Patient ID. Pure.

A Patient ID is typed, picked from a list or left over from the patient before: films of two people
get into one jacket. Sex, birth date and name say so. What a header does not state contradicts
nothing; a slip of the keyboard in a birth date, another order of a name's parts, a name after
marriage and another spelling or script are no other person.

References
----------
PS3.3 C.7.1.1 (Patient's Name, Birth Date, Sex); PS3.5 6.2 (DA, PN), 6.2.1 (component groups).
"""

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from scp.matching.folding import words
from scp.matching.spelling import alike, slip

# what programs write that know no birth date, beside an empty value
_NO_DATES = frozenset({"00010101", "11111111", "17530101", "18000101", "18991230", "19000101"})
_SEXES = {"M": "M", "MALE": "M", "F": "F", "FEMALE": "F", "O": "O", "OTHER": "O"}
_SEXES |= {"W": "F", "WEIBLICH": "F", "MÄNNLICH": "M", "MAENNLICH": "M"}  # of German systems
_YEARS = range(1850, 2200)
# family, given and middle name; the fourth and fifth component are titles
_NAME_COMPONENTS = 3
# words of a name that two families share without being one, and titles in the wrong component
_PARTICLES = frozenset((
    "abu", "af", "al", "av", "bin", "bint", "da", "das", "de", "del", "della", "den", "der", "di",
    "do", "dos", "dr", "du", "el", "frau", "herr", "ibn", "ii", "iii", "jr", "la", "las", "le",
    "los", "mac", "mc", "miss", "mr", "mrs", "ms", "op", "prof", "san", "sr", "st", "ten", "ter",
    "van", "vom", "von", "zu", "zum", "zur",
))  # fmt: skip
# words that are used in place of a name
_NO_NAMES = frozenset((
    "anon", "anonym", "anonymised", "anonymized", "anonymous", "deidentified", "inconnu", "name",
    "nn", "no", "noname", "none", "null", "patient", "pseudonym", "removed", "test", "unbekannt",
    "unknow", "unknown", "xxx", "xxxx",
))  # fmt: skip


class Contradiction(StrEnum):
    """Which element says that two films are of two people."""

    SEX = "sex"
    BIRTH_DATE = "birth_date"
    NAME = "name"


# the words for what a header states that contradicts another's
STATES = {
    Contradiction.SEX: "another sex",
    Contradiction.BIRTH_DATE: "another birth date",
    Contradiction.NAME: "an entirely different name",
}


@dataclass(frozen=True)
class Person:
    """What a header says of whose the film is; "" where it says nothing.

    ``name`` is a PN value with its component groups, ``birth_date`` a DA and ``sex`` a CS value.
    """

    name: str = field(default="", repr=False)
    birth_date: str = field(default="", repr=False)
    sex: str = field(default="", repr=False)


# a person about whom nothing is stated
NOBODY = Person()


def contradiction(one: Person, other: Person) -> Contradiction | None:
    """Return what tells two people apart; None where nothing does."""
    if not _agree(_sex(one.sex), _sex(other.sex)):
        return Contradiction.SEX
    born, other_born = birth_date(one.birth_date), birth_date(other.birth_date)
    if born and other_born and not _near(born, other_born):
        return Contradiction.BIRTH_DATE
    certain = bool(born) and born == other_born
    if not same_name(one.name, other.name, certain=certain):
        return Contradiction.NAME
    return None


def _agree(one: str, other: str) -> bool:
    return not one or not other or one == other


def _sex(value: str) -> str:
    """Return M, F or O; "" when the value says neither (empty, U, a word of its own)."""
    return _SEXES.get(value.strip().upper(), "")


def birth_date(value: str) -> str:
    """Return eight digits, or "" when the value is no birth date that anybody has.

    ``1960.01.31`` is how ACR-NEMA wrote it (PS3.5 6.2); dates that programs write when they know
    none say nothing, nor do dates that no calendar has.
    """
    digits = re.sub(r"[.\-/ ]", "", value.strip())
    if not re.fullmatch(r"[0-9]{8}", digits) or digits in _NO_DATES:
        return ""
    try:
        day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return ""
    return digits if day.year in _YEARS else ""


def _near(one: str, other: str) -> bool:
    """Say whether two dates differ by a slip at most.

    One digit, two digits exchanged, or day and month exchanged.
    """
    if one == other or one == other[:4] + other[6:] + other[4:6]:
        return True
    at = [i for i in range(8) if one[i] != other[i]]
    if len(at) == 1:
        return True
    return len(at) == 2 and one[at[0]] == other[at[1]] and one[at[1]] == other[at[0]]


def same_name(one: str, other: str, *, certain: bool = False) -> bool:
    """Say whether two PN values may name one person.

    They do when they have a word in common, in any component and group, or one that differs by a
    slip or is cut short: the order of the parts, a name after marriage, a middle name left out. In
    no script in common, or only alike in sound, they do where it is ``certain`` otherwise: both
    films state one birth date.
    """
    left, right = _words(one), _words(other)
    if not left or not right or left & right:
        return True
    scripts, other_scripts = _scripts(left), _scripts(right)
    if not scripts & other_scripts:
        return certain
    pairs = [(a, b) for a in left for b in right]
    if any(slip(a, b) for a, b in pairs):
        return True
    return certain and any(alike(a, b) for a, b in pairs)


def _words(name: str) -> frozenset[str]:
    """Return by which words a name is known; none where it names nobody."""
    found: set[str] = set()
    for group in name.split("="):
        components = group.split("^")[:_NAME_COMPONENTS]
        parts = [[word for word in words(part) if word not in _NO_NAMES] for part in components]
        single = [word for part in parts for word in part]
        found.update(word for word in single if _tells(word))
        # "Van Dyke" and "VanDyke", 山田^太郎 and 山田太郎
        if any(_tells(word) for word in single):
            found.update("".join(part) for part in parts if len(part) > 1)
            found.add("".join(single))
    found = {word for word in found if _tells(word)}
    names = found - _PARTICLES
    return frozenset(names or found)


def _tells(word: str) -> bool:
    """Say whether a word can tell people apart: an initial or a number cannot."""
    if word in _NO_NAMES or not any(char.isalpha() for char in word):
        return False
    return len(word) > 1 or not _script(word[0]).startswith(("LATIN", "GREEK", "CYRILLIC"))


def _scripts(names: frozenset[str]) -> set[str]:
    """Return the scripts of words; Japanese is written in three of them."""
    found = {_script(char) for word in names for char in word if char.isalpha()}
    return {"KANA" if script in ("HIRAGANA", "KATAKANA") else script for script in found}


def _script(char: str) -> str:
    return unicodedata.name(char, "").partition(" ")[0]
