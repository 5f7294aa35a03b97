"""The whole service: films in over DICOM from DCMTK, answers out to DCMTK."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from films import make_film_ds
from peers import require_peer
from pydicom import dcmread
from service import FEWEST_RESULTS, Service, StoreScp, destination, wait_for

from scp.archive import Archive
from scp.index.heartbeats import FRESH
from scp.processes.runtime import beat_file, default_name

pytestmark = pytest.mark.xdist_group("service")

KINDS = {"summary-capture", "report"}


@pytest.fixture(scope="module")
def pacs(tmp_path_factory):
    with StoreScp(tmp_path_factory.mktemp("pacs") / "received") as scp:
        yield scp


@pytest.fixture(scope="module")
def late_pacs(tmp_path_factory):
    """A destination that is down."""
    scp = StoreScp(tmp_path_factory.mktemp("late") / "received")
    yield scp
    scp.stop()


@pytest.fixture(scope="module")
def service(tmp_path_factory, tiny_bundle, pacs, late_pacs):
    extra = "[gate]\naccept_secondary_capture = true\n[priors]\nsettle_s = 0\n" + FEWEST_RESULTS
    for name, scp in (("pacs", pacs), ("late", late_pacs)):
        extra += destination(scp.port, name)
    with Service(tmp_path_factory.mktemp("service"), tiny_bundle, extra) as running:
        yield running


@pytest.fixture(scope="module")
def alone(tmp_path_factory, tiny_bundle):
    """A service without destinations."""
    with Service(tmp_path_factory.mktemp("alone"), tiny_bundle) as running:
        yield running


def write(folder: Path, ds) -> Path:
    path = folder / f"{ds.SOPInstanceUID}.dcm"
    ds.save_as(path, enforce_file_format=True)
    return path


def validate(path: Path) -> list[str]:
    """Return what dciodvfy calls an error."""
    done = subprocess.run(
        [require_peer("dciodvfy"), "-new", path], capture_output=True, text=True, check=False
    )
    return [line for line in (done.stdout + done.stderr).splitlines() if "Error" in line]


def received(pacs: StoreScp, uid: str) -> list:
    """Return what the PACS has got that refers to a film."""
    objects = [dcmread(path) for path in pacs.files()]
    return [ds for ds in objects if uid in str(ds)]


def test_the_ready_line_names_addresses_and_model(service):
    assert service.ready_line.startswith("hilum is ready: DICOM HILUM@127.0.0.1:")
    assert "| model " in service.ready_line
    assert json.loads(service.get("/readyz"))["status"] == "ready"
    assert json.loads(service.get("/healthz"))["status"] == "alive"


def test_each_role_touches_a_file_for_health_checks(service):
    archive = Archive(service.folder / "var")
    for role in ("receive", "work", "dashboard"):
        age_s = time.time() - beat_file(archive, default_name(role)).stat().st_mtime
        assert age_s < FRESH.total_seconds()


@pytest.mark.parametrize("name", ["RG1_UNCR", "RG1_UNCI", "RG1_J2KR", "RG1_J2KI"])
def test_the_real_film_is_answered_in_its_own_study(service, pacs, philips_film, tmp_path, name):
    source = dcmread(philips_film.with_name(f"{name}.dcm"))
    # two of the four have one UID
    number = ["RG1_UNCR", "RG1_UNCI", "RG1_J2KR", "RG1_J2KI"].index(name)
    source.SOPInstanceUID = f"{source.SOPInstanceUID}.{number + 10}"
    source.file_meta.MediaStorageSOPInstanceUID = source.SOPInstanceUID
    service.storescu(write(tmp_path, source))
    film = service.delivered(source.SOPInstanceUID)
    assert len(film["findings"]) == 14
    results = received(pacs, source.SOPInstanceUID)
    assert {r["uid"] for r in film["results"]} <= {ds.SOPInstanceUID for ds in results}
    for ds in results:
        assert ds.StudyInstanceUID == source.StudyInstanceUID
        assert ds.PatientID == source.PatientID
        assert ds.SeriesInstanceUID != source.SeriesInstanceUID
    assert [error for path in pacs.files() for error in validate(path)] == []


def test_real_dicom_films_get_a_stated_outcome(service, pacs, shared_data):
    expected = {
        "rsna_cr_jpeg": ("answered", ""),
        "rsna_cr_jpeg_wrong_photometric": None,
        "nih_dx_secondary_capture": ("not analysed", "body_part_unknown"),
        "konica_cr_monochrome1_jpeg_no_tags": ("not analysed", "body_part_unknown"),
        "animal_lateral_dx": ("not analysed", None),
        "fuji_9000_cr_chest_mono1_10bit": ("answered", ""),
        "canon_dx_chest_j2kr_966_fixed": ("answered", ""),
    }
    for name, outcome in expected.items():
        path = shared_data / "dicom" / f"{name}.dcm"
        uid = dcmread(path, stop_before_pixels=True).SOPInstanceUID
        service.storescu(path)
        film = service.outcome(uid)
        assert film["state"] in ("answered", "not analysed")
        assert film["state"] == "answered" or film["detail"], name
        if outcome is not None:
            assert film["state"] == outcome[0], (name, film)
            assert outcome[1] in (None, film["reason"]), (name, film)
    errors = [error for path in pacs.files() for error in validate(path)]
    # whoever made the Canon film public put a hash into AccessionNumber and PatientBirthDate; an
    # answer repeats what its film says, for the PACS knows the film by no other
    hashed = dcmread(path, stop_before_pixels=True).AccessionNumber
    assert [error for error in errors if f"<{hashed}>" not in error] == []


def test_no_other_user_of_the_machine_may_read_what_is_kept(service, tmp_path):
    ds = make_film_ds(patient_id="KEPT")
    service.storescu(write(tmp_path, ds))
    service.delivered(ds.SOPInstanceUID)
    kept = list((service.folder / "var").rglob("*"))
    assert len(kept) > 10
    assert [path for path in kept if path.stat().st_mode & 0o077] == []


def test_a_lateral_film_is_refused_by_its_view(service, philips_film, tmp_path):
    ds = dcmread(philips_film)
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{ds.SOPInstanceUID}.1"
    ds.ViewPosition = "LL"
    service.storescu(write(tmp_path, ds))
    film = service.outcome(ds.SOPInstanceUID)
    assert (film["state"], film["reason"]) == ("not analysed", "not_frontal")
    assert film["results"] == []


def test_a_later_film_is_compared_with_the_earlier_one(service, pacs, tmp_path):
    earlier = make_film_ds(patient_id="PAIR", study_date="20230101", seed=1)
    later = make_film_ds(patient_id="PAIR", study_date="20240101", seed=2)
    for ds in (earlier, later):
        service.storescu(write(tmp_path, ds))
        film = service.delivered(ds.SOPInstanceUID)
    assert film["prior"]["uid"] == earlier.SOPInstanceUID
    assert {r["kind"] for r in film["results"]} == KINDS | {"comparison-capture"}
    for ds in received(pacs, later.SOPInstanceUID):
        assert ds.StudyInstanceUID == later.StudyInstanceUID


def test_our_own_results_are_recognised_and_not_read_again(service, pacs, tmp_path):
    ds = make_film_ds(patient_id="LOOP", seed=3)
    service.storescu(write(tmp_path, ds))
    service.delivered(ds.SOPInstanceUID)
    capture = next(
        path
        for path in pacs.files()
        if ds.SOPInstanceUID in str(dcmread(path)) and "SC." in path.name
    )
    service.storescu(capture)
    film = service.outcome(dcmread(capture).SOPInstanceUID)
    assert (film["state"], film["reason"]) == ("not analysed", "own_result")


def test_logs_and_metrics_hold_no_patient(service, tmp_path):
    ds = make_film_ds(patient_id="SECRET-ID", patient_name="Geheim^Name", seed=4)
    ds.PatientBirthDate = "19510307"
    service.storescu(write(tmp_path, ds))
    service.delivered(ds.SOPInstanceUID)
    said = service.log.read_text() + service.get("/metrics").decode()
    assert ds.SOPInstanceUID in said
    for secret in ("SECRET-ID", "Geheim", "19510307"):
        assert secret not in said


def test_log_lines_are_json_with_role_film_and_duration(service, tmp_path):
    ds = make_film_ds(patient_id="LOGS", seed=5)
    stages = {"received", "read", "answered", "delivered"}
    service.storescu(write(tmp_path, ds))

    def about() -> dict:
        whole, _, _ = service.log.read_text().rpartition("\n")  # the last may be half written
        lines = [json.loads(line) for line in whole.splitlines()]
        return {line["event"]: line for line in lines if ds.SOPInstanceUID in str(line)}

    wait_for(lambda: stages <= set(about()), "a line for each stage")
    for stage in stages:
        assert about()[stage]["duration_s"] > 0
        assert about()[stage]["role"] == ("receive" if stage == "received" else "work")


def test_the_demonstration_shows_findings_comparison_and_files(alone, tmp_path):
    out = tmp_path / "answers"
    ports = {
        "HILUM_RECEIVER__PORT": str(alone.dicom_port),
        "HILUM_DASHBOARD__PORT": str(alone.http_port),
    }
    command = [sys.executable, "-m", "scp.cli", "demo", "--config", alone.config]
    done = subprocess.run(
        [*command, "--out", out],
        env=os.environ | ports,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Pleural thickening" in done.stdout
    names = {path.name for path in out.iterdir()}
    assert {"current-comparison-capture.png", "current-report.dcm"} <= names
    prior = dcmread(out / "earlier-summary-capture.dcm")
    assert "SIMULATED" in prior.StudyDescription


def test_analysing_without_network_gives_the_same_objects(service, inside, philips_film, tmp_path):
    uid = dcmread(philips_film, stop_before_pixels=True).SOPInstanceUID
    service.storescu(philips_film)
    film = service.delivered(uid)
    command = [sys.executable, "-m", "scp.cli", "analyse", philips_film, "--config", service.config]
    done = subprocess.run(
        [*command, "--out", tmp_path, "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (alone,) = json.loads(done.stdout)
    for one, other in zip(alone["film"]["findings"], film["findings"], strict=True):
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-4)
    assert (tmp_path / "findings.json").is_file()
    assert (tmp_path / "RG1_UNCR-summary-capture.png").read_bytes().startswith(b"\x89PNG")
    report = dcmread(tmp_path / "RG1_UNCR-report.dcm")
    assert report.StudyInstanceUID == dcmread(philips_film).StudyInstanceUID


def test_twenty_films_are_answered_once_although_the_worker_is_killed(service, pacs, tmp_path):
    films = [make_film_ds(patient_id=f"KILL-{n}", seed=10 + n) for n in range(20)]
    uids = [ds.SOPInstanceUID for ds in films]
    service.storescu(*(write(tmp_path, ds) for ds in films))
    wait_for(
        lambda: sum(service.film(uid)["state"] == "answered" for uid in uids) >= 3,
        "the worker to be in the middle",
    )
    os.kill(service.pid_of("work"), signal.SIGKILL)
    answers = [service.delivered(uid) for uid in uids]
    for film in answers:
        assert sorted(result["kind"] for result in film["results"]) == sorted(KINDS)
    expected = sorted(result["uid"] for film in answers for result in film["results"])
    references = {uid: [] for uid in uids}
    for path in pacs.files():
        ds = dcmread(path, stop_before_pixels=True)
        for uid in uids:
            if uid in str(ds):
                references[uid].append(ds.SOPInstanceUID)
    assert sorted(uid for got in references.values() for uid in got) == expected
    assert "one film at a time" in service.log.read_text()
    wait_for(lambda: "films at once again" in service.log.read_text(), "films at once again")
    # at most the objects in flight at the kill were sent a second time, as the same instances
    log = (pacs.folder.parent / "storescp.log").read_text()
    assert log.count("Received Store Request") <= len(pacs.files()) + 20


def test_a_prior_that_comes_late_is_compared_once_although_the_worker_is_killed(
    service, pacs, tmp_path
):
    newer = make_film_ds(patient_id="ORDER", study_date="20240101", seed=60)
    older = make_film_ds(patient_id="ORDER", study_date="20230101", seed=61)
    uid = newer.SOPInstanceUID
    service.storescu(write(tmp_path, newer))
    assert service.delivered(uid)["prior"] is None
    service.storescu(write(tmp_path, older))
    wait_for(lambda: service.film(older.SOPInstanceUID)["state"] != "received", "the older film")
    os.kill(service.pid_of("work"), signal.SIGKILL)
    wait_for(lambda: service.film(uid)["prior"], "the comparison")
    film = service.delivered(uid)
    assert film["prior"]["uid"] == older.SOPInstanceUID
    kinds = sorted(result["kind"] for result in film["results"])
    assert kinds == sorted([*KINDS, *KINDS, "comparison-capture"])
    got = sorted(ds.SOPInstanceUID for ds in received(pacs, uid))
    assert got == sorted(result["uid"] for result in film["results"])


def test_a_receiver_that_dies_is_back_and_no_sender_is_refused(service, tmp_path):
    os.kill(service.pid_of("receive"), signal.SIGKILL)
    ds = make_film_ds(patient_id="AGAIN", seed=40)
    service.storescu(write(tmp_path, ds))
    assert service.delivered(ds.SOPInstanceUID)["state"] == "answered"


def test_a_destination_that_is_down_holds_up_nobody_and_gets_its_answers_later(
    service, late_pacs, tmp_path
):
    ds = make_film_ds(patient_id="LATE", seed=41)
    service.storescu(write(tmp_path, ds))
    film = service.delivered(ds.SOPInstanceUID, "pacs")
    assert set(service.delivery_states(film, "late")) == {"pending"}
    late_pacs.start()
    film = service.delivered(ds.SOPInstanceUID, "late")
    assert received(late_pacs, ds.SOPInstanceUID)


def test_a_port_in_use_is_an_error_that_says_what_to_do(service, tiny_bundle, tmp_path):
    second = Service(tmp_path, tiny_bundle)
    done = subprocess.run(
        [sys.executable, "-m", "scp.cli", "serve", "--config", second.config],
        env=os.environ | {"HILUM_RECEIVER__PORT": str(service.dicom_port)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 78
    assert "[receiver] port" in done.stderr


def test_an_answered_film_is_answered_once_more_by_a_job_of_its_own(alone, tmp_path):
    ds = make_film_ds(patient_id="ONCE-MORE", seed=43)
    alone.storescu(write(tmp_path, ds))
    first = alone.outcome(ds.SOPInstanceUID)
    alone.hilum("queue", "retry", f"film:{ds.SOPInstanceUID}", "--done")

    def finished():
        job = json.loads(alone.hilum("queue", "show", f"film:{ds.SOPInstanceUID}", "--json"))
        return job["state"] == "done" and job

    job = wait_for(finished, "the second job of the film")
    assert job["job"] == f"film:{ds.SOPInstanceUID}:2"
    film = alone.film(ds.SOPInstanceUID)
    assert film["state"] == "answered"
    assert film["finished_at"] > first["finished_at"]
    assert [one["uid"] for one in film["results"]] == [one["uid"] for one in first["results"]]


def test_after_a_power_cut_every_film_is_answered_and_ctrl_c_stops_in_ten_seconds(alone, tmp_path):
    films = [make_film_ds(patient_id=f"PLUG-{n}", seed=50 + n) for n in range(5)]
    alone.storescu(*(write(tmp_path, ds) for ds in films))
    alone.pull_the_plug()
    alone.start()
    for ds in films:
        film = alone.outcome(ds.SOPInstanceUID)
        assert film["state"] == "answered"
        assert sorted(result["kind"] for result in film["results"]) == sorted(KINDS)
    assert b"No destination is configured" in alone.get("/")
    alone.stop(signal.SIGINT, within_s=10)
    assert alone.process.returncode == 0
