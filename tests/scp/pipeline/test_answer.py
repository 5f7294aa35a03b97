"""Answering one film: outcomes, priors, and steps that may be done again."""

import pytest
from bench import open_bench
from films import chest, make_film_ds
from pydicom import dcmread
from pydicom.uid import JPEG2000Lossless
from sqlalchemy import select
from sqlalchemy.orm import Session

from inference.comparison.compare import NO_NULL
from inference.image.gate import Reason
from scp.index import deliveries, films
from scp.index.schema.tables import Analysis, Comparison, Delivery, FilmState, Result
from scp.outcomes.delivery import DELIVERED
from scp.outcomes.failures import Cause
from scp.pipeline import further_answer
from scp.pipeline.job_ids import again_job, delivery_job, film_job
from scp.processes.runtime import now
from scp.results.identity import Product
from scp.results.tracking import tracked


@pytest.fixture
def bench(tmp_path, tiny_bundle):
    with open_bench(tmp_path, tiny_bundle) as bench:
        yield bench


def test_a_film_is_answered_with_fourteen_findings_and_a_delivery_for_each_object(bench):
    row = bench.answer(bench.take(make_film_ds()))
    assert row.state is FilmState.ANSWERED
    assert len(row.findings) == 14
    assert {result.kind for result in row.results} == {"summary-capture", "report"}
    assert [d.destination for result in row.results for d in result.deliveries] == ["pacs"] * 2


def test_a_destination_gets_the_kinds_that_it_is_to_get_and_no_job_without_any(bench):
    wanted = {"pacs": [], "worklist": ["report"], "nothing": ["segmentation"]}
    bench.answerer.outcomes.destinations = wanted
    uid = bench.take(make_film_ds())
    row = bench.answer(uid)
    went = {r.kind: sorted(d.destination for d in r.deliveries) for r in row.results}
    assert went == {"summary-capture": ["pacs"], "report": ["pacs", "worklist"]}
    jobs = {job.workflow_id for job in bench.stores.jobs.unfinished()}
    assert jobs >= {delivery_job(uid, name, 1) for name in ("pacs", "worklist")}
    assert delivery_job(uid, "nothing", 1) not in jobs


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
    with Session(bench.stores.engine) as session:
        bench.stores.archive.path(films.film(session, gone).path).unlink()
    row = bench.answer(bench.take(make_film_ds(study_date="20240101", seed=3)))
    assert row.prior.uid == oldest


@pytest.mark.parametrize(
    ("why", "options"), [("no_date", {"study_date": ""}), ("no_patient_id", {"patient_id": ""})]
)
def test_the_report_says_why_a_film_that_could_have_a_prior_has_none(bench, why, options):
    bench.take(make_film_ds(study_date="20230101", seed=2))
    row = bench.answer(bench.take(make_film_ds(seed=3, **options)))
    assert row.choice.code == why
    assert row.choice.sentence in bench.report(row)


def test_the_report_says_that_the_only_prior_cannot_be_read(bench):
    gone = bench.take(make_film_ds(study_date="20230101", seed=2))
    with Session(bench.stores.engine) as session:
        bench.stores.archive.path(films.film(session, gone).path).unlink()
    row = bench.answer(bench.take(make_film_ds(study_date="20240101", seed=3)))
    assert (row.prior, row.choice.code) == (None, "unreadable")
    assert "An earlier film of this patient could not be read: none compared." in bench.report(row)


def test_a_new_release_answers_again_and_delivers_the_new_answer(bench):
    uid = bench.take(make_film_ds())
    bench.answer(uid)
    with Session(bench.stores.engine) as session, session.begin():
        for item in deliveries.outstanding(session, uid, "pacs"):
            deliveries.set_delivered(session, item.delivery_id, DELIVERED, now())
    bench.answerer.reader.product = Product(version="99.0", serial="HILUM")
    row = bench.answer(uid)
    assert len(row.results) == 4
    jobs = {job.workflow_id for job in bench.stores.jobs.unfinished()}
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
    with Session(bench.stores.engine) as session:
        bench.stores.archive.path(films.film(session, uid).path).unlink()
    with pytest.raises(FileNotFoundError):
        bench.answerer.read(uid)
    bench.answerer.state_failure(uid, Cause.FILE_MISSING)
    row = bench.row(uid)
    assert (row.state, row.reason) == (FilmState.FAILED, "file_missing")
    assert "hilum queue retry" in row.detail


def test_the_answer_lies_in_the_films_own_study_and_is_labelled(bench):
    ds = make_film_ds(patient_id="OWN")
    row = bench.answer(bench.take(ds))
    for result in row.results:
        (path,) = bench.stores.archive.data_dir.rglob(f"{result.uid}.dcm")
        made = dcmread(path)
        assert made.StudyInstanceUID == ds.StudyInstanceUID
        assert made.PatientID == "OWN"
        assert "RUO" in made.SeriesDescription


def test_each_film_has_one_job_in_the_queue(bench):
    uid = bench.take(make_film_ds())
    bench.take(make_film_ds())
    jobs = [job.workflow_id for job in bench.stores.jobs.unfinished()]
    assert jobs == [film_job(uid)]


# -- silence is not "normal"


@pytest.fixture
def outspoken(bench):
    """A bench at a site that wants to be told of films that were not analysed."""
    wanted = bench.answerer.reader.results.model_copy(update={"not_analysed": True})
    bench.answerer.reader.results = wanted
    return bench


def test_a_film_that_is_not_analysed_leaves_no_object_unless_it_is_asked_for(bench):
    row = bench.answer(bench.take(make_film_ds(view="LL")))
    assert (row.state, row.results) == (FilmState.NOT_ANALYSED, ())


def test_a_site_may_be_told_in_the_study_that_a_film_was_not_analysed_and_why(outspoken):
    ds = make_film_ds(view="LL")
    row = outspoken.answer(outspoken.take(ds))
    assert row.state is FilmState.NOT_ANALYSED
    made = outspoken.result(row, "not-analysed")
    assert made.StudyInstanceUID == ds.StudyInstanceUID
    assert f"NOT ANALYSED: {row.detail}" in outspoken.report(row, "not-analysed")
    assert [d.destination for d in row.results[0].deliveries] == ["pacs"]
    jobs = {job.workflow_id for job in outspoken.stores.jobs.unfinished()}
    assert delivery_job(ds.SOPInstanceUID, "pacs", 1) in jobs


def test_an_answer_made_again_says_what_the_gate_says_now(bench):
    uid = bench.take(make_film_ds())
    row = bench.answer(uid)
    with Session(bench.stores.engine) as session, session.begin():
        (kept,) = session.scalars(select(Analysis))
        kept.notes = ["a note of before the site taught hilum its words"]
    bench.answerer.write(uid)
    assert bench.row(uid).notes == row.notes


def test_a_result_of_ours_that_comes_back_is_not_answered_again(outspoken):
    row = outspoken.answer(outspoken.take(make_film_ds(Manufacturer="hilum")))
    assert (row.reason, row.results) == (Reason.OWN_RESULT, ())


def test_what_is_said_twice_of_a_film_that_was_not_analysed_is_one_object(outspoken):
    uid = outspoken.take(make_film_ds(view="LL"))
    outspoken.answer(uid)
    before = outspoken.files()
    assert len(outspoken.answer(uid).results) == 1
    assert outspoken.files() == before


def test_an_answer_that_follows_a_statement_that_there_is_none_takes_its_place(outspoken):
    uid = outspoken.take(make_film_ds())
    outspoken.answerer.state_failure(uid, Cause.FAULT)
    stated = outspoken.result(outspoken.row(uid), "not-analysed")
    row = outspoken.answer(uid)
    assert {r.why for r in row.results if r.answer == 2} == {further_answer.WAS_NOT_ANALYSED}
    (study,) = outspoken.result(row, "report").PredecessorDocumentsSequence
    (document,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert document.ReferencedSOPInstanceUID == stated.SOPInstanceUID


def test_a_site_may_be_told_in_the_study_that_a_film_failed(outspoken):
    uid = outspoken.take(make_film_ds())
    outspoken.answerer.state_failure(uid, Cause.FAULT)
    row = outspoken.row(uid)
    assert row.state is FilmState.FAILED
    assert any("could not answer" in text for text in outspoken.report(row, "not-analysed"))


def test_a_film_whose_file_is_gone_is_stated_as_failed_even_without_an_object(outspoken):
    uid = outspoken.take(make_film_ds())
    with Session(outspoken.stores.engine) as session:
        outspoken.stores.archive.path(films.film(session, uid).path).unlink()
    outspoken.answerer.state_failure(uid, Cause.FILE_MISSING)
    assert (outspoken.row(uid).state, outspoken.row(uid).results) == (FilmState.FAILED, ())


# -- findings are followed


def followed(bench, row):
    return tracked(bench.result(row, "report"))


def test_a_finding_keeps_its_identifier_from_film_to_film(bench):
    pixels = chest(seed=3)
    days = ("20220101", "20230101", "20240101")
    rows = [bench.answer(bench.take(make_film_ds(pixels, study_date=day))) for day in days]
    first, second, third = (followed(bench, row) for row in rows)
    assert first
    assert first == second == third  # the same picture points at the same places


def test_a_finding_keeps_its_identifier_though_no_report_of_a_prior_is_written_yet(bench):
    pixels = chest(seed=3)
    days = ("20220101", "20230101", "20240101")
    uids = [bench.take(make_film_ds(pixels, study_date=day)) for day in days]
    for uid in uids:
        bench.answerer.read(uid)
    for uid in reversed(uids):  # the newest is answered first
        bench.answerer.write(uid)
    third, second, first = (followed(bench, bench.row(uid)) for uid in reversed(uids))
    assert first
    assert first == second == third


def test_a_report_that_is_gone_begins_new_identifiers(bench):
    pixels = chest(seed=3)
    earlier = bench.answer(bench.take(make_film_ds(pixels, study_date="20220101")))
    before = followed(bench, earlier)
    uid = next(result.uid for result in earlier.results if result.kind == "report")
    (path,) = bench.stores.archive.data_dir.rglob(f"{uid}.dcm")
    path.unlink()
    row = bench.answer(bench.take(make_film_ds(pixels, study_date="20230101")))
    assert row.state is FilmState.ANSWERED
    assert set(followed(bench, row)) == set(before)
    assert not set(followed(bench, row).values()) & set(before.values())


# -- which prior


def film(day, **more):
    """A film of one patient, in a study of its own."""
    return make_film_ds(study_date=day, seed=int(day) % 97, **more)


def test_a_prior_that_comes_late_answers_the_newer_film_again_with_new_objects(bench):
    current = bench.take(film("20240101"))
    first = {result.uid for result in bench.answer(current).results}
    late = bench.take(film("20230101"))
    bench.answer(late)
    assert bench.again() == {again_job(current, late)}
    row = bench.row(current)
    assert row.prior.uid == late
    assert row.choice.code == "same_view"
    kinds = ["summary-capture", "comparison-capture", "report"]
    assert [result.kind for result in row.results] == [*kinds, "summary-capture", "report"]
    assert {result.uid for result in row.results[3:]} == first  # the newest answer stands first
    jobs = {job.workflow_id for job in bench.stores.jobs.unfinished()}
    assert {delivery_job(current, "pacs", n) for n in (1, 2)} <= jobs
    assert all(bench.stores.archive.path(path).is_file() for path in bench.result_paths())


def test_a_second_answer_is_told_from_the_first_in_every_object_and_the_first_stays(bench):
    current = bench.take(film("20240101"))
    first = bench.answer(current)
    before = bench.files()
    bench.answer(bench.take(film("20230101")))
    bench.again()
    row = bench.row(current)
    new = [result for result in row.results if result.answer == 2]
    assert {result.kind for result in new} == {"summary-capture", "comparison-capture", "report"}
    assert {result.why for result in new} == {further_answer.PRIOR_CAME}
    said = f"Answer 2 to this film, in place of the one before: {further_answer.PRIOR_CAME}."
    assert said in bench.report(row)
    one, two = bench.result(first, "report"), bench.result(row, "report")
    assert ", answer 2" in two.SeriesDescription
    assert (one.SeriesNumber, two.SeriesNumber) == (9004, 19004)
    assert "PredecessorDocumentsSequence" not in one
    (study,) = two.PredecessorDocumentsSequence
    (document,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert document.ReferencedSOPInstanceUID == one.SOPInstanceUID
    assert bench.files().items() >= before.items()


def another_release(bench, _):
    bench.answerer.reader.product = Product(version="99.0", serial="HILUM")


def another_label(bench, _):
    results = bench.answerer.reader.results
    drawing = results.drawing.model_copy(update={"label": "ONLY A TEST"})
    bench.answerer.reader.results = results.model_copy(update={"drawing": drawing})


def corrected(bench, ds):
    ds.PatientName = "Corrected^Name"
    bench.take(ds)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (another_release, further_answer.OTHER_RELEASE),
        (another_label, further_answer.OTHERWISE),
        (corrected, further_answer.CORRECTED),
    ],
)
def test_a_second_answer_says_why_there_is_one(bench, change, why):
    ds = film("20240101")
    uid = bench.take(ds)
    bench.answer(uid)
    change(bench, ds)
    row = bench.answer(uid)
    assert {result.why for result in row.results} == {"", why}
    assert any(f"in place of the one before: {why}." in text for text in bench.report(row))


def test_what_a_setting_does_not_show_in_is_not_made_again(bench):
    bench.answerer.reader.results = bench.answerer.reader.results.model_copy(
        update={"presentation_state": True}
    )
    ds = film("20240101")
    uid = bench.take(ds)
    assert "presentation-state" in {result.kind for result in bench.answer(uid).results}
    another_label(bench, ds)
    kinds = [result.kind for result in bench.answer(uid).results if result.answer == 2]
    assert kinds == ["summary-capture", "report"]


def test_two_films_of_one_study_are_told_apart_in_their_series(bench):
    one, other = film("20240101"), make_film_ds(study_date="20240101", seed=7, view="AP")
    other.StudyInstanceUID = one.StudyInstanceUID
    rows = [bench.answer(bench.take(ds)) for ds in (one, other)]
    reports = [bench.result(row, "report") for row in rows]
    kinds = ("summary-capture", "report")
    numbers = {bench.result(row, kind).SeriesNumber for row in rows for kind in kinds}
    assert numbers == {9001, 9004, 9011, 9014}
    first, second = (ds.SeriesDescription for ds in reports)
    assert "(RUO), PA" in first
    assert "(RUO), film 2, AP" in second


def test_a_film_that_comes_between_two_others_becomes_the_prior_of_the_newer(bench):
    old, new = bench.take(film("20220101")), bench.take(film("20240101"))
    for uid in (old, new):
        bench.answer(uid)
    between = bench.take(film("20230101"))
    assert bench.answer(between).prior.uid == old
    assert bench.again() == {again_job(new, between)}
    row = bench.row(new)
    assert row.prior.uid == between
    assert bench.count(Comparison) == 3  # the one with the oldest film is still known
    assert {r.uid: r.code for r in row.choice.rejected} == {old: "less_recent"}


def test_an_older_film_that_is_no_better_prior_answers_nothing_again(bench):
    for day in ("20230101", "20240101"):
        bench.answer(bench.take(film(day)))
    bench.answer(bench.take(film("20230601", view="AP")))  # later, but of another view
    bench.answer(bench.take(film("20230701", view="LL")))
    bench.answer(bench.take(film("20230801", patient_id="OTHER")))
    assert bench.again() == set()


def test_an_import_of_old_films_answers_the_newest_once_more_and_not_once_each(bench):
    newest = bench.take(film("20240101"))
    bench.answer(newest)
    old = [bench.take(film(f"2010{month:02}01")) for month in range(1, 7)]
    for uid in old:
        bench.answer(uid)
    before = bench.count(Result)
    assert bench.again() == {again_job(newest, old[-1])}
    assert bench.row(newest).prior.uid == old[-1]
    assert bench.count(Result) == before + 3


def test_old_films_that_come_one_by_one_lead_to_one_more_answer_when_they_have_settled(bench):
    newest = bench.take(film("20240101"))
    bench.answer(newest)
    old = []
    for month in range(1, 6):  # each is read before the next comes
        old.append(bench.take(film(f"2010{month:02}01")))
        bench.answer(old[-1])
    before = bench.count(Result)
    for _ in range(2):  # all of them are due now, and may be done twice
        assert bench.again() == {again_job(newest, uid) for uid in old}
    assert bench.row(newest).prior.uid == old[-1]
    assert bench.count(Result) == before + 3


def test_the_second_answer_waits_until_the_priors_have_settled(bench):
    bench.answerer.settle_s = 60
    current = bench.take(film("20240101"))
    bench.answer(current)
    late = bench.take(film("20230101"))
    bench.answer(late)
    assert bench.stores.jobs.status(again_job(current, late)).status == "DELAYED"


def test_an_outcome_and_what_follows_from_it_are_written_together_or_not_at_all(bench):
    current = bench.take(film("20240101"))
    bench.answer(current)
    late = bench.take(film("20230101"))
    asked = bench.stores.jobs.answer_again

    def killed(*_):
        raise KeyboardInterrupt

    bench.stores.jobs.answer_again = killed
    with pytest.raises(KeyboardInterrupt):
        bench.answerer.read(late)
    assert bench.row(late).state is FilmState.RECEIVED
    assert bench.again() == set()
    bench.stores.jobs.answer_again = asked
    for _ in range(2):  # the step is done again, and then once more
        bench.answerer.read(late)
        assert bench.again() == {again_job(current, late)}
    assert bench.row(current).prior.uid == late


def test_a_prior_that_comes_while_a_film_is_being_answered_is_not_missed(bench):
    current, late = bench.take(film("20240101")), film("20230101")
    assert bench.answerer.read(current)
    answer = bench.answerer.reader.answer

    def meanwhile(*arguments):
        bench.answerer.reader.answer = answer
        bench.answerer.read(bench.take(late))  # current has no answer yet that could be renewed
        return answer(*arguments)

    bench.answerer.reader.answer = meanwhile
    bench.answerer.write(current)
    assert bench.row(current).prior is None
    assert bench.again() == {again_job(current, late.SOPInstanceUID)}
    assert bench.row(current).prior.uid == late.SOPInstanceUID


def test_films_in_any_order_end_with_the_same_priors(bench):
    days = ("20200101", "20210101", "20220101", "20230101")
    uids = [film(day).SOPInstanceUID for day in days]
    for n in (2, 0, 3, 1):
        bench.answer(bench.take(film(days[n])))
    while (before := bench.count(Result)) >= 0:
        bench.again()
        if bench.count(Result) == before:
            break
    priors = [row.prior and row.prior.uid for row in map(bench.row, uids)]
    assert priors == [None, *uids[:-1]]


def test_another_view_is_a_limited_comparison_in_every_output(bench, written):
    bench.answer(bench.take(film("20230101", view="AP")))
    current = bench.take(film("20240101"))
    written.clear()
    row = bench.answer(current)
    assert row.choice.code == "other_view"
    assert row.choice.limited == ""  # said once
    assert row.prior.reason == f"PA film against AP film; {NO_NULL}"
    assert f"Limited comparison: {row.prior.reason}" in bench.report(row)
    # the picture of the findings has the changes in its table, and is limited too
    assert " ".join(written).count("Note: Limited comparison: PA film against AP film") == 2


def test_a_repeat_is_compared_when_nothing_else_is_there_and_is_said_to_be_one(bench):
    first = bench.take(make_film_ds(seed=1))
    bench.answer(first)
    repeat = make_film_ds(seed=2, AcquisitionTime="102200")
    row = bench.answer(bench.take(repeat))
    assert (row.prior.uid, row.choice.code) == (first, "same_exposure")
    assert "7 min earlier" in row.prior.reason
    assert any("7 min earlier, there is no other prior" in text for text in bench.report(row))


def test_the_time_of_a_study_in_place_of_the_acquisitions_is_stated_in_the_report(bench):
    no_time = {"AcquisitionDate": None, "AcquisitionTime": None}
    for day in DAYS:
        row = bench.answer(bench.take(film(day, **no_time)))
    assert [note.code for note in row.choice.notes] == ["study_time"]
    assert any("Acquisition time not stated" in text for text in bench.report(row))


def test_a_film_without_a_patient_id_says_why_it_has_no_prior(bench):
    bench.answer(bench.take(film("20230101", patient_id="A\\B")))
    row = bench.answer(bench.take(film("20240101", patient_id="A\\B")))
    assert (row.prior, row.choice.code) == (None, "no_patient_id")
