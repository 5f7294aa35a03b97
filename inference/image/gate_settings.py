"""What a site lets hilum read. Light: importing it loads no big library."""

from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from inference.image.tokens import words_of
from inference.image.vocabulary import Concept, Vocabulary, vocabulary

CHOICE = Literal["refuse", "analyse"]


# what a site may teach: the other concepts serve the reader of words alone
_READERS_OWN = (
    Concept.VIEWS,
    Concept.COUNT,
    Concept.SIDE,
    Concept.OTHER_PART_ALONE,
    Concept.OTHER_PART_UNLESS_CHEST,
    Concept.LETTER,
    Concept.DERIVED_SERIES,
    Concept.DERIVED_TYPE,
)
TAUGHT = tuple(concept.value for concept in Concept if concept not in _READERS_OWN)


class GateSettings(BaseModel):
    """What a site lets hilum read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    minimum_age_years: int = Field(
        18,
        ge=0,
        le=120,
        description="years; younger patients are not read, because the network was trained on "
        "adults. 0 switches the check off. A film without an age is read, and says so",
    )
    accept_secondary_capture: bool = Field(
        False,
        description="read Secondary Captures too; only for scanned films or old CR systems, "
        "because screenshots and other programs' results are sent the same way",
    )
    unknown_body_part: CHOICE = Field(
        "refuse",
        description="what to do when nothing in the header names a body part",
    )
    unknown_view: CHOICE = Field(
        "analyse",
        description="what to do with a chest film when nothing in the header tells frontal from "
        "lateral; the result then says 'view not stated'",
    )
    not_understood: CHOICE = Field(
        "refuse",
        description="what to do when the header states the view or the body part in words that "
        "hilum does not know; better than 'analyse', which takes it for not stated, is to teach "
        "hilum the word in [gate.words]",
    )
    contradictory_polarity: CHOICE = Field(
        "refuse",
        description="what to do when PhotometricInterpretation and PresentationLUTShape disagree: "
        "viewers then differ in which way up the greys are; 'analyse' trusts the former",
    )
    minimum_size_px: int = Field(
        200,
        ge=32,
        description="pixels of the shorter side; below it a small nodule is not even one pixel",
    )
    maximum_aspect_ratio: float = Field(
        2.0,
        gt=1,
        description="longer side / shorter side; a chest film is nearly square, a strip is not",
    )
    maximum_clipped: float = Field(
        0.75,
        gt=0,
        le=1,
        description="share of pixels that may be fully black or fully white; above it the film "
        "was exposed or windowed beyond reading",
    )
    minimum_structure: float = Field(
        0.02,
        ge=0,
        le=1,
        description="standard deviation, in grey from 0 to 1, of the film averaged over 16 x 16 "
        "fields; below it the film is blank or noise",
    )
    words: dict[str, Concept] = Field(
        default={},
        description="the site's own words for views, body parts and pictures that are no films, "
        'such as "THX STEHEND" = "PA" or "SEITBILD" = "lateral"; case, accents and separators do '
        "not count. What a word may mean: " + ", ".join(TAUGHT),
    )
    check_appearance: bool = Field(
        True,
        description="refuse pictures that do not look like an upright frontal chest film of the "
        "right polarity, whatever the header says; needs a bundle with an input check",
    )

    @field_validator("words")
    @classmethod
    def _taught(cls, words: dict[str, Concept]) -> dict[str, Concept]:
        for phrase, concept in words.items():
            if not words_of(phrase):
                raise ValueError(f"{phrase!r} has no letter and no digit")
            if concept.value not in TAUGHT:
                raise ValueError(f"{phrase!r}: write one of {', '.join(TAUGHT)}")
        return words

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Hilum's words and the site's."""
        return vocabulary().taught(self.words) if self.words else vocabulary()
