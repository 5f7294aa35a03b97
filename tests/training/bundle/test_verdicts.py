"""Which findings a bundle may speak of, which maps it may show, and that every answer obeys."""

import html
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from answers import answers, prior_film, read_back, received
from bench import open_bench
from films import chest, make_film_ds
from invented import (
    TOLD_APART,
    VERIFIED,
    comparison,
    drawn,
    everything_positive,
    invented_null,
    prediction,
)
from sqlalchemy.orm import Session
from told import named, states
from typer.testing import CliRunner

from inference.comparison.change_null import Condition
from inference.comparison.finding_changes import changes
from inference.drawing.summary import Caption
from inference.findings import FINDINGS, LABELS, NOT_ASSESSED, PLACE_NOT_VERIFIED, Change
from inference.image.film import Film
from inference.image.limitations import NO_INPUT_CHECK, NOT_MEASURED
from inference.model.bundle import load_bundle
from inference.model.calibration import Discrimination, OutputCalibration
from inference.model.engine import Engine
from inference.model.metadata import CARD, METADATA
from inference.model.operating_points import OperatingSettings
from inference.settings import DrawingSettings
from scp.config.worklist import WorklistSettings
from scp.index import outputs
from scp.index.schema.tables import Analysis, FilmFinding
from scp.index.worklist.entries import update_entry
from scp.index.worklist.film_rows import film_row
from scp.index.worklist.urgency import urgency
from training.bundle.judge import Verdicts, judged_bundle, unseen_films
from training.bundle.prevalences import NIH_COUNTS, NIH_FILMS, at_prevalences, read_prevalences
from training.cli import app
from training.data.boxes import Box
from training.data.expert_labels import with_expert_labels
from training.data.film_list import BadFilmList
from training.data.record import Record
from training.evaluation.discrimination import discrimination, macro, within_source
from training.evaluation.pointing import FEWEST, Pointed, _anywhere, evidence, pointed
from training.settings import BadSetting

pytestmark = pytest.mark.xdist_group("verdicts")  # its fixtures are made once

FIRST, SECOND = LABELS[:2]
PNEUMOTHORAX, NODULE = LABELS.index("Pneumothorax"), LABELS.index("Nodule")


def record(name="a.png", patient="1", split="val", labels=(0,) * 14, **more):
    return Record(Path(name), patient, split, tuple(labels), **more)


def without(verdict_of, *labels):
    """A verdict (14,) that does not hold of these."""
    return np.array([label not in labels for label in verdict_of])


# maps: the pointing game and its three controls


def spot(row, column, grid=8):
    cells = np.zeros((14, grid, grid), np.float32)
    cells[:, row, column] = 1
    return cells


def cell(row, column, film, grid=8):
    """The box of a cell."""
    return Box(film, FIRST, column / grid, row / grid, 1 / grid, 1 / grid)


SCATTERED = [(k % 8, (3 * k + k // 8) % 8) for k in range(24)]
PATIENTS = {str(k): str(k) for k in range(24)}


def judged(maps, boxes):
    return evidence(pointed(maps, boxes, PATIENTS))[FIRST]


def test_a_map_that_follows_the_finding_beats_the_three_controls():
    maps = {str(k): spot(*at) for k, at in enumerate(SCATTERED)}
    found = judged(maps, [cell(*at, str(k)) for k, at in enumerate(SCATTERED)])
    assert (found.boxes, found.pointing, found.verified) == (24, 1.0, True)
    assert max(found.random_box, found.mean_map, found.other_film) < 0.2


def test_a_map_that_points_where_the_finding_usually_is_knows_nothing_of_the_film():
    maps = {str(k): spot(3, 4) for k in range(24)}
    found = judged(maps, [cell(3, 4, str(k)) for k in range(24)])
    assert found.pointing == found.mean_map == found.other_film == 1
    assert found.random_box < 0.1  # chance alone would have called it good
    assert not found.verified


def test_a_map_without_a_peak_hits_nothing():
    maps = {str(k): np.zeros((14, 8, 8), np.float32) for k in range(24)}
    found = judged(maps, [cell(3, 4, str(k)) for k in range(24)])
    assert (found.pointing, found.random_box, found.verified) == (0, 0, False)


def test_a_few_boxes_verify_nothing():
    few = FEWEST - 1
    maps = {str(k): spot(*SCATTERED[k]) for k in range(few)}
    found = judged(maps, [cell(*SCATTERED[k], str(k)) for k in range(few)])
    assert (found.boxes, found.pointing, found.verified) == (few, 1.0, False)


def test_another_film_of_the_same_patient_is_no_control():
    maps = {"a": spot(3, 4), "b": spot(3, 4), "c": spot(0, 0)}
    patients = {"a": "one", "b": "one", "c": "other"}
    boxes = [cell(3, 4, "a"), cell(3, 4, "b"), cell(0, 0, "c")]
    first = pointed(maps, boxes, patients)[0]
    assert first == Pointed(FIRST, "one", 1.0, first.random_box, 0.0, 0.0)


@pytest.mark.parametrize("point", [(0.5, 0.5), (0.05, 0.9), (0.99, 0.01)])
def test_a_random_box_covers_a_point_as_often_as_drawn_ones_do(point):
    w, h = 0.3, 0.2
    corners = np.random.default_rng(0).random((200_000, 2)) * (1 - w, 1 - h)
    inside = (corners <= point) & (np.array(point) <= corners + np.array([w, h]))
    expected = inside.all(axis=1).mean()
    assert _anywhere(point, Box("a", FIRST, 0, 0, w, h)) == pytest.approx(expected, abs=0.005)


# findings: told apart within one source


def confounded(knows):
    """Films of two sources, one of which nearly always has the finding; scores that know ``knows``.

    ``knows`` is "source" or "finding".
    """
    generator = np.random.default_rng(1)
    sources = np.repeat(["ill", "well"], 150)
    truth = generator.random(300) < np.where(sources == "ill", 0.9, 0.1)
    known = truth if knows == "finding" else sources == "ill"
    scores = known + generator.normal(0, 0.7, 300)
    records = [
        record(f"{k}.png", str(k), labels=[int(truth[k])] + [0] * 13, source=str(sources[k]))
        for k in range(300)
    ]
    return np.tile(scores[:, None], 14), records


def test_a_network_that_knows_the_source_alone_is_not_assessed():
    scores, records = confounded("source")
    truth = np.array([one.labels[0] for one in records]) > 0
    alone = within_source(scores[:, 0], truth, [""] * 300, np.ones((1, 300)))
    assert alone[0] > 0.7  # what a pooled AUC would have said
    found = discrimination(scores, records)[FIRST]
    assert found.low < 0.5 < found.high
    assert not found.assessed


def test_a_network_that_knows_the_finding_is_assessed():
    scores, records = confounded("finding")
    found = discrimination(scores, records)
    assert found[FIRST].auc == pytest.approx(0.8, abs=0.12)
    assert found[FIRST].assessed
    truth = sum(one.labels[0] for one in records)
    assert (found[FIRST].films, found[FIRST].positives) == (300, truth)
    assert macro(found) == found[FIRST].auc


def test_a_finding_of_a_few_films_has_no_interval_and_is_not_assessed():
    scores, records = confounded("finding")
    few = [replace(one, labels=(int(k < 4), *[0] * 13)) for k, one in enumerate(records)]
    scores[:4] = 9.0  # all of the few are told apart, by luck
    found = discrimination(scores, few)[FIRST]
    assert (found.positives, found.auc, found.low, found.assessed) == (4, 1.0, None, False)


def test_a_finding_that_no_unseen_film_has_is_not_assessed():
    scores, records = confounded("finding")
    assert discrimination(scores, records)[SECOND] == Discrimination(films=300, positives=0)
    assert not Discrimination(films=300, positives=0).assessed


@pytest.mark.parametrize(("low", "assessed"), [(0.51, True), (0.5, False), (0.3, False)])
def test_the_whole_interval_must_lie_above_one_half(low, assessed):
    found = Discrimination(films=9, positives=4, auc=0.6, low=low, high=0.9)
    assert found.assessed is assessed
    # worse than chance excludes 0.5 too, and is no knowledge
    assert not Discrimination(films=9, positives=4, auc=0.2, low=0.1, high=0.3).assessed


def test_films_that_taught_and_test_films_judge_nothing():
    listed = [
        record("taught.png", "1", "train"),
        record("of_a_teacher.png", "1", "train"),
        record("new.png", "2", "train"),
        record("small.png", "3", "val", source_px=64),
        record("val.png", "4", "val", source_px=1024),
        record("test.png", "5", "test"),
    ]
    assert [one.name for one in unseen_films(listed, listed[:1])] == ["new", "val"]
    assert [one.name for one in unseen_films(listed, listed)] == ["val"]
    assert [one.name for one in unseen_films(listed, listed, test=True)] == ["test"]
    with pytest.raises(BadFilmList, match="no film that may judge"):
        unseen_films(listed[:2], listed)


# labels and prevalences


def test_radiologists_labels_take_the_place_of_mined_ones(tmp_path):
    path = tmp_path / "expert_labels.csv"
    path.write_text(f"image_index,{','.join(LABELS)}\na.png,{','.join(['1'] + ['0'] * 13)}\n")
    mined, other = record("a.png"), record("b.png")
    assert with_expert_labels([mined, other], path) == [
        replace(mined, labels=(1, *[0] * 13)),
        other,
    ]
    assert with_expert_labels([mined], None) == [mined]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image_index,Mass\na.png,1\n", "column 'Atelectasis' is missing"),
        (f"image_index,{','.join(LABELS)}\na.png,{','.join(['2'] * 14)}\n", "a: a label is 0 or 1"),
        (f"image_index,{','.join(LABELS)}\na.png,{','.join(['?'] * 14)}\n", "invalid literal"),
    ],
)
def test_expert_labels_that_cannot_be_used_are_refused_in_words(tmp_path, text, said):
    path = tmp_path / "expert_labels.csv"
    path.write_text(text)
    with pytest.raises(BadFilmList, match=said):
        with_expert_labels([record()], path)
    with pytest.raises(BadFilmList, match="No such file"):
        with_expert_labels([record()], tmp_path / "none.csv")


def test_at_nihs_prevalences_the_same_films_are_flagged_and_pneumonia_is_rare():
    # of the bundle 0.4.0: nearly a quarter of its val films were Pneumonia
    own = OutputCalibration(slope=0.93, intercept=-1.35, threshold=0.39, prevalence=0.2314)
    (moved,) = {at_prevalences(dict.fromkeys(LABELS, own), "nih")["Pneumonia"]}
    assert moved.prevalence == NIH_COUNTS["Pneumonia"] / NIH_FILMS
    assert moved.decision_logit == pytest.approx(own.decision_logit)
    logit = (np.log(0.49 / 0.51) - own.intercept) / own.slope
    said = 1 / (1 + np.exp(-(moved.slope * logit + moved.intercept)))
    assert said == pytest.approx(0.04, abs=0.005)  # what was said with 49 %
    assert at_prevalences({FIRST: own}, "films") == {FIRST: own}


def test_nihs_counts_name_each_finding():
    assert tuple(NIH_COUNTS) == LABELS


# the bundle, and an engine that obeys it


def verdicts(*, not_assessed=(), not_verified=()):
    low = Discrimination(films=500, positives=50, auc=0.55, low=0.45, high=0.65)
    return Verdicts(
        maps={
            label: VERIFIED.model_copy(update={"verified": label not in not_verified})
            for label in LABELS
        },
        unseen={label: low if label in not_assessed else TOLD_APART for label in LABELS},
    )


@pytest.fixture(scope="module")
def careful_bundle(tiny_bundle, tmp_path_factory):
    """All is positive but Pneumothorax, which is not assessed; Nodule's map is not verified."""
    folder = tmp_path_factory.mktemp("careful")
    found = verdicts(not_assessed=["Pneumothorax"], not_verified=["Nodule"])
    bundle = judged_bundle(load_bundle(tiny_bundle), found, folder / "bundle", "films", "0.0.3")
    metadata = json.loads((bundle.folder / METADATA).read_text())
    for reading in metadata["hilum"]["readings"].values():
        reading["threshold"] = 1e-6
    (bundle.folder / METADATA).write_text(json.dumps(metadata))
    return bundle.folder


def said_by(folder, **settings):
    film = Film(np.random.default_rng(0).random((80, 70), dtype=np.float32))
    with Engine(load_bundle(folder), device="cpu", **settings) as engine:
        return engine.read(film)


def test_verdicts_travel_with_the_bundle_and_its_weights_stay(tiny_bundle, careful_bundle):
    before, after = load_bundle(tiny_bundle), load_bundle(careful_bundle)
    assert after.identity.version == "0.0.3"
    assert after.identity.sha256 != before.identity.sha256
    assert after.metadata.hilum.weights_sha256 == before.metadata.hilum.weights_sha256
    readings = after.metadata.hilum.readings
    assert [label for label in LABELS if not readings[label].assessed] == ["Pneumothorax"]
    assert [label for label in LABELS if not readings[label].map_verified] == ["Nodule"]
    card, old = ((one.folder / CARD).read_text() for one in (after, before))
    assert card.startswith("# tiny 0.0.3\n")
    assert "0.55 (0.45 to 0.65): not assessed" in card
    assert "0.60 of 40 (0.10, 0.20, 0.10): not verified, not shown" in card
    assert card.count("\n## ") == old.count("\n## ")
    assert card.endswith(old[old.index("**Measured:**") :])


def test_a_map_that_is_not_verified_is_not_shown(careful_bundle):
    said = said_by(careful_bundle)
    assert said.positive[NODULE]
    assert said.withheld.tolist() == [label == "Nodule" for label in LABELS]
    assert not said.heatmaps[NODULE].any()


def test_a_site_may_show_all_maps_and_those_not_verified_are_marked(careful_bundle):
    said = said_by(careful_bundle, maps="all")
    assert NODULE in said.mapped
    assert said.place_of(NODULE) == f", {PLACE_NOT_VERIFIED}"
    assert said.place_of(LABELS.index("Mass")) == ""


@pytest.mark.parametrize("maps", ["verified", "all"])
def test_a_finding_that_is_not_assessed_is_neither_positive_nor_has_a_map(careful_bundle, maps):
    said = said_by(careful_bundle, maps=maps)
    assert said.probabilities[PNEUMOTHORAX] >= said.thresholds[PNEUMOTHORAX]
    assert not said.positive[PNEUMOTHORAX]
    assert not said.heatmaps[PNEUMOTHORAX].any()
    assert said.not_assessed == ("Pneumothorax",)


def test_a_bundle_of_before_has_no_verified_map_whatever_it_says():
    old = {"slope": 1, "intercept": 0, "threshold": 0.5, "prevalence": 0.1}
    reading = OutputCalibration.model_validate(old | {"localisation": "better than chance"})
    assert not reading.map_verified  # films that taught had judged it
    assert reading.assessed
    assert reading.unseen is None


# pictures


SMALL = DrawingSettings(long_edge_px=900)
FILM = Film(chest(250, 200))


def test_the_picture_says_not_assessed_in_place_of_a_number_and_counts_without_it(written):
    said = replace(everything_positive(), assessed=without(LABELS, "Pneumothorax"))
    drawn(FILM, said, caption=Caption(), software="hilum", settings=SMALL)
    assert sum(line.startswith("ABOVE") for line in written) == 13
    assert written.count(NOT_ASSESSED) == 1
    text = " ".join(written)
    assert "13 of the 13 findings looked for are above the site's threshold." in text
    assert "Not assessed: Pneumothorax." in text


def test_a_picture_without_findings_does_not_count_what_was_not_assessed(written):
    said = replace(prediction({}), assessed=without(LABELS, "Pneumothorax", "Hernia"))
    drawn(FILM, said, caption=Caption(), software="hilum", settings=SMALL)
    text = " ".join(written)
    assert "None of the 12 findings looked for is above the site's threshold." in text
    assert "Not assessed: Pneumothorax, Hernia." in text
    assert sum(line.startswith("below") for line in written) == 12


def test_the_picture_marks_a_map_whose_place_is_not_verified(written):
    said = replace(prediction(), verified=without(LABELS, "Nodule"))
    drawn(FILM, said, caption=Caption(), software="hilum", settings=SMALL)
    assert f"Note: Nodule: {PLACE_NOT_VERIFIED}." in " ".join(written)


# objects


def by_kind(made):
    return {one.kind: read_back(one.ds) for one in made}


def test_the_report_codes_a_finding_that_is_not_assessed_as_undetermined():
    said = replace(everything_positive(), assessed=without(LABELS, "Pneumothorax"))
    report = by_kind(answers(received(), found=said))["report"]
    code = FINDINGS[PNEUMOTHORAX].code.value
    assert states(report)[code] == "Undetermined"
    assert list(states(report).values()).count("Present") == 13
    words = [item.TextValue for item in named(report, "121071") if item.ValueType == "TEXT"]
    assert words[PNEUMOTHORAX] == f"Pneumothorax: {NOT_ASSESSED}"
    assert "Pneumothorax" not in " ".join(
        group.ContentSequence[-1].TextValue for group in named(report, "125007")
    )


def test_a_report_says_no_change_of_a_finding_that_is_not_assessed():
    both = comparison()
    kept = tuple(
        replace(one, assessed=one.label != "Nodule", change=Change.UNCERTAIN, confidence=None)
        for one in both.changes
    )
    said = replace(prediction(), assessed=without(LABELS, "Nodule"))
    made = answers(received(), prior_film(), found=said, compared=replace(both, changes=kept))
    report = by_kind(made)["report"]
    words = [item.TextValue for item in named(report, "121078") if item.ValueType == "TEXT"]
    words += [
        item.TextValue
        for code in ("112147", "C0449910")
        for item in named(report, code)
        if item.ValueType == "TEXT"
    ]
    about = [text for text in words if text.startswith("Nodule")]
    assert all(text == f"Nodule: {NOT_ASSESSED}" for text in about)
    panel = named(report, "C0034375")[0]
    (item,) = (
        one
        for one in panel.ContentSequence
        if one.ValueType == "CODE"
        and one.ConceptNameCodeSequence[0].CodeValue == FINDINGS[NODULE].code.value
    )
    assert "ContentSequence" not in item  # no property "difference" either


def test_every_object_that_shows_a_place_says_that_it_is_not_verified():
    said = replace(prediction(), verified=without(LABELS, "Nodule"))
    made = by_kind(answers(received(), found=said))
    marked = f"Nodule 93.0 % (AI, threshold 30.0 %), {PLACE_NOT_VERIFIED}"
    groups = named(made["report"], "125007")
    assert marked in [group.ContentSequence[-1].TextValue for group in groups]
    texts = made["presentation-state"].GraphicAnnotationSequence[0].TextObjectSequence
    assert marked in [item.UnformattedTextValue for item in texts]
    for kind in ("segmentation", "label-map"):
        labels = [item.SegmentLabel for item in made[kind].SegmentSequence]
        assert f"AI Nodule, {PLACE_NOT_VERIFIED}" in labels
        assert "AI Effusion" in labels
        assert all(len(label) <= 64 for label in labels)


# comparison, worklist, urgency


def test_no_change_is_named_of_a_finding_that_one_film_does_not_assess():
    measured = invented_null(0.02)
    now = everything_positive()
    before = replace(now, probabilities=now.probabilities * 0.1)
    named_ = {one.label: one.called for one in changes(now, before, measured, Condition.PA)}
    assert all(named_.values())
    half = replace(before, assessed=without(LABELS, "Pneumothorax"))
    for pair in ((now, half), (replace(now, assessed=half.assessed), before)):
        found = {one.label: one for one in changes(*pair, measured, Condition.PA)}
        assert not found["Pneumothorax"].called
        assert found["Pneumothorax"].text == NOT_ASSESSED
        assert sum(one.called for one in found.values()) == 13


def test_what_is_not_assessed_makes_no_film_urgent():
    high, low = [0.9] * 14, [0.5] * 14
    assert urgency(high, low, {}, {}).label == "Pneumothorax"
    assert urgency(high, low, {}, {}, ["Pneumothorax"]).label == "Effusion"
    assert urgency(high, low, {}, {}, LABELS).value == 0


OWN = OutputCalibration(slope=1, intercept=0, threshold=0.5, prevalence=0.1)


def remember(session, analysis, **judged):
    """Remember the model of an analysis with these verdicts."""
    readings = verdicts(**judged).on(dict.fromkeys(LABELS, OWN))
    outputs.remember_model(session, outputs.identity_of(analysis), list(readings.values()))


def test_the_index_knows_the_verdicts_and_the_worklist_obeys_them(dashboard):
    with dashboard.invent() as invent:
        film = invent.film()
        analysis = invent.analysis(film, {"Pneumothorax": 0.9, "Mass": 0.8})
        remember(invent.session, analysis, not_assessed=["Pneumothorax"], not_verified=["Mass"])
        update_entry(invent.session, film, analysis, WorklistSettings())
        uid = film.uid
    with Session(dashboard.engine) as session:
        row = film_row(session, uid)
        kept = [one.label for one in session.query(FilmFinding)]
        kept_row = session.get(Analysis, 1)
        said = outputs.site_view(session).prediction(kept_row)
        all_maps = outputs.site_view(session, OperatingSettings(maps="all")).prediction(kept_row)
    assert kept == ["Mass"]
    assert [finding.label for finding in row.positives] == ["Mass"]
    (gone,) = row.not_assessed
    assert (gone.label, gone.positive, gone.change) == ("Pneumothorax", None, None)
    assert said.not_assessed == ("Pneumothorax",)
    assert said.verified.tolist() == [label != "Mass" for label in LABELS]
    mass = LABELS.index("Mass")
    assert said.withheld[mass]
    assert mass in all_maps.mapped
    assert not all_maps.heatmaps[PNEUMOTHORAX].any()


def test_pages_and_json_say_not_assessed_never_absent(dashboard):
    with dashboard.invent() as invent:
        film = invent.film()
        analysis = invent.analysis(film, {"Pneumothorax": 0.9})
        remember(invent.session, analysis, not_assessed=["Pneumothorax"])
        update_entry(invent.session, film, analysis, WorklistSettings())
        uid = film.uid
    page = dashboard.page(f"/films/{uid}")
    none = "None of the 13 findings looked for is above the site's threshold."
    assert f"{none} Not assessed: Pneumothorax." in html.unescape(page)
    assert "90.0 %" not in page
    worklist = dashboard.page("/")
    assert f"{none} Not assessed: Pneumothorax." in html.unescape(worklist)
    (found,) = (
        finding
        for finding in dashboard.browser.get(f"/api/films/{uid}").json()["findings"]
        if finding["label"] == "Pneumothorax"
    )
    assert (found["positive"], found["assessed"]) == (None, False)
    assert found["meaning"] == NOT_ASSESSED


def test_a_film_is_answered_by_the_verdicts_of_its_bundle(tmp_path, careful_bundle):
    with open_bench(tmp_path, careful_bundle) as bench:
        row = bench.answer(bench.take(make_film_ds()))
        uid = bench.answer(bench.take(make_film_ds(seed=3, study_date="20990101"))).uid
        again = bench.row(uid)
    assert "Pneumothorax" not in [finding.label for finding in row.positives]
    assert [finding.label for finding in row.not_assessed] == ["Pneumothorax"]
    (change,) = (one.change for one in again.findings if one.label == "Pneumothorax")
    assert change is None
    assert NO_INPUT_CHECK in row.notes  # the tiny bundle has none
    assert NOT_MEASURED not in row.notes


# the command


def test_judge_refuses_to_decide_by_test_films(tmp_path, tiny_bundle):
    options = ["judge", "--films", "f.csv", "--boxes", "b.csv", "--on-test", "--out", str(tmp_path)]
    said = CliRunner().invoke(app, options)
    assert said.exit_code == 1
    assert "test films only measure" in said.stderr


def test_prevalences_have_two_names():
    assert read_prevalences("nih") == "nih"
    with pytest.raises(BadSetting, match="'ours' are none of nih, films"):
        read_prevalences("ours")
