"""A bundle's metadata.json. Light: reading it loads no torch."""

from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from inference.comparison.change_null import ChangeNullDistribution
from inference.errors import BundleError
from inference.findings import LABELS
from inference.model.calibration import OutputCalibration
from inference.settings import Architecture, Pooling

METADATA = Path("configs/metadata.json")
CONFIG = Path("configs/inference.json")
WEIGHTS = Path("models/model.safetensors")
CHECK = Path("models/input_check.safetensors")
LUNGS = Path("models/lung_fields.safetensors")
HEART = Path("models/heart.safetensors")
CARD = Path("docs/README.md")

LARGEST_RATIO_ERROR = 0.02  # mean absolute: above it no cardiothoracic ratio is stated


class BundleIncomplete(BundleError):
    """A file of the bundle is missing."""


class BundleMalformed(BundleError):
    """A file of the bundle does not say what it must."""


class OtherLabels(BundleError):
    """The bundle was made for other findings, or for another order of them."""


class Look(StrEnum):
    """What a picture looks like, in the order of the network's outputs.

    A turned film is named by where the head points. Mirrored or not is another output: a film
    turned upside down by a flip is UPSIDE_DOWN and mirrored.
    """

    UPRIGHT = "upright"
    HEAD_RIGHT = "head_right"
    UPSIDE_DOWN = "upside_down"
    HEAD_LEFT = "head_left"
    INVERTED = "inverted"
    NOT_FRONTAL_CHEST = "not_frontal_chest"


LOOKS = tuple(Look)


class CheckSpec(BaseModel):
    """What a bundle says of its input check."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size_px: int = Field(
        ge=32, le=512, multiple_of=16, description="side of the network's square input"
    )
    looks: tuple[Look, ...] = Field(description="in the order of the outputs")
    upright: float = Field(gt=0, lt=1, description="probability below which a film is refused")
    mirrored: float = Field(gt=0, lt=1, description="probability from which it looks mirrored")
    sha256: str = Field(description="of the weights' file")

    @field_validator("looks")
    @classmethod
    def _are_ours(cls, looks: tuple[Look, ...]) -> tuple[Look, ...]:
        if looks != LOOKS:
            raise ValueError(f"hilum needs, in this order, {', '.join(LOOKS)}")
        return looks


class LungSpec(BaseModel):
    """What a bundle says of its lung fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size_px: int = Field(
        ge=64, le=512, multiple_of=32, description="side of the network's square input"
    )
    threshold: float = Field(gt=0, lt=1, description="probability from which a cell is lung")
    sha256: str = Field(description="of the weights' file")


class RatioError(BaseModel):
    """How far a cardiothoracic ratio is from that of masks drawn by hand, on films held apart."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    films: int = Field(ge=1, description="that neither taught nor chose the epoch")
    withheld: int = Field(ge=0, description="others of them, on which no ratio would be stated")
    mean_absolute: float = Field(ge=0, description="mean absolute error")
    bias: float = Field(description="mean error; above 0 where ours is larger")
    limits: tuple[float, float] = Field(description="95 % limits of agreement (Bland and Altman)")


class HeartSpec(BaseModel):
    """What a bundle says of its heart segmenter."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size_px: int = Field(
        ge=64, le=512, multiple_of=32, description="side of the network's square input"
    )
    threshold: float = Field(gt=0, lt=1, description="probability from which a cell is an organ")
    error: RatioError | None = Field(
        description="of the cardiothoracic ratio; None where no film could be measured"
    )
    sha256: str = Field(description="of the weights' file")

    @property
    def states_ratio(self) -> bool:
        """Whether the ratio was measured to be exact enough to be stated at all."""
        return self.error is not None and self.error.mean_absolute <= LARGEST_RATIO_ERROR


class Hilum(BaseModel):
    """The part of a bundle's metadata that is hilum's own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: Architecture
    pooling: Pooling = Field(default="mean", description="of a map's cells into the logit")
    size_px: int = Field(ge=32, le=2048, description="side of the network's square input")
    mean: float
    std: float = Field(gt=0)
    readings: dict[str, OutputCalibration] = Field(
        description="by label, in the order of the outputs"
    )
    weights_sha256: str
    training_data: str = Field(description="what the network was trained on")
    input_check: CheckSpec | None = Field(
        default=None, description="how to use the input check; a bundle may have none"
    )
    null: ChangeNullDistribution | None = Field(
        default=None,
        description="how far probabilities differ without change; without it no change is named",
    )
    lung_fields: LungSpec | None = Field(
        default=None, description="how to find the lungs; a bundle may not be able to"
    )

    heart: HeartSpec | None = Field(
        default=None, description="how to find the heart; a bundle may not be able to"
    )

    @field_validator("null", mode="before")
    @classmethod
    def _of_pairs(cls, null: Any) -> Any:
        """Drop what earlier releases measured: of each finding alone, which bounds no pair."""
        return None if isinstance(null, dict) and "conditions" not in null else null

    @property
    def weights(self) -> dict[Path, str]:
        """The SHA-256 of each file of weights that this was written for."""
        parts = ((CHECK, self.input_check), (LUNGS, self.lung_fields), (HEART, self.heart))
        return {WEIGHTS: self.weights_sha256} | {file: one.sha256 for file, one in parts if one}


class Metadata(BaseModel):
    """A bundle's ``metadata.json``: the keys of MONAI that hilum reads, and its own."""

    model_config = ConfigDict(frozen=True, extra="allow")  # MONAI knows more keys

    name: str
    version: str
    monai_version: str
    network_data_format: dict[Literal["inputs", "outputs"], dict[str, dict[str, Any]]]
    hilum: Hilum

    @model_validator(mode="after")
    def _input_size_is_stated_once(self) -> Self:
        stated = self.network_data_format.get("inputs", {}).get("image", {}).get("spatial_shape")
        if stated != [self.hilum.size_px] * 2:
            raise ValueError(
                f"network_data_format says the input is {stated}, "
                f"hilum.size_px says {self.hilum.size_px}"
            )
        return self


def bundle_folder(chosen: str | Path | None = None) -> Path:
    """Return the folder of the bundle that was chosen; of the one that comes with hilum for ""."""
    return Path(chosen) if chosen else Path(__file__).parents[1] / "bundles" / "chest14"


def require(folder: Path, *names: Path) -> None:
    """Raise `BundleIncomplete` where a file of a bundle is missing."""
    for name in names:
        if not (folder / name).is_file():
            raise BundleIncomplete(f"{folder}: {name} is missing")


def read_metadata(folder: Path) -> Metadata:
    """Read ``configs/metadata.json`` of a bundle's folder.

    Raises
    ------
    BundleError
        It is missing, does not say what it must, or is of other findings.
    """
    require(folder, METADATA)
    path = folder / METADATA
    try:
        metadata = Metadata.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise BundleMalformed(f"{path}: {where}: {first['msg']}") from error
    labels = tuple(metadata.hilum.readings)
    if labels != LABELS:
        raise OtherLabels(
            f"{path} is for {', '.join(labels) or 'no label'}; "
            f"hilum needs, in this order, {', '.join(LABELS)}"
        )
    return metadata
