"""What can be set about training. Light: importing it loads no torch."""

import math
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inference.settings import Architecture, Pooling, did_you_mean
from training.errors import TrainingError

SPLITS = ("train", "val", "test")

Objective = Literal["soft_margin", "weighted_bce", "focal", "asymmetric"]


class LoopSettings(BaseModel):
    """What every training loop obeys, whatever it learns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: Architecture = Field(default="resnet50", description="resnet18 is for tests")
    size_px: int = Field(default=128, description="side of the film in the last epochs")
    epochs: int = Field(
        default=30, description="passes over the films; the rate falls to 0 in the last"
    )
    batch_size: int = Field(default=32, description="films a step, on each device")
    learning_rate: float = Field(default=1e-3, description="AdamW's peak rate")
    weight_decay: float = Field(
        default=0.05, description="AdamW's decay, of matrices and kernels only"
    )
    warmup_epochs: int = Field(default=2, description="epochs until the peak rate")
    average_decay: float = Field(
        default=0.998,
        description="of the running average of the weights, per step; it is what is kept",
    )
    head_rate: float = Field(
        default=1.0, gt=0, description="learning rate of the head, times that of the trunk"
    )
    clip_norm: float = Field(default=1.0, description="longest gradient")
    patience: int = Field(
        default=10, description="epochs without a better score on val after which to stop"
    )
    bf16: bool = Field(
        default=True, description="bfloat16 forward pass: twice as fast on AVX512-BF16, GPU"
    )
    workers: int = Field(
        default=0, description="processes that augment films; 0: the training process itself"
    )
    device: str = Field(default="cpu", description="cpu or cuda")
    seed: int = Field(default=0, description="of weights, order and augmentation")

    def side_at(self, _epoch: int) -> int:
        """Return the side of the film in an epoch, counted from 0."""
        return self.size_px

    def rate_at(self, progress: float) -> float:
        """Return the learning rate after ``progress`` epochs: a ramp, then half a cosine."""
        if progress < self.warmup_epochs:
            return self.learning_rate * progress / self.warmup_epochs
        left = (progress - self.warmup_epochs) / max(1e-9, self.epochs - self.warmup_epochs)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, left)))


class TrainSettings(LoopSettings):
    """What `hilum train` obeys."""

    start_px: int = Field(
        default=96,
        description="side in the first epoch, grown in steps of 16 px: early epochs are cheap; "
        "never above size_px",
    )
    initial: str = Field(
        default="random",
        description="weights to begin with: random, imagenet, torchxrayvision, or a file",
    )
    pooling: Pooling = Field(
        default="probability",
        description="of a map's cells into the logit: mean, or probability, which points better",
    )
    objective: Objective = Field(default="weighted_bce", description="what is made small")
    source_balance: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="0 shows every film once an epoch; 1 shows all sources equally often",
    )
    sharp_only: bool = Field(
        default=False, description="films whose source is smaller than 1024 px teach nothing"
    )
    teach_val: bool = Field(
        default=False,
        description="val films teach too, and the last epoch is kept: cross-validation judges",
    )
    box_weight: float = Field(
        default=0.0,
        ge=0,
        description="of the loss that asks a map to lie in the boxes of its finding",
    )
    balance: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="0 shows every film once an epoch; 1 shows all findings equally often",
    )

    def side_at(self, epoch: int) -> int:
        """Return the side of the film in an epoch: it grows over the first 60 %."""
        grown = min(1.0, epoch / max(1.0, 0.6 * self.epochs))
        room = max(0, self.size_px - self.start_px)
        return self.size_px - 16 * round((1 - grown) * room / 16)


class PretrainSettings(LoopSettings):
    """What `hilum pretrain` obeys."""

    size_px: int = Field(default=96, description="side of the film")
    epochs: int = Field(default=8, description="passes over the films")
    batch_size: int = Field(default=64, description="films a step, on each device")
    learning_rate: float = Field(default=2e-3, description="AdamW's peak rate")
    warmup_epochs: int = Field(default=1, description="epochs until the peak rate")


class CheckSettings(LoopSettings):
    """What `hilum train-check` obeys."""

    size_px: int = Field(
        default=64, ge=32, multiple_of=16, description="side of the input check's film"
    )
    epochs: int = Field(default=8, description="passes over the films")
    batch_size: int = Field(default=64, description="examples a step")
    learning_rate: float = Field(default=3e-3, description="AdamW's peak rate")
    warmup_epochs: int = Field(default=1, description="epochs until the peak rate")
    average_decay: float = Field(default=0.99, description="of the average, per step")
    bf16: bool = Field(default=False, description="so small a network gains nothing by it")


class LungSettings(LoopSettings):
    """What `hilum train-lungs` obeys."""

    size_px: int = Field(
        default=128, ge=64, le=512, multiple_of=32, description="side of the segmenter's film"
    )
    epochs: int = Field(default=120, description="passes over the films: they are few")
    batch_size: int = Field(default=16, description="examples a step")
    learning_rate: float = Field(default=3e-3, description="AdamW's peak rate")
    warmup_epochs: int = Field(default=3, description="epochs until the peak rate")
    average_decay: float = Field(default=0.99, description="of the average, per step")
    patience: int = Field(default=40, description="the rate must have time to fall")
    ill: float = Field(
        default=0.7, ge=0, le=1, description="share of examples with painted opacities"
    )
    bent: float = Field(
        default=1.0, ge=0, description="how far examples are turned, scaled, shifted and bent"
    )
    bf16: bool = Field(default=False, description="so small a network gains nothing by it")


class HeartSettings(LungSettings):
    """What `hilum train-heart` obeys."""

    epochs: int = Field(default=60, description="passes over the films")
    patience: int = Field(default=30, description="the rate must have time to fall")
    initial: str = Field(
        default="random",
        description="weights to begin with: random, or a file of a lung segmenter's",
    )


class BadSetting(TrainingError, ValueError):
    """A setting has an unknown name or an impossible value; the text says which."""


Settings = TypeVar("Settings", bound=LoopSettings)


def read_settings(kind: type[Settings], config: Path | None, changes: Sequence[str]) -> Settings:
    """Return settings: the defaults, then a TOML file's, then ``NAME=VALUE`` pairs.

    Raises
    ------
    BadSetting
    """
    try:
        chosen = tomllib.loads(config.read_text()) if config else {}
        chosen |= dict(change.split("=", 1) for change in changes)
    except ValueError as error:
        raise BadSetting(f"settings: {error}; --set wants NAME=VALUE") from error
    return settings_of(kind, chosen)


def settings_of(kind: type[Settings], chosen: Mapping[str, Any]) -> Settings:
    """Return settings: the defaults but for what is chosen.

    Raises
    ------
    BadSetting
    """
    for name in chosen:
        if name not in kind.model_fields:
            hint = did_you_mean(name, kind.model_fields) or "`hilum train --help` names them"
            raise BadSetting(f"there is no setting {name!r}; {hint}")
    try:
        return kind.model_validate(chosen)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadSetting(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
