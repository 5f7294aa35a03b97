"""Look-up tables of a data set: Modality LUT and VOI LUT (PS3.3 C.11.1 and C.11.2)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from inference.image.header import number, numbers, value


@dataclass(frozen=True, eq=False)
class Lut:
    """A look-up table (PS3.3 C.11.1.1).

    Attributes
    ----------
    entries
        (n,): what values are mapped to.
    first
        The value that is mapped to the first entry.
    bits
        Of an entry; 2 ** bits - 1 is shown as 1.
    """

    entries: npt.NDArray[np.float64]
    first: float
    bits: int

    def look_up(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Map values of any shape; below the first or above the last entry, that entry."""
        index = np.clip(np.rint(values - self.first), 0, len(self.entries) - 1).astype(np.intp)
        return self.entries[index]

    def grey(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Map values of any shape to [0, 1]."""
        return np.clip(self.look_up(values) / (2.0**self.bits - 1), 0, 1)


def read_lut(item: Dataset, ds: Dataset) -> Lut | None:
    """Read a LUT item of a data set.

    None when descriptor and data do not fit each other (PS3.3 C.11.1.1.1 and C.11.2.1.1).
    """
    descriptor = numbers(item, "LUTDescriptor")
    data = value(item, "LUTData")
    if len(descriptor) != 3 or data is None:
        return None
    count = int(descriptor[0]) % 2**16 or 2**16
    first, bits = _first_mapped(descriptor[1], count, ds), int(descriptor[2])
    if isinstance(data, bytes):
        syntax = getattr(getattr(ds, "file_meta", None), "TransferSyntaxUID", None)
        order = ">" if syntax is not None and not syntax.is_little_endian else "<"
        data = np.frombuffer(data, "u1" if len(data) < 2 * count else f"{order}u2")
    entries = np.array(data, dtype=np.float64).ravel()
    if not 8 <= bits <= 16 or len(entries) < count:
        return None
    return Lut(entries[:count], first, min(bits, _bits_used(entries[:count])))


def _first_mapped(stated: float, count: int, ds: Dataset) -> float:
    """Return the first value that a LUT maps: 63488 as US is -2048 where values have a sign."""
    signed = number(ds, "PixelRepresentation") == 1 or stated + count > 2**16
    return stated - 2**16 if stated >= 2**15 and signed else stated


def _bits_used(entries: npt.NDArray[np.float64]) -> int:
    """Return the bits that entries need, 8 at least.

    Some senders state 16 bits and fill 14: taken at their word, their white would be dark grey.
    """
    return max(8, int(entries.max()).bit_length())
