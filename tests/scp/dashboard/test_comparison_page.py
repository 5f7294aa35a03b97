"""The page of a comparison and what it draws, asked over HTTP of a really running dashboard."""

import io
import struct

import numpy as np
import pytest
from films import make_film_ds, overlaid
from invented import blob
from invented import comparison as invented_comparison
from PIL import Image

from inference.comparison.layers import Layers
from inference.findings import Change
from inference.image.film import read_film, read_greys
from inference.image.presentation import read_presentation
from scp.config.worklist import WorklistSettings
from scp.dashboard.caches.images import ImageCache
from scp.dashboard.images.pixels import annotated, coarser, laid_presentation, pack, warped
from scp.index.schema.tables import Analysis, Comparison, FilmState, Instance
from scp.index.worklist.entries import update_entry
from scp.pipeline.job_ids import pair_job

DAY_S = 86400


def stored(dashboard, film, **how):
    """Give an invented film a real file."""
    ds = make_film_ds(**how)
    path = dashboard.archive.data_dir / film.path
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    film.sha256 = film.uid[-16:].rjust(64, "0")
    return ds


@pytest.fixture
def pair(dashboard):
    """A film, its prior, and an older one that it was not compared with; with files."""
    with dashboard.invent() as invented:
        film, prior = invented.film(), invented.film(age_s=DAY_S)
        oldest = invented.film(age_s=9 * DAY_S)
        changes = {"Nodule": (0.05, Change.NEW), "Effusion": (0.9, Change.DECREASED)}
        invented.comparison(
            invented.analysis(film, {"Nodule": 0.93}), invented.analysis(prior), changes
        )
        invented.analysis(oldest)
        row = invented.session.query(Comparison).one()
        row.layers = Layers.of(invented_comparison(rows=512, columns=448)).to_bytes()
        for one in (film, prior, oldest):
            stored(dashboard, one)
        return film.uid, prior.uid, oldest.uid


def alter(dashboard, **values):
    with dashboard.invent() as invented:
        for name, value in values.items():
            setattr(invented.session.query(Comparison).one(), name, value)


def test_the_comparison_of_a_film_is_that_with_the_prior_it_was_answered_with(dashboard, pair):
    uid, prior, _ = pair
    answer = dashboard.browser.get(f"/films/{uid}/compare")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/films/{uid}/compare/{prior}"
    page = dashboard.page(f"/films/{uid}/compare/{prior}")
    assert 'data-comparable="yes"' in page
    for said in ("Swipe", "Blink", "Structural difference", "Nodule (new)", "Which prior"):
        assert said in page
    assert page.index('value="heatmaps/Nodule"') > 0
    assert "Effusion (decreased)" not in page  # its maps show nothing there


def test_films_that_are_not_comparable_stand_as_they_are_and_the_page_says_why(dashboard, pair):
    uid, prior, _ = pair
    alter(dashboard, comparable=False, reason="the films hardly agree", layers=None)
    page = dashboard.page(f"/films/{uid}/compare/{prior}")
    assert "Not comparable:" in page
    assert "the films hardly agree" in page
    assert "not aligned" in page
    assert "Blink" not in page
    assert "change-new" not in page
    for layer in ("pixels", "structural.png", "heatmaps/Nodule.png"):
        assert "were not" in dashboard.page(f"/films/{uid}/compare/{prior}/{layer}", 404)


def test_what_limits_a_comparison_stands_above_it(dashboard, pair):
    uid, prior, _ = pair
    alter(dashboard, reason="AP film against PA film")
    assert "Limited comparison:</b> AP film against PA film" in dashboard.page(
        f"/films/{uid}/compare/{prior}"
    )


def test_a_comparison_of_before_there_were_layers_is_offered_once_more(dashboard, pair):
    uid, prior, _ = pair
    alter(dashboard, layers=None)
    page = dashboard.page(f"/films/{uid}/compare/{prior}")
    assert "compared by an earlier release" in page
    assert "Compare once more" in page
    assert "change-new" in page


def test_another_earlier_film_is_compared_by_a_worker_when_a_reader_asks(dashboard, pair):
    uid, prior, oldest = pair
    assert f'action="/films/{uid}/compare/{oldest}"' in dashboard.page(
        f"/films/{uid}/compare/{prior}"
    )
    assert "not been compared yet" in dashboard.page(f"/films/{uid}/compare/{oldest}")
    answer = dashboard.browser.post(f"/films/{uid}/compare/{oldest}")
    assert answer.status_code == 303
    assert dashboard.jobs.status(pair_job(uid, oldest)).status == "ENQUEUED"
    assert "Comparing." in dashboard.page(answer.headers["location"])
    (trail,) = (dashboard.archive.data_dir / "audit").glob("*.jsonl")
    assert f'"compared", "target": "{uid}", "prior": "{oldest}"' in trail.read_text()


def test_only_earlier_frontal_films_of_the_same_patient_are_compared(dashboard, pair):
    uid, prior, _ = pair
    with dashboard.invent() as invented:
        stranger = invented.film(age_s=DAY_S, patient=False).uid
        lateral = invented.film(age_s=DAY_S, view="lateral").uid
    for other, film in ((stranger, uid), (lateral, uid), (uid, prior), ("1.2.3", uid)):
        for method in ("GET", "POST"):
            answer = dashboard.browser.request(method, f"/films/{film}/compare/{other}")
            assert answer.status_code == 404, other
    assert dashboard.page("/films/1.2.3/compare", 404)


def test_a_film_without_a_prior_says_why_and_offers_what_there_is(dashboard):
    with dashboard.invent() as invented:
        film = invented.film()
        invented.analysis(film)
        invented.choice(film, why="There is no earlier film of this patient.")
        waiting = invented.film(state=FilmState.RECEIVED)
        uid, waiting_uid = film.uid, waiting.uid
    page = dashboard.page(f"/films/{uid}/compare")
    assert "There is no earlier film of this patient." in page
    assert "no earlier frontal film" in page
    assert "no prior was chosen" in dashboard.page(f"/films/{waiting_uid}/compare")


def unpacked(data):
    rows, columns, step, entries, width, *_ = struct.unpack_from("<5If4s", data)
    shape = (-(-rows // step), -(-columns // step))
    shown = np.frombuffer(data, np.uint8, entries, 28)
    values = np.frombuffer(data, f"<u{width}", offset=28 + entries).reshape(shape)
    return shown[values], (rows, columns, step)


@pytest.mark.parametrize(
    "how", [{}, {"photometric": "MONOCHROME1"}, {"bits_stored": 8}, {"signed": True}]
)
def test_the_values_that_are_sent_have_the_greys_that_were_read(how):
    ds = make_film_ds(**how)
    greys = read_greys(ds)
    assert np.abs(greys.shown[greys.values].astype(int) - read_film(ds).eight_bits).max() <= 1
    # more is dense, whatever the photometric interpretation and the sign
    assert (np.diff(greys.shown[: int(greys.values.max()) + 1].astype(int)) >= 0).all()
    picture, header = unpacked(pack(greys))
    assert header == (*greys.values.shape, 1)
    assert (picture == greys.shown[greys.values]).all()


def test_padding_is_black_at_every_window():
    ds = make_film_ds()
    ds.PixelPaddingValue = int(ds.pixel_array[0, 0])
    greys = read_greys(ds)
    assert greys.values[0, 0] == 0
    assert greys.shown[0] == 0


def test_a_first_look_is_every_nth_value_of_the_same_film():
    greys = read_greys(make_film_ds())
    large = np.kron(greys.values, np.ones((12, 12), greys.values.dtype))
    whole = pack(type(greys)(large, greys.shown))
    picture, (rows, columns, step) = unpacked(coarser(whole))
    assert (rows, columns) == large.shape
    assert step > 1
    assert max(picture.shape) <= 1250
    assert (picture == greys.shown[large[::step, ::step]]).all()


def test_a_prior_of_exchanged_polarity_is_turned_back_on_the_current_film():
    greys = read_greys(make_film_ds())
    layers = Layers.of(invented_comparison(rows=512, columns=448))
    straight = warped(greys, layers, greys)
    object.__setattr__(layers, "inverted", True)
    turned = warped(greys, layers, greys)
    one, other = (g.shown[g.values].astype(int) for g in (straight, turned))
    assert np.abs(one - (255 - other)).mean() < 2


def test_the_maps_and_outlines_of_a_film_are_those_of_its_results(dashboard, pair):
    uid, prior, _ = pair
    (finding,) = dashboard.browser.get(f"/films/{uid}/overlay").json()
    assert finding["label"] == "Nodule"
    ring = np.array(finding["outline"])
    rows, columns = make_film_ds().Rows, make_film_ds().Columns
    assert abs(ring[:, 0].mean() / columns - 0.5) < 0.05
    assert abs(ring[:, 1].mean() / rows - 0.5) < 0.05
    layer = picture(dashboard, f"/films/{uid}/heatmaps/Nodule.png")
    assert layer[layer.shape[0] // 2, layer.shape[1] // 2, 3] == 255
    assert "No heat map of" in dashboard.page(f"/films/{uid}/heatmaps/Effusion.png", 404)
    assert "no finding of this name" in dashboard.page(f"/films/{uid}/heatmaps/Flu.png", 404)
    assert dashboard.browser.get(f"/films/{prior}/overlay").json() == []
    difference = picture(dashboard, f"/films/{uid}/compare/{prior}/heatmaps/Nodule.png")
    y, x = np.unravel_index(difference[..., 3].argmax(), difference.shape[:2])
    update_entry = blob(*difference.shape[:2], 0.75, 0.35, 0.06)
    assert update_entry[y, x] > 0.6


def picture(dashboard, path):
    answer = dashboard.browser.get(path)
    assert answer.headers["content-type"] == "image/png"
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def test_a_films_page_has_its_proportions_its_sides_and_what_lies_over_it():
    ds = make_film_ds(
        ImagerPixelSpacing=["0.3", "0.2"],
        PatientOrientation=["R", "F"],
        ShutterShape="RECTANGULAR",
        ShutterLeftVerticalEdge=1,
        ShutterRightVerticalEdge=150,
        ShutterUpperHorizontalEdge=1,
        ShutterLowerHorizontalEdge=256,
    )
    marker = np.zeros((20, 20), bool)
    marker[:, 8:12] = True
    overlaid(ds, marker, origin=(31, 31))
    how = read_presentation(ds, (256, 224))
    for data in (pack(read_greys(ds), how), coarser(pack(read_greys(ds), how))):
        aspect, signs = struct.unpack_from("<f4s", data, 20)
        assert aspect == pytest.approx(1.5)
        assert signs == b"LR\1\0"
    over = annotated(how, None)
    assert over.shape == (256, 224, 4)
    assert (over[:, 150:] == (0, 0, 0, 255)).all()
    assert (over[30:50, 38:42] == 255).all()
    assert not over[100:, :150].any()
    assert struct.unpack_from("<f4s", pack(read_greys(ds)), 20) == (1, b"\0" * 4)


def test_what_lies_over_a_prior_and_its_letters_move_with_it():
    # the invented pair: the prior is the mirrored film
    layers = Layers.of(invented_comparison(rows=512, columns=448))
    marker = np.zeros((40, 40), bool)
    marker[:20] = True
    ds = overlaid(make_film_ds(PatientOrientation=["R", "F"]), marker, origin=(101, 11))
    how = read_presentation(ds, (256, 224))
    rows, columns = np.nonzero(annotated(how, layers)[..., 0])
    assert rows.mean() == pytest.approx(109.5, abs=2)
    assert columns.mean() == pytest.approx(224 - 30, abs=2)
    assert laid_presentation(how, layers).sides == ("R", "L")


def test_a_film_that_has_not_changed_is_not_sent_again(dashboard, pair):
    uid, prior, _ = pair
    for path in (f"/films/{uid}/pixels", f"/films/{uid}/compare/{prior}/pixels"):
        first = dashboard.browser.get(path)
        assert first.status_code == 200
        again = dashboard.browser.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_a_film_whose_file_is_gone_or_holds_no_film_says_so(dashboard):
    with dashboard.invent() as invented:
        gone, odd = invented.film(), invented.film()
        ds = stored(dashboard, odd)
        ds.NumberOfFrames = 3
        ds.save_as(dashboard.archive.data_dir / odd.path, enforce_file_format=True)
        gone_uid, odd_uid = gone.uid, odd.uid
    assert "its file is missing" in dashboard.page(f"/films/{gone_uid}/pixels", 404)
    assert "3 frames" in dashboard.page(f"/films/{odd_uid}/pixels", 404)
    assert "was received" in dashboard.page("/films/1.2.3/pixels", 404)


def test_what_was_made_last_is_kept_within_its_limit_and_made_once():
    kept, made = ImageCache(10), []

    def make(name):
        made.append(name)
        return name.encode() * 4

    for name in ("a", "b", "a", "c", "a", "b"):
        assert kept.get(name, lambda name=name: make(name)) == name.encode() * 4
    assert made == ["a", "b", "c", "b"]
    with pytest.raises(ZeroDivisionError):
        kept.get("bad", lambda: bytes(1 // 0))
    assert kept.get("bad", lambda: b"x") == b"x"


def test_a_comparison_that_was_stopped_stands_in_the_queue_and_is_taken_up_again(dashboard, pair):
    uid, _, oldest = pair
    job = pair_job(uid, oldest)
    dashboard.jobs.compare_pair(uid, oldest)
    assert dashboard.browser.post("/queue/cancel", params={"job": job}).status_code == 303
    assert "compare a film with one that a reader chose" in dashboard.page("/queue")
    assert "could not be compared" in dashboard.page(f"/films/{uid}/compare/{oldest}")
    assert dashboard.browser.post("/queue/retry", params={"job": job}).status_code == 303
    assert dashboard.jobs.status(job).status == "ENQUEUED"


def test_a_readers_comparison_changes_neither_the_worklist_nor_what_is_searched(dashboard, pair):
    uid, _, oldest = pair
    with dashboard.invent() as invented:
        film, other = (
            invented.session.query(Analysis).join(Instance).where(Instance.uid == one).one()
            for one in (uid, oldest)
        )
        invented.comparison(film, other, {"Nodule": (0.9, Change.UNCHANGED)})
        update_entry(invented.session, film.instance, film, WorklistSettings())
    (finding,) = dashboard.browser.get("/api/films", params={"q": "", "change": "new"}).json()
    assert finding["uid"] == uid
    assert 'Nodule <b class="change-new">new</b>' in dashboard.page()
