"""A received DICOM object, or a picture of a training set -> a decoded X-ray."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom.dataset import Dataset

from inference.findings import FloatArray
from inference.image.codecs import StoredPixels
from inference.image.decoding import stored_pixels
from inference.image.grayscale import Greys, Window, displayed, greys
from inference.image.header import numbers, size
from inference.image.lut import Lut
from inference.image.presentation import Presentation, read_presentation
from inference.image.undecodable import NotAFilm
from inference.image.view import View, view_of
from inference.image.vocabulary import Vocabulary

__all__ = [
    "PICTURES",
    "Film",
    "NotAFilm",
    "View",
    "eight_bits",
    "film_from_picture",
    "film_from_pixels",
    "read_film",
    "read_greys",
]

PICTURES = (".png", ".jpg", ".jpeg")  # any other file is taken for DICOM

# what Pillow says of a file that is no picture, breaks off, is damaged, or is absurdly large
_NO_PICTURE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


@dataclass(frozen=True, eq=False)
class Film:
    """One X-ray as the network and the comparison see it.

    Attributes
    ----------
    pixels
        (rows, columns) float32 in [0, 1], windowed; bright is dense (bone, mediastinum) whatever
        the photometric interpretation was.
    view
        The projection.
    spacing_mm
        (row, column) distance of pixel centres at the detector, as the film is stored; None where
        absent or zero.
    voi
        What made the greys of the modality values; None: a picture that has none.
    presentation
        How the film is to be shown. What its shutter keeps from view is 0 in ``pixels``; its
        overlays are not in them.
    stored_shape
        (rows, columns) of the film as it is stored, where ``pixels`` are a half, a quarter, ... of
        it; None: they are all of it. The overlays keep the size at which they are stored.
    """

    pixels: FloatArray
    view: View = View.UNKNOWN
    spacing_mm: tuple[float, float] | None = None
    voi: Window | Lut | None = None
    presentation: Presentation = field(default_factory=Presentation)
    stored_shape: tuple[int, int] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the film as it is stored."""
        return self.stored_shape or _shape(self.pixels)

    @property
    def proportions(self) -> tuple[float, float]:
        """Height and width of the film, in widths of a pixel."""
        rows, columns = self.shape
        return rows * self.presentation.aspect, float(columns)

    def mirrored(self) -> "Film":
        """Return the film turned left to right, with all that lies on it."""
        pixels = np.ascontiguousarray(self.pixels[:, ::-1])
        return replace(self, pixels=pixels, presentation=self.presentation.mirrored())

    @cached_property
    def eight_bits(self) -> npt.NDArray[np.uint8]:
        """The pixels from 0 to 255, (rows, columns), for pictures; computed once."""
        return eight_bits(self.pixels)


def eight_bits(pixels: FloatArray) -> npt.NDArray[np.uint8]:
    """Round pixels in [0, 1], of any shape, to 0 to 255."""
    return (np.clip(pixels, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)


def read_film(ds: Dataset, words: Vocabulary | None = None, at_least: int = 0) -> Film:
    """Decode one grey image, in the orientation in which it is stored.

    Parameters
    ----------
    ds
        A dataset with its file meta information, which names the transfer syntax.
    words
        The vocabulary in which the view is stated; None for hilum's own.
    at_least
        Pixels that its long edge must have, for a film that is only compared; 0: as it is stored.

    Raises
    ------
    NotAFilm
        When it has no pixels, several frames, true colour, or cannot be decoded.
    """
    stored, photometric = stored_pixels(ds, at_least)
    shape = _shape(stored)
    whole = size(ds)
    presentation = read_presentation(ds, whole).reduced_to(shape)
    pixels, voi = displayed(stored, photometric, ds, presentation.occluded)
    view, spacing = view_of(ds, words).view, _spacing_mm(ds)
    return Film(pixels, view, spacing, voi, presentation, None if whole == shape else whole)


def read_greys(ds: Dataset) -> Greys:
    """Decode one grey image with all the values that it has, (rows, columns).

    Raises
    ------
    NotAFilm
        As `read_film`.
    """
    stored, photometric = stored_pixels(ds)
    return greys(stored, photometric, ds, read_presentation(ds, _shape(stored)).occluded)


def _shape(stored: StoredPixels | FloatArray) -> tuple[int, int]:
    rows, columns = stored.shape
    return rows, columns


def film_from_picture(path: Path) -> Film:
    """Read a PNG or JPEG file of a film, 8 or 16 bits; one in colours is taken for a grey one.

    Raises
    ------
    NotAFilm
        The file is not there or is no picture.
    """
    try:
        with Image.open(path) as picture:
            sixteen = picture.mode.startswith("I")
            grey = np.asarray(picture, np.uint16) if sixteen else np.asarray(picture.convert("L"))
    except _NO_PICTURE as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise NotAFilm(reason or "The file is no PNG or JPEG picture, or is damaged.") from error
    return film_from_pixels(grey)


def film_from_pixels(pixels: npt.NDArray[Any]) -> Film:
    """Make a film of a grey picture (PNG, JPEG) whose full scale is its type's.

    Parameters
    ----------
    pixels
        (rows, columns) uint8 or uint16, bright is dense.

    Raises
    ------
    NotAFilm
        When the array has another type or shape.
    """
    if pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.uint16):
        raise NotAFilm(f"A grey picture is 2D uint8 or uint16, not {pixels.ndim}D {pixels.dtype}.")
    return Film(pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max))


def _spacing_mm(ds: Dataset) -> tuple[float, float] | None:
    """Return the spacing at the detector; a zero, as some consoles write, is no spacing."""
    for keyword in ("ImagerPixelSpacing", "PixelSpacing", "NominalScannedPixelSpacing"):
        spacing = numbers(ds, keyword)
        if len(spacing) == 2 and min(spacing) > 0:
            return spacing[0], spacing[1]
    return None
