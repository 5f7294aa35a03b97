"""Which film of a study a series is about: so that two films' series can be told apart.

References
----------
PS3.3 C.7.3.1 (Series Number, Series Description); PS3.5 6.2 (LO: 64 characters).
"""

import re

from pydicom.dataset import Dataset

from inference.header import text
from inference.projection import View, view_of

LONGEST = 64
# series numbers of one film
NUMBERS = 10


def series_number(first: int, place: int, film_number: int) -> int:
    """Return the number of a kind's series: no two films of a study share one.

    ``film_number`` is the film's place among those of its study that were received, from 1.
    """
    return first + NUMBERS * (film_number - 1) + place


def series_title(kind: str, film: Dataset, film_number: int) -> str:
    """Return a Series Description: the kind, then which film, in 64 characters."""
    said = kind if film_number == 1 else f"{kind}, film {film_number}"
    name = _name(film)
    named = f"{said}, {name}" if name else said
    return named if len(named) <= LONGEST else said


def _name(film: Dataset) -> str:
    """Name a film by its view and the time of day that its header states: "PA 18:50"."""
    view = view_of(film).view
    clock = text(film, "AcquisitionTime") or text(film, "ContentTime")
    stated = re.match(r"([01]\d|2[0-3]):?([0-5]\d)", clock)
    words = [] if view is View.UNKNOWN else [str(view)]
    return " ".join([*words, *([f"{stated[1]}:{stated[2]}"] if stated else [])])
