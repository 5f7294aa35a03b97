"""The dashboard in the real Chromium, with real films. Pictures: .artefacts/pages/."""

import contextlib
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from browser import Tab, open_tab
from clinic import Clinic, again
from dashboard import served
from films import chest, make_film_ds, overlaid
from invented_films import NOW, Invented, open_index
from ohif import empty
from service import wait_for
from sqlalchemy.orm import Session

from inference.image.film import read_film
from scp.dashboard.security import passwords
from scp.index.accounts import users
from scp.index.accounts.tables import Access

pytestmark = pytest.mark.xdist_group("pages")

SHOTS = Path(__file__).parents[3] / ".artefacts" / "pages"
POINTS = [(x / 12 + 0.04, y / 12 + 0.04) for x in range(12) for y in range(12)]
PASSWORD = "correct horse battery"
ZOOM = "document.querySelector('.stage').dataset.zoom"


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    clinic = Clinic(tmp_path_factory.mktemp("clinic"))
    with clinic.service:
        clinic.send(clinic.oldest, clinic.prior, clinic.current)
        yield clinic


@pytest.fixture(scope="module")
def chromium(clinic):
    with open_tab(clinic.address, empty(SHOTS)) as tab:
        yield tab


@pytest.fixture
def tab(chromium):
    """The browser, with nothing said of an earlier test; and nothing to complain of after this."""
    chromium.errors.clear()
    chromium.page.set_viewport_size({"width": 1600, "height": 1000})
    yield chromium
    assert chromium.errors == []


@pytest.fixture
def film(tab, clinic):
    tab.open(clinic.film)
    return tab


@pytest.fixture
def pair(tab, clinic):
    tab.open(f"{clinic.film}/compare")
    return tab


def difference(one, other) -> float:
    """Mean difference of two pictures, in greys."""
    return float(np.abs(one - other).mean())


PAGES = {
    "worklist": "/",
    "film": "{film}",
    "comparison": "{film}/compare",
    "no-prior": "/films/{oldest}/compare",
    "patient": "/patients/1",
    "queue": "/queue",
    "system": "/system",
    "quarantine": "/quarantine",
}


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [1280, 3840])
def test_a_page_is_accessible_fits_its_screen_and_asks_nobody_else(name, width, tab, clinic):
    tab.page.set_viewport_size({"width": width, "height": 800 if width == 1280 else 2160})
    tab.open(PAGES[name].format(film=clinic.film, oldest=clinic.oldest.SOPInstanceUID))
    tab.shot(f"{name}-{width}")
    assert tab.violations() == []
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.page.locator(".scroll").evaluate_all(
        "boxes => boxes.every(box => !box.checkVisibility() || box.scrollWidth <= box.clientWidth)"
    )
    assert tab.page.locator(".films th, .films td").evaluate_all(
        "cells => cells.every(cell => cell.scrollWidth <= cell.clientWidth + 1)"
    )


def test_the_film_has_the_greys_that_were_read(film, clinic):
    read = read_film(clinic.current).eight_bits
    rows, columns = read.shape
    expected = np.array([read[int(y * rows), int(x * columns)] for x, y in POINTS])
    shown = film.greys(".now", POINTS)
    assert np.ptp(expected) > 100
    assert np.abs(shown[:, 0] - expected).max() <= 1
    assert (shown[:, 0] == shown[:, 2]).all()


def test_invert_brightness_and_contrast_change_greys_and_fit_brings_them_back(film):
    before = film.greys(".now", POINTS)[:, 0]
    film.press("i")
    film.until("document.querySelector('[name=invert]').getAttribute('aria-pressed') === 'true'")
    assert (film.greys(".now", POINTS)[:, 0] == 255 - before).all()
    film.press("i")
    for slider in ("level", "width"):
        film.page.locator(f"[name={slider}]").focus()
        for _ in range(15):
            film.page.keyboard.press("ArrowRight")
        film.page.wait_for_timeout(100)  # a frame of the screen
        changed = film.greys(".now", POINTS)[:, 0]
        assert np.abs(changed - before).max() > 20, slider
        film.press("f")
        film.page.wait_for_timeout(100)
        assert (film.greys(".now", POINTS)[:, 0] == before).all(), slider


def test_a_key_lays_a_findings_map_over_the_film_and_takes_it_away(film):
    film.until("document.querySelectorAll('.stage.now .ring').length > 0")
    bare = film.picture(".stage.now")
    film.press("1")
    film.until("document.querySelector('.stage.now img.layer').complete")
    film.until("!document.querySelector('.stage.now img.layer').hidden")
    painted = film.picture(".stage.now")
    assert film.page.locator(".stage.now .ring:not(.other)").count() == 1
    assert difference(painted, bare) > 0.7
    coloured = np.ptp(painted, axis=-1) > 25
    assert coloured.mean() > np.mean(np.ptp(bare, axis=-1) > 25) + 0.01
    film.page.locator("[name=opacity]").fill("10")
    assert difference(film.picture(".stage.now"), bare) < difference(painted, bare)
    film.page.locator(".stage.now").focus()
    film.press("1")
    assert difference(film.picture(".stage.now"), bare) < 0.5


def test_outlines_can_be_switched_off(film):
    film.until("document.querySelectorAll('.stage.now .ring').length > 0")
    with_rings = film.picture(".stage.now")
    film.press("o")
    without = film.picture(".stage.now")
    assert difference(with_rings, without) > 0.1
    assert (np.ptp(without, axis=-1) <= 2).mean() > 0.99


def test_zoom_and_pan_move_the_film_and_fit_shows_all_of_it(film):
    whole = film.picture(".stage.now")
    film.press("+", "+", "+", "ArrowRight", "ArrowDown")
    film.until(f"{ZOOM} === '1.95'")
    assert difference(film.picture(".stage.now"), whole) > 5
    film.press("f")
    film.until(f"{ZOOM} === '1.00'")
    assert difference(film.picture(".stage.now"), whole) < 0.5


def test_the_mouse_zooms_where_it_points_drags_the_window_and_moves_with_shift(film):
    box = film.page.locator(".stage.now").bounding_box()
    x, y = box["x"] + box["width"] / 3, box["y"] + box["height"] / 3
    before = film.greys(".now", POINTS)
    film.page.mouse.move(x, y)
    film.page.mouse.wheel(0, -400)
    film.until(f"Number({ZOOM}) > 1.5")
    zoomed = film.picture(".stage.now")
    film.page.keyboard.down("Shift")
    film.page.mouse.down()
    film.page.mouse.move(x + 80, y + 40)
    film.page.mouse.up()
    film.page.keyboard.up("Shift")
    film.page.wait_for_timeout(100)
    assert difference(film.picture(".stage.now"), zoomed) > 3
    assert (film.greys(".now", POINTS) == before).all()
    film.page.mouse.down()
    film.page.mouse.move(x + 80, y + 160)
    film.page.mouse.up()
    film.page.wait_for_timeout(100)
    assert np.abs(film.greys(".now", POINTS) - before).max() > 20
    # down darkens, up brightens: the centre of the window rises and falls, as in other viewers
    darker = film.greys(".now", POINTS)[:, 0].mean()
    assert darker < before[:, 0].mean() - 5
    film.page.mouse.down()
    film.page.mouse.move(x + 80, y - 60)
    film.page.mouse.up()
    film.page.wait_for_timeout(100)
    assert film.greys(".now", POINTS)[:, 0].mean() > darker + 5


def test_the_legend_names_the_outlines_and_shows_how_each_is_drawn(film):
    film.until("document.querySelectorAll('.stage.now .ring').length > 0")
    look = "e => [e.getAttribute('stroke'), e.getAttribute('stroke-dasharray')].join()"
    rings = film.page.locator(".stage.now .ring")
    looks = [ring.evaluate(look) for ring in rings.all()]
    assert len(set(looks)) == len(looks)
    named = film.page.locator(".legend li")
    assert [line.evaluate(look) for line in named.locator("line").all()] == looks
    labels = [ring.get_attribute("data-label") for ring in rings.all()]
    names = [text.partition(", place not verified")[0] for text in named.all_inner_texts()]
    assert [name.replace(" ", "_").casefold() for name in names] == [
        label.casefold() for label in labels
    ]


def test_both_films_move_together(pair):
    pair.press("+", "+")
    pair.until(
        "[...document.querySelectorAll('.stage')].every(stage => stage.dataset.zoom === '1.56')"
    )


def test_the_prior_lies_on_the_current_film(pair):
    """The prior was moved and turned before it was sent: as it is, it lies elsewhere."""
    now, before = (pair.greys(stage, POINTS)[:, 0] for stage in (".now", ".before"))
    inside = before > 0
    assert inside.mean() > 0.8
    assert np.median(np.abs(now - before)[inside]) < 6


def test_swiping_shows_the_prior_left_of_the_edge(pair):
    pair.press("s")
    pair.until("document.getElementById('viewer').dataset.mode === 'swipe'")
    middle = pair.picture(".stages")
    edge = pair.page.locator("[name=edge]")
    edge.fill("100")
    prior = pair.picture(".stages")
    edge.fill("0")
    current = pair.picture(".stages")
    third = middle.shape[1] // 3
    assert difference(prior, current) > 1
    assert difference(middle[60:-60, :third], prior[60:-60, :third]) < 0.5
    assert difference(middle[60:-60, -third:], current[60:-60, -third:]) < 0.5
    pair.page.locator(".stage.now").focus()
    pair.press("ArrowRight")
    assert edge.input_value() == "4"


def test_blinking_shows_one_film_and_then_the_other(pair):
    pair.press("b", " ")  # by hand from now on
    pair.page.wait_for_timeout(300)  # until one film has taken the room of two
    first = pair.picture(".stages")
    pair.press(" ")
    second = pair.picture(".stages")
    assert difference(first, second) > 1
    pair.press(" ")
    assert difference(pair.picture(".stages"), first) < 0.5
    pair.press("b", "b")  # and by itself
    pair.until("document.getElementById('viewer').classList.contains('flipped')")
    pair.until("!document.getElementById('viewer').classList.contains('flipped')")


def test_the_structural_difference_lies_over_both_films_where_the_opacity_has_gone(pair):
    bare = pair.picture(".stage.now")
    pair.press("d")
    pair.until("[...document.querySelectorAll('img.layer')].every(i => !i.hidden && i.complete)")
    painted = pair.picture(".stage.now")
    blue = (painted[..., 2] - painted[..., 0]) - (bare[..., 2] - bare[..., 0]) > 15
    y, x = (where.mean() for where in np.nonzero(blue))
    rows, columns = blue.shape
    assert blue.sum() > 100
    # `scp.commands.demo` painted it at 27 % and 62 % of the prior; the film is in the middle of its
    # stage
    width = pair.page.locator(".stage.now .sheet").bounding_box()["width"]
    assert abs((x - (columns - width) / 2) / width - 0.27) < 0.08
    assert abs(y / rows - 0.62) < 0.08


def test_another_prior_is_compared_when_a_reader_asks_and_the_answer_stays(tab, clinic):
    tab.open(f"{clinic.film}/compare")
    results = len(clinic.service.film(clinic.current.SOPInstanceUID)["results"])
    tab.page.get_by_role("button", name="Compare", exact=True).first.click()
    tab.page.wait_for_url(f"**/compare/{clinic.oldest.SOPInstanceUID}")
    tab.until("document.getElementById('viewer').dataset.comparable === 'yes'")  # by itself
    tab.films_shown()
    row = clinic.service.film(clinic.current.SOPInstanceUID)
    assert row["prior"]["uid"] == clinic.prior.SOPInstanceUID
    assert len(row["results"]) == results


def test_a_new_film_is_shown_by_itself_and_disturbs_no_reader(tab, clinic):
    tab.open(clinic.film)
    tab.press("+", "i")
    tab.until("document.querySelector('[name=invert]').getAttribute('aria-pressed') === 'true'")
    tab.page.evaluate("document.querySelector('.stage').kept = true")
    as_of = tab.page.locator(".now time").inner_text()
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(contextlib.closing(tab.page.context.new_page()))
        other.goto(tab.address)
        newest = again(clinic.oldest, "19980102")
        assert other.locator(f"[id='film-{newest.SOPInstanceUID}']").count() == 0
        clinic.send(newest)
        other.wait_for_selector(f"[id='film-{newest.SOPInstanceUID}']")
    tab.page.bring_to_front()
    tab.until(f"document.querySelector('.now time').innerText !== {as_of!r}")
    assert tab.page.evaluate("document.querySelector('.stage').kept") is True
    assert tab.page.evaluate(ZOOM) == "1.25"


def test_the_worklist_is_worked_through_by_keys_alone(tab, clinic):
    tab.open("/")
    rows = tab.page.locator("a.open")
    tab.press("j")
    assert rows.nth(0).evaluate("row => row === document.activeElement")
    tab.press("j", "k", "j")
    assert rows.nth(1).evaluate("row => row === document.activeElement")
    address = rows.nth(1).get_attribute("href")
    tab.press("Enter")
    tab.page.wait_for_url(f"**{address}")
    tab.films_shown()
    tab.press("c")
    tab.page.wait_for_url("**/compare/**")
    tab.films_shown()
    tab.open("/")
    tab.press("/")
    tab.page.keyboard.type("compressedsamples")
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_url("**q=compressedsamples**")
    assert rows.count() >= 3
    tab.press("?")
    tab.until("document.getElementById('keys').open")
    assert tab.violations() == []


def test_a_dead_letter_is_sent_again_by_a_press(tab, clinic):
    uid = clinic.current.SOPInstanceUID

    def states():
        return set(clinic.service.delivery_states(clinic.service.film(uid), "pacs"))

    wait_for(lambda: states() == {"dead letter"}, "the PACS that is down to be given up")
    tab.open("/queue")
    tab.shot("queue-dead")
    assert tab.violations() == []
    with clinic.pacs:
        tab.page.get_by_role("button", name="Retry these").first.click()
        tab.page.wait_for_url("**done=**")
        wait_for(lambda: states() == {"delivered"}, "the answer to arrive")
        tab.until("!document.body.innerText.includes('Retry these')")  # by itself
    assert len(clinic.pacs.files()) > 0
    (trail,) = (clinic.folder / "var" / "audit").glob("*.jsonl")
    assert '"action": "retried' in trail.read_text()


def test_a_page_says_when_the_dashboard_falls_silent_and_goes_on_when_it_is_back(tab, clinic):
    tab.open("/")
    process = clinic.service.pid_of("dashboard")
    os.kill(process, signal.SIGSTOP)
    try:
        tab.until("!document.getElementById('lost').hidden")
        assert "does not answer" in tab.page.locator("#lost").inner_text()
    finally:
        os.kill(process, signal.SIGCONT)
    tab.until("document.getElementById('lost').hidden")
    tab.errors[:] = [said for said in tab.errors if "could not be renewed" not in said]


@pytest.fixture
def presented(tmp_path, chromium):
    """A dashboard with one film whose header says much of how it is to be shown."""
    engine, archive = open_index(tmp_path)
    ds = make_film_ds(
        chest(512, 224),
        ImagerPixelSpacing=["0.1", "0.2"],
        PatientOrientation=["R", "F"],
        ShutterShape="RECTANGULAR",
        ShutterLeftVerticalEdge=1,
        ShutterRightVerticalEdge=168,
        ShutterUpperHorizontalEdge=1,
        ShutterLowerHorizontalEdge=512,
    )
    overlaid(ds, np.ones((64, 28), bool), origin=(65, 29))
    with Session(engine) as session:
        film = Invented(session, archive).film()
        path = archive.data_dir / film.path
        path.parent.mkdir(parents=True, exist_ok=True)
        ds.save_as(path, enforce_file_format=True)
        session.commit()
        address = f"/films/{film.uid}"
    with served(engine, archive) as dashboard:
        tab = Tab(chromium.page.context.browser.new_page(), dashboard.address)
        tab.open(address)
        yield tab
        assert tab.errors == []
        tab.page.close()
    engine.dispose()


def test_a_film_is_shown_as_its_header_wants_it(presented):
    tab = presented
    tab.until("document.querySelector('img.annotations').naturalWidth > 0")
    box = tab.page.locator(".sheet").bounding_box()
    assert box["height"] / box["width"] == pytest.approx(256 / 224, abs=0.02)
    sides = tab.page.locator(".side")
    assert sides.all_inner_texts() == ["L", "R"]  # stored mirrored
    left, right = (side.bounding_box()["x"] for side in sides.all())
    assert left < right
    for key in ("", "i"):  # inverted, what is behind the shutter stays black
        tab.press(*key)
        tab.page.wait_for_timeout(100)
        shot = tab.picture(".sheet")
        rows, columns = shot.shape[:2]
        assert not shot[: rows // 3, int(0.77 * columns) : int(0.98 * columns)].any()
        assert (
            shot[int(0.15 * rows) : int(0.23 * rows), int(0.15 * columns) : int(0.23 * columns)]
            == 255
        ).all()
        assert shot[rows // 3 : -rows // 3, columns // 4 : columns // 2].mean() > 20


def test_the_login_is_accessible_and_the_pages_behind_it_work(tmp_path, chromium):
    engine, archive = open_index(tmp_path)
    with Session(engine) as session, session.begin():
        users.add(session, "grete", passwords.hashed(PASSWORD), Access.VIEWER, NOW)
    with served(engine, archive, host="0.0.0.0") as dashboard:
        tab = Tab(chromium.page.context.browser.new_page(), dashboard.address)
        tab.open("/")
        assert tab.violations() == []
        tab.page.get_by_label("Name").fill("grete")
        tab.page.get_by_label("Password").fill(PASSWORD)
        tab.page.keyboard.press("Enter")
        tab.page.get_by_role("button", name="Log out").wait_for()
        assert tab.violations() == []
        assert tab.errors == []
        tab.page.close()
    engine.dispose()
