"""Which earlier film a film is compared with, and why not the others. Pure.

The rule: of the same patient (one Patient ID of one issuer; PS3.3 C.7.1.1), taken earlier, frontal,
and readable. Of these, another exposure before a repeat of the same one, the same view (PA with
PA) before another, and then the most recent. Another view, and a repeat, make a limited comparison.
No reason holds anything of the patient.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from inference.projection import FRONTAL, View, same_projection

# less than this apart, or of one study, two films are one examination: a repeat, not a follow-up
SAME_EXPOSURE = timedelta(hours=1)
REPEAT = "both films are of one study or taken within an hour"
# 00010101, 17530101, 18991230 and 19000101 are how programs write that they know no date
NO_DATE_BEFORE = datetime(1901, 1, 1)
# what `acquired_from` says when the time of the study had to stand for that of the acquisition
STUDY_TIME = "StudyDate"


class Code(StrEnum):
    """A reason for machines; the sentence beside it is for people."""

    SAME_VIEW = "same_view"
    OTHER_VIEW = "other_view"
    VIEW_NOT_STATED = "view_not_stated"
    SAME_EXPOSURE = "same_exposure"
    NO_PATIENT_ID = "no_patient_id"
    NO_DATE = "no_date"
    NONE_KNOWN = "none_known"
    NONE_FITS = "none_fits"
    STUDY_TIME = "study_time"
    NOT_FETCHED = "not_fetched"
    OTHER_PATIENT = "other_patient"
    NOT_EARLIER = "not_earlier"
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
class Candidate:
    """What the rule looks at of a film.

    Attributes
    ----------
    patient
        Which person the index takes the film for; None without a usable Patient ID.
    acquired_at, acquired_from
        When it was taken, by the sender's clock, and the attribute that says so.
    refused
        It was looked at, and could not be analysed.
    """

    uid: str
    study_uid: str
    patient: int | None
    acquired_at: datetime | None
    acquired_from: str
    view: str
    refused: bool = False


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
        What else is to be said of it.
    rejected
        Each other film, the most recent first.
    """

    prior: Candidate | None
    why: Reason
    limits: tuple[Reason, ...] = ()
    notes: tuple[Reason, ...] = ()
    rejected: tuple[Rejected, ...] = ()

    @property
    def limited(self) -> str:
        """The limits in words; empty when there are none."""
        said = "; ".join(limit.sentence for limit in self.limits)
        return f"Limited comparison: {said}" if said else ""


def choose(
    current: Candidate, others: Sequence[Candidate], unreadable: Collection[str] = ()
) -> Choice:
    """Choose the prior of a film.

    Parameters
    ----------
    current
        The film that is to be compared.
    others
        Films known; of two that are alike in everything, the one named first is taken.
    unreadable
        UIDs of films that were chosen before and turned out not to be readable now.
    """
    others = [other for other in others if other.uid != current.uid]
    fitting = [other for other in rank(current, others) if other.uid not in unreadable]
    prior = fitting[0] if fitting else None
    told = sorted(others, key=lambda other: other.acquired_at or NO_DATE_BEFORE, reverse=True)
    return Choice(
        prior=prior,
        why=_why_none(current, others) if prior is None else _why(current, prior),
        limits=limits_of(current, prior) if prior is not None else (),
        notes=_notes(current, prior),
        rejected=tuple(
            Rejected(other.uid, _against(current, other, prior, unreadable))
            for other in told
            if other is not prior
        ),
    )


def given_up(choice: Choice, tried: int) -> Choice:
    """Choose none: the best could not be read, and each further look takes its time."""
    text = f"The {tried} best of the earlier films could not be read."
    return Choice(None, Reason(Code.UNREADABLE, text), rejected=choice.rejected)


def rank(current: Candidate, others: Sequence[Candidate]) -> list[Candidate]:
    """Return the films that the rule allows, the best to compare with first."""
    if current.patient is None or not _dated(current):
        return []
    fitting = [other for other in others if _excluded(current, other) is None]
    # a sort leaves equal ones as they stand: the most recent first, then three questions
    recent = sorted(fitting, key=_taken, reverse=True)
    return sorted(recent, key=lambda other: (_repeats(current, other), _turned(current, other)))


def limits_of(current: Candidate, prior: Candidate) -> tuple[Reason, ...]:
    """Return what limits the comparison of these two and cannot be seen on the films.

    Their views are the comparison's own to judge, and it has the words for them.
    """
    if not _repeats(current, prior):
        return ()
    return (Reason(Code.SAME_EXPOSURE, f"{REPEAT}, no other prior is there"),)


def _dated(film: Candidate) -> bool:
    return film.acquired_at is not None and film.acquired_at >= NO_DATE_BEFORE


def _taken(film: Candidate) -> datetime:
    """Return when a film was taken; only of films that are `_dated`."""
    return film.acquired_at or NO_DATE_BEFORE


def _repeats(current: Candidate, other: Candidate) -> bool:
    """Say whether an earlier film is of the same examination."""
    near = _taken(current) - _taken(other) <= SAME_EXPOSURE
    return near or other.study_uid == current.study_uid


def _turned(current: Candidate, other: Candidate) -> bool:
    """Say whether two films are, or may be, of two views."""
    return not same_projection(current.view, other.view)


_EXCLUDED = {
    Code.OTHER_PATIENT: "It is of another patient, or of one without a usable Patient ID.",
    Code.NO_DATE: "Its header does not say when it was taken.",
    Code.NOT_EARLIER: "It was not taken earlier.",
    Code.NOT_FRONTAL: "It is not a frontal film.",
    Code.NOT_ANALYSED: "It could not be analysed.",
}


def _excluded(current: Candidate, other: Candidate) -> Code | None:
    """Return why a film can never be this one's prior; None when it can."""
    if current.patient is None or other.patient != current.patient:
        return Code.OTHER_PATIENT
    if not _dated(other):
        return Code.NO_DATE
    if _taken(other) >= _taken(current):
        return Code.NOT_EARLIER
    if other.view not in FRONTAL:
        return Code.NOT_FRONTAL
    return Code.NOT_ANALYSED if other.refused else None


def _against(
    current: Candidate, other: Candidate, prior: Candidate | None, unreadable: Collection[str]
) -> Reason:
    """Say why a film was not taken."""
    code = _excluded(current, other)
    if code is not None:
        return Reason(code, _EXCLUDED[code])
    if not _dated(current):
        return Reason(Code.NO_DATE, "When the current film was taken is not known.")
    if other.uid in unreadable:
        return Reason(Code.UNREADABLE, "It could not be read when it was needed.")
    if prior is not None and _repeats(current, other) > _repeats(current, prior):
        text = "It is of the same study or was taken less than an hour before: a repeat."
        return Reason(Code.SAME_EXPOSURE, text)
    if prior is not None and _turned(current, other) > _turned(current, prior):
        return Reason(Code.OTHER_VIEW, "Its view is another, and there is one of the same view.")
    return Reason(Code.LESS_RECENT, "There is a more recent one.")


def _why(current: Candidate, prior: Candidate) -> Reason:
    """Say why a film was taken."""
    if _repeats(current, prior):
        text = "No other examination is there to compare with: this is an earlier exposure of it."
        return Reason(Code.SAME_EXPOSURE, text)
    if not _turned(current, prior):
        return Reason(Code.SAME_VIEW, "The most recent earlier film of the same view.")
    if current.view == prior.view or View.UNKNOWN in (current.view, prior.view):
        text = "The most recent earlier film; whether its view is the same is not stated."
        return Reason(Code.VIEW_NOT_STATED, text)
    return Reason(Code.OTHER_VIEW, "The most recent earlier film; none of the same view is there.")


def _why_none(current: Candidate, others: Sequence[Candidate]) -> Reason:
    """Say why there is no prior."""
    if current.patient is None:
        text = "The film has no usable Patient ID: it is never compared."
        return Reason(Code.NO_PATIENT_ID, text)
    if not _dated(current):
        text = "The header does not say when the film was taken: nothing is known to be earlier."
        return Reason(Code.NO_DATE, text)
    if not others:
        return Reason(Code.NONE_KNOWN, "No other film of this patient is here.")
    return Reason(Code.NONE_FITS, "None of this patient's other films can be compared with.")


def _notes(current: Candidate, prior: Candidate | None) -> tuple[Reason, ...]:
    """Say whose acquisition time is not known (PS3.3 C.7.6.1, C.7.2.1)."""
    films = (("film", current), ("prior film", prior))
    names = [name for name, film in films if film and film.acquired_from == STUDY_TIME]
    if not names:
        return ()
    text = f"Acquisition time not stated: the time of the study stands for the {names[0]}"
    text += " and the prior film" if len(names) == 2 else ""
    return (Reason(Code.STUDY_TIME, f"{text}."),)
