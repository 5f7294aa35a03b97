"""What can be set about reading films. Light: importing it loads no network library."""

from pydantic import BaseModel, ConfigDict, Field


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
        description="films that a worker has in hand: decoding one while another is read;"
        " about the number of cores, plus one",
    )
