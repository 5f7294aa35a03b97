"""Two who change one state in the same moment: the second sees the first's; both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from actors import otto
from invented_films import Invented
from sqlalchemy.orm import Session

from scp.archive import Archive
from scp.index import deliveries, films
from scp.index.schema.tables import Delivery, DeliveryState, FilmState, Instance, Result
from scp.outcomes import delivery as outcomes
from scp.outcomes.failures import Cause
from scp.pipeline.job_ids import NoSuchJob, film_job
from scp.pipeline.operator_actions import JobControl
from scp.pipeline.queue import Jobs

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
TAKEN = outcomes.Outcome(outcomes.Cause.STATUS, outcomes.Kind.SUCCESS, 0)
REFUSED = outcomes.Outcome(outcomes.Cause.NO_CONNECTION, outcomes.Kind.TRANSIENT)
CANCEL = (FilmState.FAILED, NOW, Cause.CANCELLED, "cancelled")


@pytest.fixture
def film(engine, tmp_path):
    """A film that a worker has read, by its UID."""
    with Session(engine) as session, session.begin():
        archive = Archive(tmp_path)
        return Invented(session, archive).film(state=FilmState.ANALYSED).uid


@pytest.fixture
def delivery(engine, film):
    """A result of the film on its way to the PACS, by the delivery's number."""
    with Session(engine) as session, session.begin():
        row = Delivery(destination="pacs", state=DeliveryState.PENDING)
        session.add(
            Result(
                instance=films.film(session, film),
                kind="report",
                uid="1.2.9",
                sop_class_uid="1.2",
                path="results/1.dcm",
                sha256="0" * 64,
                size_bytes=1,
                created_at=NOW,
                deliveries=[row],
            )
        )
        session.flush()
        return row.id


def outcome(session, uid, *to, **more):
    return films.set_outcome(films.film(session, uid), *to, **more)


def state_of(engine, uid):
    with Session(engine) as session:
        return session.scalars(sa.select(Instance.state).where(Instance.uid == uid)).one()


def both(engine, first, second):
    """Begin the first change, begin the second, then commit the first; return what each made."""
    with ThreadPoolExecutor(1) as other, Session(engine) as session:
        with session.begin():
            one = first(session)
            waits = other.submit(in_own, engine, second)
            with pytest.raises(TimeoutError):  # it waits for the first one's commit
                waits.result(timeout=0.3)
        return one, waits.result(timeout=60)


def in_own(engine, change):
    with Session(engine) as session, session.begin():
        return change(session)


def answered(uid):
    return lambda session: outcome(session, uid, FilmState.ANSWERED, NOW)


def cancelled(uid):
    return lambda session: outcome(session, uid, *CANCEL, old=films.WAITING)


def failed(uid):
    return lambda session: outcome(
        session, uid, FilmState.FAILED, NOW, Cause.FAULT, old=films.WAITING
    )


@pytest.mark.parametrize(
    ("first", "second", "stands"),
    [
        (answered, cancelled, FilmState.ANSWERED),
        (cancelled, answered, FilmState.FAILED),
        (answered, failed, FilmState.ANSWERED),
        (cancelled, failed, FilmState.FAILED),
    ],
)
def test_of_two_outcomes_in_one_moment_the_first_stands(engine, film, first, second, stands):
    assert both(engine, first(film), second(film)) == (True, False)
    assert state_of(engine, film) is stands


def test_a_film_that_failed_and_is_done_again_in_the_same_moment_is_answered(engine, film):
    assert both(engine, failed(film), answered(film)) == (True, True)
    assert state_of(engine, film) is FilmState.ANSWERED


def test_only_one_of_two_operators_opens_a_film_again(engine, film):
    in_own(engine, cancelled(film))

    def reopen(session):
        return films.reopen(films.film(session, film))

    assert both(engine, reopen, reopen) == (True, False)
    assert state_of(engine, film) is FilmState.RECEIVED


def test_what_was_read_before_somebody_else_changed_it_decides_nothing(engine, film):
    with Session(engine, expire_on_commit=False) as session:
        stale = films.film(session, film)
        assert stale.state is FilmState.ANALYSED
        session.commit()
        with Session(engine) as other, other.begin():
            outcome(other, film, *CANCEL)
        assert not films.set_outcome(stale, FilmState.ANSWERED, NOW)
        assert stale.state is FilmState.FAILED


def test_an_answered_film_is_neither_cancelled_nor_opened_by_an_operator(engine, film):
    jobs = Jobs(engine)
    control = JobControl(engine, jobs, ["pacs"], lambda: NOW, otto())
    with Session(engine) as session, session.begin():
        outcome(session, film, FilmState.ANSWERED, NOW)
    with pytest.raises(NoSuchJob, match="outcome already"):
        control.cancel(film_job(film))
    control.retry(film_job(film), done=True)
    assert state_of(engine, film) is FilmState.ANSWERED
    jobs.close()


# -- deliveries


def delivery_state(engine, number):
    with Session(engine) as session:
        row = session.get_one(Delivery, number)
        return row.state, row.attempts


def take(number):
    return lambda session: deliveries.set_delivered(session, number, TAKEN, NOW)


def fail(number):
    return lambda session: deliveries.set_failed(session, number, REFUSED, NOW, None)


def cancel(film):
    pending, off = DeliveryState.PENDING, DeliveryState.CANCELLED
    return lambda session: deliveries.set_state(session, film, "pacs", pending, off)


def test_what_the_pacs_has_is_delivered_whoever_cancels_it_in_that_moment(engine, film, delivery):
    _, number = both(engine, flushed(take(delivery)), cancel(film))
    assert number == 0
    assert delivery_state(engine, delivery)[0] is DeliveryState.DELIVERED


def test_a_cancelled_delivery_is_delivered_when_the_pacs_says_so_after_all(engine, film, delivery):
    number, _ = both(engine, cancel(film), flushed(take(delivery)))
    assert number == 1
    assert delivery_state(engine, delivery)[0] is DeliveryState.DELIVERED


def test_a_cancelled_delivery_that_fails_in_that_moment_stays_cancelled(engine, film, delivery):
    number, pending = both(engine, cancel(film), fail(delivery))
    assert (number, pending) == (1, False)
    assert delivery_state(engine, delivery) == (DeliveryState.CANCELLED, 1)


def test_dead_letters_are_taken_up_by_one_of_two_operators(engine, film, delivery):
    in_own(engine, fail(delivery))

    def take_up(session):
        return deliveries.take_up(session, film, "pacs", DeliveryState.DEAD)

    assert both(engine, take_up, take_up) == ([delivery], [])
    assert delivery_state(engine, delivery)[0] is DeliveryState.PENDING


def test_a_dead_letter_that_is_taken_up_is_not_discarded_in_the_same_moment(engine, film, delivery):
    in_own(engine, fail(delivery))
    taken, discarded = both(
        engine,
        lambda session: deliveries.take_up(session, film, "pacs", DeliveryState.DEAD),
        lambda session: deliveries.discard_dead(session, "pacs"),
    )
    assert (taken, discarded) == ([delivery], 0)
    assert delivery_state(engine, delivery)[0] is DeliveryState.PENDING


def flushed(change):
    def made(session):
        change(session)
        session.flush()

    return made


def test_a_wait_is_kept_with_the_delivery_that_waits(engine, film, delivery):
    later = NOW + timedelta(minutes=1)
    with Session(engine) as session, session.begin():
        assert deliveries.set_failed(session, delivery, REFUSED, NOW, later)
    with Session(engine) as session:
        row = session.get_one(Delivery, delivery)
        assert (row.state, row.next_attempt_at) == (DeliveryState.PENDING, later)
        assert films.film(session, film).state is FilmState.ANALYSED
