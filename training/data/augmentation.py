"""Films as they might have been: turned, cropped, blurred, framed, exposed otherwise."""

from typing import Any

import torch
from monai.transforms import (
    Compose,
    RandAdjustContrast,
    RandAffine,
    RandCoarseDropout,
    RandGaussianNoise,
    RandomizableTransform,
    RandScaleIntensity,
    RandSimulateLowResolution,
    ToTensor,
    Transform,
)


class Augmentation:
    """Vary a film at random, as its seed says.

    Never a left-right flip: the heart has a side. Borders are cropped, and sharp films blurred,
    because border and sharpness tell a film's source, and the source goes with the label: the
    network would learn the hospital instead of the disease.
    """

    def __init__(self, size_px: int) -> None:
        self._geometry = _geometry(size_px)
        self._appearance = Compose(
            [
                RandFrame(prob=0.2, share=0.08),
                *exposure(),
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

    def __call__(self, pixels: torch.Tensor, seed: int) -> torch.Tensor:
        """Return (1, size_px, size_px) in [0, 1] for (1, any, any) uint8."""
        return self.vary(pixels, torch.empty(0, *pixels.shape[1:]), seed)[0]

    def vary(
        self, pixels: torch.Tensor, masks: torch.Tensor, seed: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Vary a film, and move masks as the film moves.

        Parameters
        ----------
        pixels
            (1, h, w) uint8.
        masks
            (n, h, w) float32 in [0, 1].

        Returns
        -------
        tuple
            (1, size_px, size_px) in [0, 1] and (n, size_px, size_px).
        """
        self._geometry.set_random_state(seed=seed % 2**32)
        self._appearance.set_random_state(seed=(seed + 1) % 2**32)
        moved = self._geometry(torch.cat([pixels.float() / 255, masks]))
        film: torch.Tensor = self._appearance(moved[:1])
        return film, torch.as_tensor(moved[1:])


def _geometry(size_px: int) -> RandAffine:
    """Turn, shear, enlarge and shift in one interpolation.

    The grid of ``size_px`` is laid over the middle of a film that is 15 % larger (`MARGIN`), so
    the least enlargement shows the whole film with a margin, and the most 90 % of each side: a crop
    that cuts apices or angles off may cut off what the film is called positive for.
    """
    shift = 0.04 * size_px
    return RandAffine(
        prob=1.0,
        spatial_size=(size_px, size_px),
        rotate_range=0.15,  # radians: few stand crooked by more than 9 degrees
        shear_range=(0.08, 0.08),
        scale_range=(0.04, 0.2),
        translate_range=(shift, shift),
        padding_mode="zeros",
        cache_grid=True,
    )


class RandFrame(RandomizableTransform):  # type: ignore[misc]
    """Paint the edges of a film in one grey, each up to ``share`` of a side wide."""

    def __init__(self, prob: float, share: float) -> None:
        super().__init__(prob)
        self.share = share

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return a painted copy of (1, h, w), or the film as it is."""
        super().randomize(None)
        if not self._do_transform:
            return pixels
        height, width = pixels.shape[-2:]
        grey, *widths = self.R.uniform(size=5)
        top, bottom = (round(one * self.share * height) for one in widths[:2])
        left, right = (round(one * self.share * width) for one in widths[2:])
        framed = torch.full_like(pixels, float(grey))
        inside: Any = (..., slice(top, height - bottom), slice(left, width - right))
        framed[inside] = pixels[inside]
        return framed


def exposure() -> list[Transform]:
    """Return transforms of sharpness, noise and greys: another detector, another window."""
    return [
        RandSimulateLowResolution(
            prob=0.1,
            downsample_mode="area",
            upsample_mode="bilinear",
            zoom_range=(0.6, 0.95),  # films that come in are sharper than what the network reads
        ),
        RandGaussianNoise(prob=0.5, std=0.025),
        RandAdjustContrast(prob=0.5, gamma=(0.7, 1.5)),
        RandScaleIntensity(factors=0.2, prob=0.5),
    ]
