"""After a worker's death, the films that it had in hand are done one at a time."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from inference.settings import InferenceSettings
from scp.config.load import Settings
from scp.pipeline.job_ids import FILMS, fetch_job, film_job
from scp.processes.queues import Queues

FILMS_AT_ONCE = 3


def set_jobs(dashboard, uids, status, worker):
    """Make jobs as DBOS leaves them when the worker that has them in hand dies, or ends them."""
    with dashboard.engine.begin() as connection:
        connection.execute(
            sa.text(
                "update workflow_status set status = :status, executor_id = :worker"
                " where workflow_uuid in :jobs"
            ).bindparams(sa.bindparam("jobs", expanding=True)),
            {"status": status, "worker": worker, "jobs": [film_job(uid) for uid in uids]},
        )


def at_once(dashboard):
    with dashboard.engine.begin() as connection:
        query = sa.text("select worker_concurrency from queues where name = :name")
        return connection.execute(query, {"name": FILMS}).scalar_one()


def queues_of(dashboard, worker, in_hand=(), **more):
    settings = Settings(
        data_dir=dashboard.archive.data_dir,
        inference=InferenceSettings(films_at_once=FILMS_AT_ONCE),
    )
    return Queues(settings, dashboard.jobs, worker, [film_job(uid) for uid in in_hand], **more)


def test_films_that_a_dead_worker_had_in_hand_are_done_one_at_a_time_and_then_as_ever(dashboard):
    uids = ["1.2.1", "1.2.2"]
    with Session(dashboard.engine) as session, session.begin():
        for uid in [*uids, "1.2.3"]:
            dashboard.jobs.answer_film(session, uid)
    set_jobs(dashboard, uids, "PENDING", "worker-1")
    queues = queues_of(dashboard, "worker-1")
    queues.register()
    assert at_once(dashboard) == 1
    set_jobs(dashboard, uids[:1], "SUCCESS", "worker-1")
    queues.look()
    assert at_once(dashboard) == 1, "one is still to be done"
    set_jobs(dashboard, uids[1:], "MAX_RECOVERY_ATTEMPTS_EXCEEDED", "worker-1")
    queues.look()
    assert at_once(dashboard) == FILMS_AT_ONCE


def test_films_that_another_worker_has_in_hand_hold_up_nobody(dashboard):
    with Session(dashboard.engine) as session, session.begin():
        dashboard.jobs.answer_film(session, "1.2.1")
    set_jobs(dashboard, ["1.2.1"], "PENDING", "worker-2")
    queues_of(dashboard, "worker-1").register()
    assert at_once(dashboard) == FILMS_AT_ONCE


def test_a_clock_that_was_set_back_makes_no_job_wait_for_it_to_come_round(dashboard):
    with Session(dashboard.engine) as session, session.begin():
        for attempt in (2, 3):
            dashboard.jobs.fetch_priors(session, "1.2.1", attempt, 60)
    ahead, now = fetch_job("1.2.1", 2), fetch_job("1.2.1", 3)
    four_hours_ms = 4 * 3_600_000
    with dashboard.engine.begin() as connection:
        connection.execute(
            sa.text(
                "update workflow_status set created_at = created_at + :ms,"
                " delay_until_epoch_ms = delay_until_epoch_ms + :ms where workflow_uuid = :job"
            ),
            {"ms": four_hours_ms, "job": ahead},
        )
    queues_of(dashboard, "worker-1").look()
    assert dashboard.jobs.status(ahead).status == "ENQUEUED"
    assert dashboard.jobs.status(now).status == "DELAYED"


def test_a_job_that_the_queue_thinks_is_running_and_nobody_does_is_taken_up_again(dashboard):
    uids = ["1.2.1", "1.2.2", "1.2.3"]
    with Session(dashboard.engine) as session, session.begin():
        for uid in uids:
            dashboard.jobs.answer_film(session, uid)
    set_jobs(dashboard, uids[:2], "PENDING", "worker-1")
    set_jobs(dashboard, uids[2:], "PENDING", "worker-2")
    seconds = iter([0.0, 29.0, 31.0])
    queues = queues_of(dashboard, "worker-1", in_hand=uids[:1], clock=lambda: next(seconds))
    for _ in range(2):
        queues.look()
        assert [dashboard.jobs.status(film_job(uid)).status for uid in uids] == ["PENDING"] * 3
    queues.look()
    states = [dashboard.jobs.status(film_job(uid)).status for uid in uids]
    assert states == ["PENDING", "ENQUEUED", "PENDING"]
