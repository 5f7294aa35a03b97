"""Which prior a film was answered with, and which films are to be answered again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Any

from sqlalchemy import Select, and_, select
from sqlalchemy.orm import Session, aliased

from scp.index.acquisition import acquired
from scp.index.locking import lock
from scp.index.schema.tables import (
    Analysis,
    Comparison,
    FilmState,
    Instance,
    Patient,
    PriorChoice,
    Series,
    Study,
)
from scp.index.values import ChoiceRow, ReasonRow, RejectedRow
from scp.matching.person import Person
from scp.matching.prior import Choice, Code, PriorCandidate, rank

_REFUSED = (FilmState.NOT_ANALYSED, FilmState.FAILED)
# a fetched prior is read when it is needed; nobody else would ask for its sake
_USABLE = (FilmState.ANALYSED, FilmState.ANSWERED, FilmState.FETCHED)
# reasons kept of one film: a patient may have had a film a day for a year
_MOST_KEPT = 50


@dataclass(frozen=True)
class Outdated:
    """A film that is to be answered again, and the prior that it should have.

    ``revisions`` tells the pair from what it was before one of the two was corrected.
    """

    film_uid: str
    prior_uid: str
    revisions: str = ""


@dataclass(frozen=True)
class _Answered:
    """The prior with which a film was answered, and those that could not be read then."""

    prior_uid: str | None
    unreadable: frozenset[str]


def lock_patient(session: Session, instance: Instance) -> None:
    """Let nobody else state an outcome of this patient's films until the commit.

    An older film that becomes readable while a newer one is being answered: whichever commits
    later sees the other, and none is missed.
    """
    lock(session, Patient, id=instance.patient_id)


def prior_candidate(session: Session, instance: Instance, zone: tzinfo) -> PriorCandidate:
    """Return what the rule looks at of one film; ``zone`` is the site's."""
    return _candidate(session.execute(_films().where(Instance.id == instance.id)).one(), zone)


def prior_candidates(session: Session, instance: Instance, zone: tzinfo) -> list[PriorCandidate]:
    """Return all films of a film's patient, the last recorded first; without a patient, none."""
    return [film for film, _ in _known(session, instance.patient_id, zone)]


def newest(session: Session, patient_id: int, limit: int, zone: tzinfo) -> list[PriorCandidate]:
    """Return films of a patient, those that were recorded last."""
    own = _films().where(Instance.patient_id == patient_id).order_by(Instance.id.desc())
    return [_candidate(row, zone) for row in session.execute(own.limit(limit))]


def save(session: Session, instance: Instance, choice: Choice, now: datetime) -> None:
    """Remember with which prior a film is answered, in place of an earlier choice."""
    row = session.scalars(
        select(PriorChoice).where(PriorChoice.instance_id == instance.id)
    ).one_or_none() or PriorChoice(instance_id=instance.id)
    listed = choice.rejected[:_MOST_KEPT]
    row.prior_id = _id_of(session, choice.prior.uid) if choice.prior else None
    row.code, row.sentence = choice.why.code.value, choice.why.sentence
    row.limited = choice.limited
    row.notes = [{"code": n.code.value, "sentence": n.sentence} for n in choice.notes]
    row.rejected = [
        {"uid": r.uid, "code": r.why.code.value, "sentence": r.why.sentence} for r in listed
    ]
    row.not_listed = len(choice.rejected) - len(listed)
    row.chosen_at = now
    row.revision = instance.revision
    row.prior_revision = choice.prior.revision if choice.prior else 0
    session.add(row)


def rows(session: Session, film_ids: Sequence[int]) -> dict[int, ChoiceRow]:
    """Return, by film, with which prior it was answered and why."""
    found = session.execute(
        select(PriorChoice, Instance.uid)
        .outerjoin(Instance, PriorChoice.prior_id == Instance.id)
        .where(PriorChoice.instance_id.in_(film_ids))
    )
    return {choice.instance_id: _row(choice, prior_uid or "") for choice, prior_uid in found}


def comparisons() -> Select[Comparison]:
    """Select the comparisons of films with the priors that they were answered with.

    A reader may have had a film compared with others too.
    """
    current, prior = aliased(Analysis), aliased(Analysis)
    same = and_(
        PriorChoice.instance_id == current.instance_id, PriorChoice.prior_id == prior.instance_id
    )
    return (
        select(Comparison)
        .where(Comparison.withdrawn.is_(None))
        .join(current, Comparison.current_id == current.id)
        .join(prior, Comparison.prior_id == prior.id)
        .join(PriorChoice, same)
    )


def _row(choice: PriorChoice, prior_uid: str) -> ChoiceRow:
    return ChoiceRow(
        prior_uid=prior_uid,
        code=choice.code,
        sentence=choice.sentence,
        limited=choice.limited,
        notes=tuple(ReasonRow(**note) for note in choice.notes),
        rejected=tuple(RejectedRow(**rejected) for rejected in choice.rejected),
        not_listed=choice.not_listed,
        chosen_at=choice.chosen_at,
    )


def outdated(session: Session, changed: Instance, zone: tzinfo) -> list[Outdated]:
    """Return the answered films of the same patient that the rule now compares with another film.

    Only films that one of the patient's, ``changed``, may be the prior of. A better prior that was
    not yet read is left out: it will ask for itself when it is. A fetched one asks when it comes.
    """
    known = {film.uid: (film, state) for film, state in _known(session, changed.patient_id, zone)}
    if changed.uid not in known:  # of a placeholder, films are nobody's
        return []
    films = [film for film, _ in known.values()]
    found = []
    for uid, answered in _answered(session, changed.patient_id).items():
        film = known[uid][0]
        if uid != changed.uid and not _matters(film, known[changed.uid][0], films, answered):
            continue
        best = _best(film, films, answered)
        other = best is not None and best.uid != answered.prior_uid
        if best is not None and other and known[best.uid][1] in _USABLE:
            found.append(Outdated(uid, best.uid, revisions(film, best)))
    return found


def revisions(film: PriorCandidate, prior: PriorCandidate) -> str:
    """Return how often two films were corrected; "" for two that never were."""
    return f"{film.revision}-{prior.revision}" if film.revision or prior.revision else ""


def is_outdated(session: Session, instance: Instance, zone: tzinfo) -> bool:
    """Say whether an answered film is to be compared with another prior than it was."""
    answered = _answered(session, instance.patient_id).get(instance.uid)
    if answered is None:
        return False
    films = prior_candidates(session, instance, zone)
    best = _best(prior_candidate(session, instance, zone), films, answered)
    return (best.uid if best else None) != answered.prior_uid


def is_answerable(session: Session, instance: Instance, zone: tzinfo) -> bool:
    """Say whether a film is outdated and the prior that it should have, if any, was read."""
    answered = _answered(session, instance.patient_id).get(instance.uid)
    if answered is None:
        return False
    known = _known(session, instance.patient_id, zone)
    own = prior_candidate(session, instance, zone)
    best = _best(own, [film for film, _ in known], answered)
    states = {film.uid: state for film, state in known}
    if best is None:
        return answered.prior_uid is not None
    return best.uid != answered.prior_uid and states[best.uid] in _USABLE


def is_allowed(film: PriorCandidate, prior: PriorCandidate) -> bool:
    """Say whether the rule allows a film's prior, whatever has become of its own answer."""
    return bool(rank(film, [replace(prior, refused=False)]))


def _best(
    film: PriorCandidate, films: list[PriorCandidate], answered: _Answered
) -> PriorCandidate | None:
    """Return the film that the rule now puts first; None when it allows none any more.

    The prior was read, whatever has become of its own answer since.
    """
    films = [replace(f, refused=False) if f.uid == answered.prior_uid else f for f in films]
    readable = [other for other in films if other.uid not in answered.unreadable]
    return next(iter(rank(film, readable)), None)


def _matters(
    film: PriorCandidate, changed: PriorCandidate, films: list[PriorCandidate], answered: _Answered
) -> bool:
    """Say whether a film may rank before another's prior, or ranked before another film.

    Spares the whole rule for every film of a patient who has many.
    """
    pair = [f for f in films if f.uid == answered.prior_uid]
    first = next(iter(rank(film, [replace(f, refused=False) for f in (changed, *pair)])), None)
    return first is not None and first.uid == changed.uid != answered.prior_uid


def _answered(session: Session, patient_id: int | None) -> dict[str, _Answered]:
    """Return, by UID, how a patient's films were answered."""
    if patient_id is None:
        return {}
    film, prior = aliased(Instance), aliased(Instance)
    rows = session.execute(
        select(film.uid, prior.uid, PriorChoice.rejected)
        .join(PriorChoice, PriorChoice.instance_id == film.id)
        .outerjoin(prior, PriorChoice.prior_id == prior.id)
        .where(film.patient_id == patient_id, film.state == FilmState.ANSWERED)
    )
    return {
        uid: _Answered(
            prior_uid, frozenset(r["uid"] for r in rejected if r["code"] == Code.UNREADABLE)
        )
        for uid, prior_uid, rejected in rows
    }


def _known(
    session: Session, patient_id: int | None, zone: tzinfo
) -> list[tuple[PriorCandidate, FilmState]]:
    if patient_id is None:
        return []
    films = _films().where(Instance.patient_id == patient_id).order_by(Instance.id.desc())
    found = [(_candidate(row, zone), row.state) for row in session.execute(films)]
    return [] if any(film.placeholder for film, _ in found) else found


def _films() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Instance.uid,
            Study.uid.label("study_uid"),
            Instance.patient_id,
            Instance.acquired_at,
            Instance.acquired_precision,
            Instance.acquired_from,
            Instance.acquired_offset_minutes,
            Instance.view,
            Instance.state,
            Instance.patient_name,
            Instance.birth_date,
            Instance.sex,
            Patient.placeholder,
            Instance.revision,
        )
        .join(Instance.series)
        .join(Series.study)
        .outerjoin(Patient, Instance.patient_id == Patient.id)
    )


def _candidate(row: Any, zone: tzinfo) -> PriorCandidate:
    return PriorCandidate(
        row.uid,
        row.study_uid,
        None if row.placeholder else row.patient_id,
        acquired(row, zone),
        row.view,
        refused=row.state in _REFUSED,
        person=Person(row.patient_name or "", row.birth_date or "", row.sex or ""),
        placeholder=bool(row.placeholder),
        revision=row.revision,
    )


def _id_of(session: Session, uid: str) -> int:
    return session.scalars(select(Instance.id).where(Instance.uid == uid)).one()
