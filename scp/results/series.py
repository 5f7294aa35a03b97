"""Which film of a study a series is about: so that two films' series can be told apart.

References
----------
PS3.3 C.7.3.1 (Series Number, Series Description); PS3.5 6.2 (LO: 64 characters).
"""

from pydicom.dataset import Dataset

from inference.acquisition import AcquisitionTime, Precision
from inference.projection import View, view_of

LONGEST = 64
# series numbers of one film
NUMBERS = 10


def series_number(first: int, place: int, film_number: int) -> int:
    """Return the number of a kind's series: no two films of a study share one.

    ``film_number`` is the film's place among those of its study that were received, from 1.
    """
    return first + NUMBERS * (film_number - 1) + place


def series_title(
    kind: str, film: Dataset, film_number: int, acquired: AcquisitionTime | None
) -> str:
    """Return a Series Description: the kind, then which film, in 64 characters.

    ``acquired`` is when the film was taken, by the one rule.
    """
    said = kind if film_number == 1 else f"{kind}, film {film_number}"
    name = _name(film, acquired)
    named = f"{said}, {name}" if name else said
    return named if len(named) <= LONGEST else said


def _name(film: Dataset, acquired: AcquisitionTime | None) -> str:
    """Name a film by its view and its own time of day: "PA 18:50"; a study's time names no film."""
    view = view_of(film).view
    words = [] if view is View.UNKNOWN else [str(view)]
    if acquired is not None and acquired.borrowed_from not in ("study", "series"):
        clock = {Precision.DAY: "", Precision.HOUR: "%Hh"}.get(acquired.precision, "%H:%M")
        words += [acquired.when.strftime(clock)] if clock else []
    return " ".join(words)
