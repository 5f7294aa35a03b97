"""Read header values as they come: absent, empty, multi-valued or of the wrong type.

Films arrive from every vendor, and pydicom converts an element when it is first touched, so a
malformed value raises there. A value that cannot be read is a value that is not there.
"""

import math
import struct
from typing import Any

from pydicom.charset import convert_encodings
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.valuerep import CUSTOMIZABLE_CHARSET_VR

from inference.image import leniency  # noqa: F401 -- how pydicom reads from here on

# what converting a malformed element raises in pydicom, by value representation
MALFORMED = (
    ValueError,
    TypeError,
    ArithmeticError,
    AttributeError,
    LookupError,
    EOFError,
    OSError,  # a sequence that ends too soon
    NotImplementedError,
    struct.error,
    BytesLengthException,
)


def value(ds: Dataset, keyword: str) -> Any:
    """Return an element's value as pydicom gives it; None when absent, empty or malformed."""
    try:
        return ds.get(keyword)
    except MALFORMED:
        return None


def texts(ds: Dataset, keyword: str) -> tuple[str, ...]:
    """Return every value of an element as stripped text; none when absent or malformed."""
    found = value(ds, keyword)
    if found is None or isinstance(found, bytes | Dataset | Sequence):
        return ()
    values = found if isinstance(found, MultiValue | list | tuple) else [found]
    values_read = (str(one).strip("\0 ") for one in values if one is not None)
    return tuple(
        one if one.isascii() else _in_its_character_set(ds, keyword, one) for one in values_read
    )


def _in_its_character_set(ds: Dataset, keyword: str, stated: str) -> str:
    """Decode what may only be ASCII and is not: "Tórax" as a code string, "35 лет" as an age.

    pydicom takes it for Latin-1, for the Specific Character Set holds for free text and names
    alone (PS3.5 6.1.2.2).
    """
    if dictionary_VR(keyword) in CUSTOMIZABLE_CHARSET_VR:
        return stated
    for encoding in ("utf-8", *convert_encodings(value(ds, "SpecificCharacterSet"))):
        try:
            return stated.encode("iso8859-1").decode(encoding)
        except (UnicodeError, LookupError):
            continue
    return stated


def text(ds: Dataset, keyword: str) -> str:
    """Return the first value of an element as stripped text; "" when absent or malformed."""
    values = texts(ds, keyword)
    return values[0] if values else ""


def numbers(ds: Dataset, keyword: str) -> tuple[float, ...]:
    """Return every value of an element as finite numbers; none when any is not a number."""
    try:
        values = tuple(float(one) for one in texts(ds, keyword))
    except ValueError:
        return ()
    return values if all(map(math.isfinite, values)) else ()


def number(ds: Dataset, keyword: str) -> float | None:
    """Return the first value of an element as a finite number; None when there is none."""
    values = numbers(ds, keyword)
    return values[0] if values else None


def size(ds: Dataset) -> tuple[int, int]:
    """Return Rows and Columns; 0 for what is absent, empty or malformed."""
    return int(number(ds, "Rows") or 0), int(number(ds, "Columns") or 0)


def items(ds: Dataset, keyword: str) -> tuple[Dataset, ...]:
    """Return the items of a sequence; none when absent, malformed or not a sequence."""
    found = value(ds, keyword)
    return tuple(found) if isinstance(found, Sequence) else ()
