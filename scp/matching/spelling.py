"""Whether two words of names, folded, are one name written in two ways. Pure."""

import re
from difflib import SequenceMatcher

# of two spellings: as alike as Muhammad and Mohamed, less than Smith and Schmitz
_ALIKE = 0.8
# shorter words are alike by chance
_LONG = 4
# and these are whole names: Peter is not Petersen cut short
_CUT = 6
# from here on, the same consonants are the same name: Mohammed is Muhamad, but Hans is not Jens
_HEARD = 5


def slip(one: str, other: str) -> bool:
    """Say whether two words differ by how they are typed: one letter, ue for ü, cut short."""
    short, long = sorted((one, other), key=len)
    if len(short) < _LONG:
        return False
    if len(short) >= _CUT and long.startswith(short):
        return True
    if len(short) >= _HEARD and _sounds(one) == _sounds(other):
        return True
    return _plain(one) == _plain(other) or _one_edit(short, long)


def _plain(word: str) -> str:
    """Return a word without the letters by which umlauts and the like are spelt out."""
    for spelt, letter in (("ae", "a"), ("oe", "o"), ("ue", "u"), ("aa", "a"), ("ss", "s")):
        word = word.replace(spelt, letter)
    return word


def _one_edit(short: str, long: str) -> bool:
    """Say whether one letter was changed, left out, or exchanged with its neighbour."""
    same = next((i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), None)
    if len(long) - len(short) > 1:
        return False
    if same is None:
        return True
    if len(long) > len(short):
        return short[same:] == long[same + 1 :]
    rest, other = short[same:], long[same:]
    swapped = len(rest) > 1 and rest[:2] == other[1::-1] and rest[2:] == other[2:]
    return rest[1:] == other[1:] or swapped


def alike(one: str, other: str) -> bool:
    """Say whether two words may be one name in two spellings: Zhang and Chang."""
    if min(len(one), len(other)) < _LONG:
        return False
    return _sounds(one) == _sounds(other) or SequenceMatcher(None, one, other).ratio() >= _ALIKE


def _sounds(word: str) -> str:
    """Return what is left of a Latin word when vowels and ways of spelling are."""
    heard = word
    for spelt, sound in (("tsch", "c"), ("sch", "s"), ("ch", "c"), ("sh", "s"), ("ph", "f")):
        heard = heard.replace(spelt, sound)
    heard = heard.translate(str.maketrans("kqzwpd", "ccsvbt", "aeiouyhj"))
    heard = re.sub(r"(.)\1+", r"\1", heard)
    return heard if len(heard) > 1 else word
