"""A film sent again: the same film, a correction of it, or another; and what follows from that."""

import json
import subprocess
from datetime import timedelta

import pytest
from actors import otto
from bench import open_bench
from films import make_film_ds
from network import film, open_stores, receiving, request_for, save
from network import port_of as port
from peers import require_peer
from pydicom import dcmread
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)
from sqlalchemy.orm import Session

from scp.commands.reindex import answer_unfit_again
from scp.config.patients import PatientsSettings
from scp.errors import Conflict
from scp.index import corrections, deliveries, films
from scp.index.registration import Recorded
from scp.index.schema.tables import DeliveryState, FilmState, Patient
from scp.monitoring.audit import Actor, Audit
from scp.outcomes.failures import Cause
from scp.pipeline.further_answer import OTHER_PRIOR
from scp.pipeline.intake import Intake
from scp.pipeline.operator_actions import JobControl
from scp.pipeline.patient_actions import NoSuchPatient, PatientFiles, Scope
from scp.pipeline.retry import NotRetried
from scp.processes.runtime import now

DAY = timedelta(days=1)


@pytest.fixture
def stores(tmp_path):
    with open_stores(tmp_path) as stores:
        yield stores


@pytest.fixture
def bench(tmp_path, tiny_bundle):
    with open_bench(tmp_path, tiny_bundle) as bench:
        yield bench


def again(ds, **elements):
    """The same film, that states something else."""
    made = make_film_ds(rows=16, columns=16) if ds is None else ds
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def bring(stores, ds, intake=None):
    return (intake or stores.intake).ingest(
        save(ds, stores.archive.incoming / "received.dcm"), request_for(ds)
    )


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientID", "RIGHT"),
        ("IssuerOfPatientID", "WARD"),
        ("PatientName", "Right^Name"),
        ("PatientBirthDate", "19500101"),
        ("PatientSex", "M"),
        ("AccessionNumber", "A9"),
        ("AcquisitionDate", "20230505"),
        ("ContentTime", "050505"),
        ("BodyPartExamined", "THORAX"),
    ],
)
def test_other_patient_data_with_the_same_pixels_are_a_correction(stores, keyword, value):
    bring(stores, film())
    (before,) = stores.instances()
    assert bring(stores, again(film(), **{keyword: value})) is Recorded.CORRECTED
    (row,) = stores.instances()
    assert (row.revision, row.path != before.path) == (1, True)
    assert stores.archive.path(before.path).exists()  # what came first stays
    assert dcmread(stores.archive.path(row.path))[keyword].value == value
    with Session(stores.engine) as session:
        (kept,) = corrections.history(session, films.film(session, row.uid))
    assert (kept.how, kept.by, kept.path) == ("resent", "XRAY1", before.path)
    (line,) = Audit(stores.folder, now).lines()
    assert (line["person"], line["action"], line["target"]) == ("XRAY1", "corrected", row.uid)
    assert value not in json.dumps(line)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, RLELossless, JPEGLSLossless])
def test_the_same_film_in_another_transfer_syntax_is_the_same_film(stores, syntax):
    bring(stores, film())
    other = film()
    if syntax == ImplicitVRLittleEndian:
        other = make_implicit(other)
    else:
        other.compress(syntax, generate_instance_uid=False)
    assert bring(stores, other) is Recorded.SAME
    (row,) = stores.instances()
    assert (row.transfer_syntax_uid, row.revision) == (ExplicitVRLittleEndian, 0)
    assert len(stores.files("archive")) == 1
    assert stores.refused() == []


def make_implicit(ds):
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    ds["PixelData"].VR = "OW"
    ds._read_implicit = True
    return ds


def test_elements_that_concern_no_answer_make_the_same_film(stores):
    bring(stores, film())
    assert bring(stores, again(film(), InstitutionAddress="Elsewhere")) is Recorded.SAME


def test_what_is_no_longer_stated_is_no_correction(stores):
    bring(stores, film())
    assert bring(stores, again(film(), PatientBirthDate="")) is Recorded.SAME
    assert stores.instances()[0].birth_date == "19600101"


@pytest.mark.parametrize(
    ("elements", "why"),
    [
        ({"ViewPosition": "AP"}, "ViewPosition"),
        ({"WindowCenter": "1"}, "WindowCenter"),
        ({"StudyInstanceUID": "1.2.3"}, "StudyInstanceUID"),
    ],
)
def test_another_picture_or_study_under_one_uid_is_a_conflict(stores, elements, why):
    bring(stores, film())
    with pytest.raises(Conflict, match=why):
        bring(stores, again(film(), PatientSex="M", **elements))
    assert len(stores.files("archive")) == len(stores.files("quarantine")) == 1


def test_a_site_may_refuse_corrections(stores):
    bring(stores, film())
    settings = PatientsSettings(corrections="refuse")
    intake = Intake(stores.engine, stores.archive, stores.jobs, stores.clock, patients=settings)
    with pytest.raises(Conflict, match=r"PatientSex.*corrections"):
        bring(stores, again(film(), PatientSex="M"), intake)
    (kept,) = stores.refused()
    assert "PatientSex" in kept.reason
    assert stores.instances()[0].sex == "F"


def test_the_first_bytes_sent_once_more_are_taken_for_a_correction_back(stores):
    for ds in (film(), again(film(), PatientSex="M"), film()):
        bring(stores, ds)
    (row,) = stores.instances()
    assert (row.sex, row.revision) == ("F", 2)
    assert len(stores.files("archive")) == 2


def test_storescu_is_told_success_for_a_correction_and_a_conflict_for_other_pixels(
    stores, tmp_path
):
    corrected, other = again(film(), PatientSex="M"), film(seed=2)
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = film().SOPInstanceUID
    said = []
    with receiving(stores) as receiver:
        for number, ds in enumerate((film(), corrected, other)):
            path = save(ds, tmp_path / f"{number}.dcm")
            command = [require_peer("storescu"), "-v", "-aec", "HILUM", "127.0.0.1"]
            done = subprocess.run(
                [*command, str(port(receiver)), path], capture_output=True, text=True, check=False
            )
            said.append("Received Store Response (Success)" in done.stdout + done.stderr)
    assert said == [True, True, False]
    assert stores.instances()[0].sex == "M"
    assert [row.status for row in stores.refused()] == [0x0111]


# -- through the worker's steps


def pair(bench):
    """A film, answered with its prior."""
    old = bench.take(make_film_ds(study_date="20230101", seed=1))
    bench.answer(old)
    new = bench.take(make_film_ds(study_date="20240101", seed=2))
    row = bench.answer(new)
    assert row.prior.uid == old
    return old, new


def test_a_correction_withdraws_the_wrong_comparison_and_the_film_is_answered_again(bench):
    old, new = pair(bench)
    before = {result.uid for result in bench.row(new).results}
    bench.take(again(make_film_ds(study_date="20230101", seed=1), PatientID="OTHER"))
    row = bench.row(new)
    assert row.prior is None  # at once
    assert all(result.withdrawn for result in row.results)
    assert {d.state.value for r in row.results for d in r.deliveries} == {"cancelled"}
    bench.again()
    row = bench.row(new)
    assert (row.prior, row.choice.code) == (None, "none_known")
    stand = {result.uid for result in row.results if not result.withdrawn}
    assert stand
    assert not stand & before
    assert any("withdrawn" in text for text in bench.report(row))
    assert bench.row(old).patient_id == "OTHER"


def test_a_further_answer_after_a_correction_says_that_another_film_is_the_prior(bench):
    bench.answer(bench.take(make_film_ds(study_date="20220101", seed=3)))
    old, new = pair(bench)
    bench.take(again(make_film_ds(study_date="20230101", seed=1), PatientSex="M"))
    bench.again()
    said = " ".join(bench.report(bench.row(new)))
    assert OTHER_PRIOR in said
    assert "has arrived" not in said
    assert bench.row(old).prior is None


def while_objects_are_made(bench, happens):
    """Let something happen once, between looking at the films and writing what was made of them."""
    reader, make, left = bench.answerer.reader, bench.answerer.reader.objects, [happens]

    def objects(answer):
        made = make(answer)
        while left:
            left.pop()()
        return made

    reader.objects = objects


@pytest.mark.parametrize("corrected", ["the film", "its prior"])
def test_an_answer_that_was_made_while_a_film_was_corrected_is_not_written_but_made_anew(
    bench, corrected
):
    old = bench.take(make_film_ds(study_date="20230101", seed=1))
    bench.answer(old)
    new = make_film_ds(study_date="20240101", seed=2)
    uid = bench.take(new)
    assert bench.answerer.read(uid)
    wrong = new if corrected == "the film" else make_film_ds(study_date="20230101", seed=1)
    while_objects_are_made(bench, lambda: bench.take(again(wrong, PatientID="OTHER")))
    with pytest.raises(corrections.Corrected, match="is repeated"):
        bench.answerer.write(uid)
    assert not bench.row(uid).results
    bench.answerer.write(uid)  # as the worker does: the step is done again
    row = bench.row(uid)
    assert (row.prior, row.choice.code) == (None, "none_known")
    assert bench.result(row, "report").PatientID == ("OTHER" if wrong is new else "TEST-1")


def test_a_withdrawn_answer_is_sent_to_nobody_whoever_asks_for_it(bench):
    _, new = pair(bench)
    bench.take(again(make_film_ds(study_date="20230101", seed=1), PatientID="OTHER"))
    with Session(bench.stores.engine) as session:
        revived = deliveries.set_state(
            session, new, "pacs", DeliveryState.CANCELLED, DeliveryState.PENDING
        )
        assert (revived, deliveries.outstanding(session, new, "pacs")) == (0, [])
    with pytest.raises(NotRetried, match="withdrawn"):
        JobControl(bench.stores.engine, bench.stores.jobs, ["pacs"], now, otto()).retry(
            f"delivery:{new}:pacs"
        )


def test_new_objects_carry_the_corrected_patient_under_uids_of_their_own(bench):
    uid = bench.take(make_film_ds())
    before = {result.uid for result in bench.answer(uid).results}
    bench.take(again(make_film_ds(), PatientName="Right^Name", PatientBirthDate="19500101"))
    bench.again()
    row = bench.row(uid)
    stand = [result for result in row.results if not result.withdrawn]
    assert not before & {result.uid for result in stand}
    report = bench.result(row, "report")
    assert (report.PatientName, report.PatientBirthDate) == ("Right^Name", "19500101")


def test_a_film_that_is_corrected_back_has_its_first_answer_again(bench):
    old, new = pair(bench)
    first = {result.uid for result in bench.row(new).results}
    bench.take(again(make_film_ds(study_date="20230101", seed=1), PatientID="OTHER"))
    bench.again()
    bench.take(make_film_ds(study_date="20230101", seed=1))
    bench.again()
    row = bench.row(new)
    assert row.prior.uid == old
    assert row.choice.prior_uid == old
    assert first


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"PatientBirthDate": "20180301", "PatientAge": "005Y"}, "under_age"),
        ({"BodyPartExamined": "HAND"}, "not_a_chest"),
    ],
)
@pytest.mark.parametrize("answered", [True, False])
def test_a_film_that_may_not_be_read_once_corrected_is_stated_as_that(
    bench, elements, reason, answered
):
    uid = bench.take(make_film_ds())
    if answered:
        bench.answer(uid)
    else:
        assert bench.answerer.read(uid)
    bench.take(again(make_film_ds(), **elements))
    if answered:
        bench.again()
    else:  # in the middle of its answer
        bench.answerer.write(uid)
    row = bench.row(uid)
    assert (row.state, row.reason) == (FilmState.NOT_ANALYSED, reason)
    assert all(result.withdrawn for result in row.results)


@pytest.mark.parametrize("fails", [False, True])
def test_what_says_that_there_is_no_answer_carries_the_corrected_patient(bench, fails):
    outspoken = {"not_analysed": True}
    bench.answerer.reader.results = bench.answerer.reader.results.model_copy(update=outspoken)

    def answer():
        if not fails:
            return bench.answer(uid)
        bench.answerer.state_failure(uid, Cause.FAULT)
        return bench.row(uid)

    uid = bench.take(make_film_ds(view="LL", patient_id="WRONG"))
    assert bench.result(answer(), "not-analysed").PatientID == "WRONG"
    patient_files(bench.stores).move([uid], ("RIGHT", "WARD"))  # in the index alone
    row = bench.row(uid)
    assert (row.state, row.results[0].withdrawn) == (FilmState.RECEIVED, corrections.OWN)
    row = answer()
    report = bench.result(row, "not-analysed")
    assert (report.PatientID, report.IssuerOfPatientID) == ("RIGHT", "WARD")
    assert [result.withdrawn for result in row.results].count("") == 1


def test_reindex_withdraws_what_an_earlier_release_compared_across_two_people(bench):
    old, new = pair(bench)
    with Session(bench.stores.engine) as session, session.begin():
        films.film(session, old).sex = "M"  # as if it had been compared by the ID alone
    assert answer_unfit_again(bench.stores) == 1
    assert all(result.withdrawn for result in bench.row(new).results)
    bench.again()
    assert (bench.row(new).prior, bench.row(new).choice.code) == (None, "other_sex")
    assert answer_unfit_again(bench.stores) == 0


def test_reindex_answers_again_what_the_rule_now_compares_otherwise(bench):
    old, new = pair(bench)
    with Session(bench.stores.engine) as session, session.begin():
        films.film(session, old).acquired_at = films.film(session, new).acquired_at
        for uid in (old, new):  # as if only the day had ever been known
            films.film(session, uid).acquired_precision = "day"
    assert answer_unfit_again(bench.stores) == 1
    row = bench.row(new)
    assert row.prior is None
    assert {result.withdrawn for result in row.results} == {corrections.NOT_EARLIER}
    bench.again()
    assert (bench.row(new).prior, bench.row(new).choice.code) == (None, "order_not_known")
    assert answer_unfit_again(bench.stores) == 0
    with Session(bench.stores.engine) as session, session.begin():
        films.film(session, old).acquired_precision = "second"
        moved = films.film(session, new)
        moved.acquired_at, moved.acquired_precision = moved.acquired_at + DAY, "second"
    assert answer_unfit_again(bench.stores) == 1  # the same film's, and not taken for done
    bench.again()
    assert bench.row(new).prior.uid == old


def patient_files(stores):
    actor = Actor(Audit(stores.archive.data_dir, now), "shell:test")
    settings = PatientsSettings()
    return PatientFiles(stores.engine, stores.archive, stores.jobs, actor, now, 0, settings)


def number(stores, patient_id):
    with Session(stores.engine) as session:
        return Scope(session).one(patient_id, None).id


def owners(stores):
    """Patient IDs, in the order in which films came."""
    with Session(stores.engine) as session:
        return [session.get_one(Patient, row.patient_id).patient_id for row in stores.instances()]


def test_a_merge_that_was_wrong_is_ended_by_a_move_or_turned_round(stores):
    files = patient_files(stores)
    bring(stores, film())
    other = make_film_ds(rows=16, columns=16, seed=3, patient_id="B", PatientName="Other^Name")
    bring(stores, other)
    mine, name = stores.instances()[0].uid, stores.instances()[0].patient_name
    assert files.merge(number(stores, "TEST-1"), ("B", ""))[1] == 1
    assert owners(stores) == ["B", "B"]
    assert stores.instances()[0].patient_name == "Other^Name"
    assert files.move([mine], ("TEST-1", ""))[1] == 1
    assert stores.instances()[0].patient_name == name != "Other^Name"  # as its header states
    bring(stores, make_film_ds(rows=16, columns=16, seed=4))  # comes with that ID
    assert owners(stores) == ["TEST-1", "B", "TEST-1"]
    files.merge(number(stores, "TEST-1"), ("B", ""))
    files.merge(number(stores, "B"), ("TEST-1", ""))
    assert owners(stores) == ["TEST-1"] * 3
    bring(stores, make_film_ds(rows=16, columns=16, seed=5, patient_id="B"))
    assert owners(stores) == ["TEST-1"] * 4


@pytest.mark.parametrize(
    ("right", "why"),
    [
        ("UNKNOWN", "identifies nobody"),
        ("OLD", "was merged into patient"),
        ("TEST-1", "one and the same"),
        ("", "is needed"),
    ],
)
def test_a_merge_that_cannot_be_meant_changes_nothing_and_says_why(stores, right, why):
    files = patient_files(stores)
    bring(stores, film())
    bring(stores, make_film_ds(rows=16, columns=16, seed=3, patient_id="OLD"))
    files.merge(number(stores, "OLD"), ("NEW", ""))
    with pytest.raises(NoSuchPatient, match=why):
        files.merge(number(stores, "TEST-1"), (right, ""))
    assert owners(stores) == ["TEST-1", "NEW"]


def test_films_of_a_merged_patient_are_compared_with_the_right_ones(bench):
    old = bench.take(make_film_ds(study_date="20230101", seed=1, patient_id="WRONG"))
    bench.answer(old)
    new = bench.take(make_film_ds(study_date="20240101", seed=2, patient_id="RIGHT"))
    assert bench.answer(new).prior is None
    into, moved = patient_files(bench.stores).merge(number(bench.stores, "WRONG"), ("RIGHT", ""))
    assert (into, moved) == (number(bench.stores, "RIGHT"), 1)
    bench.again()
    assert bench.row(new).prior.uid == old
    assert bench.result(bench.row(old), "report").PatientID == "RIGHT"
    later = bench.take(make_film_ds(study_date="20250101", seed=3, patient_id="WRONG"))
    row = bench.answer(later)
    assert (row.prior.uid, row.patient_id) == (new, "RIGHT")
    assert bench.result(row, "report").PatientID == "RIGHT"


def test_a_film_that_is_moved_is_nobodys_prior_any_more(bench):
    old, new = pair(bench)
    patient_files(bench.stores).move([old], ("OTHER", "WARD"))
    bench.again()
    assert bench.row(new).prior is None
    row = bench.row(old)
    assert (row.patient_id, row.patient_issuer) == ("OTHER", "WARD")
    report = bench.result(row, "report")
    assert (report.PatientID, report.IssuerOfPatientID) == ("OTHER", "WARD")


def test_nothing_is_left_of_a_patient_who_is_forgotten_and_a_film_may_come_again(bench):
    old, new = pair(bench)
    other = bench.take(make_film_ds(patient_id="OTHER", seed=5))
    bench.answer(other)
    gone = patient_files(bench.stores).forget(number(bench.stores, "TEST-1"))
    assert gone.films == 2
    with Session(bench.stores.engine) as session:
        assert session.query(Patient).filter_by(patient_id="TEST-1").count() == 0
    assert bench.row(old) is bench.row(new) is None
    root = bench.stores.archive.data_dir
    left = {p.parent.name for p in root.rglob("*.dcm")}
    assert left == {bench.row(other).study_uid}
    assert not [j for j in bench.stores.jobs.unfinished() if old in j.workflow_id]
    assert bench.answer(bench.take(make_film_ds(study_date="20230101", seed=1))).state is (
        FilmState.ANSWERED
    )
    told = [line["target"] for line in Audit(root, now).lines()]
    assert {old, new} <= set(told)
