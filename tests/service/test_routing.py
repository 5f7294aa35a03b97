"""The whole loop with a real PACS: Orthanc sends a film on to hilum, and receives the answer."""

import json

import httpx
import pytest
from films import make_film_ds
from orthanc import Orthanc
from ports import free_port
from service import Service, destination, wait_for

pytestmark = pytest.mark.xdist_group("viewer")


@pytest.fixture(scope="module")
def loop(tmp_path_factory, tiny_bundle):
    """hilum with every kind of object on, and Orthanc that routes to it."""
    port = free_port()
    results = "[results]\nsegmentation = true\nlabel_map = true\nnot_analysed = true\n"
    extra = results + destination(port, ae_title="ORTHANC")
    with (
        Service(tmp_path_factory.mktemp("service"), tiny_bundle, extra) as service,
        Orthanc(tmp_path_factory.mktemp("pacs"), service.dicom_port, port) as pacs,
    ):
        yield service, pacs


def series_of(pacs, study_uid):
    """Modality and description of each series that the PACS has of a study."""
    try:
        answer = pacs.http.get(f"/dicom-web/studies/{study_uid}/series").raise_for_status()
    except httpx.HTTPStatusError:
        return set()
    return {
        (item["00080060"]["Value"][0], item.get("0008103E", {}).get("Value", [""])[0])
        for item in answer.json()
    }


def test_a_film_that_the_pacs_has_received_is_answered_in_its_study(loop):
    service, pacs = loop
    ds = make_film_ds(patient_id="ROUTED")
    pacs.store([ds])
    wait_for(lambda: len(series_of(pacs, ds.StudyInstanceUID)) > 1, "an answer in the PACS")
    film = service.delivered(ds.SOPInstanceUID)
    assert film["calling_ae_title"] == "ORTHANC"
    found = series_of(pacs, ds.StudyInstanceUID)
    assert any(one[1].startswith("AI chest X-ray report (RUO)") for one in found)
    assert any(one[1].startswith("AI chest X-ray findings (RUO)") for one in found)
    for result in film["results"]:
        assert len(pacs.find(result["uid"])) == 1, result["kind"]


def test_what_comes_back_to_the_pacs_is_not_sent_on_again(loop):
    service, pacs = loop
    ds = make_film_ds(patient_id="ROUTED-ONCE", seed=2)
    pacs.store([ds])
    wait_for(lambda: len(series_of(pacs, ds.StudyInstanceUID)) > 1, "an answer in the PACS")
    film = service.delivered(ds.SOPInstanceUID)
    lines = map(json.loads, service.log.read_text().splitlines())
    received = [line["sop_instance_uid"] for line in lines if line["event"] == "received"]
    assert received.count(ds.SOPInstanceUID) == 1
    assert not set(received) & {result["uid"] for result in film["results"]}


def test_a_lateral_film_is_said_not_to_be_analysed_in_the_pacs(loop):
    _, pacs = loop
    ds = make_film_ds(patient_id="LATERAL", view="LL")
    pacs.store([ds])
    said = "AI chest X-ray: NOT ANALYSED (RUO)"
    wait_for(
        lambda: any(one[1].startswith(said) for one in series_of(pacs, ds.StudyInstanceUID)),
        "a report in the PACS",
    )
