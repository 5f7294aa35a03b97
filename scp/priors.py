"""Which earlier film a film is compared with, and why not the others. Pure.

The rule: of the same patient (one Patient ID of one issuer; PS3.3 C.7.1.1) and no other person by
sex, birth date or name (`scp.person`), taken earlier, frontal, and readable. Of these, another
exposure before a repeat of the same one, the same view (PA with PA) before another, and then the
most recent. Another view, and a repeat, make a limited comparison. No reason holds anything of the
patient.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from inference.projection import FRONTAL, View, same_projection
from scp.choice import Candidate as Candidate  # noqa: PLC0414 -- part of the rule
from scp.choice import Choice as Choice  # noqa: PLC0414 -- part of the rule
from scp.choice import Code as Code  # noqa: PLC0414 -- part of the rule
from scp.choice import Near as Near  # noqa: PLC0414 -- part of the rule
from scp.choice import Reason as Reason  # noqa: PLC0414 -- part of the rule
from scp.choice import Rejected as Rejected  # noqa: PLC0414 -- part of the rule
from scp.person import NOBODY, STATES, Contradiction, contradiction

# less than this apart, or of one study, two films are one examination: a repeat, not a follow-up
SAME_EXPOSURE = timedelta(hours=1)
REPEAT = "both films are of one study or taken within an hour"
# 00010101, 17530101, 18991230 and 19000101 are how programs write that they know no date
NO_DATE_BEFORE = datetime(1901, 1, 1)
# what `acquired_from` says when the time of the study had to stand for that of the acquisition
STUDY_TIME = "StudyDate"


def choose(
    current: Candidate,
    others: Sequence[Candidate],
    unreadable: Collection[str] = (),
    near: Sequence[Near] = (),
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
    near
        Films of Patient IDs that are nearly the same: said, never taken.
    """
    others = [other for other in others if other.uid != current.uid]
    fitting = [other for other in rank(current, others) if other.uid not in unreadable]
    prior = fitting[0] if fitting else None
    told = sorted(others, key=lambda other: other.acquired_at or NO_DATE_BEFORE, reverse=True)
    doubts = (*_strangers(current, others), *_nearly_same(current, near))
    why = _why_none(current, others, doubts) if prior is None else _why(current, prior)
    return Choice(
        prior=prior,
        why=why,
        limits=limits_of(current, prior) if prior is not None else (),
        notes=(*(doubt for doubt in doubts if doubt != why), *_notes(current, prior)),
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


def same_person(one: Candidate, other: Candidate) -> bool:
    """Say whether two films are taken for one person's."""
    same = one.patient is not None and one.patient == other.patient
    return same and contradiction(one.person, other.person) is None


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


_CONTRADICTED = {
    Contradiction.SEX: Code.OTHER_SEX,
    Contradiction.BIRTH_DATE: Code.OTHER_BIRTH_DATE,
    Contradiction.NAME: Code.OTHER_NAME,
}
_STATES = {_CONTRADICTED[told]: words for told, words in STATES.items()}
_EXCLUDED = {
    Code.OTHER_PATIENT: "It is of another patient, or of one without a usable Patient ID.",
    Code.NO_DATE: "Its header does not say when it was taken.",
    Code.NOT_EARLIER: "It was not taken earlier.",
    Code.NOT_FRONTAL: "It is not a frontal film.",
    Code.NOT_ANALYSED: "It could not be analysed.",
    **{
        code: f"Its header states {words}: it may be of another person."
        for code, words in _STATES.items()
    },
}


def _excluded(current: Candidate, other: Candidate) -> Code | None:
    """Return why a film can never be this one's prior; None when it can."""
    if current.patient is None or other.patient != current.patient:
        return Code.OTHER_PATIENT
    told = contradiction(current.person, other.person)
    if told is not None:
        return _CONTRADICTED[told]
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


def _strangers(current: Candidate, others: Sequence[Candidate]) -> tuple[Reason, ...]:
    """Say which elements tell that films, which the rule would allow, are of another person."""
    found = {
        code
        for other in others
        if (code := _excluded(current, other)) in _STATES
        and _excluded(current, replace(other, person=NOBODY)) is None
    }
    text = "An earlier film of this Patient ID was not compared: its header states"
    return tuple(
        Reason(code, f"{text} {states}.") for code, states in _STATES.items() if code in found
    )


def _nearly_same(current: Candidate, near: Sequence[Near]) -> tuple[Reason, ...]:
    """Say that an earlier film is here whose Patient ID is nearly the same."""
    for other in near:
        if _excluded(current, replace(other.film, patient=current.patient)) is None:
            text = f"only in {' and '.join(other.differences)} is here; it was not compared"
            text = f"An earlier film of a Patient ID that differs {text}."
            return (Reason(Code.NEARLY_SAME_ID, text),)
    return ()


def _why_none(current: Candidate, others: Sequence[Candidate], doubts: Sequence[Reason]) -> Reason:
    """Say why there is no prior."""
    if current.placeholder:
        text = "The Patient ID is a placeholder that names nobody: the film is never compared."
        return Reason(Code.PLACEHOLDER, text)
    if current.patient is None:
        text = "The film has no usable Patient ID: it is never compared."
        return Reason(Code.NO_PATIENT_ID, text)
    if not _dated(current):
        text = "The header does not say when the film was taken: nothing is known to be earlier."
        return Reason(Code.NO_DATE, text)
    if doubts:
        return doubts[0]
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
