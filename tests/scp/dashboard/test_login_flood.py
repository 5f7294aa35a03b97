"""A real flood of logins beside health, metrics, a page in use, and somebody who logs in."""

import threading
from collections import Counter
from time import monotonic

import httpx
import pytest
from dashboard import served
from invented_films import NOW, open_index
from sqlalchemy.orm import Session

from scp.dashboard.security import passwords
from scp.index.accounts import users
from scp.index.accounts.tables import Access
from scp.monitoring.audit import Audit

PASSWORD = "four random words"
ROUNDS = 2
BUSY_S = 120  # this machine may do much else
SENDERS = 20  # more than may wait


@pytest.fixture
def dashboard(tmp_path):
    engine, archive = open_index(tmp_path)
    with Session(engine) as session, session.begin():
        users.add(session, "otto", passwords.hashed(PASSWORD), Access.VIEWER, NOW)
    with served(engine, archive, host="0.0.0.0") as running:
        yield running
    engine.dispose()


def log_in(client, name="otto", password=PASSWORD):
    return client.post("/login", data={"name": name, "password": password})


class Flood(threading.Thread):
    """Tries to log in from one address after the other: one user's name, and many others."""

    def __init__(self, address, number, until):
        super().__init__()
        self.address, self.number, self.until = address, number, until
        self.statuses, self.without_time = Counter(), 0

    def run(self):
        turn = 0
        while not self.until.is_set():
            source = httpx.HTTPTransport(local_address=f"127.{self.number}.{turn % 200}.2")
            with httpx.Client(base_url=self.address, transport=source, timeout=None) as client:
                for name in ("otto", f"name{turn}"):
                    answer = log_in(client, name, f"wrong words {turn}")
                    self.statuses[answer.status_code] += 1
                    waits = int(answer.headers.get("retry-after", 0))
                    self.without_time += answer.status_code == 429 and waits < 1
            turn += 1


def test_a_flood_of_logins_silences_nothing_and_keeps_nobody_out(dashboard):
    own = dashboard.browser
    own.timeout = BUSY_S
    assert log_in(own).status_code == 303
    known = {"hilum-known": own.cookies["hilum-known"]}  # the session has ended
    over = threading.Event()
    senders = [Flood(dashboard.address, 10 + number, over) for number in range(SENDERS)]
    started = monotonic()
    for sender in senders:
        sender.start()
    try:
        for _ in range(ROUNDS):
            for path in ("/healthz", "/readyz", "/metrics", "/"):
                assert own.get(path).status_code == (503 if path == "/readyz" else 200)
            with httpx.Client(base_url=dashboard.address, cookies=known, timeout=BUSY_S) as other:
                assert log_in(other).status_code == 303, "a browser that is known comes in"
    finally:
        over.set()
        for sender in senders:
            sender.join()
    lasted = monotonic() - started
    statuses = sum((sender.statuses for sender in senders), Counter())
    assert set(statuses) <= {401, 429}
    assert statuses[429] > 0, "who finds no place is told when to come back"
    assert sum(sender.without_time for sender in senders) == 0
    lines = Audit(dashboard.archive.data_dir, lambda: NOW).lines()
    checked = sum(line["action"] == "login failed" for line in lines)
    assert checked == statuses[401]
    assert checked <= 4 * lasted + 18, "strangers' passwords are checked four a second at most"
