"""One patient's page: the films on a time line, and how each finding went."""

import re
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from invented_films import PATIENT_ID

from inference.cardiothoracic import CardiothoracicRatio, Line, RatioStatement
from inference.findings import FINDINGS, Change
from scp.dashboard.pages.charts import HEIGHT, LEFT, RIGHT, WIDTH, finding_lines
from scp.index.outputs import save_ratio
from scp.index.schema.tables import FilmState
from scp.index.trend import TrendPoint

DAY_S = 86400
THRESHOLDS = {finding.label: 0.5 for finding in FINDINGS}


def point(uid, at, **found):
    values = {finding.label: found.get(finding.label, 0.04) for finding in FINDINGS}
    return TrendPoint(uid, at, "", "PA", values)


def address(dashboard, uid):
    return f"/patients/{dashboard.browser.get(f'/api/films/{uid}').json()['patient_row_id']}"


def drawing(page, label):
    return page.split(f'id="t-{label}"')[1].split("</svg>")[0]


def test_films_stand_newest_taken_first_with_links_to_themselves_and_to_pairs(dashboard):
    with dashboard.invent() as invented:
        old, middle, new = (invented.film(age_s=days * DAY_S) for days in (30, 20, 1))
        analyses = [invented.analysis(film, {"Effusion": 0.8}) for film in (old, middle, new)]
        invented.comparison(analyses[2], analyses[0], {"Effusion": (0.6, Change.INCREASED)})
        uids = [film.uid for film in (new, middle, old)]
    page = dashboard.page(address(dashboard, uids[0]))
    line = page.split('class="time-line"')[1]
    assert re.findall(r'<h3><a href="/films/([0-9.]+)">', line) == uids
    assert f'href="/films/{uids[0]}/compare"' in line
    assert f'href="/films/{uids[0]}/compare/{uids[1]}"' in line
    assert f'href="/films/{uids[1]}/compare/{uids[2]}"' in line
    assert f"/films/{uids[2]}/compare" not in line
    assert "increased" in line
    assert PATIENT_ID in page


def test_each_finding_is_drawn_with_its_points_to_scale_and_linked(dashboard):
    with dashboard.invent() as invented:
        films = [invented.film(age_s=days * DAY_S) for days in (40, 30, 0)]
        for film, probability in zip(films, (0.2, 0.9, 0.3), strict=True):
            invented.analysis(film, {"Mass": probability})
        uids = [film.uid for film in films]
    page = dashboard.page(address(dashboard, uids[0]))
    assert page.count("<desc") == 14
    mass = drawing(page, "Mass")
    assert re.findall(r'href="/films/([0-9.]+)"', mass) == uids
    assert "1 of 3 films are above it" in mass
    xs = [float(x) for x in re.findall(r'class="dot[^"]*" cx="([0-9.]+)"', mass)]
    assert xs == pytest.approx([LEFT, LEFT + (WIDTH - LEFT - RIGHT) / 4, WIDTH - RIGHT], abs=0.1)
    assert page.index('id="t-Mass"') < page.index('id="t-Atelectasis"')  # was positive: first
    table = page.split('class="numbers"')[1].split("</table>")[0]
    assert "<b>90.0 %</b>" in table
    assert table.index(uids[0]) < table.index(uids[2])


def test_the_cardiothoracic_ratio_is_drawn_over_the_films_on_which_it_is_stated(dashboard):
    lines = CardiothoracicRatio(Line(90, 50, 110), Line(70, 20, 140))
    stated = RatioStatement(lines, "", 0.012, 50)
    forbidden = RatioStatement(lines, "", 0.012, 50, forbidden="it is stated of PA films alone")
    with dashboard.invent() as invented:
        films = [invented.film(age_s=days * DAY_S) for days in (40, 30, 0)]
        for film, ratio in zip(films, (stated, forbidden, stated), strict=True):
            save_ratio(invented.analysis(film, {}), ratio)
        uids = [film.uid for film in films]
    page = dashboard.page(address(dashboard, uids[0]))
    ratio = drawing(page, "ratio")
    assert re.findall(r'href="/films/([0-9.]+)"', ratio) == [uids[0], uids[2]]
    assert "0.50 on " in ratio
    assert "Cardiothoracic ratio 0.50" in dashboard.page(f"/films/{uids[0]}")
    assert "not stated: it is stated of PA" in dashboard.page(f"/films/{uids[1]}")
    told = dashboard.browser.get(f"/api/films/{uids[0]}").json()["ratio"]
    assert (told["value"], told["error"], told["films"]) == (0.5, 0.012, 50)


def test_films_that_another_model_read_are_left_out_and_said(dashboard):
    with dashboard.invent() as invented:
        other, dateless = invented.film(age_s=9 * DAY_S), invented.film(acquired_at=None)
        before = invented.analysis(other)
        before.model_name, before.model_sha256 = "older-net", "b" * 64
        invented.analysis(dateless)
        uid = invented.film(age_s=DAY_S).uid
        new = invented.film()
        invented.analysis(new)
        other_uid, dateless_uid, new_uid = other.uid, dateless.uid, new.uid
    page = dashboard.page(address(dashboard, uid))
    out = page.split('class="left-out"')[1].split("</ul>")[0]
    assert "read by another model: older-net 1.2" in out.split(other_uid)[1]
    assert "its acquisition time is unknown" in out.split(dateless_uid)[1]
    assert new_uid not in out
    assert "2 films that were read" in page


def test_a_patient_of_whom_nothing_was_read_yet_has_a_page_without_drawings(dashboard):
    with dashboard.invent() as invented:
        uid = invented.film(state=FilmState.RECEIVED).uid
    page = dashboard.page(address(dashboard, uid))
    assert "No film of this patient has been read yet" in page
    assert "<svg" not in page
    assert uid in page


def test_pages_link_to_the_patient_by_a_number_and_never_by_the_patient_id(dashboard):
    with dashboard.invent() as invented:
        uid = invented.film().uid
    link = f'href="{address(dashboard, uid)}"'
    for path in ("/", f"/films/{uid}"):
        page = dashboard.page(path)
        assert link in page
        assert not any(PATIENT_ID in found for found in re.findall(r'(?:href|src)="([^"]*)"', page))


def test_a_film_without_a_usable_patient_id_has_no_patient_and_says_so(dashboard):
    with dashboard.invent() as invented:
        uid = invented.film(patient=False).uid
    page = dashboard.page(f"/films/{uid}")
    assert "/patients/" not in page
    assert "none usable: this film has no prior" in page
    assert "/patients/" not in dashboard.page("/")


def test_a_number_that_no_patient_has_is_answered_in_words(dashboard):
    assert "no patient of this number" in dashboard.page("/patients/999", 404)
    dashboard.page(f"/patients/{PATIENT_ID}", 422)


def test_what_strangers_send_is_escaped(dashboard):
    evil = "<script>alert('x')</script>"
    with dashboard.invent() as invented:
        film = invented.film(view=evil, state=FilmState.FAILED, reason=evil, detail=evil)
        invented.patient.issuer = evil
        invented.analysis(film, notes=[evil]).model_name = evil
        uid = film.uid
    page = dashboard.page(address(dashboard, uid))
    assert evil not in page
    assert "&lt;script&gt;" in page
    assert "style=" not in page


def test_the_number_of_statements_does_not_grow_with_the_number_of_films(dashboard):
    statements = []
    sa.event.listen(
        dashboard.engine, "before_cursor_execute", lambda *args: statements.append(args[2])
    )

    def count(films):
        with dashboard.invent() as invented:
            for age in range(films):
                film = invented.film(age_s=DAY_S * age)
                invented.delivery(invented.result(film, data=b"x"))
                invented.analysis(film)
            uid = film.uid
        path = address(dashboard, uid)
        statements.clear()
        dashboard.page(path)
        return len(statements)

    few = count(1)
    assert count(40) == few < 30
    assert not any("heatmaps" in statement for statement in statements)


def test_a_single_film_stands_in_the_middle_and_a_low_finding_has_a_fine_scale():
    (line, *_) = finding_lines([point("1.2", datetime(2026, 1, 1))], THRESHOLDS | {"Hernia": 0.02})
    assert line.dots[0].x == LEFT + (WIDTH - LEFT - RIGHT) / 2
    hernia = finding_lines([point("1.2", datetime(2026, 1, 1), Hernia=0.01)], {"Hernia": 0.02})[0]
    assert hernia.end == 0.05
    assert 0 < hernia.threshold_y < hernia.dots[0].y < HEIGHT
    assert finding_lines([], THRESHOLDS) == []


def test_a_line_says_in_words_from_where_to_where_it_went():
    day = datetime(2026, 1, 1, 8)
    points = [point("1.2", day, Mass=0.25), point("1.3", day + timedelta(days=2), Mass=0.75)]
    (line,) = finding_lines(points, {"Mass": 0.5})
    assert line.says == (
        "From 25.0% on 2026-01-01 to 75.0% on 2026-01-03."
        " The site's threshold is 50.0%; 1 of 2 films are above it."
    )
    assert [dot.positive for dot in line.dots] == [False, True]
