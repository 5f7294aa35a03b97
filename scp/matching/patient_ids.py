"""Patient IDs that name nobody, and Patient IDs that are nearly the same. Pure.

A Patient ID is compared exactly, with its issuer (PS3.3 C.7.1.1). Whatever differs only in case,
leading zeros, punctuation or a missing issuer is not compared, but said.
"""

import re
from collections.abc import Iterable

from scp.matching.folding import fold

# an ID has 64 characters (PS3.5 6.2, LO)
_LONGEST = 64
_REPEATED = "..."


def is_placeholder(patient_id: str, placeholders: Iterable[str]) -> bool:
    """Say whether a Patient ID names nobody."""
    plain = _plain(patient_id)
    return not plain or any(_names(entry, plain) for entry in placeholders)


def id_key(patient_id: str) -> str:
    """Return what Patient IDs have in common that are nearly the same.

    Without case, width, spaces, punctuation, and the zeros before its numbers.
    """
    return re.sub(r"(?<![0-9])0+(?=[0-9])", "", _plain(patient_id))


def keys(placeholders: Iterable[str]) -> frozenset[str]:
    """Return the keys of all Patient IDs that placeholders can be written as; more have them."""
    found = {""}
    for entry in placeholders:
        plain = _plain(entry)
        if plain and entry.endswith(_REPEATED):
            found.update(id_key(plain + plain[-1] * more) for more in range(_LONGEST))
        else:
            found.add(id_key(plain))
    return frozenset(found)


def differences(one: tuple[str, str], other: tuple[str, str]) -> tuple[str, ...] | None:
    """Return in what two (Patient ID, issuer) that are nearly the same differ, in words.

    None when they are the same, or not nearly: two issuers, or another number.
    """
    if one == other or id_key(one[0]) != id_key(other[0]):
        return None
    differing = list(_of_ids(one[0], other[0]))
    if one[1] != other[1]:
        if one[1] and other[1] and _plain(one[1]) != _plain(other[1]):
            return None
        differing.append("how the issuer is written" if one[1] and other[1] else "the issuer")
    return tuple(differing)


def _of_ids(one: str, other: str) -> Iterable[str]:
    if one == other:
        return
    if _plain(one) != _plain(other):
        yield "leading zeros"
    if fold(one) != fold(other) and _spaced(one) != _spaced(other):
        yield "spaces or punctuation"
    if _without(one) != _without(other):
        yield "upper and lower case"


def _spaced(text: str) -> str:
    """Return an ID with neither case nor the zeros before numbers, but with all between."""
    return re.sub(r"(?<![0-9])0+(?=[0-9])", "", fold(text))


def _without(text: str) -> str:
    """Return an ID with its case, and without zeros before numbers, spaces and punctuation."""
    plain = "".join(char for char in text if char.isalnum())
    return re.sub(r"(?<![0-9])0+(?=[0-9])", "", plain)


def _plain(text: str) -> str:
    """Return the letters and digits of an ID, folded."""
    return "".join(char for char in fold(text) if char.isalnum())


def _names(entry: str, plain: str) -> bool:
    """Say whether an entry of the list is this ID; ``plain`` is folded."""
    pattern = _plain(entry)
    if not entry.endswith(_REPEATED):
        return plain == pattern
    return (
        bool(pattern) and plain.startswith(pattern) and not plain[len(pattern) :].strip(pattern[-1])
    )
