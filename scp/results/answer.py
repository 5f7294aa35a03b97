"""What a film's answer states, and one object that states it."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pydicom.dataset import Dataset

from inference.comparison import Comparison, FindingChange
from inference.drawing.outlines import Outlines
from inference.findings import FloatArray, ModelIdentity, Prediction
from inference.image.acquisition import AcquisitionTime
from inference.image.film import Film, View
from scp.results.identity import Product
from scp.results.series import FIRST, Edition


class Statement(Protocol):
    """What each object needs to know of what it states, be it findings or that there are none."""

    @property
    def source(self) -> Dataset:
        """Header of the film, as received; pixels are not needed."""

    @property
    def prior(self) -> Dataset | None:
        """Header of the earlier film that it was compared with."""

    @property
    def answered_at(self) -> dt.datetime:
        """When the film was read.

        Every date and time in the objects is taken from it, so that the same statement always
        makes the same bytes. It has a time zone, the site's: in it times are written where the
        source states no offset.
        """

    @property
    def product(self) -> Product:
        """Which software speaks."""

    @property
    def model(self) -> ModelIdentity:
        """Which weights speak."""

    @property
    def acquired(self) -> AcquisitionTime | None:
        """When the film was taken, by the one rule (`inference.image.acquisition`)."""

    @property
    def edition(self) -> Edition:
        """Which film of its study it is about, and which answer to it this is."""


@dataclass(frozen=True, eq=False)
class Answer:
    """All that was found on one film: a `Statement`.

    Attributes
    ----------
    outlines
        Where each finding is, in pixels of the film; None where that is not shown.
    notes
        What limits the reading, one sentence each, no patient identifiers.
    prior_source
        Header of the prior film, as received. A comparison needs it.
    prior_view
        The view of the prior film.
    acquired, prior_acquired
        When the films were taken, as the rule of the prior took them; None without a date.
    followed
        Tracking UIDs of the prior's report by label: a finding at the same place keeps its own.
    """

    source: Dataset
    film: Film
    prediction: Prediction
    outlines: Outlines
    notes: tuple[str, ...]
    answered_at: dt.datetime
    product: Product
    prior_source: Dataset | None = None
    comparison: Comparison | None = None
    followed: Mapping[str, str] = field(default_factory=dict)
    edition: Edition = FIRST
    acquired: AcquisitionTime | None = None
    prior_acquired: AcquisitionTime | None = None
    prior_view: View = View.UNKNOWN

    def __post_init__(self) -> None:
        if self.comparison is not None and self.prior_source is None:
            raise ValueError("an answer with a comparison needs the header of the prior film")

    @property
    def model(self) -> ModelIdentity:
        """Which weights were used."""
        return self.prediction.model

    @property
    def prior(self) -> Dataset | None:
        """The header of the film that was compared."""
        return None if self.comparison is None else self.prior_source

    @property
    def outlined(self) -> list[tuple[int, FloatArray]]:
        """The findings that have an outline, by index, each with it."""
        return [(i, ring) for i, ring in enumerate(self.outlines) if ring is not None]

    def change(self, finding: int) -> FindingChange | None:
        """Return what has become of a finding; None without a comparable prior.

        None, too, of a finding that is not assessed on both films.
        """
        if self.comparison is None or not self.comparison.comparable:
            return None
        change = self.comparison.changes[finding]
        return change if change.assessed else None


@dataclass(frozen=True, eq=False)
class NotAnalysed:
    """That a film was not read, and why: a `Statement`.

    ``reason`` is a word for machines, ``detail`` a sentence for people, without the patient.
    """

    source: Dataset
    reason: str
    detail: str
    answered_at: dt.datetime
    product: Product
    model: ModelIdentity
    edition: Edition = FIRST
    acquired: AcquisitionTime | None = None

    @property
    def prior(self) -> None:
        """Nothing was compared."""


@dataclass(frozen=True, eq=False)
class ResultObject:
    """One DICOM object; ``kind`` is the name of a `scp.results.kinds.Kind`.

    ``content`` is the UID that it would have as part of the first answer: what it says of the film.
    "" where that is its own UID.
    """

    kind: str
    ds: Dataset
    content: str = ""
