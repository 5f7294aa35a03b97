"""Lays the prior film onto the current one."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk  # noqa: N813 - the name its documentation uses
import torch
from torch.nn import functional

from inference.film import Film
from inference.findings import FloatArray

WORKING_PX = 512  # long edge of the maps that are drawn
REGISTRATION_PX = 256  # long edge while registering: 0.1 px better would cost four times as much

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
    scale
        Size of the current anatomy over that of the prior.
    rotation_deg
        Angle between the films.
    """

    matrix: FloatArray
    shape: tuple[int, int]
    scale: float
    rotation_deg: float

    @property
    def overlap(self) -> npt.NDArray[np.bool_]:
        """(h, w), True where both films have a field."""
        inside: npt.NDArray[np.bool_] = (self._grid().abs() <= 1).all(dim=-1)[0].numpy()
        return inside

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
            stack, self._grid(), mode="bilinear", padding_mode="border", align_corners=False
        )  # (1, n, h, w)
        moved *= torch.from_numpy(self.overlap)
        return np.asarray(moved.reshape(*maps.shape[:-2], *self.shape).numpy())

    def _grid(self) -> torch.Tensor:
        matrix = _tensor(self.matrix)[None]
        return functional.affine_grid(matrix, [1, 1, *self.shape], align_corners=False)


def working_shape(film: Film, long_edge: int = WORKING_PX) -> tuple[int, int]:
    """Return (h, w) of a grid over the film with this long edge."""
    height, width = film.pixels.shape
    scale = long_edge / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def resized(maps: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Resize (..., y, x) -> (..., h, w), edge to edge, averaging where it shrinks."""
    stack = _tensor(maps).reshape(1, -1, *maps.shape[-2:])
    made = functional.interpolate(stack, size=shape, mode="bilinear", antialias=True)
    return np.asarray(made.reshape(*maps.shape[:-2], *shape).numpy())


def align(current: Film, prior: Film) -> Alignment:
    """Find the similarity transform that lays the prior onto the current film.

    Starts with the centres of the films on each other, at true scale where both state their
    spacing; maximises correlation over three resolutions. The same films always give the same
    result: every pixel is sampled, by one thread.
    """
    fixed, moving = (resized(f.pixels, working_shape(f, REGISTRATION_PX)) for f in (current, prior))
    unit = _relative_pixel_size(current, prior)
    transform = _register(_image(fixed, 1.0), _image(moving, unit))
    linear = np.array(transform.GetMatrix()).reshape(2, 2)
    centre, shift = np.array(transform.GetCenter()), np.array(transform.GetTranslation())
    # registration coordinates (x, y): current in pixels from its corner, prior likewise * unit
    half_current = np.array(fixed.shape[::-1]) / 2
    half_prior = np.array(moving.shape[::-1]) * unit / 2
    offset = linear @ (half_current - centre) + centre + shift - half_prior
    matrix = np.column_stack([linear * half_current, offset]) / half_prior[:, None]
    return Alignment(
        matrix=matrix.astype(np.float32),
        shape=working_shape(current),
        scale=1 / transform.GetScale(),
        rotation_deg=float(np.degrees(transform.GetAngle())),
    )


def _relative_pixel_size(current: Film, prior: Film) -> float:
    """Return the size of a prior's registration pixel in registration pixels of the current."""
    if current.spacing_mm is None or prior.spacing_mm is None:
        return 1.0
    sizes = [max(f.pixels.shape) * f.spacing_mm[0] for f in (prior, current) if f.spacing_mm]
    ratio = sizes[0] / sizes[1]
    # a header that claims a film of twice the size is not believed
    return ratio if 0.5 < ratio < 2 else 1.0


def _image(pixels: FloatArray, unit: float) -> sitk.Image:
    image = sitk.GetImageFromArray(pixels.astype(np.float32))
    image.SetSpacing((unit, unit))
    image.SetOrigin((unit / 2, unit / 2))
    return image


def _register(fixed: sitk.Image, moving: sitk.Image) -> sitk.Similarity2DTransform:
    start = sitk.CenteredTransformInitializer(
        fixed,
        moving,
        sitk.Similarity2DTransform(),
        sitk.CenteredTransformInitializerFilter.GEOMETRY,
    )
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsCorrelation()
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([2, 1, 0])
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=2.0, minStep=0.01, numberOfIterations=60, gradientMagnitudeTolerance=1e-8
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(start, inPlace=True)
    method.Execute(fixed, moving)
    return sitk.Similarity2DTransform(start)


def _tensor(maps: FloatArray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(maps, dtype=np.float32))
