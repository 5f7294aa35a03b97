"""The web page, asked over HTTP as a browser and a script ask it."""

import html
import io
import logging
import re
from datetime import timedelta

import pytest
import sqlalchemy as sa
from dashboard import changing, served
from invented_films import NOW, PATIENT_ID, REPORT, Invented, capture
from PIL import Image
from sqlalchemy.orm import Session

from inference.findings import Change
from scp.dashboard.caches.counts import CountsCache
from scp.dashboard.rendering import STATIC
from scp.index.schema.tables import DeliveryState, FilmState, Result
from scp.index.worklist.entries import set_words
from scp.matching.person import Person
from scp.outcomes.delivery import Cause, Outcome


def test_an_empty_index_says_that_no_film_came_yet(dashboard):
    page = dashboard.page()
    assert "No film has been received yet" in page
    assert "for research use only" in page
    assert "<table" not in page


def test_without_a_destination_the_page_says_where_results_stay_and_how_to_change_that(index):
    with served(*index, destinations=()) as dashboard:
        with dashboard.invent() as invented:
            invented.result(invented.film())
        page = dashboard.page()
    assert "No destination is configured: results stay in the archive" in page
    assert "config.toml" in page
    assert "in the archive only" in page


def test_with_a_destination_the_page_does_not_warn(dashboard):
    assert "No destination is configured" not in dashboard.page()


def test_positive_findings_are_shown_with_probability_and_the_others_are_not(dashboard):
    with dashboard.invent() as invented:
        invented.analysis(invented.film(), {"Effusion": 0.81, "Nodule": 0.5, "Mass": 0.499})
    page = dashboard.page()
    assert 'Effusion <b>81.0 %</b> <span class="quiet">threshold 50.0 %</span>' in page
    assert "Nodule <b>50.0 %</b>" in page  # at its threshold is positive
    assert "Mass" not in page.partition("<table")[2]  # the search before it names all findings


def test_a_read_film_without_positives_says_so_and_an_unread_one_says_nothing_of_findings(
    dashboard,
):
    with dashboard.invent() as invented:
        unread = invented.film(age_s=10, state=FilmState.RECEIVED).uid
        invented.analysis(invented.film(age_s=20))
    said = (
        "None of the 14 findings looked for is above the site&#39;s threshold. This is no statement"
    )
    assert dashboard.page().count(said) == 1
    assert "threshold" not in dashboard.page(f"/films/{unread}")


def test_changes_since_the_prior_are_words_with_the_prior_probability(dashboard):
    with dashboard.invent() as invented:
        prior = invented.analysis(invented.film(age_s=86400), {"Edema": 0.62})
        current = invented.analysis(invented.film(), {"Effusion": 0.81})
        invented.comparison(
            current,
            prior,
            {"Effusion": (0.55, Change.INCREASED), "Edema": (0.62, Change.RESOLVED)},
        )
    page = dashboard.page()
    assert 'Effusion <b class="change-increased">increased</b>' in page
    assert "was 55.0 %" in page
    assert 'Edema <b class="change-resolved">resolved</b>' in page
    assert "prior of 2026-03-01 09:18" in page


def test_nothing_is_said_to_have_changed_against_a_film_that_is_not_comparable(dashboard):
    with dashboard.invent() as invented:
        prior = invented.analysis(invented.film(age_s=86400))
        film = invented.film()
        current = invented.analysis(film, {"Effusion": 0.81})
        changes = {"Effusion": (0.1, Change.NEW)}
        invented.comparison(current, prior, changes, comparable=False, reason="too little overlap")
        uid = film.uid
    for page in (dashboard.page(), dashboard.page(f"/films/{uid}")):
        assert "not comparable" in page
        assert "too little overlap" in page
        assert "change-new" not in page


def test_the_film_page_says_which_prior_and_why_none_of_the_others(dashboard):
    with dashboard.invent() as invented:
        film, prior, other = invented.film(), invented.film(age_s=86400), invented.film(age_s=90000)
        invented.comparison(invented.analysis(film), invented.analysis(prior))
        invented.choice(
            film,
            prior,
            [(other, "less_recent", "There is a more recent one.")],
            limited="Limited comparison: of another view",
            notes=["The time of the study stands for the film."],
            not_listed=3,
        )
        invented.choice(other, why="No other film of this patient is here.")
        uid, other_uid = film.uid, other.uid
    page = dashboard.page(f"/films/{uid}")
    for said in (
        "Which prior:</b> why",
        "Limited comparison: of another view",
        "The time of the study stands for the film.",
        "Why not one of the 4 others",
        f"{other_uid}</code></a> There is a more recent one.",
        "less_recent",
    ):
        assert said in page
    assert "No prior:</b> No other film" in dashboard.page(f"/films/{other_uid}")
    choice = dashboard.browser.get(f"/api/films/{uid}").json()["choice"]
    assert [rejected["code"] for rejected in choice["rejected"]] == ["less_recent"]


def test_the_newest_answer_stands_first_and_earlier_ones_say_so(dashboard):
    with dashboard.invent() as invented:
        film = invented.film()
        old, new = invented.result(film), invented.result(film)
        new.created_at = old.created_at + timedelta(minutes=3)
        uid, old_uid, new_uid = film.uid, old.uid, new.uid
    page = dashboard.page(f"/films/{uid}")
    assert page.index(f"{new_uid}.png") < page.index(f"{old_uid}.png")
    assert page.count("an earlier answer") == 1
    assert page.index(f"{new_uid}.png") < page.index("an earlier answer")


def test_a_film_that_was_not_analysed_states_its_reason(dashboard):
    with dashboard.invent() as invented:
        invented.film(
            state=FilmState.NOT_ANALYSED, reason="not a frontal view", detail="ViewPosition is LL"
        )
    page = dashboard.page("/?state=not+analysed")
    assert "not a frontal view" in page
    assert "ViewPosition is LL" in page


def test_a_failed_film_is_red_and_states_why(dashboard):
    with dashboard.invent() as invented:
        invented.film(state=FilmState.FAILED, detail="the pixels cannot be decoded")
    page = dashboard.page()
    assert '<li class="bad"><a href="/?state=failed" ><b>1</b> failed</a>' in page
    assert "the pixels cannot be decoded" in page


def test_what_is_zero_is_not_red(dashboard):
    assert 'class="bad"' not in dashboard.page("/quarantine").split("<main", 1)[1]
    assert '<li class="none"><a href="/?dead_letters=true" ><b>0</b>' in dashboard.page()


def test_a_dead_letter_shows_its_error_and_the_command_that_sends_it_again(dashboard):
    with dashboard.invent() as invented:
        film, other = invented.film(), invented.film(age_s=90)
        dead = {"state": DeliveryState.DEAD, "attempts": 10}
        dead["outcome"] = Outcome.of(Cause.NO_CONNECTION)
        invented.delivery(invented.result(film), "PACS_A", **dead)
        invented.delivery(invented.result(film), "PACS_A")
        invented.delivery(invented.result(other), "PACS_A")
        uid, other_uid = film.uid, other.uid
    page = dashboard.page("/?dead_letters=true")
    assert f"hilum queue retry delivery:{uid}:PACS_A" in page
    assert "dead letter after 10 attempts" in page
    assert "1 of 2 delivered" in page
    assert "no connection" in page
    assert other_uid not in page
    assert "1 result to PACS_A" in dashboard.page()


def test_a_delivery_under_way_shows_its_error_and_its_next_attempt(dashboard):
    soon = NOW + timedelta(seconds=48)
    with dashboard.invent() as invented:
        result = invented.result(invented.film())
        values = {"attempts": 2, "outcome": Outcome.of(Cause.ABORTED)}
        values |= {"next_attempt_at": soon}
        invented.delivery(result, "PACS_A", DeliveryState.PENDING, **values)
    page = dashboard.page()
    assert "2 failed attempts" in page
    assert "the association was aborted" in page
    assert soon.astimezone().isoformat(" ", "seconds") in page


def test_what_strangers_send_is_escaped(dashboard):
    evil = "<script>alert('x')</script>"
    with dashboard.invent() as invented:
        film = invented.film(reason=evil, detail=evil, calling_ae_title=evil, view=evil)
        film.state = FilmState.FAILED
        invented.analysis(film, notes=[evil])
        invented.choice(film, rejected=[(film, evil, evil)], limited=evil, notes=[evil], why=evil)
        invented.delivery(
            invented.result(film, kind=evil), evil, outcome=Outcome.of_status(0xC000, evil)
        )
        invented.refusal(evil)
        invented.role("work", model=evil)
        uid = film.uid
    for path in ("/", f"/films/{uid}", "/quarantine"):
        page = dashboard.page(path)
        assert evil not in page
        assert "&lt;script&gt;" in page


def test_the_film_page_lists_all_findings_files_and_deliveries(dashboard):
    with dashboard.invent() as invented:
        film = invented.film()
        invented.analysis(film, {"Hernia": 0.9}, notes=["view not stated"])
        picture = invented.result(film)
        report = invented.result(film, "report", REPORT, b"not a picture")
        invented.delivery(report, delivered_at=NOW)
        uid, picture_uid, report_uid = film.uid, picture.uid, report.uid
    page = dashboard.page(f"/films/{uid}")
    assert page.count('<td class="number">50.0 %</td>') == 14
    assert page.index("Hernia") < page.index("Atelectasis")  # positives first
    assert "view not stated" in page
    assert f"/results/{picture_uid}.png?width=160" in page
    assert f"/results/{report_uid}.png" not in page
    assert f"/results/{report_uid}.dcm" in page


def test_films_of_one_study_stand_together(dashboard):
    with dashboard.invent() as invented:
        first = invented.film(age_s=5)
        invented.film(age_s=6, study=first.series.study)
        invented.film(age_s=7)
    assert dashboard.page().count("<tbody>") == 2


def test_paging_on_shows_every_film_once_even_films_of_one_moment(index):
    with served(*index, films_per_page=2) as dashboard:
        with dashboard.invent() as invented:
            uids = [invented.film(age_s=age).uid for age in (1, 2, 2, 2, 3, 4)]
        path, pages = "/", []
        while path:
            pages.append(dashboard.page(path))
            older = re.search(r'id="older" href="([^"]+)"', pages[-1])
            path = html.unescape(older[1]) if older else ""
    seen = [uid for page in pages for uid in uids if f"film-{uid}" in page]
    assert seen == sorted(uids, key=seen.index)
    assert len(seen) == len(uids)


def test_the_number_of_statements_does_not_grow_with_the_number_of_films(dashboard):
    statements = []
    sa.event.listen(
        dashboard.engine, "before_cursor_execute", lambda *args: statements.append(args[2])
    )

    def count(films):
        with dashboard.invent() as invented:
            for age in range(films):
                film = invented.film(age_s=10 + age)
                analysis = invented.analysis(film, {"Mass": 0.9})
                invented.comparison(analysis, invented.analysis(invented.film(age_s=1e6 + age)), {})
                invented.delivery(invented.result(film, data=b"x"))
        statements.clear()
        dashboard.page()
        return len(statements)

    few = count(1)
    assert count(50) == few < 20
    assert not any("heatmaps" in statement for statement in statements)


def test_a_result_is_shown_as_the_picture_it_is(dashboard):
    with dashboard.invent() as invented:
        uid = invented.result(invented.film()).uid
    answer = dashboard.browser.get(f"/results/{uid}.png")
    picture = Image.open(io.BytesIO(answer.content))
    assert picture.size == (48, 64)
    assert picture.getpixel((20, 20)) == (250, 120, 20)
    assert "immutable" in answer.headers["cache-control"]
    assert "private" in answer.headers["cache-control"]
    again = dashboard.browser.get(
        f"/results/{uid}.png", headers={"If-None-Match": answer.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


def test_a_small_picture_keeps_its_shape_and_has_its_own_etag(dashboard):
    with dashboard.invent() as invented:
        uid = invented.result(invented.film(), data=capture("1.2", rows=128, columns=96)).uid
    small = dashboard.browser.get(f"/results/{uid}.png?width=48")
    assert Image.open(io.BytesIO(small.content)).size == (48, 64)
    assert small.headers["etag"] != dashboard.browser.get(f"/results/{uid}.png").headers["etag"]
    assert Image.open(
        io.BytesIO(dashboard.browser.get(f"/results/{uid}.png?width=4096").content)
    ).size == (96, 128)


@pytest.mark.parametrize("width", ["0", "-5", "1000000", "wide"])
def test_an_impossible_width_is_refused_in_words(dashboard, width):
    with dashboard.invent() as invented:
        uid = invented.result(invented.film()).uid
    assert "width" in dashboard.page(f"/results/{uid}.png?width={width}", 422)


def test_a_result_can_be_downloaded_as_the_very_bytes(dashboard):
    with dashboard.invent() as invented:
        uid = invented.result(invented.film(), "report", REPORT, b"the very bytes").uid
    answer = dashboard.browser.get(f"/results/{uid}.dcm")
    assert answer.content == b"the very bytes"
    assert answer.headers["content-type"] == "application/dicom"
    assert f"{uid}.dcm" in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/nowhere", "no page at this address"),
        ("/films/1.2.3", "No film with this SOP Instance UID was received"),
        ("/results/1.2.3.png", "hilum made no result 1.2.3"),
        ("/results/1.2.3.dcm", "hilum made no result 1.2.3"),
        ("/results/..%2f..%2fetc%2fpasswd.dcm", "no page at this address"),
        ("/results/...dcm", "not a valid UID"),
        ("/results/hilum.sqlite.dcm", "not a valid UID"),
    ],
)
def test_what_is_not_there_is_answered_with_words(dashboard, path, said):
    assert said in dashboard.page(path, 404)


def test_a_result_that_is_no_picture_and_one_whose_file_is_gone_say_so(dashboard):
    with dashboard.invent() as invented:
        film = invented.film()
        report = invented.result(film, "report", REPORT, b"x").uid
        lost = invented.result(film)
        dashboard.archive.path(lost.path).unlink()
        lost_uid = lost.uid
    assert f"/results/{report}.dcm" in dashboard.page(f"/results/{report}.png", 404)
    for ending in ("png", "dcm"):
        assert "missing from data_dir" in dashboard.page(f"/results/{lost_uid}.{ending}", 404)


def test_a_path_in_an_address_never_becomes_a_path_on_disk(dashboard):
    (dashboard.archive.data_dir / "results" / "1.2.dcm").write_bytes(b"in no index")
    dashboard.page("/results/1.2.dcm", 404)


def test_scripts_get_the_same_rows_as_json(dashboard):
    with dashboard.invent() as invented:
        film = invented.film()
        invented.analysis(film, {"Mass": 0.75})
        outcome = Outcome.of_status(0xC000, "refused")
        invented.delivery(invented.result(film), state=DeliveryState.DEAD, outcome=outcome)
        uid = film.uid
    rows = dashboard.browser.get("/api/films").json()
    assert [row["uid"] for row in rows] == [uid]
    assert rows[0] == dashboard.browser.get(f"/api/films/{uid}").json()
    mass = next(f for f in rows[0]["findings"] if f["label"] == "Mass")
    assert (mass["probability"], mass["positive"]) == (0.75, True)
    assert rows[0]["destinations"][0]["state"] == "dead letter"
    numbers = dashboard.browser.get("/api/counts").json()
    assert numbers["films"]["answered"] == 1
    missing = dashboard.browser.get("/api/films/1.2", headers={"Accept": "application/json"})
    assert missing.status_code == 404
    assert "No film" in missing.json()["detail"]


@pytest.mark.parametrize("after", ["x", "bjE", "!", "bjEuOTk5OTk5OTk5OQ", "dTEuMQ", "é" * 40])
def test_a_place_that_hilum_never_made_is_refused_in_words(dashboard, after):
    assert "after: not a position in this list" in dashboard.page(f"/?after={after}", 422)
    assert "after: not a position in this list" in dashboard.page(f"/api/films?after={after}", 422)


def test_alive_is_said_even_without_a_receiver_and_ready_is_not(dashboard):
    assert dashboard.browser.get("/healthz").json() == {"status": "alive"}
    answer = dashboard.browser.get("/readyz")
    assert answer.status_code == 503
    assert "No film can be received" in answer.text
    assert "No film can be received" in dashboard.page()


def test_ready_when_receiver_and_model_were_heard_of(dashboard):
    with dashboard.invent() as invented:
        invented.role("receive")
        invented.role("work", model="hilum-chest14", version="1.2", device="cpu")
    answer = dashboard.browser.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    assert "hilum-chest14 1.2 on cpu" in dashboard.page()


def test_a_role_that_fell_silent_is_named_with_how_long(dashboard):
    with dashboard.invent() as invented:
        invented.role("receive", age_s=95)
        invented.role("work", model="m")
    answer = dashboard.browser.get("/readyz")
    assert answer.status_code == 503
    failed = [check for check in answer.json()["checks"] if not check["ok"]]
    assert [check["name"] for check in failed] == ["receiver"]
    assert "95 s ago" in failed[0]["text"]
    assert "silent for 95 s" in dashboard.page()


def test_a_database_that_does_not_answer_is_told_as_such_everywhere(dashboard):
    with dashboard.engine.begin() as connection:
        for table in ("heartbeat", "instance"):
            connection.execute(sa.text(f"ALTER TABLE {table} RENAME TO {table}_gone"))
    page = dashboard.page("/", 503)
    assert "database does not answer" in page
    assert 'http-equiv="refresh"' in page  # a screen on the wall comes back by itself
    assert dashboard.browser.get("/readyz").status_code == 503
    assert dashboard.browser.get("/metrics").status_code == 503
    assert dashboard.browser.get("/healthz").status_code == 200


def test_no_patient_is_in_metrics_health_or_logs(dashboard, caplog):
    caplog.set_level(logging.DEBUG)
    with dashboard.invent() as invented:
        film = invented.film()
        invented.analysis(film, {"Mass": 0.9})
        invented.result(film)
        uid = film.uid
    assert PATIENT_ID in dashboard.page()
    dashboard.page(f"/films/{uid}")
    for path in ("/metrics", "/readyz", "/api/counts"):
        text = dashboard.browser.get(path).text
        assert PATIENT_ID not in text
        assert uid not in text
    assert any("/films/" in record.getMessage() for record in caplog.records)
    assert PATIENT_ID not in caplog.text


def test_pages_with_patients_are_kept_by_no_cache_and_run_no_foreign_code(dashboard):
    with dashboard.invent() as invented:
        uid = invented.film().uid
    for path in ("/", f"/films/{uid}", "/quarantine", "/api/films"):
        assert dashboard.browser.get(path).headers["cache-control"] == "no-store"
    page = dashboard.page()
    assert "style=" not in page
    assert "http://" not in page
    assert "https://" not in page
    for path in (f"{STATIC}/hilum.css", f"{STATIC}/live.js", f"{STATIC}/hilum.svg"):
        assert dashboard.browser.get(path).status_code == 200
    assert dashboard.browser.get("/docs").status_code == 404  # it would load foreign scripts


def named(invented, name, accession="", **more):
    film = invented.film(**more)
    set_words(invented.session, film, Person(name), accession)
    return film


def test_films_are_searched_by_a_form_that_needs_no_script_and_keeps_what_was_asked(dashboard):
    with dashboard.invent() as invented:
        film = named(invented, "Yamada^Tarou=山田^太郎=やまだ^たろう", "A-0815")
        uid, other = film.uid, named(invented, "Rossi^Ada", state=FilmState.FAILED).uid
    page = dashboard.page("/?q=山田&from=&to=&finding=&change=&state=&order=newest")
    assert uid in page
    assert other not in page
    assert 'value="山田"' in page
    assert "Clear the search" in page
    for said in ("Yamada Tarou", "山田 太郎", "やまだ たろう", "A-0815"):
        assert f"{said}" in page
    assert "山田 太郎" in dashboard.page(f"/films/{uid}")
    assert "No film matches" in dashboard.page("/?q=nobody")
    rows = dashboard.browser.get("/api/films", params={"q": "rossi", "state": "failed"}).json()
    assert [(row["uid"], row["patient_name"]) for row in rows] == [(other, "Rossi^Ada")]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("q=m", "too little to search by"),
        ("q=%00", "neither a letter nor a digit"),
        ("finding=Flu", "Flu is none"),
        ("from=2026-03-02&to=2026-03-01", "wrong order"),
        ("to=9999-12-31", "year 9999"),
        ("change=worse", "change"),
        ("from=yesterday", "from"),
        ("order=best", "order"),
    ],
)
def test_a_search_that_cannot_be_made_is_refused_in_words(dashboard, query, said):
    assert said in dashboard.page(f"/?{query}", 422)
    assert said in dashboard.page(f"/api/films?{query}", 422)


def test_scripts_page_on_by_the_link_in_the_header(dashboard):
    with dashboard.invent() as invented:
        uids = [invented.film(age_s=age_s).uid for age_s in range(5)]
    path, seen = "/api/films?limit=2&state=answered", []
    while path:
        answer = dashboard.browser.get(path)
        seen += [row["uid"] for row in answer.json()]
        path = answer.links["next"]["url"] if "next" in answer.links else ""
    assert seen == uids


def test_in_the_order_of_urgency_each_film_says_when_it_is_due_and_old_ones_are_left_out(dashboard):
    with dashboard.invent() as invented:
        for age_s in (60, 3700, 86400 * 2):
            film = invented.film(age_s=age_s)
            film.due_at = film.received_at + timedelta(minutes=60)
    page = dashboard.page("/?order=urgent")
    assert page.count('class="open"') == 2
    assert page.count("longest wait reached") == 1
    due = (NOW + timedelta(minutes=59)).astimezone()
    assert f"due {due:%H:%M}" in page
    assert "the films of the last 24 h" in page
    assert "longest wait" not in dashboard.page("/")


def test_what_is_typed_and_the_keys_survive_a_look_at_the_database(dashboard):
    page = dashboard.page()
    assert re.search(r'<form id="search"[^>]* data-keep>', page)
    assert page.index("</main>") < page.index('<dialog id="keys"')  # what is live ends before
    assert "data-keep" in dashboard.browser.get(f"{STATIC}/live.js").text
    for path in (f"{STATIC}/worklist.css", f"{STATIC}/worklist.js"):
        assert path in page
        assert dashboard.browser.get(path).status_code == 200


class Clock:
    at = 0.0

    def __call__(self):
        return self.at


def test_the_counts_are_made_beside_the_pages_and_no_oftener_than_asked(index):
    engine, archive = index
    clock = Clock()
    watch = CountsCache(engine, 5, clock)
    assert watch.counts().waiting == 0
    with Session(engine) as session:
        Invented(session, archive).film(state=FilmState.RECEIVED)
        session.commit()
    clock.at = 4.9
    assert watch.counts().waiting == 0
    watch.settle()
    assert watch.counts().waiting == 0  # nobody has counted
    clock.at = 5.0
    assert watch.counts().waiting == 0  # the last, while new ones are made
    watch.settle()
    assert watch.counts().waiting == 1
    watch.close()


def test_counts_of_no_age_are_those_of_the_moment(index):
    engine, archive = index
    watch = CountsCache(engine, 0)
    assert watch.counts().waiting == 0
    with Session(engine) as session:
        Invented(session, archive).film(state=FilmState.RECEIVED)
        session.commit()
    assert watch.counts().waiting == 1
    watch.close()


def test_a_database_that_was_away_while_counting_is_counted_later(index):
    engine, _ = index
    clock = Clock()
    watch = CountsCache(engine, 5, clock)
    watch.counts()
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE delivery RENAME TO gone"))
    clock.at = 6
    watch.counts()
    watch.settle()
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE gone RENAME TO delivery"))
    with Session(engine) as session:
        Invented(session, index[1]).film(state=FilmState.RECEIVED)
        session.commit()
    watch.counts()
    watch.settle()
    assert watch.counts().waiting == 1
    watch.close()


# what operators ask of the queue; the way in and out; and what a reader has compared
CHANGES = {"retry", "cancel", "discard", "retry-all", "discard-all"}
OTHER_CHANGES = {"/login", "/logout", "/films/{uid}/compare/{prior_uid}"}


def test_nothing_else_can_be_changed_over_http(dashboard):
    with dashboard.invent() as invented:
        uid = invented.result(invented.film()).uid
    for method in ("POST", "PUT", "DELETE"):
        for path in ("/", "/api/films", f"/results/{uid}.dcm", "/queue", "/quarantine"):
            assert dashboard.browser.request(method, path).status_code == 405
    for action in CHANGES:
        assert dashboard.browser.get(f"/queue/{action}").status_code == 405
    assert changing(dashboard.app) == {f"/queue/{action}" for action in CHANGES} | OTHER_CHANGES
    with Session(dashboard.engine) as session:
        assert session.scalars(sa.select(Result)).one().uid == uid
