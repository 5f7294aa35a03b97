"""Fold names and numbers into the words by which they are found, in any script.

"Müller", "MÜLLER^HANS" and "muller" give one word; what is typed and what is kept go through the
same folding, so a change here asks for `hilum reindex`.
"""

import unicodedata
from collections.abc import Iterable

from inference.image.folding import fold as fold  # noqa: PLC0414 -- the index's own
from inference.image.folding import script_of

# scripts that write no space between family and given name
_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "THAI")
# inside a word: O'Neil is found as oneil; the last lengthens an Arabic word, and says nothing
_SILENT = "'\N{RIGHT SINGLE QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}\N{ARABIC TATWEEL}"

# a PN component has 64 characters (PS3.5 6.2), and no header makes a film cost more rows than this
LONGEST_WORD = 64
MOST_WORDS = 64


def words(text: str) -> tuple[str, ...]:
    """Return the folded words of a text; whatever is no letter, mark or digit divides them."""
    divided = "".join(_or_space(char) for char in fold(text))
    return tuple(word[:LONGEST_WORD] for word in divided.split())


def name_words(name: str) -> tuple[str, ...]:
    """Return the words of a PN value, of all its component groups (PS3.5 6.2.1.1).

    A group in a script without spaces is found as a whole too: 山田太郎.
    """
    found: list[str] = []
    for group in name.split("="):
        parts = words(group)
        found += parts
        if parts and all(script_of(part[0]).startswith(_UNSPACED) for part in parts):
            found.append("".join(parts)[:LONGEST_WORD])
    return tuple(found)


def number_words(number: str) -> tuple[str, ...]:
    """Return the words of a Patient ID or an accession number: its parts, and it as a whole."""
    parts = words(number)
    return (*parts, "".join(parts)[:LONGEST_WORD]) if parts else ()


def film_words(name: str, numbers: Iterable[str]) -> tuple[str, ...]:
    """Return all words by which a film is found, each once."""
    found = [*name_words(name), *(word for number in numbers for word in number_words(number))]
    return tuple(dict.fromkeys(found))[:MOST_WORDS]


def is_short(word: str) -> bool:
    """Say whether a word tells too little: one letter of an alphabet, or one digit."""
    return len(word) < 2 and not script_of(word).startswith(_UNSPACED)


def after(prefix: str) -> str:
    """Return the first text, by code point, after all that begin with this prefix."""
    following = ord(prefix[-1]) + 1
    return prefix[:-1] + chr(0xE000 if 0xD800 <= following < 0xE000 else following)


def _or_space(char: str) -> str:
    kind = unicodedata.category(char)
    if kind == "Cf" or char in _SILENT:  # joiners and marks of direction: invisible
        return ""
    return char if kind[0] in "LMN" else " "
