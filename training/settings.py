"""What can be set about training. Light: importing it loads no torch."""

import math

from pydantic import BaseModel, ConfigDict, Field

from inference.settings import Architecture

SPLITS = ("train", "val", "test")


class TrainSettings(BaseModel):
    """What `hilum train` obeys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: Architecture = Field(default="resnet50", description="resnet18 is for tests")
    size_px: int = Field(
        default=128, description="side of the film in the last epochs, and to validate"
    )
    start_px: int = Field(
        default=96,
        description="side in the first epoch, grown in steps of 16 px: early epochs are cheap",
    )
    epochs: int = Field(
        default=40, description="passes over the films; the rate falls to 0 in the last"
    )
    batch_size: int = Field(default=32, description="films a step")
    learning_rate: float = Field(default=1e-3, description="AdamW's peak rate")
    weight_decay: float = Field(
        default=0.05, description="AdamW's decay, of matrices and kernels only"
    )
    warmup_epochs: int = Field(default=2, description="epochs until the peak rate")
    average_decay: float = Field(
        default=0.998,
        description="of the running average of the weights, per step; it is what is kept",
    )
    clip_norm: float = Field(default=1.0, description="longest gradient")
    bf16: bool = Field(
        default=True, description="bfloat16 forward pass: twice as fast on AVX512-BF16, GPU"
    )
    device: str = Field(default="cpu", description="cpu or cuda")
    seed: int = Field(default=0, description="of weights, order and augmentation")

    def side_at(self, epoch: int) -> int:
        """Return the side of the film in an epoch: it grows over the first 60 %."""
        grown = min(1.0, epoch / max(1.0, 0.6 * self.epochs))
        return self.size_px - 16 * round((1 - grown) * (self.size_px - self.start_px) / 16)

    def rate_at(self, progress: float) -> float:
        """Return the learning rate after ``progress`` epochs: a ramp, then half a cosine."""
        if progress < self.warmup_epochs:
            return self.learning_rate * progress / self.warmup_epochs
        left = (progress - self.warmup_epochs) / max(1e-9, self.epochs - self.warmup_epochs)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, left)))
