"""A site changes a threshold or a prevalence: it holds for every film, also those read before."""

import io
from datetime import UTC

import numpy as np
import pytest
import sqlalchemy as sa
from bench import open_bench
from dashboard import served
from films import chest, make_film_ds
from invented import prediction
from sqlalchemy.orm import Session

from inference.comparison import FindingChange
from inference.comparison.finding_changes import at_any_threshold
from inference.findings import LABELS, Change
from inference.model.metadata import bundle_folder
from scp.dashboard.formatting import percent
from scp.index.overlays import newest_prediction, pair_row
from scp.index.schema.tables import Analysis, FilmFinding, Instance
from scp.index.trend import trend
from scp.index.worklist.rebuild import update_entries

pytestmark = pytest.mark.xdist_group("changed_settings")  # its fixtures are made once

NO_PICTURES = {"summary_capture": False, "comparison_capture": False}
DAYS = ("20220101", "20230101", "20240101")


@pytest.fixture(scope="module")
def bundle():
    return bundle_folder()


def film(n):
    """One of three films of one chest, a year apart."""
    return make_film_ds(chest(300, 260, seed=n), study_date=DAYS[n], study_time="101500")


def facts(bench, uid):
    """What is said of a film in the index: its findings, and where it stands on the worklist."""
    row = bench.row(uid)
    with Session(bench.stores.engine) as session:
        own = session.scalars(sa.select(Instance).where(Instance.uid == uid)).one()
        listed = session.scalars(
            sa.select(FilmFinding).where(FilmFinding.instance_id == own.id)
        ).all()
        waits = (own.due_at - own.received_at).total_seconds()
    words = [
        *((f.label, f.positive, f.change) for f in row.findings),
        *sorted((one.label, one.positive, one.change) for one in listed),
    ]
    rest = [[f.probability, f.threshold, f.prior_probability, f.confidence] for f in row.findings]
    return words, np.array([waits, *[one or 0 for many in rest for one in many]])


def changed(row):
    """Settings under which the two most probable negative findings of a film are positive."""
    negative = sorted((f for f in row.findings if not f.positive), key=lambda f: -f.probability)
    first, second = negative[:2]
    return {
        "thresholds": {first.label: 0.3 * first.probability},
        "prevalences": {second.label: 0.3, "Hernia": 0.2},
    }


@pytest.fixture(scope="module")
def places(tmp_path_factory, bundle):
    """Two films answered before the settings changed and one after; beside it all three after."""
    folders = [tmp_path_factory.mktemp(name) for name in ("changed", "from-the-start")]
    with open_bench(folders[0], bundle, **NO_PICTURES) as bench:
        uids = [bench.take(film(n)) for n in range(2)]
        rows = [bench.answer(uid) for uid in uids]
        settings = NO_PICTURES | changed(rows[1])
    with open_bench(folders[1], bundle, **settings) as other:
        for n in range(3):
            other.answer(other.take(film(n)))
        with open_bench(folders[0], bundle, **settings) as bench:
            found = bench.stores.settings
            places = (bench.stores.engine, found.worklist, found.results.operating)
            assert update_entries(*places) == 2
            assert update_entries(*places) == 0  # done is done
            uids.append(bench.take(film(2)))
            bench.answer(uids[2])
            yield bench, other, uids, rows, settings


def test_films_read_before_stand_in_lists_as_if_the_settings_had_always_been_so(places):
    bench, other, uids, _, _ = places
    for uid in uids:
        (words, numbers), (words_there, numbers_there) = facts(bench, uid), facts(other, uid)
        assert words == words_there
        np.testing.assert_allclose(numbers, numbers_there, atol=1e-5)


def test_maps_trends_and_comparisons_follow_too(places):
    bench, other, uids, _, _ = places
    said = []
    for one in (bench, other):
        operating = one.stores.settings.results.operating
        with Session(one.stores.engine) as session:
            found = newest_prediction(session, uids[0], operating)
            pair = pair_row(session, uids[1], uids[0], operating)
            own = session.scalars(sa.select(Instance).where(Instance.uid == uids[1])).one()
            points = trend(session, own, UTC, operating).points
        said.append((found, pair, points))
    (map_a, pair_a, points_a), (map_b, pair_b, points_b) = said
    np.testing.assert_allclose(map_a.heatmaps, map_b.heatmaps, atol=1e-5)
    assert map_a.mapped == map_b.mapped
    assert [f.change for f in pair_a.findings] == [f.change for f in pair_b.findings]
    assert [p.film_uid for p in points_a] == [p.film_uid for p in points_b] == uids
    for a, b in zip(points_a, points_b, strict=True):
        assert a.probabilities == pytest.approx(b.probabilities, abs=1e-6)


def test_a_setting_is_no_disease_and_no_other_network(places):
    bench, _, uids, rows, settings = places
    (label,) = settings["thresholds"]
    now = {f.label: f for f in bench.row(uids[2]).findings}[label]
    assert now.positive
    assert now.change is not Change.NEW
    assert bench.row(uids[2]).prior.uid == uids[1]
    assert "network" not in bench.row(uids[2]).prior.reason
    assert bench.row(uids[2]).model == rows[0].model


def test_an_answer_keeps_the_settings_it_was_made_with_and_the_page_says_so(places):
    bench, _, uids, rows, settings = places
    (label,) = settings["thresholds"]
    row, place = bench.row(uids[1]), LABELS.index(label)
    result = row.results[0]
    assert result.applied.thresholds[place] == pytest.approx(rows[1].findings[place].threshold)
    assert label in [f.label for f in row.otherwise(result)]
    assert not bench.row(uids[2]).otherwise(bench.row(uids[2]).results[0])
    operating = bench.stores.settings.results.operating
    with served(bench.stores.engine, bench.stores.archive, operating=operating) as dashboard:
        old, new = (dashboard.page(f"/films/{uid}") for uid in uids[1:])
        pair = dashboard.page(f"/films/{uids[1]}/compare/{uids[0]}")
        told = dashboard.browser.get(f"/api/films/{uids[1]}", headers={"Accept": "*/*"}).json()
        listed = dashboard.page(f"/?finding={label}")
    assert "changed after this film was answered" in old
    assert f"threshold ({percent(rows[1].findings[place].threshold, 1)})" in old
    assert "changed after this film was answered" not in new
    assert "changed after these films were compared" in pair
    assert told["findings"][place]["threshold"] == pytest.approx(settings["thresholds"][label])
    assert (
        told["results"][0]["applied"]["thresholds"][place] != told["findings"][place]["threshold"]
    )
    assert all(uid in listed for uid in uids[1:])


def test_answered_again_a_film_obeys_and_its_first_answer_stays(places):
    bench, _, uids, rows, _ = places
    bench.answerer.write(uids[1])
    again = bench.row(uids[1])
    assert len(again.results) == 2 * len(rows[1].results)
    assert not again.otherwise(again.results[0])
    assert again.otherwise(again.results[-1])


# -- what earlier releases stored


def as_earlier_release(session, uid, version=""):
    """Store of a film what the releases before 0.5 did: what the site of then made of it."""
    row = session.scalars(sa.select(Analysis).join(Instance).where(Instance.uid == uid)).one()
    said = newest_prediction(session, uid)
    maps = io.BytesIO()
    np.save(maps, said.heatmaps.astype(np.float16))
    row.probabilities = [float(one) for one in said.probabilities.astype(np.float32)]
    row.thresholds = [float(one) for one in said.thresholds.astype(np.float32)]
    row.heatmaps, row.log_odds, row.maps = maps.getvalue(), None, None
    row.model_version += version


def test_what_an_earlier_release_stored_is_read_at_the_settings_of_now(tmp_path, bundle):
    with open_bench(tmp_path, bundle, **NO_PICTURES) as bench:
        uid = bench.take(film(0))
        row = bench.answer(uid)
        with Session(bench.stores.engine) as session, session.begin():
            as_earlier_release(session, uid)
        assert facts(bench, uid)[0][:14] == [(f.label, f.positive, f.change) for f in row.findings]
        settings = NO_PICTURES | changed(row)
    with open_bench(tmp_path, bundle, **settings) as bench:
        (label,) = settings["thresholds"]
        now = {f.label: f for f in bench.row(uid).findings}
        assert now[label].positive
        assert now[label].threshold == pytest.approx(settings["thresholds"][label])
        assert now["Hernia"].probability > row.findings[LABELS.index("Hernia")].probability


def test_what_was_said_at_prevalences_that_are_not_known_is_read_again_when_needed(
    tmp_path, bundle
):
    with open_bench(tmp_path, bundle, **NO_PICTURES) as bench:
        prior = bench.take(film(0))
        row = bench.answer(prior)
        with Session(bench.stores.engine) as session, session.begin():
            as_earlier_release(session, prior, "+site.0123abcd")
        as_said = bench.row(prior)
        assert as_said.model == f"{row.model}+site.0123abcd"
        current = bench.answer(bench.take(film(1)))
        assert current.prior.uid == prior
        assert "network" not in current.prior.reason
        anew = bench.row(prior)
        assert anew.model == row.model
        assert [f.probability for f in anew.findings] == pytest.approx(
            [f.probability for f in row.findings], abs=1e-5
        )
        with Session(bench.stores.engine) as session:
            assert session.scalars(sa.select(Analysis.log_odds)).all() != [None, None]


def test_each_change_has_its_word_for_every_threshold():
    def name(now, before):
        words = {(False, True): Change.NEW, (True, False): Change.RESOLVED}
        return tuple(
            FindingChange(label, 0.1, 0.1, words.get((was, is_now), Change.UNCHANGED), 0.5)
            for label, was, is_now in zip(
                LABELS, before.positive.tolist(), now.positive.tolist(), strict=True
            )
        )

    made = at_any_threshold(name, prediction({}), prediction({}))
    assert {one.words for one in made} == {
        (Change.UNCHANGED, Change.NEW, Change.RESOLVED, Change.UNCHANGED)
    }
