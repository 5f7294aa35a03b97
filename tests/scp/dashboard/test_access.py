"""Who may see the dashboard and change things: asked over HTTP, as browsers and scripts ask."""

import contextlib
import json
import threading
import time
from datetime import timedelta

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from dashboard import served
from fastapi import Request
from fastapi.responses import StreamingResponse
from invented_films import NOW, PATIENT_ID, REPORT, open_index
from sqlalchemy.orm import Session

from scp.dashboard.guard import viewed
from scp.dashboard.rendering import STATIC
from scp.dashboard.security import passwords
from scp.dashboard.security.person import Operator, Viewer
from scp.index.accounts import users
from scp.index.accounts.tables import Access, DashboardSession

PASSWORD = "four random words"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)  # 0.1 ms in place of 0.2 s
HASH, REAL_HASH = QUICK.hash(PASSWORD), passwords.hashed(PASSWORD)
AGAIN = {"X-Hilum-Look": "again"}
SCRIPT = {"Accept": "application/json"}


class Clock:
    """The dashboard's clock; tests set it."""

    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now

    def goes_on(self, **by):
        self.now += timedelta(**by)


def routes(app):
    """What other pages have: something to change, and something that streams."""

    @app.post("/change")
    def change(person: Operator):
        return {"by": person.name}

    @app.get("/look")
    def look(person: Viewer):
        return {"by": person.name}


@pytest.fixture(autouse=True)
def _quick_passwords(request, monkeypatch):
    """Hash passwords as the service does, but for the work, which one test asks about."""
    if "real_work" not in request.fixturenames:
        monkeypatch.setattr(passwords, "_HASHER", QUICK)
        monkeypatch.setattr(passwords, "NOBODYS", QUICK.hash("of nobody at all"))


@pytest.fixture
def real_work():
    """Keep passwords as costly as in the service."""


@pytest.fixture
def index(tmp_path):
    engine, archive = open_index(tmp_path)
    with Session(engine) as session, session.begin():
        users.add(session, "vera", HASH, Access.VIEWER, NOW)
        users.add(session, "otto", HASH, Access.OPERATOR, NOW)
    yield engine, archive
    engine.dispose()


@pytest.fixture
def clock():
    return Clock()


@contextlib.contextmanager
def offered(index, clock, add=routes, **settings):
    """A dashboard that others can reach, as it is configured."""
    with served(*index, clock=clock, add=add, **({"host": "0.0.0.0"} | settings)) as dashboard:
        yield dashboard


@pytest.fixture
def dashboard(index, clock):
    with offered(index, clock) as running:
        yield running


@pytest.fixture
def local(index, clock):
    with served(*index, clock=clock, add=routes) as running:
        yield running


def log_in(dashboard, name="otto", password=PASSWORD, browser=None, **more):
    return (browser or dashboard.browser).post(
        "/login", data={"name": name, "password": password} | more, headers=own(dashboard)
    )


def own(dashboard):
    """What a browser says of a form on one of our own pages."""
    return {"Origin": str(dashboard.browser.base_url).rstrip("/")}


def audited(dashboard):
    return list(dashboard.own.audit.lines())


def acts(dashboard):
    return [(line["person"], line["action"], line["target"]) for line in audited(dashboard)]


# -- who gets in


@pytest.mark.parametrize("path", ["/", "/films/1.2.3", "/quarantine", "/api/films", "/nowhere"])
def test_beyond_loopback_a_page_leads_to_the_login_and_back(dashboard, path):
    answer = dashboard.browser.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/login?next={path}"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/", "/api/films", "/results/1.2.png", "/api/openapi.json"])
def test_beyond_loopback_a_script_is_told_to_log_in(dashboard, path):
    answer = dashboard.browser.get(path, headers=SCRIPT)
    assert answer.status_code == 401
    assert "Log in at /login" in answer.json()["detail"]


def test_what_is_open_without_a_login_holds_no_patient(dashboard):
    with dashboard.invent() as invented:
        film = invented.film()
        invented.analysis(film, {"Mass": 0.9})
        uid = film.uid
    for path in ("/login", "/healthz", "/readyz", "/metrics", f"{STATIC}/live.js"):
        answer = dashboard.browser.get(path)
        assert answer.status_code in (200, 503)
        assert PATIENT_ID not in answer.text
        assert uid not in answer.text


def test_who_knows_the_password_gets_in_and_their_name_is_on_the_page(dashboard):
    assert "log-out" not in dashboard.page("/login")
    assert log_in(dashboard).headers["location"] == "/"
    page = dashboard.page()
    assert '<span title="operator">otto</span>' in page
    assert 'action="/logout"' in page


def test_a_name_may_be_typed_with_capitals_and_spaces(dashboard):
    assert log_in(dashboard, " Otto ").status_code == 303


def test_on_loopback_nobody_logs_in(local):
    page = local.page()
    assert "/logout" not in page
    assert local.browser.get("/look").json() == {"by": "local"}
    assert local.browser.post("/change").json() == {"by": "local"}
    assert local.browser.get("/login?next=/quarantine").headers["location"] == "/quarantine"


def test_behind_a_proxy_with_tls_loopback_asks_for_a_login_too(index, clock):
    with offered(index, clock, host="127.0.0.1", behind_https=True) as dashboard:
        answer = dashboard.browser.get("/", headers={"Host": "hilum.example"})
        assert answer.headers["location"] == "/login?next=/"


@pytest.mark.parametrize(
    ("name", "password"),
    [("otto", "wrong words here"), ("nobody", PASSWORD), ("", ""), ("\0", "x")],
)
def test_a_failed_login_does_not_say_what_was_wrong(dashboard, name, password):
    answer = log_in(dashboard, name, password)
    assert answer.status_code == 401
    assert "Wrong name or password." in answer.text
    assert "set-cookie" not in answer.headers
    assert PASSWORD not in answer.text


def test_a_name_that_nobody_has_costs_as_much_work_as_one_that_somebody_has(real_work):
    def least(password_hash):
        times = []
        for _ in range(3):
            start = time.perf_counter()
            assert not passwords.matches("wrong words here", password_hash)
            times.append(time.perf_counter() - start)
        return min(times)

    assert least(None) > least(REAL_HASH) / 3


def test_a_viewer_may_look_and_only_an_operator_may_change(dashboard):
    log_in(dashboard, "vera")
    assert dashboard.browser.get("/look").json() == {"by": "vera"}
    answer = dashboard.browser.post("/change", headers=own(dashboard))
    assert answer.status_code == 403
    assert "Only an operator may do this" in answer.text
    log_in(dashboard, "otto")
    assert dashboard.browser.post("/change", headers=own(dashboard)).json() == {"by": "otto"}


def test_without_any_user_the_login_says_how_to_add_one(index, clock):
    with Session(index[0]) as session, session.begin():
        for name in ("vera", "otto"):
            users.remove(session, name)
    with offered(index, clock) as dashboard:
        assert "hilum user add NAME" in dashboard.page("/login")


def test_while_the_database_is_away_nobody_is_let_in(dashboard):
    log_in(dashboard)
    with dashboard.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE dashboard_session RENAME TO gone"))
    assert "nobody can log in" in dashboard.page("/", 503)


# -- how long


def test_a_session_ends_when_its_person_does_nothing(dashboard, clock):
    log_in(dashboard)
    clock.goes_on(minutes=29)
    dashboard.page()
    clock.goes_on(minutes=29)
    dashboard.page()
    clock.goes_on(minutes=31)
    assert dashboard.browser.get("/").status_code == 303


def test_a_page_that_looks_again_by_itself_keeps_no_session_and_is_told_when_it_ended(
    dashboard, clock
):
    log_in(dashboard)
    for _ in range(2):
        clock.goes_on(minutes=14)
        assert dashboard.browser.get("/", headers=AGAIN).status_code == 200
    clock.goes_on(minutes=3)
    assert dashboard.browser.get("/", headers=AGAIN).status_code == 401


def test_a_stream_of_events_keeps_no_session(dashboard, clock):
    log_in(dashboard)
    clock.goes_on(minutes=29)
    assert (
        dashboard.browser.get("/look", headers={"Accept": "text/event-stream"}).status_code == 200
    )
    clock.goes_on(minutes=2)
    assert dashboard.browser.get("/look", headers=SCRIPT).status_code == 401


def test_a_session_ends_at_last_whatever_its_person_does(index, clock):
    with offered(index, clock, session_hours=1) as dashboard:
        log_in(dashboard)
        for _ in range(5):
            clock.goes_on(minutes=11)
            dashboard.page()
        clock.goes_on(minutes=11)
        assert dashboard.browser.get("/").status_code == 303
        with Session(dashboard.engine) as session:
            assert session.scalars(sa.select(DashboardSession)).all() == []


def test_who_logs_out_is_out_even_with_the_old_cookie(dashboard):
    log_in(dashboard)
    cookie = dashboard.browser.cookies["hilum"]
    answer = dashboard.browser.post("/logout", headers=own(dashboard))
    assert answer.headers["location"] == "/login"
    assert answer.headers["clear-site-data"] == '"cache"'
    assert "hilum" not in dashboard.browser.cookies
    dashboard.browser.cookies["hilum"] = cookie
    assert dashboard.browser.get("/").status_code == 303


@pytest.mark.parametrize("how", ["password", "removed"])
def test_a_new_password_or_removal_logs_out_everywhere(dashboard, how):
    log_in(dashboard)
    dashboard.page()
    with Session(dashboard.engine) as session, session.begin():
        if how == "password":
            users.set_password(session, "otto", passwords.hashed("four other words"))
        else:
            users.remove(session, "otto")
    assert dashboard.browser.get("/").status_code == 303
    assert log_in(dashboard).status_code == 401


def test_an_ended_session_is_swept_when_somebody_else_logs_in(dashboard, clock):
    log_in(dashboard, "vera")
    clock.goes_on(days=2)
    log_in(dashboard, "otto")
    with Session(dashboard.engine) as session:
        (only,) = session.scalars(sa.select(DashboardSession))
        assert only.user.name == "otto"


def test_who_logs_in_again_leaves_no_session_behind(dashboard):
    log_in(dashboard, "vera")
    cookie = dashboard.browser.cookies["hilum"]
    log_in(dashboard, "otto")
    dashboard.browser.cookies.clear()
    dashboard.browser.cookies["hilum"] = cookie
    assert dashboard.browser.get("/").status_code == 303


def test_the_cookie_is_for_this_site_and_no_script_and_the_database_does_not_hold_it(dashboard):
    cookie = log_in(dashboard).headers["set-cookie"].lower()
    for word in ("hilum=", "httponly", "samesite=strict", "path=/"):
        assert word in cookie
    assert "expires" not in cookie
    assert "secure" not in cookie
    with Session(dashboard.engine) as session:
        (row,) = session.scalars(sa.select(DashboardSession))
        assert dashboard.browser.cookies["hilum"] not in (row.token_sha256,)


def test_behind_tls_the_cookie_is_secure_and_browsers_keep_to_https(index, clock):
    with offered(index, clock, behind_https=True) as dashboard:
        answer = log_in(dashboard)
        assert answer.headers["set-cookie"].startswith("__Host-hilum=")
        assert "secure" in answer.headers["set-cookie"].lower()
        assert "max-age=31536000" in answer.headers["strict-transport-security"]


# -- from where


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "OWN"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1"},  # another port is another site
    ],
)
@pytest.mark.parametrize("path", ["/change", "/logout", "/login", "/nowhere"])
def test_another_sites_page_can_change_nothing(dashboard, local, path, headers):
    for running in (dashboard, local):
        if running is dashboard:
            log_in(dashboard)
        sent = {k: own(running)["Origin"] if v == "OWN" else v for k, v in headers.items()}
        answer = running.browser.post(path, headers=sent)
        assert answer.status_code == 403
        assert "Nothing was done" in answer.text
    assert dashboard.browser.get("/look").status_code == 200


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}])
def test_our_own_page_can_change_things(dashboard, headers):
    log_in(dashboard)
    assert dashboard.browser.post("/change", headers=headers).status_code == 200


def test_a_script_with_a_session_says_where_from_and_one_without_need_not(dashboard, local):
    log_in(dashboard)
    answer = dashboard.browser.post("/change", headers=SCRIPT)
    assert answer.status_code == 403
    assert "a script sends Origin" in answer.json()["detail"]
    assert dashboard.browser.post("/change", headers=SCRIPT | own(dashboard)).status_code == 200
    assert local.browser.post("/change", headers=SCRIPT).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "10.0.0.5", "localhost.evil.x"]
)
def test_on_loopback_a_foreign_name_is_refused(local, host):
    answer = local.browser.get("/", headers={"Host": host})
    assert answer.status_code == 403
    assert "only accepts requests for localhost" in answer.text
    assert "behind_https" in answer.text
    assert local.browser.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.9.9.9:1", "[::1]:80"]
)
def test_on_loopback_its_own_names_are_taken(local, host):
    assert local.browser.get("/", headers={"Host": host}).status_code == 200


def test_after_the_login_one_goes_on_where_one_wanted_to(dashboard):
    with dashboard.invent() as invented:
        uid = invented.film().uid
    answer = dashboard.browser.get(f"/films/{uid}?a=1&b=2")
    form = dashboard.browser.get(answer.headers["location"]).text
    assert f'name="next" value="/films/{uid}?a=1&amp;b=2"' in form
    gone_on = log_in(dashboard, next=f"/films/{uid}?a=1&b=2")
    assert gone_on.headers["location"] == f"/films/{uid}?a=1&b=2"


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil",
        "evil",
        "/\t/evil",
        "",
    ],
)
def test_the_login_leads_to_no_other_site(dashboard, wanted):
    assert 'name="next" value="/"' in dashboard.browser.get("/login", params={"next": wanted}).text
    assert log_in(dashboard, next=wanted).headers["location"] == "/"


def test_who_comes_by_a_link_of_another_site_need_not_log_in_twice(dashboard):
    answer = dashboard.browser.get(
        "/login?next=/quarantine", headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert '<a href="/quarantine">Already logged in' in answer.text
    assert "Already logged in" not in dashboard.page("/login")


def test_a_form_of_many_megabytes_is_not_taken(dashboard):
    answer = log_in(dashboard, password="x" * 1_100_000)
    assert answer.status_code == 413


# -- guessing


def test_guessing_is_slowed_by_name_and_goes_on_after_the_wait(dashboard, clock):
    for _ in range(6):
        assert log_in(dashboard, password="wrong words here").status_code in (401, 429)
    answer = log_in(dashboard)  # the right one: while one waits, nothing is tried
    assert answer.status_code == 429
    assert f"Try again in {answer.headers['retry-after']} s" in answer.text
    assert log_in(dashboard, "vera").status_code == 303
    clock.goes_on(seconds=int(answer.headers["retry-after"]))
    assert log_in(dashboard).status_code == 303
    assert log_in(dashboard, password="wrong words here").status_code == 401  # begins anew


def test_guessing_one_password_for_many_names_is_slowed_by_address(dashboard, clock):
    statuses = [log_in(dashboard, f"name{number}").status_code for number in range(21)]
    assert statuses == [401] * 20 + [429]
    assert log_in(dashboard).status_code == 429


def test_the_wait_grows_to_a_minute_and_is_forgotten_after_hours(dashboard, clock):
    waits = []
    for _ in range(14):
        answer = log_in(dashboard, "nobody", "wrong words here")
        if answer.status_code == 429:
            waits.append(int(answer.headers["retry-after"]))
            clock.goes_on(seconds=waits[-1])
    assert waits[0] == 1
    assert waits == sorted(waits)
    clock.goes_on(hours=12)
    assert log_in(dashboard, "nobody", "wrong words here").status_code == 401


# -- the audit trail


def test_who_comes_goes_and_looks_is_recorded(dashboard, clock):
    with dashboard.invent() as invented:
        film = invented.film()
        report = invented.result(film, "report", REPORT, b"bytes").uid
        picture = invented.result(film).uid
        uid = film.uid
    log_in(dashboard, password="wrong words here")
    log_in(dashboard, "My secret passw0rd", "otto")
    log_in(dashboard)
    dashboard.page(f"/films/{uid}")
    dashboard.browser.get(f"/results/{picture}.png?width=160")  # a thumbnail
    dashboard.browser.get(f"/results/{picture}.png")
    dashboard.browser.get(f"/results/{report}.dcm")
    dashboard.browser.get(f"/api/films/{uid}")
    dashboard.browser.post("/logout", headers=own(dashboard))
    assert acts(dashboard) == [
        ("-", "login failed", "otto"),
        ("-", "login failed", "-"),
        ("otto", "logged in", "otto"),
        ("otto", "viewed", uid),
        ("otto", "viewed", uid),
        ("otto", "downloaded", uid),
        ("otto", "viewed", uid),
        ("otto", "logged out", "otto"),
    ]
    lines = audited(dashboard)
    assert lines[4]["result"] == picture
    assert lines[5]["result"] == report
    assert {line["at"] for line in lines} == {NOW.isoformat()}
    assert lines[0]["address"] == "127.0.0.1"
    text = json.dumps(lines)
    for secret in (PATIENT_ID, PASSWORD, "passw0rd", "wrong words"):
        assert secret not in text


def test_a_page_that_looks_again_by_itself_is_recorded_once(dashboard):
    with dashboard.invent() as invented:
        film = invented.film()
        picture = invented.result(film).uid
        uid = film.uid
    log_in(dashboard)
    for _ in range(3):
        dashboard.browser.get(f"/films/{uid}", headers=AGAIN)  # the first is recorded all the same
        dashboard.browser.get(
            f"/results/{picture}.png?width=1024", headers={"Sec-Fetch-Dest": "image"}
        )
    assert acts(dashboard)[1:] == [("otto", "viewed", uid)]
    dashboard.page(f"/films/{uid}")
    assert acts(dashboard)[2:] == [("otto", "viewed", uid)]


def test_a_film_that_is_not_there_was_not_viewed(local):
    local.page("/films/1.2.3", 404)
    assert acts(local) == []


def test_on_loopback_looks_are_recorded_without_a_name(local):
    with local.invent() as invented:
        uid = invented.film().uid
    local.page(f"/films/{uid}")
    assert acts(local) == [("local", "viewed", uid)]


def test_what_cannot_be_recorded_is_not_done_and_looking_goes_on(dashboard, caplog):
    with dashboard.invent() as invented:
        uid = invented.film().uid
    (dashboard.archive.data_dir / "audit").write_text("in the way")
    assert log_in(dashboard).status_code == 303
    dashboard.page(f"/films/{uid}")
    assert "not in the audit trail" in caplog.text
    answer = dashboard.browser.post("/change", headers=own(dashboard))
    assert answer.status_code == 503
    assert "Nothing was done, because the audit trail" in answer.text
    assert dashboard.browser.post("/logout", headers=own(dashboard)).status_code == 303


# -- headers and streams


def test_every_answer_has_strict_headers_refusals_too(dashboard):
    for path in ("/", "/login", "/healthz", f"{STATIC}/hilum.css", "/nowhere"):
        headers = dashboard.browser.get(path).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["referrer-policy"] == "same-origin"
        assert "camera=()" in headers["permissions-policy"]
        assert "strict-transport-security" not in headers
    for path in ("/", "/login"):
        assert dashboard.browser.get(path).headers["cache-control"] == "no-store"


def test_where_people_log_in_a_browser_asks_before_it_shows_a_picture_again(dashboard):
    with dashboard.invent() as invented:
        result = invented.result(invented.film())
        uid = result.uid
    log_in(dashboard)
    assert (
        dashboard.browser.get(f"/results/{uid}.png").headers["cache-control"] == "private, no-cache"
    )
    assert dashboard.browser.get(f"/results/{uid}.dcm").headers["cache-control"] == "no-store"


def test_what_is_streamed_arrives_as_it_is_said(index, clock):
    heard = threading.Event()

    def stream(app):
        @app.get("/stream")
        def events(person: Viewer):
            def said():
                yield b"first\n"
                assert heard.wait(20)
                yield b"second\n"

            return StreamingResponse(said(), media_type="text/event-stream")

    with (
        served(*index, clock=clock, add=stream) as dashboard,
        dashboard.browser.stream("GET", "/stream") as answer,
    ):
        lines = answer.iter_lines()
        assert next(lines) == "first"  # before the second is there
        heard.set()
        assert next(lines) == "second"


def test_the_helper_records_for_pages_of_others(index, clock):
    def page(app):
        @app.get("/picture")
        def picture(request: Request):
            viewed(sites[0], request, "1.2.3", frame="1")

    sites = []
    with served(*index, clock=clock, add=page) as dashboard:
        sites.append(dashboard.own)
        dashboard.browser.get("/picture")
        assert audited(dashboard)[0]["frame"] == "1"
