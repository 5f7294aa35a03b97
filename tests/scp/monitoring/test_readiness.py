"""Readiness and metrics, from a real database."""

import re
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from certificates import Authority
from invented_films import NOW, PATIENT_ID, Invented, open_index
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.orm import Session

from scp.archive import Archive
from scp.config.storage import ArchiveSettings
from scp.index.schema.tables import DeliveryState, FilmState
from scp.monitoring.metrics import metrics
from scp.monitoring.readiness import readiness


@pytest.fixture
def index(tmp_path):
    engine, archive = open_index(tmp_path)
    with Session(engine) as session:
        yield engine, archive, Invented(session, archive)
    engine.dispose()


def samples(engine, archive, **more):
    """Every sample by name and labels."""
    text = metrics(engine, archive, NOW, **more).decode()
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def failing(engine, archive):
    return {check.name: check.text for check in readiness(engine, archive, NOW).problems}


def ready_roles(invented):
    invented.role("receive")
    invented.role("work", model="m", version="1", device="cpu")
    invented.session.commit()


def test_ready_needs_receiver_model_database_and_disk(index):
    engine, archive, invented = index
    assert set(failing(engine, archive)) == {"receiver", "model"}
    ready_roles(invented)
    assert readiness(engine, archive, NOW).ready


def test_a_worker_without_a_model_is_not_ready_and_says_what_to_read(index):
    engine, archive, invented = index
    invented.role("receive")
    invented.role("work")
    invented.session.commit()
    assert "model is not loaded" in failing(engine, archive)["model"]


def test_a_stale_heartbeat_is_not_ready_and_a_forgotten_one_is_not_counted(index):
    engine, archive, invented = index
    invented.role("receive", age_s=16)
    invented.role("work", age_s=90_000, model="m")
    invented.session.commit()
    told = failing(engine, archive)
    assert "16 s ago" in told["receiver"]
    assert "no process of role 'work'" in told["model"]
    assert samples(engine, archive)["hilum_role_up", "receive", "receive-1"] == 0
    assert ("hilum_role_up", "work", "work-1") not in samples(engine, archive)


def test_a_disk_that_is_no_longer_mounted_is_not_ready(index):
    engine, archive, _ = index
    shutil.rmtree(archive.data_dir / "incoming")
    assert "check that its disk is mounted" in failing(engine, archive)["disk"]


def test_a_full_disk_is_not_ready_and_says_how_much_is_kept(index):
    engine, archive, invented = index
    ready_roles(invented)
    full = Archive(archive.data_dir, ArchiveSettings(reserve_mb=10**12))
    told = failing(engine, full)
    assert set(told) == {"disk"}
    assert "reserve_mb" in told["disk"]


def test_a_database_without_tables_is_an_answer_and_no_error(tmp_path):
    from scp.index.database import open_database

    engine = open_database(f"sqlite:///{tmp_path / 'empty.sqlite'}")
    told = failing(engine, Archive(tmp_path))
    engine.dispose()
    assert "database does not answer" in told["database"]
    assert set(told) == {"database", "receiver", "model"}


def test_metrics_count_films_deliveries_and_refusals(index):
    engine, archive, invented = index
    film = invented.film()
    invented.film(state=FilmState.NOT_ANALYSED, reason="not a chest")
    invented.film(state=FilmState.RECEIVED, age_s=300)
    invented.film(state=FilmState.ANALYSED, age_s=20)
    invented.delivery(invented.result(film), "PACS_A", DeliveryState.DEAD)
    invented.delivery(invented.result(film), "PACS_A")
    invented.refusal()
    ready_roles(invented)
    found = samples(engine, archive)
    assert found["hilum_films", "answered"] == 1
    assert found["hilum_films", "failed"] == 0
    assert found["hilum_not_analysed_total", "not a chest"] == 1
    assert found["hilum_deliveries", "PACS_A", "dead letter"] == 1
    assert found["hilum_deliveries", "PACS_A", "delivered"] == 1
    assert found["hilum_deliveries", "PACS_A", "pending"] == 0
    assert found["hilum_quarantined_total",] == 1
    assert found["hilum_oldest_unfinished_film_seconds",] == 300
    assert found["hilum_role_up", "receive", "receive-1"] == 1
    assert found["hilum_disk_free_bytes",] > 0
    assert found["hilum_disk_reserve_bytes",] == archive.disk.reserve


def test_every_metric_that_the_docs_name_is_there(index):
    engine, archive, _ = index
    text = metrics(engine, archive, NOW).decode()
    exported = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    docs = Path(__file__).parents[3] / "docs" / "operations.md"
    named = set(re.findall(r"`(hilum_\w+)", docs.read_text(encoding="utf-8")))
    assert len(named) > 10
    assert named - exported == set()


def test_metrics_are_told_while_the_disk_is_gone(index, tmp_path):
    engine, _, invented = index
    invented.film()
    invented.session.commit()
    gone = Archive(tmp_path / "gone")
    shutil.rmtree(gone.data_dir)
    found = samples(engine, gone)
    assert found["hilum_films", "answered"] == 1
    assert ("hilum_disk_free_bytes",) not in found


def test_answer_seconds_are_quantiles_of_recent_answers(index):
    from datetime import timedelta

    engine, archive, invented = index
    for seconds in (*range(1, 100), 1000):
        film = invented.film(age_s=2000)
        film.finished_at = film.received_at + timedelta(seconds=seconds)
    invented.film(age_s=100_000).finished_at = NOW  # of yesterday
    invented.film(state=FilmState.FAILED).finished_at = NOW
    invented.session.commit()
    found = samples(engine, archive)
    assert found["hilum_answer_seconds", "0.5"] == pytest.approx(50, abs=1)
    assert found["hilum_answer_seconds", "0.95"] == pytest.approx(95, abs=1)
    assert found["hilum_answer_seconds", "1"] == 1000


def test_one_answer_is_enough_and_none_is_no_number(index):
    engine, archive, invented = index
    assert ("hilum_answer_seconds", "0.5") not in samples(engine, archive)
    assert samples(engine, archive)["hilum_oldest_unfinished_film_seconds",] == 0
    invented.film()
    invented.session.commit()
    assert samples(engine, archive)["hilum_answer_seconds", "0.95"] == 4


def test_metrics_name_no_patient_and_no_film(index):
    engine, archive, invented = index
    film = invented.film()
    invented.delivery(invented.result(film))
    invented.session.commit()
    text = metrics(engine, archive, NOW).decode()
    assert PATIENT_ID not in text
    assert film.uid not in text
    assert film.series.study.uid not in text


def test_metrics_say_how_long_certificates_are_valid(index, tmp_path):
    engine, archive, _ = index
    begins, day = NOW - timedelta(days=90), timedelta(days=1)
    authority = Authority(tmp_path / "ca")
    good = authority.issue(begins=begins, ends=NOW + 10 * day)
    expired = authority.issue(begins=begins, ends=NOW - day)
    paths = {"receiver": str(good.certificate), "priors": str(expired.certificate), "gone": "/gone"}
    found = samples(engine, archive, certificates=paths)
    assert found["hilum_certificate_expires_seconds", "receiver"] == 10 * 86400
    assert found["hilum_certificate_expires_seconds", "priors"] == -86400
    assert ("hilum_certificate_expires_seconds", "gone") not in found
