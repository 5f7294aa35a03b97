"""What the health checks of containers and scripts are told."""

import pytest
import sqlalchemy as sa
from invented_films import NOW

from scp.config import Settings
from scp.ready import why_not_ready


def settings(site):
    return Settings(
        data_dir=site.archive.data_dir,
        database={"url": str(site.engine.url)},
        dashboard={"port": site.browser.base_url.port},
        archive={"reserve_mb": 1},
    )


def test_the_service_is_ready_when_films_will_be_taken_and_read(site):
    with site.invent() as invented:
        invented.role("receive")
        invented.role("work", model="m", version="1", device="cpu")
    assert why_not_ready(settings(site), None, NOW) == ""


def test_what_is_wrong_with_the_service_is_said_and_nothing_else(site):
    with site.invent() as invented:
        invented.role("receive")
    wrong = why_not_ready(settings(site), None, NOW)
    assert "Films wait and are not read" in wrong
    assert "Listening" not in wrong


def test_a_service_that_does_not_answer_is_not_ready(site, monkeypatch):
    asked = settings(site).model_copy(update={"dashboard": Settings().dashboard})
    monkeypatch.setenv("http_proxy", str(site.browser.base_url))  # nobody asks it
    nobody = asked.model_copy(update={"dashboard": asked.dashboard.model_copy(update={"port": 1})})
    wrong = why_not_ready(nobody, None, NOW)
    assert "http://127.0.0.1:1/readyz does not answer" in wrong


@pytest.mark.parametrize(("age_s", "ready"), [(1, True), (14, True), (16, False)])
def test_a_role_is_ready_while_it_is_heard_of(site, age_s, ready):
    with site.invent() as invented:
        invented.role("work", age_s=age_s)
        invented.role("receive")
    wrong = why_not_ready(settings(site), "work-1", NOW)
    assert (wrong == "") is ready
    assert ready or "work-1 was not heard of just now; heard of: receive-1" in wrong


def test_a_role_beside_a_database_that_does_not_answer_is_not_ready(site):
    with site.engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE heartbeat"))
    assert "The database does not answer" in why_not_ready(settings(site), "work-1", NOW)
