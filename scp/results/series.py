"""Which film of a study, and which answer to it, a series belongs to.

References
----------
PS3.3 C.7.3.1 (Series Number, Series Description); PS3.5 6.2 (LO: 64 characters).
"""

import datetime as dt
from dataclasses import dataclass

from pydicom.dataset import Dataset

from inference.image.acquisition import AcquisitionTime, Precision
from inference.image.view import View, view_of

LONGEST = 64
# series numbers of one film, and of one answer to all films of a study
NUMBERS_OF_A_FILM = 10
NUMBERS_OF_AN_ANSWER = 10_000


@dataclass(frozen=True, eq=False)
class Edition:
    """One answer to one film.

    Attributes
    ----------
    film_number
        The film's place among those of its study that were received, from 1.
    number
        1 for the first answer to the film, 2 for the second.
    why
        Why there is another answer, as the end of a sentence; "" for the first.
    made_at
        When a further answer was made, with a zone; the first has the time of the reading.
    predecessor
        Header of the report that a further answer's report takes the place of.
    """

    film_number: int = 1
    number: int = 1
    why: str = ""
    made_at: dt.datetime | None = None
    predecessor: Dataset | None = None

    @property
    def sentence(self) -> str:
        """The text for readers of a further answer; "" for the first."""
        if self.number == 1:
            return ""
        return f"Answer {self.number} to this film, in place of the one before: {self.why}."


FIRST = Edition()


def series_number(first: int, place: int, edition: Edition) -> int:
    """Return the number of a kind's series: no two films or answers of a study share one."""
    film, answer = edition.film_number - 1, edition.number - 1
    return first + NUMBERS_OF_AN_ANSWER * answer + NUMBERS_OF_A_FILM * film + place


def series_title(
    kind: str, film: Dataset, edition: Edition, acquired: AcquisitionTime | None
) -> str:
    """Return a Series Description: the kind, then which film and answer, in 64 characters.

    ``acquired`` is when the film was taken, by the one rule.
    """
    parts = [kind]
    if edition.film_number > 1:
        parts.append(f"film {edition.film_number}")
    if edition.number > 1:
        parts.append(f"answer {edition.number}")
    title, name = ", ".join(parts), _name(film, acquired)
    named = f"{title}, {name}" if name else title
    return named if len(named) <= LONGEST else title


def _name(film: Dataset, acquired: AcquisitionTime | None) -> str:
    """Name a film by its view and its own time of day: "PA 18:50"; a study's time names no film."""
    view = view_of(film).view
    words = [] if view is View.UNKNOWN else [str(view)]
    if acquired is not None and acquired.borrowed_from not in ("study", "series"):
        clock = {Precision.DAY: "", Precision.HOUR: "%Hh"}.get(acquired.precision, "%H:%M")
        words += [acquired.when.strftime(clock)] if clock else []
    return " ".join(words)
