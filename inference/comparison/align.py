"""Lays the prior film onto the current one."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk  # noqa: N813 - the name its documentation uses
import torch
from torch.nn import functional

from inference.comparison.structural import LOCAL_SHARE, locally_normalised
from inference.film import Film
from inference.findings import FloatArray

WORKING_PX = 512  # long edge of the maps that are drawn
REGISTRATION_PX = 256  # long edge while registering

# what a second film of the same chest can plausibly need; beyond it the optimiser was lost
SCALE_LIMITS = (0.6, 1.7)
MAXIMUM_ROTATION_DEG = 25.0
MINIMUM_OVERLAP = 0.5


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where the prior film lies on the current one.

    Attributes
    ----------
    matrix
        (2, 3): the point (x, y, 1) of the current film -> (x, y) of the prior. Either film spans
        [-1, 1] in both directions, edge to edge.
    shape
        (h, w) of the working grid, which spans the current film edge to edge.
    overlap
        (h, w), True where both films have a field.
    scale
        Size of the current anatomy over that of the prior.
    rotation_deg
        Angle between the films.
    """

    matrix: FloatArray
    shape: tuple[int, int]
    overlap: npt.NDArray[np.bool_]
    scale: float
    rotation_deg: float

    @property
    def implausible(self) -> str:
        """Why no second film of one chest lies like this; "" when it can."""
        if not SCALE_LIMITS[0] <= self.scale <= SCALE_LIMITS[1]:
            return f"the films would differ in scale by {self.scale:.2f}"
        if abs(self.rotation_deg) > MAXIMUM_ROTATION_DEG:
            return f"the films would be turned by {self.rotation_deg:.0f} degrees"
        if self.overlap.mean() < MINIMUM_OVERLAP:
            return f"only {self.overlap.mean():.0%} of the film would overlap"
        return ""

    def move(self, maps: FloatArray) -> FloatArray:
        """Move maps that span the prior film, (..., y, x) -> (..., h, w); 0 outside its field."""
        stack = _tensor(maps).reshape(1, -1, *maps.shape[-2:])  # (1, n, y, x)
        moved = functional.grid_sample(
            stack,
            _grid(self.matrix, self.shape),
            mode="bilinear",
            padding_mode="border",
            align_corners=False,
        )  # (1, n, h, w)
        moved *= torch.from_numpy(self.overlap)
        return np.asarray(moved.reshape(*maps.shape[:-2], *self.shape).numpy())


def working_shape(pixels: FloatArray, long_edge: int = WORKING_PX) -> tuple[int, int]:
    """Return (h, w) of a grid over the picture with this long edge."""
    height, width = pixels.shape
    scale = long_edge / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def resized(maps: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Resize (..., y, x) -> (..., h, w), edge to edge, averaging where it shrinks."""
    stack = _tensor(maps).reshape(1, -1, *maps.shape[-2:])
    shrinks = shape[0] < maps.shape[-2]
    made = functional.interpolate(stack, size=shape, mode="bilinear", antialias=shrinks)
    return np.asarray(made.reshape(*maps.shape[:-2], *shape).numpy())


def align(
    current: FloatArray, prior: FloatArray, pixel_ratio: float = 1.0, *, fine: bool = True
) -> Alignment:
    """Find the similarity transform that lays the prior onto the current film.

    First the chests by their brightness, then, from there, ribs and vessels by local structure,
    which alone would often be caught one rib too high (what either step brings on real pairs:
    benchmarks/comparison.py). The same films always give the same result: every pixel is
    sampled, by one thread.

    Parameters
    ----------
    current, prior
        (h, w) in [0, 1], each `working_shape`.
    pixel_ratio
        Size of the prior's pixel over that of the current film's, where known; a first guess.
    fine
        False leaves the second step out, to measure what it brings.
    """
    fixed, moving = (resized(f, working_shape(f, REGISTRATION_PX)) for f in (current, prior))
    start = sitk.CenteredTransformInitializer(
        _image(fixed, 1.0),
        _image(moving, pixel_ratio),
        sitk.Similarity2DTransform(),
        sitk.CenteredTransformInitializerFilter.GEOMETRY,
    )
    found = sitk.Similarity2DTransform(start)
    _improve(found, _image(fixed, 1.0), _image(moving, pixel_ratio), levels=[8, 4], step=4.0)
    if fine:
        sigma = LOCAL_SHARE * REGISTRATION_PX
        ribs = [locally_normalised(f, sigma) for f in (fixed, moving)]
        _improve(found, _image(ribs[0], 1.0), _image(ribs[1], pixel_ratio), levels=[4, 2], step=1.0)
    half_current = np.array(fixed.shape[::-1]) / 2
    half_prior = np.array(moving.shape[::-1]) / 2 * pixel_ratio
    matrix = _matrix(found, half_current, half_prior)
    overlap: npt.NDArray[np.bool_] = (_grid(matrix, current.shape).abs() <= 1).all(-1)[0].numpy()
    return Alignment(
        matrix=matrix,
        shape=(current.shape[0], current.shape[1]),
        overlap=overlap,
        scale=1 / found.GetScale(),
        rotation_deg=float(np.degrees(found.GetAngle())),
    )


def pixel_ratio(current: Film, prior: Film) -> float:
    """Return the size of a prior's working pixel over a current one's; 1 where unknown."""
    if current.spacing_mm is None or prior.spacing_mm is None:
        return 1.0
    ratio = (max(prior.pixels.shape) * prior.spacing_mm[0]) / (
        max(current.pixels.shape) * current.spacing_mm[0]
    )
    # a header that claims a film of twice the size is not believed
    return ratio if 0.5 < ratio < 2 else 1.0


def _image(pixels: FloatArray, unit: float) -> sitk.Image:
    """Wrap pixels of this size, the film's corner at the origin."""
    image = sitk.GetImageFromArray(pixels.astype(np.float32))
    image.SetSpacing((unit, unit))
    image.SetOrigin((unit / 2, unit / 2))
    return image


def _improve(
    transform: sitk.Similarity2DTransform,
    fixed: sitk.Image,
    moving: sitk.Image,
    *,
    levels: list[int],
    step: float,
) -> None:
    """Maximise correlation from where the transform stands; changes it in place."""
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsCorrelation()
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel(levels)
    method.SetSmoothingSigmasPerLevel([level / 2 for level in levels])
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=step, minStep=0.05, numberOfIterations=60, gradientMagnitudeTolerance=1e-8
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(transform, inPlace=True)
    method.Execute(fixed, moving)


def _matrix(
    transform: sitk.Similarity2DTransform, half_current: FloatArray, half_prior: FloatArray
) -> FloatArray:
    """Express the transform between films that span [-1, 1]; half sizes are (x, y)."""
    linear = np.array(transform.GetMatrix()).reshape(2, 2)
    centre, shift = np.array(transform.GetCenter()), np.array(transform.GetTranslation())
    offset = linear @ (half_current - centre) + centre + shift - half_prior
    matrix: FloatArray = np.column_stack([linear * half_current, offset]) / half_prior[:, None]
    return matrix.astype(np.float32)


def _grid(matrix: FloatArray, shape: tuple[int, ...]) -> torch.Tensor:
    """(1, h, w, 2): where each pixel of the working grid lies on the prior."""
    return functional.affine_grid(_tensor(matrix)[None], [1, 1, *shape], align_corners=False)


def _tensor(maps: FloatArray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(maps, dtype=np.float32))
