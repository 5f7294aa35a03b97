"""`hilum queue`: what operators see and change."""

import json

import pytest
from films import make_film_ds
from sqlalchemy.orm import Session

from scp.archive import Stored
from scp.commands import queue
from scp.config.destinations import DestinationSettings
from scp.config.load import Settings
from scp.dimse.request import Request
from scp.index import deliveries, films
from scp.index.schema.tables import DeliveryState, FilmState
from scp.index.worklist.film_rows import film_row
from scp.outcomes.delivery import Cause, Outcome
from scp.pipeline.intake import Intake
from scp.pipeline.job_ids import (
    NoSuchJob,
    again_job,
    again_of,
    delivery_job,
    delivery_of,
    fetch_job,
    fetch_of,
    film_job,
    film_of,
)
from scp.pipeline.retry import NotRetried
from scp.processes.runtime import now, open_context


@pytest.fixture
def settings(tmp_path):
    return Settings(
        data_dir=tmp_path,
        archive={"reserve_mb": 0},
        destinations=(DestinationSettings(name="pacs", ae_title="PACS", host="::1", port=1),),
    )


@pytest.fixture
def film(settings):
    """The UID of a film that waits in the queue."""
    ds = make_film_ds()
    with open_context(settings) as stores:
        path = stores.archive.incoming / "received.dcm"
        ds.save_as(path, enforce_file_format=True)
        intake = Intake(stores.engine, stores.archive, stores.jobs, now)
        intake.ingest(path, Request("TEST", ds.SOPClassUID, ds.SOPInstanceUID))
    return ds.SOPInstanceUID


@pytest.fixture
def dead_letter(settings, film):
    """The UID of a film whose report could not be delivered."""
    with open_context(settings) as stores, Session(stores.engine) as session, session.begin():
        films.save_result(
            session,
            films.film(session, film),
            kind="report",
            uid="1.2.3",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34",
            stored=Stored("results/x.dcm", "0" * 64, 1),
            destinations={"pacs": 1},
            now=now(),
        )
        session.flush()
        (item,) = deliveries.outstanding(session, film, "pacs")
        outcome = Outcome.of(Cause.EARLIER_RELEASE, "PACS is on fire")
        deliveries.set_failed(session, item.delivery_id, outcome, now(), None)
    return film


def listed(settings, capsys) -> list[dict]:
    capsys.readouterr()
    queue.list_jobs(settings, as_json=True)
    return json.loads(capsys.readouterr().out)


def row(settings, uid):
    with open_context(settings) as stores, Session(stores.engine) as session:
        return film_row(session, uid)


def test_a_waiting_film_is_listed_and_shown(settings, film, capsys):
    (job,) = listed(settings, capsys)
    assert (job["job"], job["state"]) == (film_job(film), "waiting")
    queue.show_job(settings, film_job(film), as_json=True)
    assert json.loads(capsys.readouterr().out)["film_state"] == "received"


def test_a_cancelled_film_says_so_and_can_be_taken_up_again(settings, film, capsys):
    queue.cancel_job(settings, film_job(film))
    assert [job["state"] for job in listed(settings, capsys)] == ["cancelled"]
    assert row(settings, film).state is FilmState.FAILED
    queue.retry_job(settings, film_job(film))
    assert [job["state"] for job in listed(settings, capsys)] == ["waiting"]
    assert row(settings, film).state is FilmState.RECEIVED


def test_a_dead_letter_is_listed_with_its_reason_and_retried(settings, dead_letter, capsys):
    dead = next(job for job in listed(settings, capsys) if job["state"] == "dead letter")
    assert dead["why"].endswith(": PACS is on fire")
    queue.show_job(settings, dead["job"], as_json=True)
    assert json.loads(capsys.readouterr().out)["film"] == dead_letter
    queue.retry_job(settings, dead["job"])
    jobs = {job["job"]: job["state"] for job in listed(settings, capsys)}
    assert jobs[delivery_job(dead_letter, "pacs", 2)] == "waiting"
    (result,) = row(settings, dead_letter).results
    assert [d.state for d in result.deliveries] == [DeliveryState.PENDING]


def test_a_cancelled_delivery_stays_visible_and_can_be_retried(settings, dead_letter, capsys):
    queue.retry_job(settings, f"delivery:{dead_letter}:pacs")
    job = delivery_job(dead_letter, "pacs", 2)
    queue.cancel_job(settings, job)
    (result,) = row(settings, dead_letter).results
    assert [d.state for d in result.deliveries] == [DeliveryState.CANCELLED]
    assert job in {one["job"] for one in listed(settings, capsys)}
    queue.retry_job(settings, job)
    states = {one["job"]: one["state"] for one in listed(settings, capsys)}
    assert states[delivery_job(dead_letter, "pacs", 3)] == "waiting"
    assert job not in states


def test_a_second_answer_can_be_cancelled_and_taken_up_again_and_the_first_stands(
    settings, film, capsys
):
    job = again_job(film, "1.2.9")
    with open_context(settings) as stores, Session(stores.engine) as session, session.begin():
        films.set_outcome(films.film(session, film), FilmState.ANSWERED, now())
        for _ in range(2):  # asked twice, it is one job
            stores.jobs.answer_again(session, film, "1.2.9", 60)

    def state():
        return [one["state"] for one in listed(settings, capsys) if one["job"] == job]

    assert state() == ["waiting for its time"]
    queue.cancel_job(settings, job)
    assert state() == ["cancelled"]
    assert row(settings, film).state is FilmState.ANSWERED
    queue.show_job(settings, job, as_json=True)
    assert json.loads(capsys.readouterr().out)["film"] == film
    queue.retry_job(settings, job)
    assert state() == ["waiting"]
    assert row(settings, film).state is FilmState.ANSWERED


def test_fetching_priors_can_be_cancelled_and_asked_for_at_once_and_the_answer_stands(
    settings, film, capsys
):
    job = fetch_job(film, 2)
    with open_context(settings) as stores, Session(stores.engine) as session, session.begin():
        films.set_outcome(films.film(session, film), FilmState.ANSWERED, now())
        stores.jobs.fetch_priors(session, film, 2, 60)

    def state():
        return [one["state"] for one in listed(settings, capsys) if one["job"] == job]

    for done, expected in (
        (lambda: None, "waiting for its time"),
        (lambda: queue.retry_job(settings, job), "waiting"),
        (lambda: queue.cancel_job(settings, job), "cancelled"),
        (lambda: queue.retry_job(settings, job), "waiting"),
    ):
        done()
        assert state() == [expected]
    queue.show_job(settings, job, as_json=True)
    assert json.loads(capsys.readouterr().out)["film"] == film
    assert row(settings, film).state is FilmState.ANSWERED


def test_nothing_outstanding_is_an_error_and_not_a_second_delivery(settings, film):
    with pytest.raises(NotRetried, match="Nothing is outstanding"):
        queue.retry_job(settings, f"delivery:{film}:pacs")


@pytest.mark.parametrize("job", ["film:1.2.3", "delivery:1.2.3", "nonsense", ""])
def test_an_unknown_job_is_an_error(settings, film, job):
    with pytest.raises(NoSuchJob, match="hilum queue list"):
        queue.show_job(settings, job, as_json=True)


def test_job_ids_say_what_they_are_about():
    assert film_of(film_job("1.2")) == "1.2"
    assert film_of(film_job("1.2", 3)) == "1.2"
    assert film_of(delivery_job("1.2", "pacs", 3)) is None
    assert film_of(again_job("1.2", "1.3")) is None
    assert again_of(again_job("1.2", "1.3")) == "1.2"
    assert again_of(film_job("1.2")) is None
    assert fetch_of(fetch_job("1.2", 3)) == "1.2"
    assert fetch_of(film_job("1.2")) is again_of(fetch_job("1.2", 3)) is None
    assert delivery_of(delivery_job("1.2", "pacs", 3)) == ("1.2", "pacs")
    assert delivery_of("delivery:1.2:pacs") == ("1.2", "pacs")
