"""Why a step failed: in words, and in nobody else's."""

import json
import pickle
import sqlite3
import subprocess
import sys

import pytest
from dbos._error import DBOSMaxStepRetriesExceeded
from films import make_film_ds
from service import Service
from sqlalchemy.exc import OperationalError

from scp.config.load import load_settings
from scp.dimse.request import Request
from scp.errors import ServiceError
from scp.outcomes.failures import (
    SENTENCES,
    Cause,
    Step,
    StepFailed,
    failing,
    film_failure,
    job_failure,
    step_failure,
)
from scp.pipeline.intake import Intake
from scp.processes.runtime import now, open_context

SECRET = "Rossi^Anna 19700101"


def torch_out_of_memory():
    return type("OutOfMemoryError", (RuntimeError,), {})(SECRET)


def raised(error: BaseException, step: Step = Step.READ) -> StepFailed:
    with pytest.raises(StepFailed) as caught, failing(step):
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (FileNotFoundError(SECRET), Cause.FILE_MISSING),
        (PermissionError(SECRET), Cause.NO_PERMISSION),
        (OSError(28, SECRET), Cause.DISK),
        (ConnectionResetError(SECRET), Cause.CONNECTION),
        (TimeoutError(SECRET), Cause.CONNECTION),
        (MemoryError(SECRET), Cause.MEMORY),
        (torch_out_of_memory(), Cause.GPU_MEMORY),
        (OperationalError(SECRET, {}, Exception(SECRET)), Cause.DATABASE),
        (sqlite3.OperationalError(SECRET), Cause.DATABASE),
        (ValueError(SECRET), Cause.FAULT),
        (KeyError(SECRET), Cause.FAULT),
    ],
)
def test_a_failure_names_its_step_and_cause_and_neither_a_class_nor_the_data_set(error, cause):
    failure = raised(error, Step.WRITE)
    assert failure.cause is cause
    assert str(failure) == f"Failed while writing its answer. {SENTENCES[cause]}"
    told = pickle.dumps(failure).decode("latin-1") + str(failure)
    assert "Rossi" not in told
    assert type(error).__name__ not in told


def test_what_hilum_itself_says_went_wrong_is_the_reason():
    failure = raised(ServiceError("the film was readable and no longer is: cut short"))
    assert (failure.cause, failure.step) == (Cause.STATED, Step.READ)
    assert str(failure).endswith("film. The film was readable and no longer is: cut short.")


def test_a_failure_that_was_retried_is_found_in_what_the_queue_keeps():
    failures = [raised(OSError("first")), raised(MemoryError())]
    kept = DBOSMaxStepRetriesExceeded("Worker.read", 3, failures)
    again = pickle.loads(pickle.dumps(kept))
    assert step_failure(again).cause is Cause.MEMORY
    assert job_failure(again) == f"Failed while reading the film. {SENTENCES[Cause.MEMORY]}"


@pytest.mark.parametrize(
    "error", [DBOSMaxStepRetriesExceeded("Worker.read", 3, [OSError(SECRET)]), SECRET]
)
def test_what_an_earlier_release_left_in_the_queue_is_a_fault_without_a_name(error):
    assert job_failure(error) == SENTENCES[Cause.FAULT]
    assert job_failure(None) == ""


def test_a_failed_film_is_not_explained_by_the_name_of_a_class():
    assert "died on this film" in film_failure("worker_died", "")
    assert film_failure("fault", "its pixels are odd") == "its pixels are odd"
    old = "hilum could not answer this film; its log says why"
    assert film_failure("disk", old) == SENTENCES[Cause.DISK]
    assert film_failure("DBOSMaxStepRetriesExceeded", old) == SENTENCES[Cause.FAULT]
    assert film_failure("stated", old) == SENTENCES[Cause.FAULT]


def test_the_service_says_of_a_film_whose_file_is_gone_what_failed_and_why(tmp_path, tiny_bundle):
    ds = make_film_ds()
    uid = ds.SOPInstanceUID
    service = Service(tmp_path, tiny_bundle)
    with open_context(load_settings(service.config)) as stores:
        path = stores.archive.incoming / "received.dcm"
        ds.save_as(path, enforce_file_format=True)
        Intake(stores.engine, stores.archive, stores.jobs, now).ingest(
            path, Request("TEST", ds.SOPClassUID, uid)
        )
        (kept,) = stores.archive.data_dir.rglob(f"*{uid}*.dcm")
        kept.unlink()
    with service:
        film = service.outcome(uid)
        page = service.get(f"/films/{uid}").decode() + service.get("/queue").decode()
        command = [sys.executable, "-m", "scp.cli", "queue", "list", "--json"]
        listed = subprocess.run(
            [*command, "--config", service.config], check=True, capture_output=True, text=True
        )
    said = f"Failed while reading the film. {SENTENCES[Cause.FILE_MISSING]}"
    assert (film["state"], film["reason"]) == ("failed", "file_missing")
    assert film["detail"].startswith(said)
    assert page.count(said) >= 2
    assert [job["why"] for job in json.loads(listed.stdout)] == [said]
    for text in (json.dumps(film), page, listed.stdout):
        assert "DBOS" not in text
        assert "Error" not in text
