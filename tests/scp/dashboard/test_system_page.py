"""The page of the system: what runs, how full the disk is, how fast films are answered."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from dashboard import served
from invented_films import NOW
from sqlalchemy.orm import Session

from scp.config.destinations import DestinationSettings
from scp.config.load import Settings, load_settings
from scp.config.priors import PriorsSettings
from scp.dashboard.pages.configuration import ServiceInfo, about
from scp.errors import ConfigError
from scp.index import last_day
from scp.index.schema.tables import FilmState

PACS_A = DestinationSettings(name="PACS_A", ae_title="PACS", host="10.0.0.5", port=104)


def section(page, name):
    return page.split(f'aria-labelledby="{name}"')[1].split("</section>")[0]


def test_the_model_is_named_with_its_hash_and_its_limits(dashboard):
    with dashboard.invent() as invented:
        invented.role("work", model="hilum-chest14", version="1.2", device="cpu", sha256="c" * 64)
    said = section(dashboard.page("/system"), "model")
    assert "hilum-chest14 1.2</b> on cpu" in said
    assert "c" * 64 in said
    assert "not a medical device" in said
    card = dashboard.browser.get("/system/model-card")
    assert card.headers["content-type"].startswith("text/plain")
    assert "**Limits.**" in card.text


def test_a_model_folder_that_cannot_be_read_is_said_and_breaks_nothing(index, tmp_path):
    with served(*index, about=ServiceInfo(bundle=tmp_path / "nowhere")) as dashboard:
        assert "cannot be read from here" in section(dashboard.page("/system"), "model")
        assert "no readable card" in dashboard.page("/system/model-card", 404)


def test_roles_stand_with_process_and_last_heartbeat(dashboard):
    with dashboard.invent() as invented:
        invented.role("receive", age_s=3)
        invented.role("work", age_s=95)
    said = section(dashboard.page("/system"), "roles")
    assert "silent for 95 s" in said
    assert (NOW - timedelta(seconds=3)).astimezone().isoformat(" ", "seconds") in said
    assert '<td class="number">41</td>' in said


def test_every_check_of_readiness_is_shown_also_those_that_hold(dashboard):
    said = section(dashboard.page("/system"), "ready")
    assert "database: good" in said
    assert "receiver: wrong" in said
    for link in ("/readyz", "/metrics", "/api/openapi.json"):
        assert f'href="{link}"' in said
        assert dashboard.browser.get(link).status_code in (200, 503)


def test_films_of_the_last_day_are_counted_by_hour_and_older_ones_are_not(dashboard):
    with dashboard.invent() as invented:
        for age_s in (60, 120, 3600, 23 * 3600 + 60, 25 * 3600):
            invented.film(age_s=age_s)
        invented.film(age_s=90, state=FilmState.RECEIVED)
        invented.film(age_s=90, state=FilmState.FETCHED)
    with Session(dashboard.engine) as session:
        hours = last_day.hours(session, NOW, UTC)
    assert [hour.at for hour in hours[-2:]] == [NOW.replace(hour=h, minute=0) for h in (8, 9)]
    assert [hour.received for hour in hours] == [1] + [0] * 21 + [1, 3]
    assert [hour.answered for hour in hours] == [1] + [0] * 21 + [1, 2]
    page = section(dashboard.page("/system"), "day")
    assert "5 films received" in page
    assert page.count("<rect") == 48
    assert page.count("<tr>") == 24 + 1 + 1 + 3


def test_how_long_answers_take_is_said_over_all_and_by_hour(dashboard):
    with dashboard.invent() as invented:
        for number in range(20):
            film = invented.film(age_s=100 + number)
            film.finished_at = film.received_at + timedelta(seconds=1 + number)
    page = section(dashboard.page("/system"), "day")
    found = re.findall(r"<b>([0-9.]+) s</b>", page)
    assert [float(value) for value in found] == pytest.approx([10.5, 19, 20], abs=0.6)


def test_outcomes_of_the_last_day_are_told_by_state_and_reason(dashboard):
    with dashboard.invent() as invented:
        for _ in range(3):
            invented.film(state=FilmState.NOT_ANALYSED, reason="not_upright")
        invented.film(state=FilmState.NOT_ANALYSED, reason="not_upright", age_s=2 * 86400)
        invented.film()
    page = section(dashboard.page("/system"), "day")
    assert '<td>not_upright</td><td class="number">3</td>' in page


def test_the_disk_is_told_by_what_the_index_knows(dashboard):
    with dashboard.invent() as invented:
        invented.film(size_bytes=7_300_000_000)
        invented.result(invented.film()).size_bytes = 2_100_000
        invented.refusal()
    said = section(dashboard.page("/system"), "disk")
    assert "<dd>7.3 GB</dd>" in said
    assert "<dd>2.1 MB</dd>" in said
    assert "1 object<" in said
    assert "SQLite 3." in said
    assert "films are refused" in said


def test_no_secret_is_on_the_page(index, tmp_path):
    settings = Settings(
        data_dir=tmp_path,
        database={"url": "postgresql+psycopg://hilum:S3CRET@db.example/hilum"},
        destinations=(PACS_A,),
        priors=PriorsSettings(retrieve="get", host="10.0.0.6"),
    )
    with served(*index, about=about(settings)) as dashboard:
        page = dashboard.page("/system")
    assert "S3CRET" not in page
    assert "db.example" not in page
    said = section(page, "settings")
    assert "PACS_A: PACS at 10.0.0.5:104" in said
    assert "10.0.0.6:104 by C-GET" in said


def test_moments_are_shown_in_the_zone_of_the_site(index):
    kolkata = served(*index, time_zone="Asia/Kolkata")
    honolulu = served(*index, time_zone="Pacific/Honolulu")
    with kolkata as there, honolulu as elsewhere:
        with there.invent() as invented:
            uid = invented.film(age_s=0).uid
        for path in ("/", f"/films/{uid}", "/system"):
            assert "15:00:00+05:30" in there.page(path).replace("<br>", " ")
            assert "23:30:00-10:00" in elsewhere.page(path).replace("<br>", " ")
        assert "15:00: 1 received" in there.page("/system")
        assert "23:00: 1 received" in elsewhere.page("/system")


@pytest.mark.parametrize(
    ("zone", "said"),
    [("Europe/Berln", "did you mean Europe/Berlin?"), ("../etc/passwd", "no time zone")],
)
def test_a_time_zone_that_does_not_exist_is_refused_with_the_nearest(tmp_path, zone, said):
    config = tmp_path / "config.toml"
    config.write_text(f'[dashboard]\ntime_zone = "{zone}"\n')
    with pytest.raises(ConfigError, match=re.escape(said)):
        load_settings(config)


def test_hours_begin_as_the_clocks_of_the_site_do(dashboard):
    with Session(dashboard.engine) as session:
        hours = last_day.hours(session, NOW, ZoneInfo("Asia/Kolkata"))  # half an hour beside UTC
    assert hours[-1].at == datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
    assert len({hour.at for hour in hours}) == 24


def test_the_number_of_statements_does_not_grow_with_the_number_of_films(dashboard):
    statements = []
    sa.event.listen(
        dashboard.engine, "before_cursor_execute", lambda *args: statements.append(args[2])
    )

    def count(films):
        with dashboard.invent() as invented:
            for age in range(films):
                invented.film(age_s=10 + age)
        statements.clear()
        dashboard.page("/system")
        return len(statements)

    few = count(1)
    assert count(60) == few < 30
