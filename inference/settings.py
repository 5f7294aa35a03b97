"""What can be set about reading and drawing films. Light: importing it loads no big library."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Architecture = Literal["resnet18", "resnet50", "densenet121"]
Pooling = Literal["mean", "probability"]
ShownMaps = Literal["verified", "all"]


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """Return ``did you mean …?`` with the nearest word that is known; "" when none is near."""
    near = get_close_matches(wrong, list(known), n=1)
    return f"did you mean {near[0]}?" if near else ""


class InferenceSettings(BaseModel):
    """How films are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: str = Field(
        "", description="folder of the MONAI bundle; empty: the one that ships with hilum"
    )
    device: str = Field(
        "auto", description='"auto" takes a GPU where there is one; or "cpu", "cuda", "cuda:1"'
    )
    batch_size: int = Field(
        16, ge=1, le=256, description="films at most in one forward pass; those that wait share one"
    )
    films_at_once: int = Field(
        3,
        ge=1,
        le=64,
        description="films that a worker works on at the same time: decoding one while another is"
        " read;"
        " about the number of cores, plus one",
    )


class DrawingSettings(BaseModel):
    """How results are drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str = Field(
        default="AI RESULT - FOR RESEARCH USE ONLY",
        min_length=1,
        max_length=64,
        pattern=r"^[ -~]+$",
        description="ASCII text burned in on every picture; what the law asks uncleared software "
        "to say",
    )
    long_edge_px: int = Field(
        default=1500,
        ge=900,
        le=4000,
        description="pixels; 1500 is readable on a 1080p screen at 100 %, and 4.4 MB a picture",
    )
    most_findings: int = Field(
        default=3,
        ge=1,
        le=3,  # inference.drawing.layers.STROKES: each map drawn has a look of its own
        description="maps drawn at once; more hide the film",
    )


class RegionSettings(BaseModel):
    """How a heat map becomes an outline."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        description="fraction of the map's greatest value; full width at half peak",
    )
    smallest_area: float = Field(
        default=0.005,
        ge=0,
        lt=1,
        description="fraction of the film; smaller parts are speckle of the map",
    )
    most_points: int = Field(
        default=64,
        ge=8,
        le=1024,
        description="points of an outline; more make reports large, not better",
    )
