"""Earlier patient data of corrected films, and the results withdrawn because of them."""

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from scp.errors import HilumError
from scp.index import further_answers, prior_choices
from scp.index.schema.persons import Correction, Patient
from scp.index.schema.tables import (
    Analysis,
    Comparison,
    Delivery,
    DeliveryState,
    FilmState,
    Instance,
    PriorChoice,
    Result,
)
from scp.matching.prior import same_person
from scp.outcomes.failures import Cause


class Corrected(HilumError):
    """A film was corrected in the very moment in which it was answered; doing it again helps."""


OWN = "the patient data of this film were corrected: a new answer follows"
PAIR = "it was compared with a prior that may be of another person: a new answer follows"
NOT_EARLIER = "it was compared with a prior that may not be the earlier film: a new answer follows"

# statements about these films were made, which name the patient
_STATED = (FilmState.ANSWERED, FilmState.NOT_ANALYSED, FilmState.FAILED)


def remember(session: Session, instance: Instance, how: str, by: str, now: datetime) -> None:
    """Keep what the index says of a film; call it before that is changed."""
    session.add(
        Correction(
            instance_id=instance.id,
            at=now,
            by=by,
            how=how,
            path=instance.path,
            sha256=instance.sha256,
            patient_id=instance.patient_id,
            patient_name=instance.patient_name,
            birth_date=instance.birth_date,
            sex=instance.sex,
            accession_number=instance.accession_number,
            acquired_at=instance.acquired_at,
        )
    )
    instance.revision += 1


def history(session: Session, instance: Instance) -> list[Correction]:
    """Return what a film was corrected from, the oldest first."""
    own = Correction.instance_id == instance.id
    return list(session.scalars(select(Correction).where(own).order_by(Correction.id)))


def is_kept(session: Session, path: str) -> bool:
    """Say whether a file is one that a film was corrected from."""
    return session.scalar(select(Correction.id).where(Correction.path == path)) is not None


def stands_for(session: Session, patient_id: int) -> int:
    """Return the patient that a patient was merged into, or the patient itself."""
    merged = session.scalar(select(Patient.merged_into).where(Patient.id == patient_id))
    return patient_id if merged is None else merged


def withdraw(session: Session, changed: Instance) -> list[Instance]:
    """Withdraw what is wrong now that a film was corrected; return which films to answer again.

    Its own answer, comparisons with films of whoever is not its person any more, and the answers
    that rest on these.
    """
    session.flush()
    own = prior_choices.prior_candidate(session, changed, UTC)  # whose they are has no zone
    for comparison, other in _compared(session, changed):
        if not same_person(own, prior_choices.prior_candidate(session, other, UTC)):
            comparison.withdrawn = PAIR
    again = []
    if changed.state in _STATED and changed.reason != Cause.CANCELLED:
        _withdraw_results(session, changed, OWN)
        again.append(changed)
    for film in _answered_with(session, changed):
        if not same_person(prior_choices.prior_candidate(session, film, UTC), own):
            _withdraw_results(session, film, PAIR)
        again.append(film)
    return again


def has_withdrawn(session: Session, instance: Instance) -> bool:
    """Say whether an answer to a film was withdrawn."""
    found = select(Result.id).where(Result.instance_id == instance.id)
    return session.scalar(found.where(Result.withdrawn.is_not(None)).limit(1)) is not None


def is_stale(session: Session, instance: Instance) -> bool:
    """Say whether a film, or the prior that it was answered with, is not what it was then.

    One of them was corrected, or they are not taken for one person's any more.
    """
    own = select(PriorChoice).where(PriorChoice.instance_id == instance.id)
    chosen = session.scalars(own).one_or_none()
    if chosen is None or instance.state is not FilmState.ANSWERED:
        return False
    strangers = chosen.prior is not None and _strangers(session, chosen)
    return strangers or further_answers.is_corrected(session, instance)


def withdraw_unfit(
    session: Session, zone: tzinfo, after: int, limit: int
) -> tuple[int, list[tuple[Instance, datetime]]]:
    """Withdraw answers that rest on a prior that the rule does not allow.

    An earlier release did, or the index knows more since. Of at most ``limit`` choices from
    ``after`` on; return the number of the last one, and which films to answer again, each with when
    its prior was chosen: these, and those that the rule now compares with another film.
    """
    rows = session.scalars(
        select(PriorChoice).where(PriorChoice.id > after).order_by(PriorChoice.id).limit(limit)
    ).all()
    again = []
    for row in rows:
        film = session.get_one(Instance, row.instance_id)
        if film.state is not FilmState.ANSWERED:
            continue
        why = _unfit(session, film, row.prior, zone)
        if why:
            for comparison, other in _compared(session, film):
                if other.id == row.prior_id:
                    comparison.withdrawn = why
            _withdraw_results(session, film, why)
        if why or prior_choices.is_answerable(session, film, zone):
            again.append((film, row.chosen_at))
    return rows[-1].id if rows else after, again


def _unfit(session: Session, film: Instance, prior: Instance | None, zone: tzinfo) -> str:
    """Return why a film's prior can be none; "" where it can."""
    if prior is None:
        return ""
    pair = [prior_choices.prior_candidate(session, one, zone) for one in (film, prior)]
    if not same_person(*pair):
        return PAIR
    return "" if prior_choices.is_allowed(*pair) else NOT_EARLIER


def _strangers(session: Session, chosen: PriorChoice) -> bool:
    """Say whether a film and its prior are not taken for one person's."""
    film = session.get_one(Instance, chosen.instance_id)
    prior = chosen.prior
    pair = [
        prior_choices.prior_candidate(session, one, UTC) for one in (film, prior) if one is not None
    ]
    return not same_person(*pair)


def require_uncorrected(session: Session, revisions: Mapping[str, int]) -> None:
    """Raise `Corrected` when a film is not what it was when it was looked at.

    ``revisions`` is how often each had been corrected then.
    """
    for uid, revision in revisions.items():
        now = session.scalar(select(Instance.revision).where(Instance.uid == uid))
        if now != revision:
            raise Corrected(
                f"film {uid} was corrected while its answer was made; the step is repeated"
            )


def _compared(session: Session, changed: Instance) -> list[tuple[Comparison, Instance]]:
    """Return a film's valid comparisons, each with the other film."""
    ours = select(Analysis.id).where(Analysis.instance_id == changed.id)
    rows = session.scalars(
        select(Comparison).where(
            or_(Comparison.current_id.in_(ours), Comparison.prior_id.in_(ours)),
            Comparison.withdrawn.is_(None),
        )
    )
    found = []
    for row in rows:
        films = (row.current.instance, row.prior.instance)
        found.append((row, films[films[0].id == changed.id]))
    return found


def _answered_with(session: Session, prior: Instance) -> list[Instance]:
    """Return the films that were answered with this one for their prior."""
    chosen = select(PriorChoice.instance_id).where(PriorChoice.prior_id == prior.id)
    answered = select(Instance).where(Instance.id.in_(chosen), Instance.state == FilmState.ANSWERED)
    return list(session.scalars(answered.order_by(Instance.id)).unique())


def _withdraw_results(session: Session, instance: Instance, why: str) -> None:
    """Withdraw a film's results; those that nobody has yet go nowhere."""
    own = select(Result.id).where(Result.instance_id == instance.id, Result.withdrawn.is_(None))
    waiting = (DeliveryState.PENDING, DeliveryState.DEAD)
    session.execute(
        update(Delivery)
        .where(Delivery.result_id.in_(own), Delivery.state.in_(waiting))
        .values(state=DeliveryState.CANCELLED, next_attempt_at=None)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(Result)
        .where(Result.instance_id == instance.id, Result.withdrawn.is_(None))
        .values(withdrawn=why)
        .execution_options(synchronize_session=False)
    )
