"""Which earlier film a film is compared with, and why not the others. Pure.

The rule: of the same patient (one Patient ID of one issuer; PS3.3 C.7.1.1) and no other person by
sex, birth date or name (`scp.matching.person`), known to have been taken earlier, frontal, and
readable. Of these, another exposure before a repeat of the same one, the same view (PA with PA)
before another, and then the most recent. Another view, and a repeat, make a limited comparison.
Films whose order is not known are not compared, and the answer says so. No reason holds anything of
the patient.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from inference.image.acquisition import interval, is_earlier
from inference.image.view import FRONTAL, View, same_projection
from scp.matching.person import NOBODY, STATES, Contradiction, contradiction
from scp.matching.prior_choice import Choice as Choice  # noqa: PLC0414 -- part of the rule
from scp.matching.prior_choice import Code as Code  # noqa: PLC0414 -- part of the rule
from scp.matching.prior_choice import Near as Near  # noqa: PLC0414 -- part of the rule
from scp.matching.prior_choice import PriorCandidate as PriorCandidate  # noqa: PLC0414 -- part of the rule
from scp.matching.prior_choice import Reason as Reason  # noqa: PLC0414 -- part of the rule
from scp.matching.prior_choice import Rejected as Rejected  # noqa: PLC0414 -- part of the rule
from scp.matching.repeats import is_within_exposure, repeat_sentence

_NEVER = datetime.min.replace(tzinfo=UTC)


def choose(
    current: PriorCandidate,
    others: Sequence[PriorCandidate],
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
    newest_first = sorted(others, key=_taken, reverse=True)
    doubts = (*_strangers(current, others), *_nearly_same(current, near))
    gone = [one for one in rank(current, others) if one.uid in unreadable]
    why = _why(current, prior) if prior else _why_none(current, others, doubts, gone)
    return Choice(
        prior=prior,
        why=why,
        limits=limits_of(current, prior) if prior is not None else (),
        notes=(
            *(doubt for doubt in doubts if doubt != why),
            *_times_borrowed(current, prior),
            *_orders_not_known(current, others),
        ),
        rejected=tuple(
            Rejected(other.uid, _against(current, other, prior, unreadable))
            for other in newest_first
            if other is not prior
        ),
        acquired=current.acquired,
    )


def given_up(choice: Choice, tried: int) -> Choice:
    """Choose none: the best could not be read, and each further look takes its time."""
    text = f"The {tried} best of the earlier films could not be read."
    why = Reason(Code.UNREADABLE, text)
    return Choice(None, why, rejected=choice.rejected, acquired=choice.acquired)


def rank(current: PriorCandidate, others: Sequence[PriorCandidate]) -> list[PriorCandidate]:
    """Return the films that the rule allows, the best to compare with first."""
    if current.patient is None or current.acquired is None:
        return []
    fitting = [other for other in others if _excluded(current, other) is None]
    # a sort keeps the order of equal ones: the most recent first, then three questions
    recent = sorted(fitting, key=_taken, reverse=True)
    return sorted(recent, key=lambda other: (_repeats(current, other), _turned(current, other)))


def same_person(one: PriorCandidate, other: PriorCandidate) -> bool:
    """Say whether two films are taken for one person's."""
    same = one.patient is not None and one.patient == other.patient
    return same and contradiction(one.person, other.person) is None


def limits_of(current: PriorCandidate, prior: PriorCandidate) -> tuple[Reason, ...]:
    """Return what limits the comparison of these two and cannot be seen on the films.

    Their views are the comparison's own to judge, and it has the words for them.
    """
    if not _repeats(current, prior):
        return ()
    same_study = current.study_uid == prior.study_uid
    repeat = repeat_sentence(current.acquired, prior.acquired, same_study=same_study)
    return (Reason(Code.SAME_EXPOSURE, f"{repeat}, there is no other prior"),)


def _taken(film: PriorCandidate) -> datetime:
    """Return when a film can have been taken at the earliest; films without a date were first."""
    return _NEVER if film.acquired is None else film.acquired.earliest


def _repeats(current: PriorCandidate, other: PriorCandidate) -> bool:
    """Say whether an earlier film is of the same examination."""
    near = is_within_exposure(current.acquired, other.acquired)
    return near or other.study_uid == current.study_uid


def _turned(current: PriorCandidate, other: PriorCandidate) -> bool:
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
    Code.ORDER_NOT_KNOWN: "Whether it was taken earlier or later is not known: their times do not"
    " say.",
    Code.NOT_FRONTAL: "It is not a frontal film.",
    Code.NOT_ANALYSED: "It could not be analysed.",
    **{
        code: f"Its header states {words}: it may be of another person."
        for code, words in _STATES.items()
    },
}


def _excluded(current: PriorCandidate, other: PriorCandidate) -> Code | None:
    """Return why a film can never be this one's prior; None when it can."""
    if current.patient is None or other.patient != current.patient:
        return Code.OTHER_PATIENT
    contradicted = contradiction(current.person, other.person)
    if contradicted is not None:
        return _CONTRADICTED[contradicted]
    order = _order(current, other)
    if order in (Code.NO_DATE, Code.NOT_EARLIER):
        return order
    if other.view not in FRONTAL:
        return Code.NOT_FRONTAL
    return Code.NOT_ANALYSED if other.refused else order


def _order(current: PriorCandidate, other: PriorCandidate) -> Code | None:
    """Return why a film is not known to be the earlier one; None when it is, or may be."""
    if other.acquired is None:
        return Code.NO_DATE
    if current.acquired is None:
        return None
    earlier = is_earlier(other.acquired, current.acquired)
    if earlier is None:
        return Code.ORDER_NOT_KNOWN
    return None if earlier else Code.NOT_EARLIER


def _against(
    current: PriorCandidate,
    other: PriorCandidate,
    prior: PriorCandidate | None,
    unreadable: Collection[str],
) -> Reason:
    """Say why a film was not taken."""
    code = _excluded(current, other)
    if code is not None:
        return Reason(code, _EXCLUDED[code])
    if current.acquired is None:
        return Reason(Code.NO_DATE, "The acquisition time of the current film is unknown.")
    if other.uid in unreadable:
        return Reason(Code.UNREADABLE, "It could not be read when it was needed.")
    if prior is not None and _repeats(current, other) > _repeats(current, prior):
        same_study = other.study_uid == current.study_uid
        apart = interval(current.acquired, other.acquired)
        text = "It is of the same study" if same_study else f"It was taken only {apart}"
        return Reason(Code.SAME_EXPOSURE, f"{text}: a repeat.")
    if prior is not None and _turned(current, other) > _turned(current, prior):
        return Reason(Code.OTHER_VIEW, "Its view differs, and there is a film of the same view.")
    return Reason(Code.LESS_RECENT, "There is a more recent one.")


def _why(current: PriorCandidate, prior: PriorCandidate) -> Reason:
    """Say why a film was taken."""
    if _repeats(current, prior):
        if current.study_uid == prior.study_uid:
            text = "There is no other study to compare with: this is an earlier film of the same."
        else:
            apart = interval(current.acquired, prior.acquired)
            text = f"There is no other examination to compare with: this was taken {apart}."
        return Reason(Code.SAME_EXPOSURE, text)
    if not _turned(current, prior):
        return Reason(Code.SAME_VIEW, "The most recent earlier film of the same view.")
    if current.view == prior.view or View.UNKNOWN in (current.view, prior.view):
        text = "The most recent earlier film; whether its view is the same is not stated."
        return Reason(Code.VIEW_NOT_STATED, text)
    return Reason(Code.OTHER_VIEW, "The most recent earlier film; there is none of the same view.")


def _strangers(current: PriorCandidate, others: Sequence[PriorCandidate]) -> tuple[Reason, ...]:
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


def _nearly_same(current: PriorCandidate, near: Sequence[Near]) -> tuple[Reason, ...]:
    """Say that an earlier film is here whose Patient ID is nearly the same."""
    for other in near:
        if _excluded(current, replace(other.film, patient=current.patient)) is None:
            text = f"only in {' and '.join(other.differences)} is here; it was not compared"
            text = f"An earlier film of a Patient ID that differs {text}."
            return (Reason(Code.NEARLY_SAME_ID, text),)
    return ()


def _why_none(
    current: PriorCandidate,
    others: Sequence[PriorCandidate],
    doubts: Sequence[Reason],
    gone: Sequence[PriorCandidate],
) -> Reason:
    """Say why there is no prior; ``gone`` are the films that could not be read."""
    if current.placeholder:
        text = "The Patient ID is a placeholder: the film is never compared."
        return Reason(Code.PLACEHOLDER, text)
    if current.patient is None:
        text = "The film has no usable Patient ID: it is never compared."
        return Reason(Code.NO_PATIENT_ID, text)
    if current.acquired is None:
        text = "The header does not say when the film was taken: nothing is known to be earlier."
        return Reason(Code.NO_DATE, text)
    if gone:
        films = "An earlier film" if len(gone) == 1 else f"{len(gone)} earlier films"
        return Reason(Code.UNREADABLE, f"{films} of this patient could not be read: none compared.")
    if doubts or not others:
        none = Reason(Code.NONE_KNOWN, "No other film of this patient is here.")
        return doubts[0] if doubts else none
    text = "None of this patient's other films can be compared with."
    unknown = any(_excluded(current, other) is Code.ORDER_NOT_KNOWN for other in others)
    more = " Of some the order is not known." if unknown else ""
    return Reason(Code.ORDER_NOT_KNOWN if unknown else Code.NONE_FITS, text + more)


def _times_borrowed(current: PriorCandidate, prior: PriorCandidate | None) -> tuple[Reason, ...]:
    """Say which acquisition times are not stated, and what is used (PS3.3 C.7.6.1, C.7.2.1)."""
    films = (("film", current), ("prior film", prior))
    by_source: dict[str, list[str]] = {}
    for name, film in films:
        if film is not None and film.acquired is not None and film.acquired.borrowed_from:
            by_source.setdefault(film.acquired.borrowed_from, []).append(f"the {name}")
    return tuple(
        Reason(
            Code.STUDY_TIME,
            f"Acquisition time not stated: the time of the {source} is used for"
            f" {' and '.join(names)}.",
        )
        for source, names in by_source.items()
    )


def _orders_not_known(
    current: PriorCandidate, others: Sequence[PriorCandidate]
) -> tuple[Reason, ...]:
    """Say that films were not compared because nobody knows which was taken first."""
    count = sum(_excluded(current, other) is Code.ORDER_NOT_KNOWN for other in others)
    if not count:
        return ()
    films = "Another film" if count == 1 else f"{count} other films"
    text = f"{films} of this patient may be earlier or later than this one: not compared with it."
    return (Reason(Code.ORDER_NOT_KNOWN, text),)
