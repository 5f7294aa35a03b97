"""Films as they might have been: turned, cropped, blurred, exposed otherwise."""

import torch
from monai.transforms import (
    Compose,
    RandAdjustContrast,
    RandAffine,
    RandCoarseDropout,
    RandScaleCrop,
    RandScaleIntensity,
    RandSimulateLowResolution,
    Resize,
    ToTensor,
)


class Augmentation:
    """Vary films at random, each on its own.

    Never a left-right flip: the heart has a side. Borders are cropped, and sharp films blurred,
    because border and sharpness tell a film's source, and the source goes with the label: the
    network would learn the hospital instead of the disease.
    """

    def __init__(self, size_px: int, seed: int) -> None:
        transform = Compose(
            [
                RandScaleCrop(roi_scale=0.75, max_roi_scale=1.0, random_size=True),
                Resize((size_px, size_px), mode="bilinear"),
                RandAffine(
                    prob=0.7,
                    rotate_range=0.15,  # radians: few stand crooked by more than 9 degrees
                    shear_range=(0.08, 0.08),
                    padding_mode="zeros",
                ),
                RandSimulateLowResolution(
                    prob=0.3,
                    downsample_mode="area",
                    upsample_mode="bilinear",
                    zoom_range=(0.4, 0.9),  # 0.4 of 128 px: nearly the 64 px of the poorest source
                ),
                RandAdjustContrast(prob=0.5, gamma=(0.7, 1.5)),
                RandScaleIntensity(factors=0.2, prob=0.5),
                RandCoarseDropout(
                    holes=1,
                    max_holes=3,
                    spatial_size=size_px // 10,
                    max_spatial_size=size_px // 4,
                    fill_value=0.0,
                    prob=0.3,
                ),
                ToTensor(dtype=torch.float32, track_meta=False),
            ]
        )
        self._transform = transform.set_random_state(seed=seed)

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return (b, 1, size_px, size_px) in [0, 1] for (b, 1, any, any) uint8."""
        return torch.stack([self._transform(film) for film in pixels.float() / 255])
