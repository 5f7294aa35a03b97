"""A dead letter, the whole service, a press of a button: the answer arrives."""

from urllib.request import Request, urlopen

from films import make_film_ds
from service import FEWEST_RESULTS, Service, StoreScp, destination, wait_for


def test_a_dead_letter_that_is_retried_from_the_page_reaches_the_destination(tmp_path, tiny_bundle):
    pacs = StoreScp(tmp_path / "received")
    extra = FEWEST_RESULTS + destination(pacs.port) + "give_up_after_h = 0.000001\n"
    folder = tmp_path / "service"
    folder.mkdir()
    ds = make_film_ds()
    film = tmp_path / "film.dcm"
    ds.save_as(film, enforce_file_format=True)
    with Service(folder, tiny_bundle, extra) as service:
        service.storescu(film)
        uid = ds.SOPInstanceUID
        wait_for(
            lambda: "dead letter" in service.delivery_states(service.film(uid), "pacs"),
            "the PACS that is down to be given up",
        )
        page = service.get("/queue").decode()
        assert "pacs does not answer on 127.0.0.1" in page
        address = f"/queue/retry?job=delivery%3A{uid}%3Apacs"
        assert f'action="{address}"' in page
        with pacs:
            press = Request(f"http://127.0.0.1:{service.http_port}{address}", method="POST")
            with urlopen(press) as answer:
                assert "in the queue again" in answer.read().decode()
            service.delivered(uid)
            assert len(pacs.files()) == len(service.film(uid)["results"]) > 0
        assert uid not in service.get("/queue/dead-letters").decode()
    (trail,) = (folder / "var" / "audit").glob("*.jsonl")
    assert f'"retried", "target": "delivery:{uid}:pacs"' in trail.read_text()
