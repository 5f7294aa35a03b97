"""The input and the outcome of the rule that chooses the prior (`scp.matching.prior`)."""

from dataclasses import dataclass, field
from enum import StrEnum

from inference.image.acquisition import AcquisitionTime
from scp.matching.person import NOBODY, Person


class Code(StrEnum):
    """A reason for machines; the sentence beside it is for people."""

    SAME_VIEW = "same_view"
    OTHER_VIEW = "other_view"
    VIEW_NOT_STATED = "view_not_stated"
    SAME_EXPOSURE = "same_exposure"
    NO_PATIENT_ID = "no_patient_id"
    PLACEHOLDER = "placeholder_patient_id"
    OTHER_SEX = "other_sex"
    OTHER_BIRTH_DATE = "other_birth_date"
    OTHER_NAME = "other_name"
    NEARLY_SAME_ID = "nearly_same_patient_id"
    WITHDRAWN = "answer_withdrawn"
    NO_DATE = "no_date"
    NONE_KNOWN = "none_known"
    NONE_FITS = "none_fits"
    STUDY_TIME = "study_time"
    NOT_FETCHED = "not_fetched"
    OTHER_PATIENT = "other_patient"
    NOT_EARLIER = "not_earlier"
    ORDER_NOT_KNOWN = "order_not_known"
    NOT_FRONTAL = "not_frontal"
    NOT_ANALYSED = "not_analysed"
    UNREADABLE = "unreadable"
    LESS_RECENT = "less_recent"


@dataclass(frozen=True)
class Reason:
    """Why, as a code and as a sentence."""

    code: Code
    sentence: str


@dataclass(frozen=True)
class Rejected:
    """A film that was not taken, by its SOP Instance UID."""

    uid: str
    why: Reason


@dataclass(frozen=True)
class PriorCandidate:
    """What the rule looks at of a film.

    Attributes
    ----------
    patient
        Which person the index takes the film for; None without a usable Patient ID.
    person
        Whose it is by sex, birth date and name.
    placeholder
        Its Patient ID names nobody.
    revision
        How often it was corrected.
    acquired
        When it was taken; None without a date.
    refused
        It was looked at, and could not be analysed.
    """

    uid: str
    study_uid: str
    patient: int | None
    acquired: AcquisitionTime | None
    view: str
    refused: bool = False
    person: Person = field(default=NOBODY, repr=False)
    placeholder: bool = False
    revision: int = 0


@dataclass(frozen=True)
class Near:
    """A film of a Patient ID that differs from the current film's only in what is named."""

    film: PriorCandidate
    differences: tuple[str, ...]


@dataclass(frozen=True)
class Choice:
    """The prior of a film, or None, and the reasons.

    Attributes
    ----------
    why
        Why this one, or why none.
    limits
        What limits the comparison, beside what the films themselves show.
    notes
        Further reasons to state.
    rejected
        Each other film, the most recent first.
    acquired
        When the film itself was taken; None without a date.
    """

    prior: PriorCandidate | None
    why: Reason
    limits: tuple[Reason, ...] = ()
    notes: tuple[Reason, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    acquired: AcquisitionTime | None = None

    @property
    def limited(self) -> str:
        """The limits in words; empty when there are none."""
        limits = "; ".join(limit.sentence for limit in self.limits)
        return f"Limited comparison: {limits}" if limits else ""
