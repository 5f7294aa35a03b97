"""A decoded X-ray."""

from dataclasses import dataclass
from enum import StrEnum

from inference.findings import FloatArray


class NotAFilm(ValueError):
    """The object cannot be decoded to one grey image; the text says why, naming no patient."""


class View(StrEnum):
    """The projection, as far as the header tells."""

    PA = "PA"
    AP = "AP"
    FRONTAL = "frontal"
    LATERAL = "lateral"
    OBLIQUE = "oblique"
    UNKNOWN = "unknown"


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
        (row, column) distance of pixel centres at the detector, or None where absent or zero.
    """

    pixels: FloatArray
    view: View = View.UNKNOWN
    spacing_mm: tuple[float, float] | None = None
