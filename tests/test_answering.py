"""Answering one film: outcomes, priors, and steps that may be done again."""

import pytest
from films import make_film_ds
from pydicom import dcmread
from pydicom.uid import JPEG2000Lossless
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from inference.gate import Reason
from scp import worker as worker_role
from scp.config import Settings
from scp.dimse.sender import DestinationSettings
from scp.index import deliveries, films
from scp.index.schema import Analysis, Comparison, Delivery, FilmState, Result
from scp.index.worklist import film_row
from scp.intake import Intake, Request
from scp.queue import delivery_job, film_job
from scp.results.identity import Product
from scp.roles import now, open_ground


class Bench:
    """Everything but the queue: films are taken in, and the steps are called by hand."""

    def __init__(self, ground, answerer):
        self.ground, self.answerer = ground, answerer
        self.intake = Intake(ground.engine, ground.archive, ground.jobs, now)

    def take(self, ds) -> str:
        path = self.ground.archive.incoming / "received.dcm"
        ds.save_as(path, enforce_file_format=True)
        self.intake.take(path, Request("TEST", ds.SOPClassUID, ds.SOPInstanceUID))
        return ds.SOPInstanceUID

    def answer(self, uid):
        if self.answerer.read(uid):
            self.answerer.write(uid)
        return self.row(uid)

    def row(self, uid):
        with Session(self.ground.engine) as session:
            return film_row(session, uid)

    def count(self, table) -> int:
        with Session(self.ground.engine) as session:
            return session.scalar(select(func.count()).select_from(table))

    def files(self):
        return {
            p.name: p.read_bytes() for p in self.ground.archive.data_dir.rglob("results/**/*.dcm")
        }


@pytest.fixture
def bench(tmp_path, tiny_bundle):
    settings = Settings(
        data_dir=tmp_path,
        archive={"reserve_mb": 0},
        inference={"bundle": str(tiny_bundle), "device": "cpu"},
        destinations=(DestinationSettings(name="pacs", ae_title="PACS", host="::1", port=1),),
    )
    with open_ground(settings) as ground, worker_role.open_reader(settings) as reader:
        yield Bench(ground, worker_role.make_answerer(ground, reader))


def test_a_film_is_answered_with_fourteen_findings_and_a_delivery_for_each_object(bench):
    row = bench.answer(bench.take(make_film_ds()))
    assert row.state is FilmState.ANSWERED
    assert len(row.findings) == 14
    assert {result.kind for result in row.results} == {"heatmap-capture", "report"}
    assert [d.destination for result in row.results for d in result.deliveries] == ["pacs"] * 2


def test_steps_done_again_make_the_same_objects_and_no_more_rows(bench):
    uids = [bench.take(make_film_ds(study_date=day, seed=n)) for n, day in enumerate(DAYS)]
    for uid in uids:
        bench.answer(uid)
    tables = (Analysis, Comparison, Result, Delivery)
    before, counts = bench.files(), [bench.count(table) for table in tables]
    for uid in uids:
        bench.answer(uid)
    assert bench.files() == before
    assert [bench.count(table) for table in tables] == counts


DAYS = ("20230101", "20240101")


def test_a_prior_that_was_not_read_yet_is_read_for_the_comparison(bench):
    earlier, later = (
        bench.take(make_film_ds(study_date=day, seed=n)) for n, day in enumerate(DAYS)
    )
    row = bench.answer(later)
    assert row.prior.uid == earlier
    assert "comparison-capture" in {result.kind for result in row.results}
    assert bench.row(earlier).state is FilmState.RECEIVED  # its own answer is still to come


def test_a_prior_that_cannot_be_read_is_passed_over_for_the_one_before(bench):
    oldest = bench.take(make_film_ds(study_date="20220101", seed=1))
    lateral = make_film_ds(study_date="20230101", seed=2, view="LL")
    bench.take(lateral)
    row = bench.answer(bench.take(make_film_ds(study_date="20240101", seed=3)))
    assert row.prior.uid == oldest


def test_a_prior_whose_file_is_gone_is_passed_over(bench):
    oldest = bench.take(make_film_ds(study_date="20220101", seed=1))
    gone = bench.take(make_film_ds(study_date="20230101", seed=2))
    with Session(bench.ground.engine) as session:
        bench.ground.archive.path(films.film(session, gone).path).unlink()
    row = bench.answer(bench.take(make_film_ds(study_date="20240101", seed=3)))
    assert row.prior.uid == oldest


def test_a_new_release_answers_again_and_delivers_the_new_answer(bench):
    uid = bench.take(make_film_ds())
    bench.answer(uid)
    with Session(bench.ground.engine) as session, session.begin():
        for item in deliveries.outstanding(session, uid, "pacs"):
            deliveries.set_delivered(session, item.delivery_id, now())
    bench.answerer.reader.product = Product(version="99.0", serial="HILUM")
    row = bench.answer(uid)
    assert len(row.results) == 4
    jobs = {job.workflow_id for job in bench.ground.jobs.unfinished()}
    assert {delivery_job(uid, "pacs", 1), delivery_job(uid, "pacs", 2)} <= jobs


def test_another_patient_is_never_a_prior(bench):
    bench.take(make_film_ds(patient_id="A", issuer="one", study_date="20230101", seed=1))
    row = bench.answer(
        bench.take(make_film_ds(patient_id="A", issuer="two", study_date="20240101", seed=2))
    )
    assert row.prior is None
    assert "comparison-capture" not in {result.kind for result in row.results}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"view": "LL"}, Reason.NOT_FRONTAL),
        ({"PatientAge": "017Y"}, Reason.UNDER_AGE),
        ({"BodyPartExamined": "KNEE"}, Reason.NOT_A_CHEST),
        ({"rows": 64, "columns": 64}, Reason.TOO_SMALL),
    ],
)
def test_a_refused_film_has_its_reason_and_no_result(bench, options, reason):
    row = bench.answer(bench.take(make_film_ds(**options)))
    assert (row.state, row.reason) == (FilmState.NOT_ANALYSED, reason.value)
    assert row.detail
    assert row.results == ()


def test_pixels_that_cannot_be_decoded_are_a_stated_outcome(bench):
    ds = make_film_ds(transfer_syntax=JPEG2000Lossless)
    ds.PixelData = ds.PixelData[:120] + bytes(len(ds.PixelData) - 120)
    row = bench.answer(bench.take(ds))
    assert (row.state, row.reason) == (FilmState.NOT_ANALYSED, Reason.UNDECODABLE.value)


def test_a_film_that_vanished_from_the_archive_fails_for_all_to_see(bench):
    uid = bench.take(make_film_ds())
    with Session(bench.ground.engine) as session:
        bench.ground.archive.path(films.film(session, uid).path).unlink()
    with pytest.raises(FileNotFoundError):
        bench.answerer.read(uid)
    bench.answerer.state_failure(uid, "FileNotFoundError")
    row = bench.row(uid)
    assert (row.state, row.reason) == (FilmState.FAILED, "FileNotFoundError")
    assert "hilum queue retry" in row.detail


def test_the_answer_lies_in_the_films_own_study_and_is_labelled(bench):
    ds = make_film_ds(patient_id="OWN")
    row = bench.answer(bench.take(ds))
    for result in row.results:
        (path,) = bench.ground.archive.data_dir.rglob(f"{result.uid}.dcm")
        made = dcmread(path)
        assert made.StudyInstanceUID == ds.StudyInstanceUID
        assert made.PatientID == "OWN"
        assert "RUO" in made.SeriesDescription


def test_each_film_has_one_job_in_the_queue(bench):
    uid = bench.take(make_film_ds())
    bench.take(make_film_ds())
    jobs = [job.workflow_id for job in bench.ground.jobs.unfinished()]
    assert jobs == [film_job(uid)]
