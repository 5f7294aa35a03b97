"""Finding and fetching priors: against DCMTK's dcmqrscp, and against archives of odd manners."""

import logging
import threading
from datetime import UTC, datetime
from time import monotonic

import pytest
from films import made_uid
from network import (
    DEADLINE_S,
    data_set_bytes,
    film,
    mute,
    open_stores,
    port_of,
    receiving,
    save,
    threads,
)
from ports import free_port
from pydicom import Dataset, dcmread
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    ExplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import Verification
from qrscp import OddPacs, QrScp
from rawscp import ABORT, raw_scp, response
from service import wait_for
from structlog.testing import capture_logs

from inference.image.acquisition import AcquisitionTime, Precision
from scp.config.priors import PriorsSettings
from scp.dimse import query
from scp.dimse.deadline import Deadline
from scp.dimse.priors import Current, Dropped, Image, Patient
from scp.dimse.query import find_priors
from scp.dimse.retrieve import fetch_priors, retrieve, see_services
from scp.errors import (
    ArchiveFull,
    AssociationRejected,
    DeadlinePassed,
    NoPatientKey,
    NothingAccepted,
    PeerUnreachable,
    PriorsUnavailable,
    QueryFailed,
    RetrieveFailed,
)

DX = DigitalXRayImageStorageForPresentation
CAPTURE = SecondaryCaptureImageStorage
PID, ISSUER = "PID-7734-SECRET", "WARD-SECRET"
ALL_KEYS = {"patient_id": PID, "issuer": ISSUER}

pytestmark = [
    # pynetdicom lets go of a socket that was refused, and leaves its closing to the collector
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]


@pytest.fixture(autouse=True)
def _no_thread_stays():
    before = threads()
    yield
    wait_for(lambda: threads() <= before, "the threads of this test to end", DEADLINE_S)


@pytest.fixture
def stores(tmp_path):
    with open_stores(tmp_path) as stores:
        yield stores


def asking(port, **more):
    values = {"port": port, "retrieve": "get", "timeout_s": DEADLINE_S}
    return PriorsSettings(**values | more)


def taken(day, time="101500", **more):
    """A film of the patient."""
    return film(**{**ALL_KEYS, "study_date": day, "study_time": time} | more)


CURRENT = taken("20240601")


def current(ds=CURRENT, patient=None):
    at = datetime.strptime(ds.StudyDate + ds.StudyTime, "%Y%m%d%H%M%S")
    patient = patient or Patient(ds.PatientID, ds.get("IssuerOfPatientID", ""))
    taken = AcquisitionTime(at.replace(tzinfo=UTC), Precision.SECOND, "StudyDate")
    return Current(patient, ds.StudyInstanceUID, taken)


def find(settings, asked=None, **more):
    deadline = Deadline(settings.timeout_s)
    return find_priors(settings, "HILUM", asked or current(), deadline, **more)


def uids(found):
    return [image.sop_uid for image in found.images]


def image_of(ds):
    return Image(ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID)


def never(_path, _request):
    pytest.fail("nothing was to be taken in")


def get(settings, images, take=never, folder=None, seconds=DEADLINE_S, calling="HILUM"):
    return retrieve(settings, calling, images, Deadline(seconds), take, folder)


# --- find, at dcmqrscp --------------------------------------------------------------------------


def test_the_newest_earlier_films_of_the_patient_are_found(tmp_path):
    days = ["20180301", "20230110", "20211231", "20240531", "20130101", "20250101"]
    films = {day: taken(day) for day in days}
    with QrScp(tmp_path) as pacs:
        pacs.fill(CURRENT, *films.values())
        found = find(asking(pacs.port, at_most=3))
        assert uids(found) == [
            films[day].SOPInstanceUID for day in ("20240531", "20230110", "20211231")
        ]
        assert [prior.taken_at.year for prior in found.priors] == [2024, 2023, 2021]
        assert len(find(asking(pacs.port, at_most=20)).priors) == 4  # 2013 is older than ten years
        assert len(find(asking(pacs.port, at_most=20, years=20)).priors) == 5
        assert len(find(asking(pacs.port, years=1)).priors) == 1


def test_the_same_id_of_another_issuer_is_another_person(tmp_path):
    ours = taken("20230101")
    theirs = taken("20230202", issuer="OTHER")
    nobodys = taken("20230303", issuer="")
    longer = taken("20230404", patient_id=PID + "0")
    with QrScp(tmp_path) as pacs:
        pacs.fill(ours, theirs, nobodys, longer)
        settings = asking(pacs.port)
        assert uids(find(settings)) == [ours.SOPInstanceUID]
        assert uids(find(settings, current(patient=Patient(PID, "OTHER")))) == [
            theirs.SOPInstanceUID
        ]
        found = find(settings, current(patient=Patient(PID)))
        assert uids(found) == [nobodys.SOPInstanceUID]
        assert found.dropped == {Dropped.OTHER_PATIENT: 2}


def test_other_modalities_are_no_priors(tmp_path):
    ct = taken("20240101", Modality="CT", SOPClassUID=CTImageStorage)
    cr = taken("20230101", sop_class=ComputedRadiographyImageStorage)
    with QrScp(tmp_path) as pacs:
        pacs.fill(ct, cr)
        found = find(asking(pacs.port, at_most=1))  # the CT does not take its place
    assert uids(found) == [cr.SOPInstanceUID]
    assert found.dropped == {Dropped.OTHER_MODALITY: 1}


def test_secondary_captures_are_priors_only_where_the_receiver_takes_them(tmp_path):
    capture = taken("20230101", sop_class=CAPTURE, Modality="OT")
    with QrScp(tmp_path) as pacs:
        pacs.fill(capture)
        assert uids(find(asking(pacs.port))) == []
        assert uids(find(asking(pacs.port), secondary_captures=True)) == [capture.SOPInstanceUID]


def test_what_is_held_already_is_not_fetched_but_is_one_of_the_newest(tmp_path):
    newest, middle, oldest = (taken(day) for day in ("20240101", "20230101", "20220101"))
    with QrScp(tmp_path) as pacs:
        pacs.fill(newest, middle, oldest)
        found = find(asking(pacs.port, at_most=2), held={newest.SOPInstanceUID}.__contains__)
    assert [(len(prior.images), prior.held) for prior in found.priors] == [(0, 1), (1, 0)]
    assert uids(found) == [middle.SOPInstanceUID]


def test_both_views_of_a_study_are_one_prior(tmp_path):
    frontal, lateral = taken("20230101"), taken("20230101", view="LL")
    older = taken("20220101")
    with QrScp(tmp_path) as pacs:
        pacs.fill(frontal, lateral, older)
        found = find(asking(pacs.port, at_most=1))
    assert set(uids(found)) == {frontal.SOPInstanceUID, lateral.SOPInstanceUID}


def test_an_earlier_study_of_the_same_day_is_a_prior_and_a_later_one_is_not(tmp_path):
    before, after = taken("20240601", "080000"), taken("20240601", "120000")
    with QrScp(tmp_path) as pacs:
        pacs.fill(CURRENT, before, after)
        found = find(asking(pacs.port))
    assert uids(found) == [before.SOPInstanceUID]
    assert found.dropped == {Dropped.NOT_EARLIER: 2}


def test_an_id_in_another_script_is_asked_for_as_it_is(tmp_path):
    ours = taken("20230101", patient_id="患者-12")
    with QrScp(tmp_path) as pacs:
        pacs.fill(ours)
        found = find(asking(pacs.port), current(patient=Patient("患者-12", ISSUER)))
    assert uids(found) == [ours.SOPInstanceUID]


def test_a_patient_without_earlier_films_has_none(tmp_path):
    with QrScp(tmp_path) as pacs:
        pacs.fill(CURRENT)
        found = find(asking(pacs.port), current(patient=Patient("NOBODY", ISSUER)))
    assert (found.priors, found.images, found.dropped) == ((), (), {})


@pytest.mark.parametrize(
    "patient_id", ["", "   ", "*", "PID*", "P?D", "A\\B", "A\nB", "A\0", "x" * 65]
)
def test_an_id_that_may_match_others_is_never_asked_for(patient_id):
    with pytest.raises(NoPatientKey) as error:
        Patient(patient_id, ISSUER)
    assert len(patient_id.strip()) < 3 or patient_id not in str(error.value)


@pytest.mark.parametrize("issuer", ["*", "A?", "A\\B"])
def test_an_issuer_that_may_match_others_is_never_asked_for(issuer):
    with pytest.raises(NoPatientKey):
        Patient(PID, issuer)


# --- C-GET, at dcmqrscp -------------------------------------------------------------------------


def test_priors_come_by_get_as_they_are_and_are_taken_in(stores, tmp_path):
    films = [taken("20230101"), taken("20220101", sop_class=ComputedRadiographyImageStorage)]
    with QrScp(tmp_path / "pacs") as pacs:
        pacs.fill(*films)
        found, retrieved = fetch_priors(
            asking(pacs.port), "HILUM", current(), stores.intake.ingest, stores.archive.incoming
        )
    sent = [ds.SOPInstanceUID for ds in films]
    assert [list(retrieved.arrived), uids(found)] == [sent, sent]
    assert (retrieved.missing, retrieved.completed, retrieved.failed) == ((), 2, 0)
    rows = {row.uid: row for row in stores.instances()}
    for ds in films:
        row = rows[ds.SOPInstanceUID]
        assert dcmread(stores.archive.path(row.path)) == ds
        assert row.calling_ae_title == "PACS"
    assert stores.files("incoming") == []


@pytest.mark.parametrize("syntax", [JPEGLSLossless, RLELossless, ExplicitVRLittleEndian])
def test_a_prior_comes_by_get_in_the_transfer_syntax_that_it_is_stored_in(stores, tmp_path, syntax):
    """Not at dcmqrscp 3.6.7: it takes a class's first context, and then cannot convert."""
    ds = taken("20230101", transfer_syntax=syntax)

    def answer(_event):
        yield 1
        yield 0xFF00, ds

    with OddPacs(get=answer, also=(DX,)) as pacs:
        folder = stores.archive.incoming
        retrieved = get(asking(pacs.port), [image_of(ds)], stores.intake.ingest, folder)
    assert retrieved.completed == 1
    (row,) = stores.instances()
    assert row.transfer_syntax_uid == syntax
    kept = stores.archive.path(row.path)
    assert data_set_bytes(kept) == data_set_bytes(save(ds, tmp_path / "as-sent.dcm"))


def test_a_prior_that_cannot_be_taken_in_is_missing_and_the_others_come(tmp_path):
    full, broken, good = (taken(day) for day in ("20230101", "20220101", "20210101"))

    def take(_path, request):
        if request.sop_instance_uid == full.SOPInstanceUID:
            raise ArchiveFull("the disk is full")
        if request.sop_instance_uid == broken.SOPInstanceUID:
            raise RuntimeError(f"quotes {PID}")

    folder = tmp_path / "incoming"
    folder.mkdir()
    with QrScp(tmp_path / "pacs") as pacs:
        pacs.fill(full, broken, good)
        with pytest.raises(RetrieveFailed) as error, capture_logs():
            get(asking(pacs.port), [image_of(ds) for ds in (full, broken, good)], take, folder)
    assert error.value.arrived == (good.SOPInstanceUID,)
    assert error.value.missing == (full.SOPInstanceUID, broken.SOPInstanceUID)
    assert f"{full.SOPInstanceUID}: was not taken in: the disk is full" in str(error.value)
    assert "1 completed, 0 warning, 2 failed" in str(error.value)
    assert PID not in str(error.value)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("how", ["get", "move"])
def test_a_prior_that_the_pacs_no_longer_has_is_missing(stores, tmp_path, how):
    gone = Image(*(made_uid("gone", n) for n in range(3)))
    with QrScp(tmp_path / "pacs") as pacs:
        pacs.fill(CURRENT)
        with pytest.raises(RetrieveFailed, match=rf"{gone.sop_uid}: ended C-\w+ with 0x") as error:
            get(asking(pacs.port, retrieve=how), [gone], folder=tmp_path)
    assert (error.value.arrived, error.value.missing) == ((), (gone.sop_uid,))


@pytest.mark.parametrize("how", ["get", "move"])
def test_nothing_to_retrieve_asks_nobody(how):
    assert get(asking(free_port(), retrieve=how), []).arrived == ()


# --- C-MOVE, at dcmqrscp ------------------------------------------------------------------------


def test_priors_come_by_move_to_our_receiver(stores, tmp_path):
    films = [taken("20230101"), taken("20220101", view="LL")]
    with receiving(stores) as receiver, QrScp(tmp_path / "pacs", port_of(receiver)) as pacs:
        pacs.fill(CURRENT, *films)
        found, retrieved = fetch_priors(
            asking(pacs.port, retrieve="move"), "HILUM", current(), never, tmp_path
        )
    sent = [ds.SOPInstanceUID for ds in films]
    assert [list(retrieved.arrived), uids(found)] == [sent, sent]
    assert [row.uid for row in stores.instances()] == sent
    assert (retrieved.completed, retrieved.failed) == (2, 0)


def test_a_pacs_that_does_not_know_us_says_so_on_move(tmp_path):
    ds = taken("20230101")
    with QrScp(tmp_path) as pacs:
        pacs.fill(ds)
        with pytest.raises(RetrieveFailed, match=r"0xA801 \(Move destination unknown\)") as error:
            get(asking(pacs.port, retrieve="move"), [image_of(ds)], calling="STRANGER")
    assert error.value.missing == (ds.SOPInstanceUID,)


def test_a_receiver_that_is_down_leaves_the_prior_missing_on_move(tmp_path):
    ds = taken("20230101")
    with QrScp(tmp_path, free_port()) as pacs:
        pacs.fill(ds)
        with pytest.raises(RetrieveFailed) as error:
            get(asking(pacs.port, retrieve="move"), [image_of(ds)])
    assert error.value.missing == (ds.SOPInstanceUID,)


# --- archives that do not talk to us ------------------------------------------------------------


def test_a_pacs_that_is_down_is_unreachable_whoever_asks():
    port, image = free_port(), image_of(taken("20230101"))
    with pytest.raises(PeerUnreachable, match=f"PACS at 127.0.0.1:{port} does not answer"):
        find(asking(port))
    for how in ("get", "move"):
        with pytest.raises(PeerUnreachable, match=f"still missing: {image.sop_uid}") as error:
            get(asking(port, retrieve=how), [image])
        assert error.value.missing == (image.sop_uid,)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70, ".."])
def test_a_host_that_is_not_there_is_named(host):
    with pytest.raises(PeerUnreachable, match="cannot be looked up"):
        find(asking(104, host=host))


def test_a_rejection_says_why_and_what_to_do():
    with OddPacs(find=lambda _event: iter(())) as pacs:
        pacs.require_called_title()
        with pytest.raises(AssociationRejected, match=r"Called AE .*; \[priors\] ae_title is not"):
            find(asking(pacs.port, ae_title="OTHER"))
        pacs.require_calling_title("SOMEBODY")
        with pytest.raises(AssociationRejected, match=r"Calling AE title .*enter our AE title"):
            find(asking(pacs.port))


def test_a_pacs_without_the_service_is_said_to_be_without_it(tmp_path):
    image = image_of(taken("20230101"))
    with OddPacs(also=(Verification,)) as pacs, pytest.raises(NothingAccepted, match="FIND"):
        find(asking(pacs.port))
    with (
        QrScp(tmp_path, options=("--disable-get",)) as pacs,
        pytest.raises(NothingAccepted, match=r"GET.*choose another \[priors\]"),
    ):
        get(asking(pacs.port), [image])
    with OddPacs(find=lambda _event: iter(())) as pacs, pytest.raises(NothingAccepted):
        get(asking(pacs.port, retrieve="move"), [image])


@pytest.mark.parametrize("how", ["get", "move"])
def test_the_services_of_a_pacs_can_be_seen_without_asking_for_anybody(tmp_path, how):
    with QrScp(tmp_path) as pacs:
        see_services(asking(pacs.port, retrieve=how), "HILUM")
    with OddPacs(find=lambda _event: iter(())) as pacs:
        with pytest.raises(NothingAccepted, match=how.upper()):
            see_services(asking(pacs.port, retrieve=how), "HILUM")
        assert "C_FIND_RQ" not in pacs.events


def test_a_get_without_any_storage_class_is_not_begun():
    with OddPacs(find=lambda _event: iter(()), get=lambda _event: iter(())) as pacs:
        with pytest.raises(NothingAccepted, match="Digital X-Ray Image Storage"):
            get(asking(pacs.port), [image_of(taken("20230101"))])
        assert "C_GET_RQ" not in pacs.events


# --- archives that answer oddly -----------------------------------------------------------------


def match_of(ds, level="STUDY", **overrides):
    """What a PACS returns of a film; None leaves a key out."""
    match = Dataset()
    match.QueryRetrieveLevel = level
    for keyword in (
        "PatientID",
        "IssuerOfPatientID",
        "StudyDate",
        "StudyTime",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "SOPInstanceUID",
        "SOPClassUID",
        "Modality",
        "Manufacturer",
    ):
        value = overrides.get(keyword, ds.get(keyword))
        if value is not None:
            setattr(match, keyword, value)
    match.PatientName = "Secret^Name"
    if "ModalitiesInStudy" in overrides:
        match.ModalitiesInStudy = overrides["ModalitiesInStudy"]
    return match


def returning(*matches):
    """A C-FIND SCP that ignores all keys, and returns everything of the level that is asked for."""

    def answer(event):
        for match in matches:
            if match.QueryRetrieveLevel == event.identifier.QueryRetrieveLevel:
                yield 0xFF00, match

    return answer


def below(ds, **overrides):
    return (match_of(ds, "SERIES", **overrides), match_of(ds, "IMAGE", **overrides))


def test_what_a_pacs_returns_that_ignores_keys_is_dropped_and_counted():
    good, other = taken("20230101"), taken("20230202", patient_id="PID-9")
    studies = [
        match_of(good),
        match_of(other),
        match_of(good, IssuerOfPatientID="OTHER"),
        match_of(good, IssuerOfPatientID=None),
        match_of(good, PatientID=None),
        match_of(good, PatientID=[PID, "PID-9"]),
        match_of(good, PatientID=PID.lower()),
        match_of(taken("20250101")),
        match_of(taken("19990101")),
        match_of(good, StudyDate=None),
        match_of(good, StudyDate="yesterday"),
        match_of(good, StudyInstanceUID=None),
        match_of(good, StudyInstanceUID="../../x"),
        match_of(CURRENT),
        match_of(good, ModalitiesInStudy=["CT", "SR"]),
    ]
    with OddPacs(find=returning(*studies, *below(good), *below(other))) as pacs:
        found = find(asking(pacs.port))
    assert uids(found) == [good.SOPInstanceUID]
    assert found.dropped == {
        Dropped.OTHER_PATIENT: 5,
        Dropped.ISSUER_NOT_SAID: 1,
        Dropped.NOT_EARLIER: 2,
        Dropped.TOO_OLD: 1,
        Dropped.NO_DATE: 2,
        Dropped.UNUSABLE: 2,
        Dropped.OTHER_MODALITY: 1,
        Dropped.NOT_ASKED: 2,
    }


def test_where_a_pacs_does_not_say_the_issuer_a_site_may_trust_it():
    ds = taken("20230101")
    answer = returning(match_of(ds, IssuerOfPatientID=None), *below(ds))
    with OddPacs(find=answer) as pacs:
        assert uids(find(asking(pacs.port))) == []
        assert uids(find(asking(pacs.port, issuer_required=False))) == [ds.SOPInstanceUID]
    answer = returning(match_of(ds, IssuerOfPatientID="OTHER"), *below(ds))
    with OddPacs(find=answer) as pacs:  # another one that it does say is another one
        assert uids(find(asking(pacs.port, issuer_required=False))) == []


def test_our_own_results_are_no_priors():
    ds = taken("20230101")
    answer = returning(match_of(ds), *below(ds, Manufacturer="Hilum"))
    with OddPacs(find=answer) as pacs:
        found = find(asking(pacs.port))
    assert (found.priors, found.dropped) == ((), {Dropped.OWN_RESULT: 1})


def test_images_that_are_no_films_for_reading_are_not_fetched():
    ds = taken("20230101", sop_class=DigitalXRayImageStorageForProcessing)
    with OddPacs(find=returning(match_of(ds), *below(ds))) as pacs:
        found = find(asking(pacs.port))
    assert (found.priors, found.dropped) == ((), {Dropped.OTHER_MODALITY: 1})


def test_what_is_returned_twice_is_one():
    ds = taken("20230101")
    with OddPacs(find=returning(match_of(ds), match_of(ds), *below(ds), *below(ds))) as pacs:
        assert uids(find(asking(pacs.port))) == [ds.SOPInstanceUID]


def test_of_29_february_the_years_go_back_to_the_28th():
    leap, day = taken("20240229"), []

    def answer(event):
        day.append(event.identifier.StudyDate)
        yield from ()

    with OddPacs(find=answer) as pacs:
        find(asking(pacs.port, years=1), current(leap))
    assert day == ["20230228-20240229"]


def test_a_pacs_that_returns_everything_it_has_is_stopped(monkeypatch):
    monkeypatch.setattr(query, "MOST_MATCHES", 50)
    cancelled = []

    def everything(event):
        for n in range(100_000):
            if event.is_cancelled:
                cancelled.append(n)
                yield 0xFE00, None
                return
            yield 0xFF00, match_of(CURRENT, StudyInstanceUID=f"1.2.{n}")

    with OddPacs(find=everything) as pacs:
        with pytest.raises(QueryFailed, match="ignore the query keys"):
            find(asking(pacs.port))
        wait_for(lambda: pacs.events[-1:] == ["release"], "the release", DEADLINE_S)
    assert cancelled


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0xA700, r"0xA700 \(Refused: Out of Resources\)"),
        (0xA900, r"0xA900 \(Identifier Does Not Match SOP Class\)"),
        (0xC123, r"0xC123 \(Unable to Process\)"),
        (0xFE00, "0xFE00"),
    ],
)
def test_a_query_that_fails_says_how_and_not_about_whom(status, words):
    def answer(_event):
        failure = Dataset()
        failure.Status, failure.ErrorComment = status, f"no patient {PID}"
        yield failure, None

    with OddPacs(find=answer) as pacs, pytest.raises(QueryFailed, match=words) as error:
        find(asking(pacs.port))
    assert "at STUDY level" in str(error.value)
    assert PID not in str(error.value)


@pytest.mark.parametrize("how", ["get", "move"])
def test_a_retrieval_that_fails_says_how_and_not_about_whom(how, tmp_path):
    image = image_of(taken("20230101"))

    def answer(_event):
        if how == "move":
            yield None, None
        failure = Dataset()
        failure.Status, failure.ErrorComment = 0xA900, f"no patient {PID}"
        yield 1
        yield failure, None

    with (
        OddPacs(get=answer, move=answer, also=(DX,)) as pacs,
        pytest.raises(RetrieveFailed, match=image.sop_uid) as error,
    ):
        get(asking(pacs.port, retrieve=how), [image], folder=tmp_path)
    assert PID not in str(error.value)


def test_what_a_pacs_stores_that_was_not_asked_for_is_refused(tmp_path):
    asked, other = taken("20230101"), taken("20220101")

    def answer(_event):
        yield 1
        yield 0xFF00, other

    with OddPacs(get=answer, also=(DX,)) as pacs, pytest.raises(RetrieveFailed) as error:
        get(asking(pacs.port), [image_of(asked)], folder=tmp_path)
    assert error.value.missing == (asked.SOPInstanceUID,)
    assert list(tmp_path.iterdir()) == []


def test_an_association_that_breaks_says_what_had_come(tmp_path):
    first, second = taken("20230101"), taken("20220101")

    def answer(event):
        if event.identifier.SOPInstanceUID == second.SOPInstanceUID:
            event.assoc.abort()
            return
        yield 1
        yield 0xFF00, first

    with (
        OddPacs(get=answer, also=(DX,)) as pacs,
        pytest.raises(PeerUnreachable, match="aborted the association") as error,
    ):
        get(asking(pacs.port), [image_of(first), image_of(second)], lambda *_: None, tmp_path)
    assert error.value.arrived == (first.SOPInstanceUID,)
    assert error.value.missing == (second.SOPInstanceUID,)


# --- the time limit -----------------------------------------------------------------------------


LIMIT_S = 1.0
AT_MOST_S = DEADLINE_S / 3  # the limit, its grace, and a busy machine


def test_a_query_that_is_never_answered_is_cancelled_and_aborted_in_time():
    done = threading.Event()

    def answer(_event):
        done.wait(DEADLINE_S)
        yield from ()

    started = monotonic()
    with OddPacs(find=answer) as pacs:
        with pytest.raises(DeadlinePassed, match=r"not done within 1 s \(.priors. timeout_s"):
            find(asking(pacs.port, timeout_s=LIMIT_S))
        took_s = monotonic() - started
        done.set()
        wait_for(lambda: "abort" in pacs.events, "the abort", DEADLINE_S)
        assert "C_CANCEL_RQ" in pacs.events
    assert took_s < AT_MOST_S


def test_a_pacs_that_ends_on_cancel_is_released_and_not_aborted():
    def answer(event):
        wait_for(lambda: event.is_cancelled, "C-CANCEL", DEADLINE_S)
        yield 0xFE00, None

    with OddPacs(find=answer) as pacs:
        with pytest.raises(DeadlinePassed):
            find(asking(pacs.port, timeout_s=5 * LIMIT_S))  # half a second to answer
        wait_for(lambda: "release" in pacs.events, "the release", DEADLINE_S)
    assert "abort" not in pacs.events


def test_answers_without_end_do_not_move_the_deadline():
    tick = threading.Event()

    def answer(_event):
        while not tick.wait(0.05):
            yield 0xFF00, match_of(taken("20230101"))

    started = monotonic()
    with OddPacs(find=answer) as pacs:
        with pytest.raises(DeadlinePassed):
            find(asking(pacs.port, timeout_s=LIMIT_S))
        took_s = monotonic() - started
        tick.set()
    assert took_s < AT_MOST_S


@pytest.mark.parametrize("how", ["get", "move"])
def test_a_retrieval_that_stops_half_way_says_what_is_missing(how, tmp_path):
    done, first, second = threading.Event(), taken("20230101"), taken("20220101")

    def answer(event):
        if event.identifier.SOPInstanceUID == second.SOPInstanceUID:
            done.wait(DEADLINE_S)
            return
        if how == "move":
            contexts = [build_context(DX, ExplicitVRLittleEndian)]
            yield "127.0.0.1", port_of(receiver), {"contexts": contexts, "ae_title": "HILUM"}
        yield 1
        yield 0xFF00, first

    with (
        open_stores(tmp_path) as stores,
        receiving(stores) as receiver,
        OddPacs(get=answer, move=answer, also=(DX,)) as pacs,
    ):
        settings, images = asking(pacs.port, retrieve=how), [image_of(first), image_of(second)]
        with pytest.raises(DeadlinePassed) as error:
            get(settings, images, lambda *_: None, tmp_path, seconds=2 * LIMIT_S)
        done.set()
        wait_for(lambda: "C_CANCEL_RQ" in pacs.events, "C-CANCEL", DEADLINE_S)
    assert error.value.arrived == (first.SOPInstanceUID,)
    assert error.value.missing == (second.SOPInstanceUID,)
    assert f"still missing: {second.SOPInstanceUID}" in str(error.value)


@pytest.mark.parametrize("changed", [{"message_id": 99}, {"field": 0x8001}, {"context": 77}])
def test_a_response_to_another_request_is_not_no_earlier_films(changed):
    with (
        raw_scp(lambda number, asked: response(number, asked, **changed)) as port,
        pytest.raises(PeerUnreachable, match="hilum cannot read as DICOM"),
    ):
        find(asking(port))


def test_a_pacs_that_aborts_what_it_has_accepted_is_not_waited_for():
    with (
        raw_scp(response, after_acceptance=ABORT) as port,
        pytest.raises(PeerUnreachable, match="aborted the association"),
    ):
        find(asking(port))


@pytest.mark.parametrize("most_bytes", [0, 40, 90])
def test_a_pacs_that_closes_within_its_answer_is_not_said_to_be_silent(most_bytes):
    with (
        raw_scp(response, most_bytes=most_bytes) as port,
        pytest.raises(PeerUnreachable, match="closed the connection before a complete answer"),
    ):
        find(asking(port))


@pytest.mark.parametrize("data", [b"", b"\x02\x00\x00", b"\x02\x00\x00\x00\x01\x00 half an answer"])
def test_a_pacs_that_falls_silent_is_given_up_in_time_wherever_it_does(data):
    started = monotonic()
    with mute(data) as port, pytest.raises(DeadlinePassed):
        find(asking(port, timeout_s=LIMIT_S))
    assert monotonic() - started < AT_MOST_S


def test_what_came_before_the_deadline_is_not_missing_although_the_get_never_ended(tmp_path):
    done, ds = threading.Event(), taken("20230101")

    def answer(_event):
        yield 2
        yield 0xFF00, ds
        done.wait(DEADLINE_S)

    with OddPacs(get=answer, also=(DX,)) as pacs:
        with pytest.raises(DeadlinePassed) as error:
            get(asking(pacs.port), [image_of(ds)], lambda *_: None, tmp_path, seconds=2 * LIMIT_S)
        done.set()
    assert (error.value.arrived, error.value.missing) == ((ds.SOPInstanceUID,), ())
    assert "still missing: nothing" in str(error.value)


def test_find_and_retrieve_share_one_time_limit(tmp_path):
    clock = iter([0.0, *[21.0] * 9])
    late = Deadline(20, lambda: next(clock))
    image = image_of(taken("20230101"))
    with pytest.raises(DeadlinePassed, match=f"still missing: {image.sop_uid}"):
        retrieve(asking(free_port()), "HILUM", [image], late, never, tmp_path)


# --- privacy ------------------------------------------------------------------------------------


def test_no_log_line_and_no_error_says_who_the_patient_is(stores, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    ds = taken("20230101", patient_name="Secret^Name")
    errors = []
    with capture_logs() as lines, QrScp(tmp_path / "pacs") as pacs:
        pacs.fill(ds)
        caplog.clear()
        settings = asking(pacs.port)
        fetch_priors(settings, "HILUM", current(), stores.intake.ingest, stores.archive.incoming)
        for broken in ({"port": free_port()}, {"ae_title": "OTHER"}):
            with pytest.raises(PriorsUnavailable) as error:
                find(settings.model_copy(update=broken))
            errors.append(str(error.value))
    assert [line["event"] for line in lines] == ["priors found", "received", "priors retrieved"]
    said = "".join([caplog.text, *map(str, lines), *errors, repr(current())])
    assert ds.SOPInstanceUID in said
    for secret in (PID, ISSUER, "Secret", ds.PatientBirthDate):
        assert secret not in said
