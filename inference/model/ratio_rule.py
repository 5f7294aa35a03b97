"""Of which films a cardiothoracic ratio may be stated, by header and input check.

On AP films the heart is magnified, a film that lies mirrored or turned has its sides exchanged, and
the heart of a child is another share of the chest.
"""

from dataclasses import replace

from pydicom.dataset import Dataset

from inference.cardiothoracic import RatioStatement
from inference.comparison.conditions import Side, is_stored_mirrored
from inference.image.age import age_years
from inference.image.film import Film
from inference.image.limitations import PORTABLE, SUPINE
from inference.image.view import View

ADULT = 18  # years


def as_header_allows(
    ratio: RatioStatement | None,
    film: Film,
    header: Dataset,
    notes: tuple[str, ...],
    looks: Side | None,
) -> RatioStatement | None:
    """Say whether a film's header, and the way it looks, allow its ratio to be stated.

    Parameters
    ----------
    ratio
        None where nothing looked for a heart.
    notes
        What limits reading the film (`inference.image.limitations`).
    looks
        Which way round the picture looks; None where nothing checked.
    """
    if ratio is None:
        return None
    return replace(ratio, forbidden=_forbidden(film.view, header, notes, looks))


def _forbidden(view: View, header: Dataset, notes: tuple[str, ...], looks: Side | None) -> str:
    age = age_years(header)
    reasons = {
        "it is stated of PA films alone": view is not View.PA,
        "the header calls the film portable or supine": PORTABLE in notes or SUPINE in notes,
        "the age is not known, and it is stated of adults alone": age is None,
        "it is stated of adults alone": age is not None and age < ADULT,
        "nothing checked whether the film is upright": looks is None,
        "the film looks mirrored, or is stored so": looks is Side.MIRRORED
        or is_stored_mirrored(header),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")
