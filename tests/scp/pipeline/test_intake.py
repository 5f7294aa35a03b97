"""Taking an object in: archive, index and queue together, or a refusal that keeps the bytes."""

import hashlib
import threading
from collections import Counter
from datetime import datetime
from io import BytesIO

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from network import DEADLINE_S, NOW, copy_of, database_away, film, open_stores, request_for, save
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from scp.archive import Archive
from scp.config.storage import ArchiveSettings
from scp.dimse.request import Request
from scp.errors import (
    CANNOT_UNDERSTAND,
    DOES_NOT_MATCH_SOP_CLASS,
    DUPLICATE_SOP_INSTANCE,
    OUT_OF_RESOURCES,
    ArchiveFull,
    ClassMismatch,
    Conflict,
    Refused,
    Unreadable,
)
from scp.index.registration import Recorded
from scp.index.schema.tables import FilmState
from scp.pipeline.intake import Intake
from scp.pipeline.job_ids import film_job


@pytest.fixture
def stores(tmp_path):
    with open_stores(tmp_path) as stores:
        yield stores


def bring(stores, ds, request=None, name="received.dcm"):
    """Take a film in as if it had just been received."""
    received = save(ds, stores.archive.incoming / name)
    return stores.intake.ingest(received, request or request_for(ds))


def bring_bytes(stores, data, request):
    received = stores.archive.incoming / "received.dcm"
    received.write_bytes(data)
    return stores.intake.ingest(received, request)


def same_uid_other_bytes():
    one, other = film(seed=1), film(seed=2)
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
    return one, other


def test_a_new_film_has_its_rows_its_job_and_its_bytes(stores):
    ds = film(patient_id="P1", issuer="WARD", study_date="20240102", study_time="101500")
    assert bring(stores, ds) is Recorded.NEW
    (row,) = stores.instances()
    assert (row.uid, row.series.uid) == (ds.SOPInstanceUID, ds.SeriesInstanceUID)
    assert (row.series.study.uid, row.series.modality) == (ds.StudyInstanceUID, "DX")
    assert (row.sop_class_uid, row.view, row.state) == (ds.SOPClassUID, "PA", FilmState.RECEIVED)
    assert row.transfer_syntax_uid == ds.file_meta.TransferSyntaxUID
    assert (row.calling_ae_title, row.received_at) == ("XRAY1", NOW)
    assert (row.acquired_at, row.acquired_from) == (
        datetime(2024, 1, 2, 10, 15),
        "AcquisitionDate",
    )
    assert stores.jobs_by_id() == {film_job(ds.SOPInstanceUID): "ENQUEUED"}
    assert stores.archive.path(row.path).stat().st_size == row.size_bytes
    assert stores.files("incoming") == []


def test_a_rolled_back_transaction_leaves_neither_row_nor_job(stores):
    class Dying(type(stores.jobs)):
        """The queue of a process that dies between the job and the commit."""

        def answer_film(self, session: Session, film_uid: str) -> None:
            super().answer_film(session, film_uid)
            raise KeyboardInterrupt

    ds = film()
    dying = Dying(stores.engine)
    intake = Intake(stores.engine, stores.archive, dying, stores.clock)
    with pytest.raises(KeyboardInterrupt):
        intake.ingest(save(ds, stores.archive.incoming / "a"), request_for(ds))
    dying.close()
    assert (stores.instances(), stores.jobs_by_id()) == ([], {})
    assert bring(stores, ds) is Recorded.NEW  # the sender was not answered, and sends again
    assert (len(stores.instances()), len(stores.jobs_by_id())) == (1, 1)
    assert len(stores.files("archive")) == 1


def test_a_resend_of_the_same_bytes_is_a_success_and_no_second_job(stores):
    bring(stores, film())
    assert bring(stores, film(), request_for(film(), "OTHER_AE")) is Recorded.SAME
    assert len(stores.instances()) == len(stores.jobs_by_id()) == len(stores.files("archive")) == 1
    assert (stores.refused(), stores.files("incoming")) == ([], [])


def test_a_resend_brings_back_a_film_that_the_archive_has_lost(stores):
    bring(stores, film())
    stores.files("archive")[0].unlink()
    assert bring(stores, film()) is Recorded.SAME
    assert stores.archive.path(stores.instances()[0].path).exists()


def test_other_bytes_under_a_known_uid_are_a_conflict_and_both_are_kept(stores):
    one, other = same_uid_other_bytes()
    bring(stores, one)
    with pytest.raises(Conflict) as refusal:
        bring(stores, other, request_for(other, "CT_1"))
    assert refusal.value.status == DUPLICATE_SOP_INSTANCE
    (row,), (kept,) = stores.instances(), stores.refused()
    assert stores.files("archive") == [stores.archive.path(row.path)]
    assert stores.archive.path(row.path).read_bytes() == as_bytes(one)
    assert stores.archive.path(kept.path).read_bytes() == as_bytes(other)
    assert (kept.status, kept.sop_instance_uid) == (DUPLICATE_SOP_INSTANCE, one.SOPInstanceUID)
    assert (kept.calling_ae_title, kept.received_at) == ("CT_1", NOW)
    assert "other bytes" in kept.reason
    assert len(stores.jobs_by_id()) == 1


def as_bytes(ds):
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@pytest.mark.parametrize("data", [b"", b"x", b"\0" * 128 + b"DICM", b"GIF89a" + bytes(500)])
def test_bytes_that_are_no_data_set_are_refused_and_kept(stores, data):
    with pytest.raises(Unreadable) as refusal:
        bring_bytes(stores, data, Request("XRAY1", "1.2", "1.2.3"))
    assert refusal.value.status == CANNOT_UNDERSTAND
    (kept,) = stores.refused()
    assert stores.archive.path(kept.path).read_bytes() == data
    assert (kept.status, kept.reason) == (CANNOT_UNDERSTAND, str(refusal.value))
    assert (stores.instances(), stores.files("archive")) == ([], [])


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
@pytest.mark.parametrize("value", [None, "", "../../etc/passwd", "1.2.x"])
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI:UserWarning")
def test_a_film_without_usable_uids_is_refused_by_the_attributes_name(stores, keyword, value):
    ds = film()
    request = request_for(ds)
    if value is None:
        del ds[keyword]
    else:
        setattr(ds, keyword, value)
    with pytest.raises(Unreadable, match=keyword):
        bring(stores, ds, request)
    assert len(stores.refused()) == 1
    assert stores.files("archive") == []
    assert {path.parent.name for path in stores.files("quarantine")} == {"quarantine"}


def test_a_film_that_is_not_the_one_announced_is_refused(stores):
    request = Request("XRAY1", film().SOPClassUID, "1.2.3.4")
    with pytest.raises(Unreadable, match="different SOP Instance UIDs"):
        bring(stores, film(), request)
    assert stores.refused()[0].sop_instance_uid == "1.2.3.4"


def test_a_film_of_another_class_than_announced_is_refused(stores):
    request = Request("XRAY1", ComputedRadiographyImageStorage, film().SOPInstanceUID)
    with pytest.raises(ClassMismatch) as refusal:
        bring(stores, film(), request)
    assert refusal.value.status == stores.refused()[0].status == DOES_NOT_MATCH_SOP_CLASS


@pytest.mark.parametrize("patient_id", ["", "A\\B"])
def test_a_film_without_a_usable_patient_id_is_taken_in_without_a_patient(stores, patient_id):
    bring(stores, film(patient_id=patient_id))
    assert stores.instances()[0].patient_id is None


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_the_transfer_syntax_is_remembered(stores, syntax):
    bring(stores, film(transfer_syntax=syntax))
    assert stores.instances()[0].transfer_syntax_uid == syntax


def at_once(*actions):
    """Do all at the same moment, each in a thread; return what each returned or raised."""
    barrier, outcomes = threading.Barrier(len(actions)), []

    def act(action):
        barrier.wait(DEADLINE_S)
        try:
            outcomes.append(action())
        except Exception as error:
            outcomes.append(type(error))

    threads = [threading.Thread(target=act, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    return Counter(outcomes)


def test_the_same_film_from_many_at_once_is_taken_in_once(stores):
    outcomes = at_once(*[lambda n=n: bring(stores, film(), name=f"{n}.dcm") for n in range(6)])
    assert outcomes == {Recorded.NEW: 1, Recorded.SAME: 5}
    assert len(stores.instances()) == len(stores.jobs_by_id()) == len(stores.files("archive")) == 1


def test_two_films_of_one_uid_at_once_are_one_film_and_one_conflict(stores):
    one, other = same_uid_other_bytes()
    outcomes = at_once(
        lambda: bring(stores, one, name="one.dcm"), lambda: bring(stores, other, name="other.dcm")
    )
    assert outcomes == {Recorded.NEW: 1, Conflict: 1}
    (row,), (kept,) = stores.instances(), stores.refused()
    assert {stores.archive.path(p).read_bytes() for p in (row.path, kept.path)} == {
        as_bytes(one),
        as_bytes(other),
    }
    assert stores.files("archive") == [stores.archive.path(row.path)]


def test_films_of_one_new_study_at_once_share_its_row(stores):
    films = [film(seed=seed) for seed in range(6)]
    outcomes = at_once(
        *[lambda n=n, ds=ds: bring(stores, ds, name=f"{n}.dcm") for n, ds in enumerate(films)]
    )
    assert outcomes == {Recorded.NEW: 6}
    assert len({row.series_id for row in stores.instances()}) == 1


def test_a_full_disk_refuses_before_the_film_goes_anywhere(tmp_path):
    with open_stores(tmp_path, Archive(tmp_path, ArchiveSettings(reserve_mb=10**9))) as stores:
        with pytest.raises(ArchiveFull) as refusal:
            bring(stores, film())
        assert refusal.value.status == OUT_OF_RESOURCES
        assert (stores.instances(), stores.refused(), stores.jobs_by_id()) == ([], [], {})
        assert stores.files("archive") == stores.files("quarantine") == []


def test_a_disk_that_fills_up_meanwhile_is_out_of_resources_too(tmp_path):
    class Full(Archive):
        """A disk whose last byte another program took."""

        def keep_film(self, *_):
            raise OSError(28, "No space left on device")

    with open_stores(tmp_path, Full(tmp_path, ArchiveSettings(reserve_mb=0))) as stores:
        with pytest.raises(ArchiveFull, match="No space left") as refusal:
            bring(stores, film())
        assert refusal.value.status == OUT_OF_RESOURCES
        assert stores.instances() == []


def test_a_database_that_is_away_is_no_refusal_and_a_resend_succeeds(stores):
    bring(stores, film(seed=1))
    with database_away(stores), pytest.raises(OperationalError):
        bring(stores, film(seed=2))
    assert bring(stores, film(seed=2)) is Recorded.NEW
    assert len(stores.instances()) == len(stores.jobs_by_id()) == len(stores.files("archive")) == 2


def test_a_refusal_while_the_database_is_away_keeps_the_bytes_and_is_written_down_later(stores):
    request = Request("XRAY1", "1.2", "1.2.3")
    with database_away(stores), pytest.raises(OperationalError):
        bring_bytes(stores, b"odd", request)
    assert [path.read_bytes() for path in stores.files("quarantine")] == [b"odd"]
    with pytest.raises(Unreadable):
        bring_bytes(stores, b"odd", request)
    assert len(stores.refused()) == len(stores.files("quarantine")) == 1


def test_a_real_film_is_taken_in_byte_for_byte(stores, philips_film):
    received = copy_of(philips_film, stores.archive.incoming)
    request = Request("PHILIPS", "1.2.840.10008.5.1.4.1.1.1", uid_of(philips_film))
    assert stores.intake.ingest(received, request) is Recorded.NEW
    (row,) = stores.instances()
    assert stores.archive.path(row.path).read_bytes() == philips_film.read_bytes()


def uid_of(path):
    from pydicom import dcmread

    return str(dcmread(path, specific_tags=["SOPInstanceUID"]).SOPInstanceUID)


FILM = film(pixels=np.zeros((4, 4), np.uint16), transfer_syntax=ImplicitVRLittleEndian)
EXPLICIT = film(pixels=np.zeros((4, 4), np.uint16))
SIZE = len(as_bytes(FILM))
damage = st.one_of(
    st.tuples(st.just("cut"), st.integers(0, SIZE), st.just(b"")),
    st.tuples(st.just("flip"), st.integers(0, SIZE - 1), st.binary(min_size=1, max_size=8)),
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(damage=damage, ds=st.sampled_from([FILM, EXPLICIT]))
@example(damage=("cut", 0, b""), ds=FILM)
@example(damage=("flip", 132, b"\xff"), ds=FILM)  # no transfer syntax any more
@example(damage=("flip", as_bytes(EXPLICIT).index(b"\x08\x00\x16\x00UI") + 4, b"FD"), ds=EXPLICIT)
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_damaged_bytes_are_taken_in_or_refused_but_never_lost(stores, damage, ds):
    kind, at, with_bytes = damage
    whole = as_bytes(ds)
    data = whole[:at] if kind == "cut" else whole[:at] + with_bytes + whole[at + len(with_bytes) :]
    try:
        same = bring_bytes(stores, data, request_for(ds)) is Recorded.SAME
        kept = stores.files("archive")
        if same and data not in [path.read_bytes() for path in kept]:
            assert kept  # damage where it concerns no answer: the film is here, by other bytes
            return
    except Refused:
        kept = [stores.folder / "quarantine" / f"{hashlib.sha256(data).hexdigest()}.dcm"]
    assert data in [path.read_bytes() for path in kept]
    assert not any(stores.archive.incoming.iterdir())
