"""What is to be said of one film, and one object that says it."""

import datetime as dt
from dataclasses import dataclass

from pydicom.dataset import Dataset

from inference.comparison import Comparison
from inference.film import Film
from inference.findings import Prediction
from scp.results.identity import Product


@dataclass(frozen=True, eq=False)
class Answer:
    """All that was found on one film.

    Attributes
    ----------
    source, prior_source
        Header of the current and of the prior film, as received; pixels are not needed.
        A comparison needs ``prior_source``.
    notes
        What limits the reading, one sentence each, no patient identifiers.
    answered_at
        When the film was read; every date and time in the objects is taken from it, so that the
        same answer always makes the same bytes. With a zone, it is written in the zone that the
        source states, else in its own.
    """

    source: Dataset
    film: Film
    prediction: Prediction
    notes: tuple[str, ...]
    answered_at: dt.datetime
    product: Product
    prior_source: Dataset | None = None
    comparison: Comparison | None = None

    def __post_init__(self) -> None:
        if self.comparison is not None and self.prior_source is None:
            raise ValueError("an answer with a comparison needs the header of the prior film")


@dataclass(frozen=True, eq=False)
class ResultObject:
    """One DICOM object; ``kind`` is heatmap-capture, comparison-capture or report."""

    kind: str
    ds: Dataset
