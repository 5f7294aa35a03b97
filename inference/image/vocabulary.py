"""Understand the words by which senders say what a picture shows.

Consoles, technicians and gateways write one thing in a hundred ways: "LEFT LATERAL", "LLAT",
"ChestLat", "Thorax seitl.", "胸部側面". One reader takes them apart; `vocabulary.toml` beside it
has the words of twelve languages, and a site can add its own.
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

from inference.image.folding import fold

# words that are run together are taken apart only when one of them is this long or names the
# chest: "chestlat" and "txlat" are two words, "lap" is one
_LONG = 4
# letters by which an inflected word may be longer than its stem, and than one of six letters
_ENDING, _LONG_ENDING = 4, 8
# "THORAX S", "Chest L": last, and behind a chest, a letter may name a view (seitlich, left, perfil)
_VIEW_LETTERS = frozenset("slrp")
# what is drawn in a line of text: a ray from side to side, an oblique of three quarters; the ages
# and the weights of children
_DRAWN = (
    (re.compile(r"([lr])\s*(?:[\u2192\u21d2]|-+>)\s*([lr])", re.IGNORECASE), r"\1\2"),
    (re.compile(r"(?<![\d/])3\s*[/\u2044]\s*4(?![\d/])"), " threequarter "),
    (re.compile(r"(?<![\d-])(\d|1[0-7])\s*y\W?o\b", re.IGNORECASE), " child "),
    (re.compile(r"(?<!\d)\d\d?\s*-\s*(\d|1[0-7])\s*y(ea)?(rs?)?\b", re.IGNORECASE), " child "),
    (re.compile(r"(?<![\d.,])[12]?\d\s*kg\b", re.IGNORECASE), " child "),
)
# NFKC makes letters of the signs: "No"; the marks show nothing and stand inside words
_SIGNS: dict[int, str | None] = dict.fromkeys(map(ord, "\u2116\u2122\u2120\u00ae"), " ")
_SIGNS |= dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))
_EAST_ASIAN = "\u3040-\u30fa\u30fc-\u30ff\u3400-\u9fff"  # without the dot between words


class Concept(StrEnum):
    """What a word says."""

    PA = "PA"
    AP = "AP"
    FRONTAL = "frontal"
    LATERAL = "lateral"
    OBLIQUE = "oblique"
    DECUBITUS = "decubitus"
    DORSAL_DECUBITUS = "dorsal_decubitus"
    LORDOTIC = "lordotic"
    SUPINE = "supine"
    PRONE = "prone"
    PORTABLE = "portable"
    VIEWS = "views"
    COUNT = "count"
    SEVERAL = "several"
    SIDE = "side"
    LETTER = "letter"
    CHEST = "chest"
    OTHER_PART = "other_part"
    OTHER_PART_UNLESS_CHEST = "other_part_unless_chest"
    OTHER_PART_ALONE = "other_part_alone"
    DERIVED = "derived"
    DERIVED_SERIES = "derived_series"
    DERIVED_TYPE = "derived_type"
    CHILD = "child"
    ADULT = "adult"
    NOTHING = "nothing"


Concepts = frozenset[Concept]
Words = tuple[str, ...]
_NONE: Concepts = frozenset()


@dataclass(frozen=True)
class Said:
    """What a text says.

    Attributes
    ----------
    concepts
        What its words mean.
    unknown
        The words that are in no list, folded.
    """

    concepts: Concepts = _NONE
    unknown: Words = ()

    def __contains__(self, concept: Concept) -> bool:
        """Whether one of the words says this."""
        return concept in self.concepts


def words_of(text: str) -> Words:
    """Take a text apart: at separators, before a capital inside, between letters and digits."""
    return _runs(_with_capitals_apart(_plain(text)))


def _plain(text: str) -> str:
    """Return text of one width, with words for what is drawn in it."""
    text = unicodedata.normalize("NFKC", text.translate(_SIGNS))
    for drawn, word in _DRAWN:
        text = drawn.sub(word, text)
    return text


def _runs(text: str) -> Words:
    runs = rf"\d+|[{_EAST_ASIAN}]+|[^\W\d_{_EAST_ASIAN}]+"
    return tuple(re.findall(runs, fold(text)))


def _with_capitals_apart(text: str) -> str:
    """Put a space before a capital that begins a word: "ChestLat", "PAChest"."""
    begins = (
        one.isupper() and (before.islower() or (before.isupper() and after.islower()))
        for before, one, after in zip(f" {text}", text, f"{text[1:]} ", strict=False)
    )
    return "".join(f" {one}" if begin else one for one, begin in zip(text, begins, strict=True))


class Vocabulary:
    """Phrases, and what they mean.

    Parameters
    ----------
    phrases
        A phrase is words in their order; a "*" at its end stands for an ending of up to four
        letters, or of eight behind a stem of six.
    """

    def __init__(self, phrases: Mapping[str, Concepts]) -> None:
        self._phrases: dict[Words, Concepts] = {}
        for phrase, concepts in phrases.items():
            words = words_of(phrase)
            if not words:
                raise ValueError(f"{phrase!r} has no letter and no digit")
            self._phrases[words] = self._phrases.get(words, _NONE) | concepts
            if phrase.endswith("*"):
                stem = (*words[:-1], words[-1] + "*")
                self._phrases[stem] = self._phrases.get(stem, _NONE) | concepts
        self._longest = max(map(len, self._phrases))
        self._single = frozenset(words[0] for words in self._phrases if len(words) == 1)

    def taught(self, words: Mapping[str, Concept]) -> "Vocabulary":
        """Return this vocabulary with a site's own phrases, which win over what they meant.

        Raises
        ------
        ValueError
            A phrase has no letter and no digit.
        """
        made = Vocabulary({phrase: frozenset({concept}) for phrase, concept in words.items()})
        made._phrases = self._phrases | made._phrases
        made._longest = max(self._longest, made._longest)
        made._single |= self._single
        return made

    def read(self, *texts: str) -> Said:
        """Return what the texts say together: each word is understood, or named as unknown."""
        concepts: set[Concept] = set()
        unknown: list[str] = []
        for text in texts:
            for words, meaning in self._meanings(self._words(text)):
                concepts |= meaning
                if not meaning and not words[0].isdigit():
                    unknown += words
        return Said(frozenset(concepts), tuple(unknown))

    def _words(self, text: str) -> Words:
        """Take a text apart as `words_of`, but leave "TXbok" whole: "T" and "Xbok" say nothing."""
        return _runs(re.sub(r"[^\W\d_]+", self._apart, _plain(text)))

    def _apart(self, found: re.Match[str]) -> str:
        apart = _with_capitals_apart(found[0])
        if " " in apart and not all(self._known(one) for one in _runs(apart)):
            whole = _runs(fold(found[0]))
            return found[0].lower() if len(whole) == 1 and self._known(*whole) else apart
        return apart

    def _known(self, word: str) -> bool:
        return bool(self._first((word,))[1])

    def _meanings(self, words: Words) -> Iterator[tuple[Words, Concepts]]:
        """Yield the words from left to right, the longest known phrase first."""
        counted = False  # the word before says how many
        before = _NONE
        while words:
            taken, meaning = self._first(words)
            if counted and Concept.VIEWS in meaning:
                meaning = meaning | {Concept.SEVERAL}
            if Concept.CHEST in before and taken == words and words[0] in _VIEW_LETTERS:
                meaning = meaning | {Concept.LETTER}
            before = meaning
            yield taken, meaning
            counted = Concept.COUNT in meaning or taken[0] in tuple("23456789")
            words = words[len(taken) :]

    def _first(self, words: Words) -> tuple[Words, Concepts]:
        """Return the longest phrase that the words begin with, or one word that is unknown."""
        for length in range(min(self._longest, len(words)), 1, -1):
            if meaning := self._phrase(words[:length]) or self._spelt(words[:length]):
                return words[:length], meaning
        one = words[:1]
        return one, self._phrases.get(one) or self._compound(words[0]) or self._phrase(one)

    def _spelt(self, letters: Words) -> Concepts:
        """Return what single letters mean that are one word: "L.A.O."."""
        if len(letters) < 3 or any(len(one) > 1 for one in letters):
            return _NONE
        return self._phrases.get(("".join(letters),), _NONE)

    def _phrase(self, words: Words) -> Concepts:
        """Return what a phrase means, as it stands or inflected."""
        if words in self._phrases:
            return self._phrases[words]
        *before, last = words
        for length in range(len(last), max(2, len(last) - _LONG_ENDING - 1), -1):
            stem = (*before, last[:length] + "*")
            ending = _LONG_ENDING if length >= _LONG + 2 else _ENDING
            if len(last) - length <= ending and stem in self._phrases:
                return self._phrases[stem]
        return _NONE

    def _compound(self, word: str) -> Concepts:
        """Return what a word says that is several run together; nothing unless all are known."""
        characters = bool(re.match(f"[{_EAST_ASIAN}]", word))
        parts = self._characters(word) if characters else self._parts(word)
        said = _NONE.union(*map(self._phrase, ((part,) for part in parts)))
        long = max(map(len, parts), default=0) >= _LONG
        return said if characters or long or Concept.CHEST in said else _NONE

    def _characters(self, word: str) -> Words:
        """Return the known words in a run of characters, which no space separates."""
        parts, at = [], 0
        while at < len(word):
            ends = range(len(word), at, -1)
            end = next((end for end in ends if word[at:end] in self._single), None)
            if end is not None:
                parts.append(word[at:end])
            at = end or at + 1
        return tuple(parts)

    def _parts(self, word: str) -> Words:
        """Split a word into known ones of two letters or more; only the last may be inflected."""
        for length in range(len(word) - 2, 1, -1):
            if word[:length] not in self._single:
                continue
            rest = word[length:]
            if rest in self._single:
                return word[:length], rest
            if parts := self._parts(rest):
                return word[:length], *parts
            if len(rest) > _LONG and self._phrase((rest,)):
                return word[:length], rest
        return ()


@cache
def vocabulary() -> Vocabulary:
    """Return the words that hilum knows."""
    text = files("inference.image").joinpath("vocabulary.toml").read_text(encoding="utf-8")
    phrases: dict[str, Concepts] = {}
    for concept, listed in tomllib.loads(text).items():
        for phrase in listed:
            phrases[phrase] = phrases.get(phrase, _NONE) | {Concept(concept)}
    return Vocabulary(phrases)
