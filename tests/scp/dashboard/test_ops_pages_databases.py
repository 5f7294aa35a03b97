"""The pages for ops on both databases that hilum knows."""

import pytest
from dashboard import served
from invented_films import NOW, Invented
from sqlalchemy.orm import Session

from scp.archive import Archive
from scp.config.storage import ArchiveSettings
from scp.index.schema.tables import DeliveryState, FilmState
from scp.outcomes.delivery import Cause, Outcome


@pytest.fixture
def dashboard(engine, tmp_path):
    with served(engine, Archive(tmp_path, ArchiveSettings(reserve_mb=0))) as running:
        yield running


def test_the_pages_for_ops_answer_on_each_database(dashboard):
    dead = {"state": DeliveryState.DEAD, "outcome": Outcome.of(Cause.TIMED_OUT)}
    dead |= {"last_attempt_at": NOW}
    with Session(dashboard.engine) as session:
        invented = Invented(session, dashboard.archive)
        for age in range(3):
            film = invented.film(age_s=60 + age)
            invented.analysis(film, {"Mass": 0.9})
            invented.delivery(invented.result(film), **dead)
        invented.film(acquired_at=None, state=FilmState.FAILED, reason="OSError")
        invented.role("work", model="m")
        uid, patient = film.uid, film.patient_id
        session.commit()
    for path in ("/queue", "/queue/dead-letters", "/system", f"/patients/{patient}"):
        dashboard.page(path)
    assert '<td class="number">3</td>' in dashboard.page("/queue")
    assert "4 films received" in dashboard.page("/system")
    answer = dashboard.browser.post(f"/queue/retry?job=delivery:{uid}:PACS_A")
    assert answer.headers["location"] == "/queue?done=retried"
    answer = dashboard.browser.post("/queue/retry-all?destination=PACS_A")
    assert answer.headers["location"] == "/queue?done=retried-all&n=2&left=0"
