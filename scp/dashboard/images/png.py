"""Results as pictures that a browser shows."""

import io
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom.pixels.utils import pixel_array

from inference.image.dicom_file import read_dicom

# Secondary Capture Image Storage (PS3.4 B.5): what hilum makes; its multi-frame kin it does not
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
MIN_WIDTH, MAX_WIDTH = 32, 4096


class NoPicture(ValueError):
    """The object holds no picture that a browser could show; the text says why."""


def is_picture(sop_class_uid: str) -> bool:
    """Say whether results of this class are pictures."""
    return sop_class_uid == SECONDARY_CAPTURE


def png_of(path: Path, width: int | None = None) -> bytes:
    """Return a capture as PNG, never enlarged.

    Parameters
    ----------
    path
        A Secondary Capture of 8 bits, in colour or grey.
    width
        Columns at most; ``None`` keeps the capture's own.

    Raises
    ------
    FileNotFoundError
        It is no longer there.
    NoPicture
        It has no pixels, or not of 8 bits.
    """
    ds = read_dicom(path)
    if "PixelData" not in ds:
        raise NoPicture("it has no pixels")
    pixels = pixel_array(ds)  # colour is RGB, however it was stored
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,)):
        raise NoPicture("it is not a single picture of 8 bits")
    if ds.PhotometricInterpretation == "MONOCHROME1":
        pixels = 255 - pixels
    image = Image.fromarray(pixels)
    if width is not None and width < image.width:
        rows = max(1, round(image.height * width / image.width))
        image = image.resize((width, rows), Image.Resampling.LANCZOS, reducing_gap=2)
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)  # on the spot for one reader: speed before size
    return out.getvalue()
