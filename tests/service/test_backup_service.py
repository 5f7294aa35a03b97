"""A backup of the running service, restored elsewhere: nothing is lost, and nothing goes twice."""

import json
from threading import Thread

import pytest
from databases import ON_POSTGRESQL, new_database
from films import make_film_ds
from pydicom import dcmread
from service import FEWEST_RESULTS, Service, StoreScp, destination, wait_for


def write_film(folder, number):
    ds = make_film_ds(patient_id=f"SAVED-{number}", seed=number)
    path = folder / f"{number}.dcm"
    ds.save_as(path, enforce_file_format=True)
    return path, str(ds.SOPInstanceUID)


@pytest.fixture
def urls(request):
    """The database of the service, and the one into which it is restored."""
    if request.param == "sqlite":
        yield "", ""
        return
    server = request.getfixturevalue("postgresql_server")
    with new_database(server) as first, new_database(server) as second:
        yield first, second


@pytest.mark.peer("storescp")
@pytest.mark.peer("dcmsend")
@pytest.mark.parametrize(
    "urls", ["sqlite", pytest.param("postgresql", marks=ON_POSTGRESQL)], indirect=True
)
def test_a_service_is_backed_up_while_films_come_and_goes_on_elsewhere(tmp_path, tiny_bundle, urls):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    films = [write_film(tmp_path, number) for number in range(6)]
    paths, uids = [path for path, _ in films], [uid for _, uid in films]
    with StoreScp(tmp_path / "pacs") as pacs:
        extra = FEWEST_RESULTS + destination(pacs.port)
        with Service(
            here, tiny_bundle, f"{extra}[database]\nurl = {json.dumps(urls[0])}\n"
        ) as service:
            service.storescu(paths[0])
            service.delivered(uids[0])
            sender = Thread(target=service.storescu, args=paths[1:5])
            sender.start()
            wait_for(lambda: len(json.loads(service.get("/api/films"))) > 2, "films")
            taken = json.loads(service.hilum("backup", "--to", str(tmp_path / "backups"), "--json"))
            sender.join()
            service.storescu(paths[5])  # after the backup
            first = {uid: service.delivered(uid) for uid in uids}
        # every object that the PACS has by now, of films in the backup and after it
        results = {one["uid"] for film in first.values() for one in film["results"]}
        wait_for(lambda: len(pacs.files()) == len(results), "all results")
        in_flight = int(taken["counts"]["film"])
        assert 3 <= in_flight <= 5
        service = Service(there, tiny_bundle, f"{extra}[database]\nurl = {json.dumps(urls[1])}\n")
        said = service.hilum("restore", taken["folder"], "--old", str(here / "var"))
        assert said.count("came after the backup") == 6 - in_flight
        assert uids[5] in said
        with service:
            service.hilum("verify", "--old", str(here / "var"), "--take-in")
            second = {uid: service.delivered(uid) for uid in uids}
            verified = json.loads(service.hilum("verify", "--json"))
            assert verified["faults"] == []
            assert verified["looked_at"] == len(uids) + len(results)  # of each film one set
        for uid in uids[:1]:  # read before the backup: the same objects
            assert [one["uid"] for one in second[uid]["results"]] == [
                one["uid"] for one in first[uid]["results"]
            ]
        at_pacs = {
            str(dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in pacs.files()
        }
        assert {one["uid"] for film in second.values() for one in film["results"]} <= at_pacs
