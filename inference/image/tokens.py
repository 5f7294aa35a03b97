"""Take a text apart into words, in any script."""

import re
import unicodedata

from inference.image.folding import fold

Words = tuple[str, ...]
# what is drawn in a line of text: a ray from side to side, an oblique of three quarters; the ages
# and the weights of children
_DRAWN = (
    (re.compile(r"([lr])\s*(?:[\u2192\u21d2]|-+>)\s*([lr])", re.IGNORECASE), r"\1\2"),
    (re.compile(r"(?<![\d/])3\s*[/\u2044]\s*4(?![\d/])"), " threequarter "),
    (re.compile(r"(?<![\d-])(\d|1[0-7])\s*y\W?o\b", re.IGNORECASE), " child "),
    (re.compile(r"(?<!\d)\d\d?\s*-\s*(\d|1[0-7])\s*y(ea)?(rs?)?\b", re.IGNORECASE), " child "),
    (re.compile(r"(?<![\d.,])[12]?\d\s*kg\b", re.IGNORECASE), " child "),
    (re.compile(r"(\u80f8\u90e8|\u80f8)\s*\(\u5c0f\)"), r"\1 child "),
)
# NFKC makes letters of the signs: "No"; the marks show nothing and stand inside words
_SIGNS: dict[int, str | None] = dict.fromkeys(map(ord, "\u2116\u2122\u2120\u00ae"), " ")
_SIGNS |= dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))
EAST_ASIAN = "\u3040-\u30fa\u30fc-\u30ff\u3400-\u9fff"  # without the dot between words


def words_of(text: str) -> Words:
    """Take a text apart: at separators, before a capital inside, between letters and digits."""
    return runs(with_capitals_apart(plain(text)))


def plain(text: str) -> str:
    """Return text of one width, with words for what is drawn in it."""
    text = unicodedata.normalize("NFKC", text.translate(_SIGNS))
    for drawn, word in _DRAWN:
        text = drawn.sub(word, text)
    return text


def runs(text: str) -> Words:
    """Return the runs of letters, digits or characters, folded."""
    pattern = rf"\d+|[{EAST_ASIAN}]+|[^\W\d_{EAST_ASIAN}]+"
    return tuple(re.findall(pattern, fold(text)))


def with_capitals_apart(text: str) -> str:
    """Put a space before a capital that begins a word: "ChestLat", "PAChest"."""
    begins = (
        one.isupper() and (before.islower() or (before.isupper() and after.islower()))
        for before, one, after in zip(f" {text}", text, f"{text[1:]} ", strict=False)
    )
    return "".join(f" {one}" if begin else one for one, begin in zip(text, begins, strict=True))
