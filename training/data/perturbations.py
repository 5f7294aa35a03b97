"""What scanners, archives and positioning do to a film, as pure functions.

A `Perturbation` makes another film of a film; what is random in it follows from its seed. Some
act on greys, some on the DICOM object before it is read: the film is written as a dataset and
read by the same path as a received one.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from inference.image.film import Film, read_film

Greys = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Perturbation:
    """A named change: a film and a seed -> the film as it might have come instead."""

    name: str
    change: Callable[[Film, int], Film]

    def __call__(self, film: Film, seed: int = 0) -> Film:
        """Return the changed film; the same film and seed give the same."""
        return self.change(film, seed)


# through DICOM


def as_dataset(film: Film, bits: int = 12, photometric: str = "MONOCHROME2") -> Dataset:
    """Write a film as a DX object without a window: ``bits`` stored, black at 0.

    12 bits lie in 16; photometric MONOCHROME1 stores the complement.
    """
    full = 2**bits - 1
    stored = np.rint(film.pixels.astype(np.float64) * full)
    if photometric == "MONOCHROME1":
        stored = full - stored
    ds = Dataset()
    ds.SOPClassUID = DigitalXRayImageStorageForPresentation
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.Rows, ds.Columns = film.pixels.shape
    ds.SamplesPerPixel, ds.PixelRepresentation = 1, 0
    ds.PhotometricInterpretation = photometric
    ds.BitsAllocated = 8 if bits <= 8 else 16
    ds.BitsStored, ds.HighBit = bits, bits - 1
    ds.PixelData = stored.astype("u1" if bits <= 8 else "<u2").tobytes()
    if ds.BitsAllocated == 8 and stored.size % 2:
        ds.PixelData += b"\0"
    return ds


def _stored(film: Film, _seed: int, *, bits: int, photometric: str) -> Film:
    return _read_again(as_dataset(film, bits, photometric), film)


def _another_window(film: Film, _seed: int, *, centre: float, width: float) -> Film:
    """Read with a window, whose centre and width are shares of the film's 0.5 % to 99.5 %."""
    ds = as_dataset(film)
    low, high = np.percentile(film.pixels, (0.5, 99.5)) * 4095
    ds.WindowCenter = round(float(low + centre * (high - low)), 1)
    ds.WindowWidth = max(2.0, round(float(width * (high - low)), 1))
    return _read_again(ds, film)


def _read_again(ds: Dataset, film: Film) -> Film:
    return replace(film, pixels=read_film(ds).pixels)


# on greys


def _gamma(film: Film, _seed: int, *, exponent: float) -> Film:
    return replace(film, pixels=film.pixels ** np.float32(exponent))


def _jpeg(film: Film, _seed: int, *, quality: int) -> Film:
    file = io.BytesIO()
    Image.fromarray(_bytes(film)).save(file, "JPEG", quality=quality)
    with Image.open(file) as picture:
        return _of_bytes(film, np.asarray(picture))


def _crop(film: Film, _seed: int, *, sides: str, share: float) -> Film:
    """Cut ``share`` of height or width off each of ``sides`` (top, bottom, left, right)."""
    height, width = film.pixels.shape
    rows, columns = round(height * share), round(width * share)
    top, bottom = ("top" in sides) * rows, ("bottom" in sides) * rows
    left, right = ("left" in sides) * columns, ("right" in sides) * columns
    return replace(film, pixels=film.pixels[top : height - bottom, left : width - right].copy())


def _rotate(film: Film, _seed: int, *, degrees: float) -> Film:
    """Turn counter-clockwise; the corners that open are black, as behind a collimator."""
    picture = Image.fromarray(film.pixels).rotate(degrees, Image.Resampling.BILINEAR)
    return replace(film, pixels=np.array(picture, np.float32))


def _shift(film: Film, seed: int, *, share: float) -> Film:
    """Move by ``share`` of each side, where to as the seed says; what opens is black."""
    rng = np.random.default_rng(seed)
    height, width = film.pixels.shape
    rows, columns = (
        round(side * share * sign)
        for side, sign in zip((height, width), rng.choice([-1, 1], 2), strict=True)
    )
    moved = np.zeros_like(film.pixels)
    visible = film.pixels[max(0, -rows) : height - max(0, rows)]
    visible = visible[:, max(0, -columns) : width - max(0, columns)]
    moved[max(0, rows) :, max(0, columns) :][: visible.shape[0], : visible.shape[1]] = visible
    return replace(film, pixels=moved)


def _collimated(film: Film, seed: int, *, share: float, grey: float) -> Film:
    """Surround the film with a border, up to ``share`` of each side wide."""
    rng = np.random.default_rng(seed)
    before, after = (rng.uniform(0.3, 1, (2, 2)) * share * film.pixels.shape).round().astype(int)
    around = [(int(a), int(b)) for a, b in zip(before, after, strict=True)]
    return replace(film, pixels=np.pad(film.pixels, around, constant_values=grey))


def _marked(film: Film, seed: int) -> Film:
    """Burn in a side marker and a line of text near the upper edge."""
    rng = np.random.default_rng(seed)
    height, width = film.pixels.shape
    picture = Image.fromarray(film.pixels)
    draw = ImageDraw.Draw(picture)
    top = float(rng.uniform(0.02, 0.08)) * height
    size = max(8, height // 16)
    draw.text((float(rng.choice([0.06, 0.86])) * width, top), "L", fill=1.0, font_size=size)
    draw.text((0.35 * width, 0.01 * height), "PORTABLE AP", fill=1.0, font_size=size // 2)
    return replace(film, pixels=np.array(picture, np.float32))


def _noisy(film: Film, seed: int, *, deviation: float) -> Film:
    grain = np.random.default_rng(seed).normal(0, deviation, film.pixels.shape)
    return replace(film, pixels=np.clip(film.pixels + grain, 0, 1).astype(np.float32))


def _bytes(film: Film) -> npt.NDArray[np.uint8]:
    return np.rint(film.pixels * 255).astype(np.uint8)


def _of_bytes(film: Film, pixels: npt.NDArray[np.uint8]) -> Film:
    return replace(film, pixels=pixels.astype(np.float32) / np.float32(255))


_SIDES = ("top", "bottom", "left", "right", "top bottom left right")

PERTURBATIONS = (
    Perturbation("wider window", partial(_another_window, centre=0.5, width=1.5)),
    Perturbation("darker window", partial(_another_window, centre=0.65, width=1.4)),
    Perturbation("brighter window", partial(_another_window, centre=0.35, width=1.4)),
    Perturbation("tight window", partial(_another_window, centre=0.5, width=0.95)),
    *(
        Perturbation(
            f"{bits} bits, {photometric}", partial(_stored, bits=bits, photometric=photometric)
        )
        for bits in (8, 12, 16)
        for photometric in ("MONOCHROME1", "MONOCHROME2")
    ),
    Perturbation("gamma 0.8", partial(_gamma, exponent=0.8)),
    Perturbation("gamma 1.25", partial(_gamma, exponent=1.25)),
    Perturbation("JPEG quality 80", partial(_jpeg, quality=80)),
    *(
        Perturbation(
            f"5 % crop, {'all sides' if len(sides) > 6 else sides}",
            partial(_crop, sides=sides, share=0.05),
        )
        for sides in _SIDES
    ),
    Perturbation("turned 3 degrees left", partial(_rotate, degrees=3)),
    Perturbation("turned 3 degrees right", partial(_rotate, degrees=-3)),
    Perturbation("shifted by 3 %", partial(_shift, share=0.03)),
    Perturbation("black border", partial(_collimated, share=0.08, grey=0.0)),
    Perturbation("white border", partial(_collimated, share=0.08, grey=1.0)),
    Perturbation("burned-in marker", _marked),
    Perturbation("noise", partial(_noisy, deviation=0.02)),
)
