"""Logging in with a real browser, over plain http under a name of its own: the strictest case.

There a browser sends no Sec-Fetch-Site, and the Origin only if the page's referrer policy lets it.
"""

import contextlib
import re

import pytest
from dashboard import served
from invented_films import NOW, open_index
from ohif import CHROMIUM
from peers import require_peer
from sqlalchemy.orm import Session

from scp.dashboard.security import passwords
from scp.index.accounts import users
from scp.index.accounts.tables import Access

PASSWORD = "four random words"
NAMED = [flag for flag in CHROMIUM if not flag.startswith("--host-resolver-rules")]
NAMED.append("--host-resolver-rules=MAP hilum.test 127.0.0.1 , MAP * ~NOTFOUND")


@pytest.fixture
def dashboard(tmp_path):
    engine, archive = open_index(tmp_path)
    with Session(engine) as session, session.begin():
        users.add(session, "otto", passwords.hashed(PASSWORD), Access.OPERATOR, NOW)
    with served(engine, archive, host="0.0.0.0", refresh_s=2) as running:
        yield running
    engine.dispose()


@contextlib.contextmanager
def chromium(**context):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=require_peer("chromium"), args=NAMED)
        try:
            yield browser.new_context(**context).new_page()
        finally:
            browser.close()


def fill_in(page):
    page.get_by_label("Name").fill("otto")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_a_person_logs_in_looks_and_logs_out(dashboard, scripts):
    with dashboard.invent() as invented:
        uid = invented.film().uid
    port = dashboard.browser.base_url.port
    with chromium(java_script_enabled=scripts) as page:
        page.goto(f"http://hilum.test:{port}/films/{uid}")
        assert page.url.startswith(f"http://hilum.test:{port}/login?next=")
        fill_in(page)
        page.wait_for_url(re.compile(rf"/films/{uid}$"))
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url(re.compile(r"/login$"))
        page.goto(f"http://hilum.test:{port}/films/{uid}")
        assert "/login?next=" in page.url


def test_when_a_session_ends_the_films_leave_the_screen(dashboard):
    port = dashboard.browser.base_url.port
    with chromium() as page:
        page.goto(f"http://hilum.test:{port}/")
        fill_in(page)
        page.wait_for_url(re.compile(r":\d+/$"))
        with Session(dashboard.engine) as session, session.begin():
            users.remove(session, "otto")
        page.wait_for_url(re.compile(r"/login\?next=/$"), timeout=20_000)
