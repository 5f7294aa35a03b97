"""The whole service fetches priors: DCMTK sends, DCMTK is asked, DCMTK gets the answers.

By C-MOVE, which takes the way through the receiver; C-GET is in test_fetching.py.
"""

import os
import signal

import pytest
from films import make_film_ds
from network import save
from ports import free_port
from pydicom import dcmread
from qrscp import QrScp
from service import FEWEST_RESULTS, Service, StoreScp, wait_for

pytestmark = pytest.mark.xdist_group("fetching")

ANSWER = ["report", "summary-capture"]
COMPARED = ["comparison-capture", *ANSWER]
EXTRA = """
[[destinations]]
name = "pacs"
ae_title = "PACS"
host = "127.0.0.1"
port = {store_port}
[priors]
retrieve = "move"
port = {pacs_port}
timeout_s = 30
retry_s = 1
settle_s = 0
"""


@pytest.fixture(scope="module")
def peers(tmp_path_factory, tiny_bundle):
    """The service, the PACS that it asks, and where its answers go."""
    folder, receiver_port = tmp_path_factory.mktemp("service"), free_port()
    with (
        QrScp(tmp_path_factory.mktemp("pacs"), receiver_port) as pacs,
        StoreScp(tmp_path_factory.mktemp("viewer") / "received") as viewer,
    ):
        extra = FEWEST_RESULTS + EXTRA.format(store_port=viewer.port, pacs_port=pacs.port)
        service = Service(folder, tiny_bundle, extra)
        text = service.config.read_text().replace("port = 0", f"port = {receiver_port}", 1)
        service.config.write_text(text)
        with service:
            yield service, pacs, viewer


def pair(patient_id):
    """An earlier and a later film of one patient."""
    days = {"20230101": 1, "20240101": 2}
    return [make_film_ds(patient_id=patient_id, study_date=day, seed=n) for day, n in days.items()]


def kinds(film):
    return sorted(result["kind"] for result in film["results"])


def compared(service, uid):
    wait_for(lambda: service.film(uid)["prior"], f"the comparison of {uid}")
    return service.delivered(uid)


def is_left_alone(service, viewer, uid):
    """Say whether nothing was made of a fetched prior, nor sent of it."""
    film = service.film(uid)
    assert (film["state"], film["results"]) == ("fetched", [])
    received = [dcmread(path, stop_before_pixels=True) for path in viewer.files()]
    return not [ds for ds in received if ds.StudyInstanceUID == film["study_uid"]]


def test_a_film_is_compared_with_a_prior_that_only_the_pacs_had(peers, tmp_path):
    service, pacs, viewer = peers
    prior, current = pair("FETCHED")
    pacs.fill(prior)
    service.storescu(save(current, tmp_path / "current.dcm"))
    film = service.delivered(current.SOPInstanceUID)
    assert film["prior"]["uid"] == prior.SOPInstanceUID
    assert kinds(film) == COMPARED
    assert is_left_alone(service, viewer, prior.SOPInstanceUID)
    page = service.get(f"/films/{prior.SOPInstanceUID}").decode()
    assert "fetched as a prior, not answered" in page
    service.storescu(save(prior, tmp_path / "prior.dcm"))
    assert service.delivered(prior.SOPInstanceUID)["state"] == "answered"


def test_a_pacs_that_was_away_is_asked_again_and_the_film_answered_again_once(peers, tmp_path):
    service, pacs, viewer = peers
    prior, current = pair("AWAY")
    uid = current.SOPInstanceUID
    pacs.fill(prior)
    pacs.stop()
    service.storescu(save(current, tmp_path / "current.dcm"))
    film = service.delivered(uid)
    assert (film["prior"], kinds(film)) == (None, ANSWER)
    assert "could not be reached" in film["choice"]["notes"][0]["sentence"]
    pacs.start()
    film = compared(service, uid)
    assert film["prior"]["uid"] == prior.SOPInstanceUID
    assert kinds(film) == sorted([*ANSWER, *COMPARED])
    assert is_left_alone(service, viewer, prior.SOPInstanceUID)
    assert "AWAY" not in service.log.read_text()


def test_a_worker_that_is_killed_while_it_fetches_fetches_again_and_answers_once(peers, tmp_path):
    service, pacs, viewer = peers
    prior, current = pair("KILLED")
    uid = current.SOPInstanceUID
    pacs.fill(prior)
    with pacs.silent():
        service.storescu(save(current, tmp_path / "current.dcm"))
        wait_for(lambda: service.film(uid)["state"] == "analysed", "the film to be read")
        os.kill(service.pid_of("work"), signal.SIGKILL)
    film = compared(service, uid)
    assert film["prior"]["uid"] == prior.SOPInstanceUID
    assert kinds(film) == COMPARED
    assert is_left_alone(service, viewer, prior.SOPInstanceUID)
