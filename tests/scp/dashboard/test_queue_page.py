"""The page of the queue: what it says, and what an operator does with it."""

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa
from dashboard import served
from films import make_film_ds
from invented_films import NOW, REPORT
from sqlalchemy.orm import Session

from scp.config.destinations import DestinationSettings
from scp.dashboard import guard
from scp.dashboard.pages import queue
from scp.dashboard.pages.configuration import ServiceInfo
from scp.dashboard.security.person import LOCAL, Person
from scp.dimse.request import Request
from scp.index import deliveries, films, prior_fetches
from scp.index.accounts.tables import Access
from scp.index.schema.tables import Delivery, DeliveryState, FilmState, Instance, PriorFetch
from scp.index.worklist.film_rows import film_row
from scp.outcomes.delivery import Cause, Outcome
from scp.pipeline.intake import Intake
from scp.pipeline.job_ids import again_job, delivery_job, film_job
from scp.pipeline.operator_actions import Retried

DEAD = {"state": DeliveryState.DEAD, "attempts": 9, "last_attempt_at": NOW - timedelta(hours=1)}
SILENT = Outcome.of(Cause.NO_CONNECTION)
PACS_A = DestinationSettings(name="PACS_A", ae_title="PACS", host="10.0.0.5", port=104)


@pytest.fixture
def dashboard(index):
    with served(*index, about=ServiceInfo("HILUM", (PACS_A,))) as running:
        yield running


def dead(invented, destination="PACS_A", outcome=SILENT, results=2, **more):
    """A film whose results are dead letters; return its UID."""
    film = invented.film(**more)
    for _ in range(results):
        result = invented.result(film, "report", REPORT, b"x")
        invented.delivery(result, destination, outcome=outcome, **DEAD)
    return film.uid


def taken_in(dashboard, seed=0):
    """A film that was received as films are, with its job; return its UID."""
    ds = make_film_ds(seed=seed)
    path = dashboard.archive.incoming / "received.dcm"
    ds.save_as(path, enforce_file_format=True)
    intake = Intake(dashboard.engine, dashboard.archive, dashboard.jobs, lambda: NOW)
    intake.ingest(path, Request("TEST", ds.SOPClassUID, ds.SOPInstanceUID))
    return ds.SOPInstanceUID


def states(dashboard, uid):
    with Session(dashboard.engine) as session:
        return [d.state for r in film_row(session, uid).results for d in r.deliveries]


def press(dashboard, address):
    """Press a button; return the page that the browser then shows."""
    answer = dashboard.browser.post(address, follow_redirects=True)
    assert answer.history[0].status_code == 303
    assert answer.status_code == 200
    return answer.text


def recorded(dashboard):
    """Return what the audit trail holds, without its moments."""
    lines = [
        json.loads(line)
        for path in sorted((dashboard.archive.data_dir / "audit").glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    return [{key: line[key] for key in line if key != "at"} for line in lines]


def section(page, name):
    return page.split(f'aria-labelledby="{name}"')[1].split("</section>")[0]


def test_an_empty_queue_says_that_nothing_waits_and_nothing_failed(dashboard):
    page = dashboard.page("/queue")
    assert "No film waits" in page
    assert "every result was delivered" in page
    assert page.count('<p class="quiet">None.</p>') == 2
    assert "<button>" not in page.split("<main")[1]


def test_waiting_films_are_counted_and_listed_with_how_long_the_oldest_waits(dashboard):
    with dashboard.invent() as invented:
        old = invented.film(age_s=7200, state=FilmState.RECEIVED).uid
        new = invented.film(age_s=30, state=FilmState.ANALYSED).uid
        done = invented.film().uid
    said = section(dashboard.page("/queue"), "waits")
    assert "<b>1</b> films to be read" in said
    assert "<b>2 h</b> longest wait" in said
    assert said.index(new) < said.index(old)
    assert done not in said


def test_dead_letters_are_grouped_by_destination_and_error_with_what_to_do(dashboard):
    with dashboard.invent() as invented:
        for _ in range(3):
            dead(invented)
        full = dead(invented, "PACS_B", Outcome.of_status(0xA700, "no space"), results=1)
    said = section(dashboard.page("/queue"), "dead")
    assert "PACS_A does not answer on 10.0.0.5:104: is it running" in said
    assert '<td class="number">6</td>' in said
    assert "PACS_B is out of resources" in said
    assert "no space" in said
    assert said.count("Retry all of") == 1  # PACS_B is not configured
    assert "not configured" in said.split(full)[1]


def test_a_destination_says_what_it_took_last_what_waits_and_what_went_wrong(dashboard):
    soon = NOW + timedelta(minutes=4)
    with dashboard.invent() as invented:
        film = invented.film()
        invented.delivery(invented.result(film), delivered_at=NOW - timedelta(minutes=30))
        values = {"outcome": SILENT, "last_attempt_at": NOW, "next_attempt_at": soon}
        invented.delivery(invented.result(film), state=DeliveryState.PENDING, **values)
        dead(invented, "GONE")
    said = section(dashboard.page("/queue"), "places")
    row = said.split("PACS_A</b>")[1].split("</tr>")[0]
    assert "PACS at 10.0.0.5:104" in row
    assert "30 min ago" in row
    assert soon.astimezone().isoformat(" ", "seconds") in row
    assert "is it running" in row
    assert "not in config.toml" in said.split("GONE</b>")[1]


def test_what_was_delivered_with_a_warning_is_counted_by_destination_and_status(dashboard):
    with dashboard.invent() as invented:
        film = invented.film()
        for _ in range(3):
            outcome = Outcome.of_status(0xB000, "Doe^Jane")
            invented.delivery(invented.result(film), outcome=outcome, last_attempt_at=NOW)
        invented.delivery(invented.result(film))
        uid = film.uid
    said = section(dashboard.page("/queue"), "warnings")
    assert said.count("<tr>") == 2  # the head, and one kind of warning
    assert '<td class="number">3</td>' in said
    assert "0xB000 Coercion of data elements" in said
    assert "changed elements of it" in said
    assert "Doe" not in said
    assert "0xB000 Coercion of data elements: Doe^Jane" in dashboard.page(f"/films/{uid}")
    metrics = dashboard.page("/metrics")
    assert 'hilum_deliveries_warned{destination="PACS_A",status="0xB000"} 3.0' in metrics


def test_a_dead_letter_is_retried_by_a_press_and_nothing_is_retried_twice(dashboard):
    with dashboard.invent() as invented:
        uid, other = dead(invented), dead(invented)
    page = press(dashboard, f"/queue/retry?job=delivery:{uid}:PACS_A")
    assert "in the queue again" in page
    assert set(states(dashboard, uid)) == {DeliveryState.PENDING}
    assert set(states(dashboard, other)) == {DeliveryState.DEAD}
    assert dashboard.jobs.status(delivery_job(uid, "PACS_A", 2)).status == "ENQUEUED"
    (line,) = recorded(dashboard)
    job = f"delivery:{uid}:PACS_A"
    assert line == {"person": "local", "action": "retried", "target": job}


def test_a_retry_of_what_is_no_longer_there_says_so(dashboard):
    with dashboard.invent() as invented:
        answered = invented.film().uid
        invented.delivery(invented.result(invented.film()))
    for job, why in (
        (f"film:{answered}", "It is done."),
        ("film:1.2.3", "There is no such job"),
        (f"delivery:{answered}:PACS_A", "Nothing is outstanding there"),
        ("again:1.2:1.3", "There is no such job"),
        ("nonsense", "retried or discarded in the meantime"),
    ):
        assert why in press(dashboard, f"/queue/retry?job={job}")
    for action, job in (("cancel", f"film:{answered}"), ("discard", f"delivery:{answered}:PACS_A")):
        assert "retried or discarded in the meantime" in press(
            dashboard, f"/queue/{action}?job={job}"
        )
    with Session(dashboard.engine) as session:
        assert film_row(session, answered).state is FilmState.ANSWERED
    done = [line["action"] for line in recorded(dashboard) if "outcome" not in line]
    undone = [line["action"] for line in recorded(dashboard) if line.get("outcome") == "not done"]
    assert done == undone == [*["retried"] * 5, "cancelled", "discarded"]


def test_nothing_is_sent_to_a_destination_that_is_not_configured(dashboard):
    with dashboard.invent() as invented:
        uid = dead(invented, "GONE")
    for address in ("retry-all?destination=GONE", f"retry?job=delivery:{uid}:GONE"):
        assert "not in config.toml" in press(dashboard, f"/queue/{address}")
    assert set(states(dashboard, uid)) == {DeliveryState.DEAD}


def test_all_of_a_destination_are_retried_by_one_press(dashboard):
    with dashboard.invent() as invented:
        uids = [dead(invented) for _ in range(5)]
        elsewhere = dead(invented, "PACS_B")
    page = press(dashboard, "/queue/retry-all?destination=PACS_A")
    assert "The answers of 5 films are queued again." in page
    assert "are left" not in page
    assert {state for uid in uids for state in states(dashboard, uid)} == {DeliveryState.PENDING}
    assert set(states(dashboard, elsewhere)) == {DeliveryState.DEAD}
    jobs = {job.workflow_id for job in dashboard.jobs.unfinished()}
    assert jobs == {delivery_job(uid, "PACS_A", 2) for uid in uids}
    (line,) = recorded(dashboard)
    assert (line["target"], line["films"]) == ("deliveries:PACS_A", "5")
    assert "retried or discarded in the meantime" in press(
        dashboard, "/queue/retry-all?destination=PACS_A"
    )


def test_a_press_takes_up_a_bounded_number_and_what_was_not_tried_lately_comes_first(dashboard):
    with dashboard.invent() as invented:
        uids = [dead(invented) for _ in range(3)]
    with Session(dashboard.engine) as session, session.begin():
        for row in session.get_one(Instance, 1).results[0].deliveries:
            row.last_attempt_at = NOW
    assert dashboard.own.control(LOCAL).retry_all("PACS_A", at_most=2) == Retried(films=2, left=2)
    assert set(states(dashboard, uids[0])) == {DeliveryState.DEAD}
    assert dashboard.own.control(LOCAL).retry_all("PACS_A", at_most=2) == Retried(films=1, left=0)
    assert "100 dead letters are left: click again" in dashboard.page(
        "/queue?done=retried-all&n=500&left=100"
    )


def test_one_kind_of_error_is_retried_or_discarded_without_the_others(dashboard):
    with dashboard.invent() as invented:
        silent, full = dead(invented), dead(invented, outcome=Outcome.of_status(0xA700))
    with Session(dashboard.engine) as session:
        like = session.scalar(sa.select(Delivery.id).where(Delivery.cause == SILENT.cause))
    page = press(dashboard, f"/queue/discard-all?destination=PACS_A&like={like}")
    assert "2 dead letters were discarded" in page
    assert set(states(dashboard, silent)) == {DeliveryState.CANCELLED}
    assert set(states(dashboard, full)) == {DeliveryState.DEAD}
    (line,) = recorded(dashboard)
    assert (line["action"], line["target"], line["results"]) == (
        "discarded",
        "deliveries:PACS_A",
        "2",
    )


def test_a_discarded_letter_is_gone_from_the_page_and_can_still_be_sent(dashboard):
    with dashboard.invent() as invented:
        uid = dead(invented)
    page = press(dashboard, f"/queue/discard?job=delivery:{uid}:PACS_A")
    assert "hilum no longer tries to deliver it" in page
    assert uid not in section(page, "dead")
    assert set(states(dashboard, uid)) == {DeliveryState.CANCELLED}
    press(dashboard, f"/queue/retry?job=delivery:{uid}:PACS_A")
    assert set(states(dashboard, uid)) == {DeliveryState.PENDING}


def test_a_waiting_film_is_cancelled_and_taken_up_again(dashboard):
    uid = taken_in(dashboard)
    page = press(dashboard, f"/queue/cancel?job={film_job(uid)}")
    assert "It is cancelled" in page
    stopped = section(page, "stopped")
    assert "An operator cancelled it" in stopped
    assert f"/queue/retry?job=film%3A{uid}" in stopped
    press(dashboard, f"/queue/retry?job={film_job(uid)}")
    with Session(dashboard.engine) as session:
        assert film_row(session, uid).state is FilmState.RECEIVED
    assert dashboard.jobs.status(film_job(uid, 2)).status == "ENQUEUED"
    assert dashboard.jobs.status(film_job(uid)) is None
    assert [line["action"] for line in recorded(dashboard)] == ["cancelled", "retried"]


def test_a_cancelled_second_answer_is_listed_and_done_again(dashboard):
    uid = taken_in(dashboard)
    job = again_job(uid, "1.2.9")
    with Session(dashboard.engine) as session, session.begin():
        films.set_outcome(films.film(session, uid), FilmState.ANSWERED, NOW)
        dashboard.jobs.answer_again(session, uid, "1.2.9", 60)
    assert "<b>1</b> to be answered again" in dashboard.page("/queue")
    press(dashboard, f"/queue/cancel?job={job}")
    assert "answer a film again" in section(dashboard.page("/queue"), "stopped")
    press(dashboard, f"/queue/retry?job={job}")
    assert dashboard.jobs.status(job).status == "ENQUEUED"


def test_the_last_errors_are_of_all_kinds_newest_first_in_words(dashboard):
    with dashboard.invent() as invented:
        dead(invented)
        invented.film(age_s=7200, state=FilmState.FAILED, reason="worker_died")
        film = invented.film()
        invented.session.add(
            PriorFetch(
                instance_id=film.id,
                outcome=prior_fetches.Outcome.REJECTED.value,
                attempt=1,
                failures=1,
                asked_at=NOW - timedelta(minutes=5),
            )
        )
        invented.refusal("no data set")
    said = section(dashboard.page("/queue"), "errors")
    order = ["no data set", "refused our query", "is it running", "died on this film repeatedly"]
    assert [said.index(words) for words in order] == sorted(said.index(words) for words in order)
    assert "worker_died" not in said
    assert 'href="/quarantine"' in said


def test_paging_through_dead_letters_shows_every_film_once(dashboard):
    with dashboard.invent() as invented:
        uids = [dead(invented, results=1 + number % 3) for number in range(120)]
        dead(invented, "PACS_B")
    path, seen = "/queue/dead-letters?destination=PACS_A", []
    while path:
        page = dashboard.page(path)
        seen += [uid for uid in reversed(uids) if f"/films/{uid}" in page]
        _, _, rest = page.partition("before=")
        key = rest.partition('"')[0]
        path = f"/queue/dead-letters?destination=PACS_A&before={key}" if key else ""
    assert seen == uids[::-1]


def test_a_viewer_sees_no_button_and_is_refused(dashboard, monkeypatch):
    with dashboard.invent() as invented:
        uid = dead(invented)
    viewer = Person("Grete", Access.VIEWER)
    monkeypatch.setattr(guard, "LOCAL", viewer)
    page = dashboard.page("/queue")
    assert 'action="/queue' not in page
    assert "An operator can also retry" in page
    assert 'action="/queue' not in dashboard.page(f"/films/{uid}")
    for address in (
        f"retry?job=delivery:{uid}:PACS_A",
        f"discard?job=delivery:{uid}:PACS_A",
        f"cancel?job=film:{uid}",
        "retry-all?destination=PACS_A",
        "discard-all?destination=PACS_A",
    ):
        assert dashboard.browser.post(f"/queue/{address}").status_code == 403
    assert set(states(dashboard, uid)) == {DeliveryState.DEAD}
    assert [one for one in recorded(dashboard) if one["action"] != "viewed"] == []


def test_the_film_page_offers_what_can_be_done_about_its_deliveries_and_itself(dashboard):
    with dashboard.invent() as invented:
        letter = dead(invented)
        failed = invented.film(state=FilmState.FAILED, reason="disk").uid
        fine = invented.film().uid
    page = dashboard.page(f"/films/{letter}")
    assert f'action="/queue/retry?job=delivery%3A{letter}%3APACS_A"' in page
    assert f"hilum queue retry delivery:{letter}:PACS_A" in page
    page = dashboard.page(f"/films/{failed}")
    assert f'action="/queue/retry?job=film%3A{failed}"' in page
    assert f"hilum queue retry film:{failed}" in page
    assert "/queue/retry" not in dashboard.page(f"/films/{fine}")


def test_the_film_page_does_not_offer_to_send_what_was_withdrawn(dashboard):
    with dashboard.invent() as invented:
        film = invented.film()
        withdrawn = invented.result(film, "report", REPORT, b"x")
        withdrawn.withdrawn = "the film's patient was corrected"
        invented.delivery(withdrawn, state=DeliveryState.CANCELLED, attempts=0)
        uid = film.uid
    page = dashboard.page(f"/films/{uid}")
    assert "/queue/retry" not in page
    assert "hilum queue retry" not in page
    assert "withdrawn: nothing is sent again" in page
    with dashboard.invent() as invented:  # the answer in its place, which an operator cancelled
        film = films.film(invented.session, uid)
        other = invented.result(film, "report", REPORT, b"y")
        invented.delivery(other, state=DeliveryState.CANCELLED, attempts=0)
    page = dashboard.page(f"/films/{uid}")
    assert f'action="/queue/retry?job=delivery%3A{uid}%3APACS_A"' in page
    with Session(dashboard.engine) as session:
        (there,) = film_row(session, uid).destinations
    assert (there.total, there.withdrawn) == (1, False)


def test_jobs_that_a_retry_has_replaced_hide_none_that_stopped_before_them(dashboard, monkeypatch):
    monkeypatch.setattr(queue, "_STOPPED", 2)
    stopped = taken_in(dashboard)
    press(dashboard, f"/queue/cancel?job={film_job(stopped)}")
    for seed in (1, 2, 3):  # cancelled, and given to another job
        uid = taken_in(dashboard, seed)
        press(dashboard, f"/queue/cancel?job={film_job(uid)}")
        with Session(dashboard.engine) as session, session.begin():
            films.take_up(films.film(session, uid))
    page = section(dashboard.page("/queue"), "stopped")
    assert f"/queue/retry?job=film%3A{stopped}" in page
    assert uid not in page


def test_what_strangers_say_is_escaped_and_in_no_address(dashboard):
    evil = "<script>alert('x')</script>"
    with dashboard.invent() as invented:
        dead(invented, outcome=Outcome.of_status(0xC001, evil))
        dead(invented, evil, outcome=Outcome.of(Cause.EARLIER_RELEASE, evil))
        invented.film(state=FilmState.FAILED, reason=evil, detail=evil)
        invented.film(state=FilmState.RECEIVED, view=evil)
        invented.refusal(evil)
    for path in ("/queue", "/queue/dead-letters", f"/queue?done={evil}"):
        page = dashboard.page(path)
        assert evil not in page
        assert "&lt;script&gt;" in page
        assert "C-STORE" not in "".join(page.split('action="')[1:]).split('"')[0]


def test_the_number_of_statements_does_not_grow_with_what_is_dead(dashboard):
    statements = []
    sa.event.listen(
        dashboard.engine, "before_cursor_execute", lambda *args: statements.append(args[2])
    )

    def count(number):
        with dashboard.invent() as invented:
            for _ in range(number):
                dead(invented)
                invented.film(state=FilmState.FAILED)
                invented.film(state=FilmState.RECEIVED)
        statements.clear()
        dashboard.page("/queue")
        return len(statements)

    few = count(1)
    assert count(30) == few < 40


def test_a_film_s_deliveries_are_looked_up_and_not_searched_for_among_all(dashboard):
    with dashboard.invent() as invented:
        uid = dead(invented)
    asked = []
    sa.event.listen(
        dashboard.engine, "before_cursor_execute", lambda *args: asked.append(args[2:4])
    )
    with Session(dashboard.engine) as session, session.begin():
        deliveries.outstanding(session, uid, "PACS_A")
        deliveries.next_job(session, uid, "PACS_A")
        deliveries.set_state(session, uid, "PACS_A", DeliveryState.DEAD, DeliveryState.PENDING)
    looks = [look for look in asked if look[0].split()[:2] != ["UPDATE", "instance"]]
    looks = [look for look in looks if "delivery" in look[0]]
    assert len(looks) == 3
    with dashboard.engine.connect() as connection:
        for statement, values in looks:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
            assert any("(result_id=? AND destination=?)" in row[3] for row in plan), plan
