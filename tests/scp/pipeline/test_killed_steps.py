"""A step that is killed and done again in a changed world makes what it had decided, once."""

from datetime import timedelta

import pytest
from actors import otto
from bench import open_bench
from films import chest, make_film_ds
from pydicom import dcmread
from sqlalchemy import select
from sqlalchemy.orm import Session

from scp.index import films, finished_steps
from scp.index.corrections import Corrected
from scp.index.finished_steps import JobStep
from scp.index.schema.tables import Delivery, FilmState, FurtherAnswer, Instance, Result
from scp.outcomes.failures import Cause
from scp.pipeline.job_ids import again_job, again_of, film_job
from scp.pipeline.operator_actions import JobControl
from scp.processes.runtime import now
from scp.results.identity import Product

# where a step is killed: an object of the answerer, its method, and whether that was done by then
BEFORE_IT_IS_DECIDED = ("outcomes.prepared", "keep", False)
MOMENTS = {
    "decided": ("outcomes.prepared", "keep", True),
    "placed": ("outcomes.prepared", "place", True),
    "saved": ("outcomes", "_save_results", True),
    "committed": ("outcomes.prepared", "_discard", False),
    "not yet recorded": ("outcomes", "state", True),
}
LOUD = {"not_analysed": True}  # so that what is not read has an object too


class Killed(BaseException):
    """As `kill -9`: no handler catches it."""


def die(answerer, place, method, done, monkeypatch):
    """Have a method kill the process, after its work or instead of it."""
    owner = answerer
    for name in place.split("."):
        owner = getattr(owner, name)
    original = getattr(owner, method)

    def killed(*arguments):
        if method == "_discard" and not list(answerer.prepared.archive.prepared.iterdir()):
            return original(*arguments)  # it looks whether an earlier try has left something
        if done:
            original(*arguments)
        raise Killed

    monkeypatch.setattr(owner, method, killed)


def of_a_patient(day, **more):
    return make_film_ds(chest(seed=3), study_date=day, patient_id="KILLED", **more)


def answered_with_a_prior(bench):
    """Return the steps of a film whose prior has been answered."""
    bench.answer(bench.take(of_a_patient("20230101")))
    uid = bench.take(of_a_patient("20240101"))
    assert bench.answerer.read(uid, film_job(uid))
    return uid, lambda answerer: answerer.write(uid, film_job(uid))


def answered_again(bench):
    uid = bench.take(of_a_patient("20240101"))
    bench.answer(uid)
    prior = bench.take(of_a_patient("20230101"))
    bench.answer(prior)
    return uid, lambda answerer: answerer.write_again(uid, again_job(uid, prior))


def refused(bench):
    uid = bench.take(of_a_patient("20240101", view="LL"))
    return uid, lambda answerer: answerer.read(uid, film_job(uid))


def failed(bench):
    uid = bench.take(of_a_patient("20240101"))
    return uid, lambda answerer: answerer.state_failure(uid, Cause.FAULT, job=film_job(uid))


@pytest.fixture
def world(tmp_path, tiny_bundle):
    """Open the service's parts as after a restart, by settings that may have changed."""

    def opened(**results):
        return open_bench(tmp_path, tiny_bundle, **LOUD, **results)

    return opened


def change(bench):
    """Change all that an answer rests on, but for the film and what was decided."""
    bench.take(of_a_patient("20230601"))  # another prior
    with Session(bench.stores.engine) as session:
        uids = session.scalars(select(Instance.uid).where(Instance.state == FilmState.ANSWERED))
        earlier = [uid for uid in uids if "2023" in str(films.film(session, uid).acquired_at)]
    bench.answerer.reader.product = Product(version="99.0", serial="HILUM")
    for uid in earlier:  # the prior gets another report
        bench.answerer.write(uid)
    later = now() + timedelta(days=3)
    for part in (bench.answerer, bench.answerer.editions, bench.answerer.outcomes):
        part.now = lambda: later


def of_film(bench, uid):
    """Return the objects of a film: files, and as the index and the destination are told."""
    with Session(bench.stores.engine) as session:
        rows = list(
            session.scalars(select(Result).join(Result.instance).where(Instance.uid == uid))
        )
        study = films.film(session, uid).series.study.uid
        told = {d.result.uid for d in session.scalars(select(Delivery)) if d.result in rows}
        files = {p.stem for p in (bench.stores.archive.data_dir / "results").glob(f"*/{study}/*")}
        return files, {row.uid for row in rows}, told


@pytest.mark.parametrize(
    ("case", "moment"),
    [
        *((answered_with_a_prior, moment) for moment in MOMENTS),
        (answered_again, "placed"),
        (answered_again, "not yet recorded"),
        (refused, "committed"),
        (failed, "placed"),
    ],
)
def test_what_was_decided_is_what_the_film_gets(world, monkeypatch, case, moment):
    with world() as bench:
        uid, step = case(bench)
        before = of_film(bench, uid)[0]
        with monkeypatch.context() as dying:
            die(bench.answerer, *MOMENTS[moment], dying)
            with pytest.raises(Killed):
                step(bench.answerer)
        prepared = bench.stores.archive.prepared.rglob("*.dcm")
        decided = {path.stem for path in prepared} | of_film(bench, uid)[0]
        assert decided > before
    with world(thresholds={"Effusion": 0.01}, comparison_capture=False) as bench:
        change(bench)
        for _ in range(2):
            step(bench.answerer)
            files, rows, told = of_film(bench, uid)
            assert files == rows == told == decided
        assert list(bench.stores.archive.prepared.iterdir()) == []


def test_what_was_not_decided_is_decided_anew_and_leaves_nothing(world, monkeypatch):
    with world() as bench:
        uid, step = answered_again(bench)
        with monkeypatch.context() as dying:
            die(bench.answerer, *BEFORE_IT_IS_DECIDED, dying)
            with pytest.raises(Killed):
                step(bench.answerer)
    with world(thresholds={"Effusion": 0.01}) as bench:
        change(bench)
        step(bench.answerer)
        files, rows, told = of_film(bench, uid)
        assert files == rows == told
        assert bench.count(FurtherAnswer) <= 2  # the film's own, and its prior's


def test_what_was_decided_is_made_again_when_a_film_was_corrected_meanwhile(world, monkeypatch):
    with world() as bench:
        uid, step = answered_with_a_prior(bench)
        with monkeypatch.context() as dying:
            die(bench.answerer, *MOMENTS["placed"], dying)
            with pytest.raises(Killed):
                step(bench.answerer)
        wrong = of_film(bench, uid)[0]
        with Session(bench.stores.engine) as session:
            corrected = dcmread(bench.stores.archive.path(films.film(session, uid).path))
        corrected.AccessionNumber = "A9"
        bench.take(corrected)
        with pytest.raises(Corrected):
            step(bench.answerer)
        assert of_film(bench, uid)[0] == set()
        step(bench.answerer)
        files, rows, _ = of_film(bench, uid)
        assert files == rows
        assert not files & wrong


def test_what_no_job_comes_back_to_is_deleted(world, monkeypatch):
    with world() as bench:
        uid, step = answered_with_a_prior(bench)
        with monkeypatch.context() as dying:
            die(bench.answerer, *MOMENTS["placed"], dying)
            with pytest.raises(Killed):
                step(bench.answerer)
        assert of_film(bench, uid)[0]
        bench.answerer.prepared.sweep(bench.stores.jobs, {film_job(uid)})
        assert of_film(bench, uid)[0], "its job is in hand"
        foreign = bench.stores.archive.prepared / "lost+found"
        foreign.mkdir()
        bench.stores.jobs.cancel(film_job(uid))
        bench.answerer.prepared.sweep(bench.stores.jobs, ())
        assert of_film(bench, uid)[0] == set()
        assert list(bench.stores.archive.prepared.iterdir()) == [foreign]


def test_a_job_that_an_operator_has_done_again_makes_its_answer_again(world):
    with world() as bench:
        uid, _ = answered_again(bench)
        (job,) = (j for j in bench.stores.jobs.unfinished() if again_of(j.workflow_id) == uid)
        bench.answerer.write_again(uid, job.workflow_id)
        bench.stores.jobs.cancel(job.workflow_id)
        with Session(bench.stores.engine) as session:
            own = JobStep(uid, job.workflow_id, "WRITE")
            assert finished_steps.result(session, own) is not None
        control = JobControl(bench.stores.engine, bench.stores.jobs, ["pacs"], now, otto())
        control.retry(job.workflow_id)
        with Session(bench.stores.engine) as session:
            assert finished_steps.result(session, own) is None
