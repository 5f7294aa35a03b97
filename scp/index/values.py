"""A film with its outcome, results and deliveries, for a page, a script or a command."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from inference.findings import CALLED, LABELS, Change, Prediction, reaches
from inference.statements import against_threshold
from scp.index.ratio_row import RatioRow
from scp.index.schema.tables import DeliveryState, FilmState
from scp.outcomes.delivery import Outcome

# probabilities nearer to each other are the same number, rounded
_SAME = 1e-5


@dataclass(frozen=True)
class Applied:
    """What a site makes of one film, in the order of the findings; probabilities in [0, 1].

    ``not_assessed`` are the labels without a statement, ``not_verified`` those whose maps
    were not shown to point at the finding.
    """

    probabilities: tuple[float, ...]
    thresholds: tuple[float, ...]
    not_assessed: tuple[str, ...] = ()
    not_verified: tuple[str, ...] = ()

    @property
    def positive(self) -> tuple[bool | None, ...]:
        """Which findings are at or above their threshold; None of those not assessed."""
        pairs = zip(LABELS, self.probabilities, self.thresholds, strict=True)
        return tuple(
            None if label in self.not_assessed else reaches(probability, threshold)
            for label, probability, threshold in pairs
        )

    def is_like(self, other: "Applied") -> bool:
        """Say whether both say the same numbers, rounded."""
        pairs = zip(
            (*self.probabilities, *self.thresholds),
            (*other.probabilities, *other.thresholds),
            strict=True,
        )
        return all(abs(one - two) <= _SAME for one, two in pairs)

    @classmethod
    def from_row(cls, row: Mapping[str, Sequence[float]] | None) -> "Applied | None":
        """Return what a result's row says; None where that is not known."""
        return cls(tuple(row["probabilities"]), tuple(row["thresholds"])) if row else None

    @classmethod
    def of(cls, found: Prediction) -> "Applied":
        """Return what a prediction says."""
        return cls(
            tuple(float(one) for one in found.probabilities),
            tuple(float(one) for one in found.thresholds),
            labels_without(found.assessed),
            labels_without(found.verified),
        )


def labels_without(verdict: npt.NDArray[np.bool_]) -> tuple[str, ...]:
    """Return the labels of which a verdict (14,) does not hold."""
    return tuple(label for label, holds in zip(LABELS, verdict, strict=True) if not holds)


@dataclass(frozen=True)
class FindingRow:
    """One finding of one film; probabilities in [0, 1]. Without a comparable prior: no change.

    ``meaning`` and ``change_meaning`` say in words what the numbers say, the latter only of a
    change that is named. Of a finding that is not assessed ``positive`` is None,
    and there is no change. ``verified`` says whether its maps were shown to point at it.
    """

    label: str
    name: str
    probability: float
    threshold: float
    positive: bool | None
    meaning: str
    prior_probability: float | None = None
    change: Change | None = None
    confidence: float | None = None  # as `inference.comparison.FindingChange`'s
    change_meaning: str = ""
    assessed: bool = True
    verified: bool = True

    @property
    def called(self) -> bool:
        """Whether a change is named."""
        return self.change in CALLED

    @property
    def difference(self) -> float:
        """Probability now less that on the prior, in [-1, 1]; 0 without one."""
        before = self.prior_probability
        return 0.0 if before is None else self.probability - before


@dataclass(frozen=True, kw_only=True)
class Acquired:
    """When a film was taken, as `scp.index.acquisition.SaysWhen` has it."""

    acquired_at: datetime | None = None
    acquired_precision: str | None = None
    acquired_from: str = ""
    acquired_offset_minutes: int | None = None


@dataclass(frozen=True)
class PriorRow(Acquired):
    """The earlier film that a film was compared with; ``reason`` says what limits or forbids it."""

    uid: str
    comparable: bool
    reason: str

    @property
    def limitation(self) -> str:
        """What limits or forbids the comparison, in words; "" when nothing does."""
        if not self.reason:
            return ""
        return f"{'limited comparison' if self.comparable else 'not comparable'}: {self.reason}"


@dataclass(frozen=True)
class ReasonRow:
    """A reason, for machines and for people."""

    code: str
    sentence: str


@dataclass(frozen=True)
class RejectedRow:
    """A film of the same patient that was not taken for the prior."""

    uid: str
    code: str
    sentence: str


@dataclass(frozen=True)
class ChoiceRow:
    """Which prior was chosen, or none, and the reasons; ``not_listed`` more were not taken."""

    prior_uid: str
    code: str
    sentence: str
    limited: str
    notes: tuple[ReasonRow, ...]
    rejected: tuple[RejectedRow, ...]
    not_listed: int
    chosen_at: datetime


@dataclass(frozen=True)
class DeliveryRow:
    """One result at one destination; ``outcome`` is its last attempt's, None before any."""

    destination: str
    state: DeliveryState
    attempts: int
    outcome: Outcome | None
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None
    delivered_at: datetime | None


@dataclass(frozen=True)
class ResultRow:
    """One object that answers a film, and where it went; ``withdrawn``: why it no longer holds.

    ``answer`` is 1 for the film's first answer, ``why`` says why there is a further one.
    ``applied`` is what it says of the findings, by the settings of when it was made; None where it
    says nothing of them or that is not known.
    """

    kind: str
    uid: str
    sop_class_uid: str
    size_bytes: int
    created_at: datetime
    deliveries: tuple[DeliveryRow, ...] = ()
    withdrawn: str = ""
    applied: Applied | None = None
    answer: int = 1
    why: str = ""


@dataclass(frozen=True)
class ResultFile:
    """Where a result lies: ``path`` is relative to data_dir."""

    uid: str
    film_uid: str
    kind: str
    sop_class_uid: str
    path: str
    sha256: str


@dataclass(frozen=True)
class DestinationRow:
    """How far a film's answer got at one destination: the state of its worst result.

    ``outcome`` is the first that was not plain success: a failure, or a warning. ``withdrawn`` says
    that no result for this destination is valid any more.
    """

    destination: str
    state: DeliveryState
    delivered: int
    total: int
    attempts: int
    outcome: Outcome | None
    next_attempt_at: datetime | None
    withdrawn: bool = False


@dataclass(frozen=True)
class FilmRow(Acquired):
    """One received object, and all that became of it; of ``results`` the newest answer first.

    ``findings`` are in the order of `inference.findings.FINDINGS`, and empty before the film was
    read; ``verification`` says that no physician has verified them, ``notes`` what limits them, and
    ``outcome`` what they come to. ``acquired_at`` is the film's own clock, without a zone.
    ``patient_name`` is as the header has it, with its component groups; ``due_at`` is None where
    nobody is asked to look. ``patient_row_id`` is no patient data: it may be in an address.
    """

    id: int
    uid: str
    study_uid: str
    patient_id: str
    patient_issuer: str
    patient_name: str
    accession_number: str
    received_at: datetime
    finished_at: datetime | None
    due_at: datetime | None
    view: str
    state: FilmState
    reason: str
    detail: str
    calling_ae_title: str
    model: str = ""
    verification: str = ""
    notes: tuple[str, ...] = ()
    outcome: str = ""
    findings: tuple[FindingRow, ...] = ()
    ratio: RatioRow | None = None
    prior: PriorRow | None = None
    choice: ChoiceRow | None = None
    patient_row_id: int | None = None
    results: tuple[ResultRow, ...] = ()
    destinations: tuple[DestinationRow, ...] = ()

    def otherwise(self, result: ResultRow) -> tuple[FindingRow, ...]:
        """Return the findings of which a result says other numbers, as it says them."""
        then = result.applied
        if then is None or not self.findings:
            return ()
        pairs = zip(self.findings, then.probabilities, then.thresholds, then.positive, strict=True)
        return tuple(
            FindingRow(
                now.label,
                now.name,
                probability,
                threshold,
                positive,
                against_threshold(probability, threshold),
            )
            for now, probability, threshold, positive in pairs
            if abs(now.probability - probability) > _SAME or abs(now.threshold - threshold) > _SAME
        )

    @property
    def positives(self) -> tuple[FindingRow, ...]:
        """The findings at or above their threshold, the most probable first."""
        found = [finding for finding in self.findings if finding.positive]
        return tuple(sorted(found, key=lambda finding: -finding.probability))

    @property
    def not_assessed(self) -> tuple[FindingRow, ...]:
        """The findings that are not assessed."""
        return tuple(finding for finding in self.findings if not finding.assessed)
