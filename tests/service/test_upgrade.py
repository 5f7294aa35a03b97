"""A data_dir of the release before this one, with work in flight, under the service of today."""

import pytest
from earlier import FILMS, FOLDER, film, job_states, unpack
from service import FEWEST_RESULTS, Service, StoreScp, destination, wait_for


@pytest.mark.peer("storescp")
def test_work_in_flight_of_the_release_before_is_finished_by_this_one(tmp_path, tiny_bundle):
    unpack(FOLDER / "0013.tar.xz", tmp_path)
    uids = {day: film(day).SOPInstanceUID for day in FILMS}
    assert "PENDING" in job_states(tmp_path).values()
    with (
        StoreScp(tmp_path / "pacs") as pacs,
        Service(tmp_path, tiny_bundle, FEWEST_RESULTS + destination(pacs.port)) as service,
    ):
        answers = {day: service.delivered(uid) for day, uid in uids.items()}
        # each film once: what its page says was sent is what the destination has
        sent = sum(len(answer["results"]) for answer in answers.values())
        wait_for(lambda: len(pacs.files()) == sent, "every result at the destination")
    assert all(state == "SUCCESS" for state in job_states(tmp_path).values())
