"""Fold text to what it is compared by, in any script: words of headers, names, numbers."""

import unicodedata

# letters that have no decomposition, yet are typed as another where the keyboard lacks them
_LIKE = str.maketrans(
    {"ø": "o", "đ": "d", "ð": "d", "ħ": "h", "ł": "l", "ı": "i", "þ": "th", "æ": "ae", "œ": "oe"}
)
# scripts whose marks are accents or vowel points that writers leave out. Elsewhere a mark makes
# another letter: dakuten in kana, the vowel signs of Devanagari, the tones of Thai
_ACCENTED = ("LATIN", "GREEK", "CYRILLIC", "HEBREW", "ARABIC")
_KATAKANA = range(0x30A1, 0x30F7)
_TO_HIRAGANA = 0x60


def fold(text: str) -> str:
    """Return text as it is compared: one width, one case, without accents, kana as hiragana.

    The index keeps folded words, so a change here asks for `hilum reindex`.
    """
    plain = unicodedata.normalize("NFKC", text).casefold().translate(_LIKE)
    folded = []
    base = ""
    for char in unicodedata.normalize("NFKD", plain):
        if unicodedata.category(char) == "Mn":
            if script_of(base).startswith(_ACCENTED):
                continue
        else:
            base = char
        folded.append(chr(ord(char) - _TO_HIRAGANA) if ord(char) in _KATAKANA else char)
    return unicodedata.normalize("NFKC", "".join(folded))


def script_of(char: str) -> str:
    """Return the name of a character, which begins with its script; "" without one."""
    return unicodedata.name(char, "") if char else ""
