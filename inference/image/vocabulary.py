"""Understand the words by which senders say what a picture shows.

Consoles, technicians and gateways write one thing in a hundred ways: "LEFT LATERAL", "LLAT",
"ChestLat", "Thorax seitl.", "胸部側面". One reader takes them apart; `vocabulary.toml` beside it
has the words of twelve languages, and a site can add its own.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

from inference.image.folding import fold
from inference.image.slips import is_slip
from inference.image.tokens import EAST_ASIAN, Words, plain, runs, with_capitals_apart, words_of

# words that are run together are taken apart only when one of them is this long or names the
# chest: "chestlat" and "txlat" are two words, "lap" is one
_LONG = 4
# letters by which an inflected word may be longer than its stem, and than one of six letters
_ENDING, _LONG_ENDING = 4, 8
# "THORAX S", "Chest L": last, and behind a chest, a letter or a side may name a view (seitlich,
# left lateral, perfil)
_VIEW_LETTERS = frozenset(("s", "l", "r", "p", "lt", "rt", "li", "re", "left", "right", "links"))
_VIEW_LETTERS |= {"rechts", "gauche", "droite", "sei", "seit"}
# how long a word is for a slip of one letter to leave no doubt of it, and which words are read so
_UNMISTAKABLE = 7
_SLIPS = frozenset({"lateral", "oblique", "decubitus", "lordotic", "derived", "child"})


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
_NONE: Concepts = frozenset()


@dataclass(frozen=True)
class Interpretation:
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


class Vocabulary:
    """Phrases, and what they mean.

    Parameters
    ----------
    phrases
        A phrase is words in their order; a "*" at its end means an ending of up to four
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
        self._unmistakable = {
            words[0]: concepts & _SLIPS
            for words, concepts in self._phrases.items()
            if len(words) == 1 and len(words[0]) >= _UNMISTAKABLE and concepts & _SLIPS
        }

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
        made._unmistakable = self._unmistakable | made._unmistakable
        return made

    def all_say(self, text: str, concept: Concept) -> bool:
        """Whether a text has words, and each of them says this."""
        meanings = [meaning for _, meaning in self._meanings(self._words(text))]
        return bool(meanings) and all(concept in meaning for meaning in meanings)

    def read(self, *texts: str) -> Interpretation:
        """Return what the texts say together: each word is understood, or named as unknown."""
        concepts: set[Concept] = set()
        unknown: list[str] = []
        for text in texts:
            for words, meaning in self._meanings(self._words(text)):
                concepts |= meaning
                if not meaning and not words[0].isdigit():
                    unknown += words
        return Interpretation(frozenset(concepts), tuple(unknown))

    def _words(self, text: str) -> Words:
        """Take a text apart as `words_of`, but leave "TXbok" whole: "T" and "Xbok" say nothing."""
        return runs(re.sub(r"[^\W\d_]+", self._apart, plain(text)))

    def _apart(self, found: re.Match[str]) -> str:
        apart = with_capitals_apart(found[0])
        if " " in apart and not all(self._known(one) for one in runs(apart)):
            whole = runs(fold(found[0]))
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
        meaning = self._phrases.get(one) or self._compound(words[0]) or self._phrase(one)
        return one, meaning or self._mistyped(words[0])

    def _mistyped(self, word: str) -> Concepts:
        """Return what a long word means with one letter more, less, other or changed places."""
        if len(word) < _UNMISTAKABLE - 1:
            return _NONE
        near = (one for one in self._unmistakable if one[0] == word[0] and is_slip(one, word))
        return self._unmistakable.get(next(near, ""), _NONE)

    def _spelt(self, letters: Words) -> Concepts:
        """Return what single letters mean that are one word: "L.A.O."."""
        if len(letters) < 3 or any(len(one) > 1 for one in letters):
            return _NONE
        return self._phrases.get(("".join(letters),), _NONE)

    def _phrase(self, words: Words) -> Concepts:
        """Return what a phrase means, exact or inflected."""
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
        characters = bool(re.match(f"[{EAST_ASIAN}]", word))
        parts = self._characters(word) if characters else self._parts(word)
        meaning = _NONE.union(*map(self._phrase, ((part,) for part in parts)))
        long = max(map(len, parts), default=0) >= _LONG
        return meaning if characters or long or Concept.CHEST in meaning else _NONE

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
