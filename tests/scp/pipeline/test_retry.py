"""What may be retried, by page and by command; and a process that dies while it retries."""

import pytest
import sqlalchemy as sa
from actors import otto
from invented_films import NOW, REPORT, Invented
from sqlalchemy.orm import Session

from scp.archive import Archive
from scp.commands import queue as command
from scp.config.destinations import DestinationSettings
from scp.config.load import Settings
from scp.index import films
from scp.index.schema.tables import Delivery, DeliveryState, FilmState, Instance
from scp.outcomes.failures import Cause
from scp.pipeline.job_ids import delivery_job, fetch_job, film_job
from scp.pipeline.operator_actions import JobControl
from scp.pipeline.queue import Jobs
from scp.pipeline.replaced_jobs import not_replaced
from scp.pipeline.retry import NotRetried, Refusal, refuse_delivery, refuse_film, refuse_job

DEAD, CANCELLED = DeliveryState.DEAD, DeliveryState.CANCELLED
PENDING, DELIVERED = DeliveryState.PENDING, DeliveryState.DELIVERED


@pytest.mark.parametrize(
    ("state", "jobs", "done", "expected"),
    [
        (FilmState.FAILED, ["ERROR"], False, None),
        (FilmState.FAILED, ["ENQUEUED"], False, None),  # cancelled, and its job not yet
        (FilmState.NOT_ANALYSED, ["SUCCESS"], False, None),
        (FilmState.RECEIVED, ["ENQUEUED"], False, Refusal.IN_HAND),
        (FilmState.ANALYSED, ["PENDING"], True, Refusal.IN_HAND),
        (FilmState.RECEIVED, [], False, None),  # nothing else would answer it
        (FilmState.RECEIVED, ["CANCELLED"], False, None),
        (FilmState.ANSWERED, [], False, Refusal.DONE),
        (FilmState.ANSWERED, [], True, None),
        (FilmState.ANSWERED, ["ENQUEUED"], True, Refusal.IN_HAND),
        (FilmState.FETCHED, [], True, Refusal.FETCHED),
    ],
)
def test_a_film_is_retried_that_nothing_else_will_answer(state, jobs, done, expected):
    assert refuse_film(state, jobs, done=done) is expected


@pytest.mark.parametrize(
    ("status", "done", "expected"),
    [
        (None, True, Refusal.NO_SUCH_JOB),
        ("DELAYED", False, None),
        ("ENQUEUED", False, Refusal.IN_HAND),
        ("PENDING", True, Refusal.IN_HAND),
        ("ERROR", False, None),
        ("CANCELLED", False, None),
        ("MAX_RECOVERY_ATTEMPTS_EXCEEDED", False, None),
        ("SUCCESS", False, Refusal.DONE),
        ("SUCCESS", True, None),
    ],
)
def test_a_job_beside_the_answer_is_retried_unless_it_is_done_or_in_hand(status, done, expected):
    assert refuse_job(status, done=done) is expected


@pytest.mark.parametrize(
    ("states", "jobs", "expected"),
    [
        ([DEAD, DELIVERED], [], None),
        ([CANCELLED], [], None),
        ([PENDING], ["DELAYED"], None),
        ([PENDING], [None], None),  # nothing else would bring it
        ([PENDING], ["ENQUEUED"], Refusal.IN_HAND),
        ([PENDING, DEAD], ["PENDING"], None),
        ([DELIVERED], [], Refusal.NOTHING_OUTSTANDING),
        ([], [], Refusal.NOTHING_OUTSTANDING),
    ],
)
def test_a_delivery_is_retried_that_is_dead_cancelled_or_waits(states, jobs, expected):
    assert refuse_delivery(states, jobs, configured=True) is expected
    assert refuse_delivery(states, jobs, configured=False) is Refusal.NOT_CONFIGURED


# -- two doors, one rule


def by_page(dashboard, job):
    answer = dashboard.browser.post("/queue/retry", params={"job": job})
    return answer.headers["location"].partition("done=")[2]


def by_command(dashboard, job):
    pacs = DestinationSettings(name="PACS_A", ae_title="PACS", host="::1", port=1)
    settings = Settings(data_dir=dashboard.archive.data_dir, destinations=(pacs,))
    try:
        command.retry_job(settings, job)
    except NotRetried as error:
        return error.refusal.value
    return "retried"


@pytest.mark.parametrize("door", [by_page, by_command])
def test_page_and_command_agree_on_what_may_be_retried(dashboard, door):
    films_, places = {}, {}
    with dashboard.invent() as invented:
        for state in FilmState:
            films_[state] = invented.film(state=state).uid
        for state, name in [(one, "PACS_A") for one in DeliveryState] + [(DEAD, "GONE")]:
            film = invented.film()
            result = invented.result(film, "report", REPORT, b"x")
            invented.delivery(result, name, state=state, attempts=1)
            places[state, name] = delivery_job(film.uid, name, 1)
        uid = film.uid
        dashboard.jobs.fetch_priors(invented.session, uid, 2, 60)
    expected = {
        film_job(films_[FilmState.FAILED]): ["retried", "in-hand"],
        film_job(films_[FilmState.NOT_ANALYSED]): ["retried", "in-hand"],
        film_job(films_[FilmState.RECEIVED]): ["retried", "in-hand"],  # its job was lost
        film_job(films_[FilmState.ANALYSED]): ["retried", "in-hand"],
        film_job(films_[FilmState.ANSWERED]): ["done", "done"],
        film_job(films_[FilmState.FETCHED]): ["fetched", "fetched"],
        places[DEAD, "PACS_A"]: ["retried", "in-hand"],
        places[CANCELLED, "PACS_A"]: ["retried", "in-hand"],
        places[PENDING, "PACS_A"]: ["retried", "in-hand"],  # its job was lost
        places[DELIVERED, "PACS_A"]: ["nothing-outstanding"] * 2,
        places[DEAD, "GONE"]: ["not-configured"] * 2,
        fetch_job(uid, 2): ["retried", "in-hand"],  # it waited for its time
        fetch_job(uid, 3): ["no-such-job"] * 2,
    }
    offered = {uid for uid in films_.values() if _offers(dashboard, uid)}
    assert offered == {uid for uid in films_.values() if "retried" in expected[film_job(uid)]}
    done = {job: [door(dashboard, job) for _ in range(2)] for job in expected}
    assert done == expected
    assert not any(_offers(dashboard, uid) for uid in films_.values())


def _offers(dashboard, uid):
    return f"/queue/retry?job=film%3A{uid}" in dashboard.page(f"/films/{uid}")


# -- a process that dies


class Dying(Jobs):
    """The queue of a process that dies before the commit, or right after it."""

    after_commit = False

    def answer_film(self, session, film_uid, number=1):
        super().answer_film(session, film_uid, number)
        if not self.after_commit:
            raise KeyboardInterrupt

    def deliver(self, session, *job, **more):
        super().deliver(session, *job, **more)
        if not self.after_commit:
            raise KeyboardInterrupt

    def end(self, job_id):
        raise KeyboardInterrupt(job_id)

    def cancel(self, job_id):
        raise KeyboardInterrupt(job_id)


@pytest.fixture
def jobs(engine):
    jobs = Jobs(engine)
    yield jobs
    jobs.close()


@pytest.fixture
def dying(engine):
    jobs = Dying(engine)
    yield jobs
    jobs.close()


def control(engine, jobs):
    return JobControl(engine, jobs, ["pacs"], lambda: NOW, otto())


@pytest.fixture
def cancelled(engine, jobs, tmp_path):
    """A film that an operator cancelled, and a cancelled delivery of it; the film's UID."""
    with Session(engine) as session, session.begin():
        invented = Invented(session, Archive(tmp_path))
        film = invented.film(state=FilmState.RECEIVED)
        result = invented.result(film, "report", REPORT, b"x")
        invented.delivery(result, "pacs", state=PENDING, attempts=0)
        jobs.answer_film(session, film.uid)
        jobs.deliver(session, film.uid, "pacs", 1)
        uid = film.uid
    control(engine, jobs).cancel(film_job(uid))
    control(engine, jobs).cancel(delivery_job(uid, "pacs", 1))
    return uid


def state(engine, uid):
    with Session(engine) as session:
        film = films.film(session, uid)
        delivery = session.scalars(sa.select(Delivery)).one()
        return film.state, film.job, delivery.state, delivery.job


def test_who_dies_before_the_commit_has_changed_nothing(engine, jobs, dying, cancelled):
    for job in (film_job(cancelled), delivery_job(cancelled, "pacs", 1)):
        with pytest.raises(KeyboardInterrupt):
            control(engine, dying).retry(job)
    assert state(engine, cancelled) == (FilmState.FAILED, 1, CANCELLED, 1)
    assert jobs.status(film_job(cancelled, 2)) is None
    assert jobs.status(delivery_job(cancelled, "pacs", 2)) is None
    control(engine, jobs).retry(film_job(cancelled))  # pressed again
    control(engine, jobs).retry(delivery_job(cancelled, "pacs", 1))
    assert state(engine, cancelled) == (FilmState.RECEIVED, 2, PENDING, 2)
    assert {job.workflow_id: job.status for job in jobs.unfinished()} == {
        film_job(cancelled, 2): "ENQUEUED",
        delivery_job(cancelled, "pacs", 2): "ENQUEUED",
    }


def test_who_dies_after_the_commit_has_retried_and_the_old_jobs_are_listed_nowhere(
    engine, jobs, dying, cancelled
):
    dying.after_commit = True
    for job in (film_job(cancelled), delivery_job(cancelled, "pacs", 1)):
        with pytest.raises(KeyboardInterrupt):
            control(engine, dying).retry(job)
    assert state(engine, cancelled) == (FilmState.RECEIVED, 2, PENDING, 2)
    assert jobs.status(film_job(cancelled)).status == "CANCELLED"  # it could not be ended
    with Session(engine) as session:
        listed = {job.workflow_id for job in not_replaced(session, jobs.unfinished())}
    assert listed == {film_job(cancelled, 2), delivery_job(cancelled, "pacs", 2)}


def test_who_dies_while_cancelling_leaves_a_film_that_says_so_and_can_be_retried(
    engine, jobs, dying, cancelled
):
    control(engine, jobs).retry(film_job(cancelled))
    with pytest.raises(KeyboardInterrupt):
        control(engine, dying).cancel(film_job(cancelled))
    with Session(engine) as session, session.begin():
        film = films.film(session, cancelled)
        assert (film.state, film.reason) == (FilmState.FAILED, Cause.CANCELLED)
        assert not films.set_outcome(film, FilmState.ANSWERED, NOW)  # whatever its job does
    assert jobs.status(film_job(cancelled, 2)).status == "ENQUEUED"
    control(engine, jobs).retry(film_job(cancelled))
    assert jobs.status(film_job(cancelled, 2)).status == "CANCELLED"
    assert jobs.status(film_job(cancelled, 3)).status == "ENQUEUED"


def test_two_operators_who_retry_in_one_moment_make_one_job(engine, jobs, cancelled):
    with Session(engine) as session, session.begin():
        stale = films.film(session, cancelled)
        assert stale.job == 1
        session.expunge(stale)
    control(engine, jobs).retry(film_job(cancelled))
    with Session(engine) as session, session.begin():
        session.add(stale)
        assert not films.take_up(stale)
    with Session(engine) as session:
        assert session.scalars(sa.select(Instance.job)).one() == 2
