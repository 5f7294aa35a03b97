import csv
import json
import re
import sys

import numpy as np
import pytest
import torch
from monai.metrics import compute_roc_auc
from PIL import Image
from typer.testing import CliRunner

from inference.findings import LABELS, ModelIdentity, Prediction
from training.bundle.model_card import _measured
from training.classifier.evaluate import measure_bundle, write_report
from training.cli import app
from training.data.film_list import read_film_list
from training.data.record import Record
from training.evaluation.classification import evaluate, evaluate_sample, operating_point
from training.evaluation.origin import PRECISION, beside_origin
from training.evaluation.reference import BadReference, compare_all, read_reference, scores_for
from training.evaluation.sample import ScoredSample, scored_sample
from training.evaluation.statistics import (
    BOOTSTRAPS,
    auc,
    aucs,
    average_precision,
    calibration_error,
    patient_draws,
    rank,
)
from training.evaluation.subsets import MIN_FILMS, subsets_of

pytestmark = pytest.mark.xdist_group("evaluation")  # its fixtures are made once

MODEL = ModelIdentity("tiny", "0.0.1", "0" * 64)
THRESHOLD = 0.4


def one(figure, scores, positive, weights=None):
    """Return a figure of films that count once, or ``weights`` times."""
    weights = np.ones(len(scores)) if weights is None else np.asarray(weights, float)
    ranking = rank(np.asarray(scores, float), np.asarray(positive, bool), weights[None])
    return float(figure(ranking)[0])


def records_of(films, tmp_path, **same):
    """Return records of invented films, four a patient, whose groups are all there."""
    generator = np.random.default_rng(3)
    truth = generator.random((films, 14)) < 0.4
    for index in range(films):
        said = {
            "source_px": (1024, 64)[index % 2],
            "age": (30, 50, 70)[index % 3],
            "sex": "FM"[index // 4 % 2],
            "view": ("PA", "AP")[index % 2],
            "labels": tuple(truth[index].astype(int)),
        }
        yield Record(
            path=tmp_path / f"{index:04}.png",
            patient=str(index // 4),
            split="test",
            **said | same,
        )


def predictions_of(records, seed=0):
    """Return probabilities that tell findings apart, but not well."""
    generator = np.random.default_rng(seed)
    for record in records:
        probabilities = 0.6 * generator.random(14) + 0.3 * np.array(record.labels)
        yield Prediction(probabilities, np.full(14, THRESHOLD), np.zeros((14, 1, 1)), MODEL)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """240 films of 60 patients: their records and what a network said of them."""
    records = list(records_of(240, tmp_path_factory.mktemp("films")))
    return list(predictions_of(records)), records


def write_reference(path, records, scores):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image_index", *LABELS])
        writer.writerows([f"{r.name}.png", *row] for r, row in zip(records, scores, strict=True))
    return path


# figures


def test_auc_counts_pairs_in_the_right_order_and_half_of_ties():
    truth = [False, False, True, True]
    assert one(auc, [0.1, 0.2, 0.3, 0.4], truth) == 1.0
    assert one(auc, [0.1, 0.3, 0.2, 0.4], truth) == 0.75
    assert one(auc, [0.5, 0.5, 0.5, 0.5], truth) == 0.5
    assert np.isnan(one(auc, np.zeros(4), np.zeros(4)))


def test_auc_agrees_with_monai():
    generator = np.random.default_rng(0)
    scores, truth = generator.random(200).round(1), generator.random(200) < 0.3
    theirs = compute_roc_auc(torch.from_numpy(scores), torch.from_numpy(truth).int())
    assert one(auc, scores, truth) == pytest.approx(theirs)


def test_average_precision_is_the_mean_precision_at_each_positive_film():
    generator = np.random.default_rng(1)
    scores, truth = generator.random(150).round(1), generator.random(150) < 0.2
    expected = np.mean([truth[scores >= score].mean() for score in scores[truth]])
    assert one(average_precision, scores, truth) == pytest.approx(expected)
    assert one(average_precision, [0.9, 0.8, 0.1], [True, True, False]) == 1.0
    assert np.isnan(one(average_precision, [0.1, 0.2], [False, False]))


@pytest.mark.parametrize("figure", [auc, average_precision, calibration_error])
def test_a_weight_is_a_repetition(figure):
    generator = np.random.default_rng(2)
    scores, truth = generator.random(120).round(1), generator.random(120) < 0.3
    weights = generator.integers(0, 3, 120)
    repeated = np.repeat(scores, weights), np.repeat(truth, weights)
    assert one(figure, scores, truth, weights) == pytest.approx(one(figure, *repeated))


def test_rates_at_the_operating_point_count_films():
    flagged = np.array([1, 1, 1, 0, 0, 0, 0, 0], bool)
    positive = np.array([1, 1, 0, 1, 0, 0, 0, 0], bool)
    precision, recall, specificity = operating_point(flagged, positive, np.ones((1, 8)))
    assert (precision[0], recall[0], specificity[0]) == pytest.approx((2 / 3, 2 / 3, 4 / 5))
    none = operating_point(np.zeros(8, bool), positive, np.ones((1, 8)))
    assert np.isnan(none[0][0])
    assert none[1][0] == 0


def test_calibrated_probabilities_have_a_small_error_and_overconfident_ones_a_large():
    generator = np.random.default_rng(4)
    logits = generator.normal(-1, 1, 20_000)
    probabilities = 1 / (1 + np.exp(-logits))
    truth = generator.random(20_000) < probabilities
    overconfident = 1 / (1 + np.exp(-4 * logits))
    assert one(calibration_error, probabilities, truth) < 0.01
    assert one(calibration_error, overconfident, truth) > 0.1


def test_the_calibration_error_is_the_mean_gap_of_ten_equal_parts():
    generator = np.random.default_rng(5)
    scores, truth = np.sort(generator.random(500)), generator.random(500) < 0.3
    parts = zip(np.split(scores, 10), np.split(truth, 10), strict=True)
    expected = np.mean([abs(said.mean() - seen.mean()) for said, seen in parts])
    assert one(calibration_error, scores, truth) == pytest.approx(expected)


# bootstraps


def test_all_draws_at_once_are_the_draws_one_by_one():
    generator = np.random.default_rng(6)
    scores, truth = generator.random((60, 14)), generator.random((60, 14)) < 0.4
    weights = next(patient_draws(np.repeat(np.arange(20), 3)))[:5]
    together = aucs(scores, truth.astype(float), weights)
    alone = [[one(auc, scores[:, k], truth[:, k], w) for k in range(14)] for w in weights]
    assert together == pytest.approx(np.array(alone), nan_ok=True)


def test_draws_come_in_blocks_that_fit_in_memory_and_repeat_with_their_seed(monkeypatch):
    patients = np.repeat(np.arange(30), 2)
    (whole,) = patient_draws(patients)
    monkeypatch.setattr("training.evaluation.statistics.BLOCK", 60 * 300)
    blocks = list(patient_draws(patients))
    assert [len(block) for block in blocks] == [300, 300, 300, BOOTSTRAPS - 900]
    assert np.array_equal(np.concatenate(blocks), whole)
    assert (whole[:, ::2] == whole[:, 1::2]).all()  # a patient's films are drawn together


def test_intervals_are_wider_where_films_come_from_few_patients():
    generator = np.random.default_rng(0)
    truth = np.repeat(generator.random((40, 14)) < 0.5, 5, axis=0)
    scores = np.repeat(generator.random((40, 14)), 5, axis=0) + truth * 0.3
    spread = []
    for patients in (np.repeat(np.arange(40), 5), np.arange(200)):
        drawn = np.concatenate([aucs(scores, truth * 1.0, w) for w in patient_draws(patients)])
        spread.append(drawn.std(axis=0).mean())
    assert spread[0] > 1.7 * spread[1]


def test_every_interval_holds_its_figure(films):
    evaluation = evaluate(*films)[0]
    for figures in (*evaluation.findings, evaluation.macro):
        for name in ("auc", "average_precision", "precision", "recall", "specificity", "ece"):
            figure = getattr(figures, name)
            assert 0 <= figure.low <= figure.value <= figure.high <= 1


# subsets


def test_all_films_come_first_then_those_to_quote_then_the_groups(films):
    names = [evaluation.subset for evaluation in evaluate(*films)]
    assert names == [
        "all films", "1024 px films", "64 px films", "sex F", "sex M", "under 40 years",
        "40 to 59 years", "60 years and older", "view AP", "view PA",
    ]  # fmt: skip


def test_a_subset_is_measured_like_its_films_alone(films):
    predictions, records = films
    women = [k for k, record in enumerate(records) if record.sex == "F"]
    alone = evaluate([predictions[k] for k in women], [records[k] for k in women])[0]
    among = next(each for each in evaluate(*films) if each.subset == "sex F")
    assert among.macro == alone.macro
    assert among.patients == alone.patients == 30


def test_films_of_which_the_list_says_nothing_more_are_measured_together(tmp_path):
    records = list(records_of(24, tmp_path, source_px=None, age=None, sex="", view=""))
    measured, left_out = subsets_of(records)
    assert [subset.name for subset in measured] == ["all films"]
    assert [left.subset for left in left_out] == ["by source size", "by sex", "by age", "by view"]
    assert all("does not state it" in str(left) for left in left_out)
    assert [e.films for e in evaluate(list(predictions_of(records)), records)] == [24]


def test_too_few_films_are_left_out_with_their_number(tmp_path):
    records = list(records_of(24, tmp_path, sex="F"))
    few = list(records_of(MIN_FILMS - 1, tmp_path, sex="M", age=414))  # NIH's list has such ages
    measured, left_out = subsets_of(records + few)
    assert "sex F" in [subset.name for subset in measured]
    assert "sex M: not measured, 19 films are fewer than 20" in map(str, left_out)
    assert "60 years and older" in [left.subset for left in left_out if left.films == 8]


def test_a_finding_that_no_film_has_is_unknown_and_not_in_the_mean(films):
    sample = scored_sample(*films)
    positive = sample.positive.copy()
    positive[:, 13] = False
    without = ScoredSample(sample.scores, sample.flagged, positive, sample.patients)
    evaluation = evaluate_sample("all films", without)
    assert evaluation.counted == 13
    assert evaluation.as_json()["findings"][13]["auc"] == {"value": None, "low": None, "high": None}
    assert evaluation.rows()[13][2] == "-"
    assert evaluation.macro_auc.value == pytest.approx(
        np.mean([finding.auc.value for finding in evaluation.findings[:13]])
    )


# the reference


def test_a_network_does_not_differ_from_itself(films, tmp_path):
    records = films[1]
    sample = scored_sample(*films)
    path = write_reference(tmp_path / "same.csv", records, sample.scores)
    for comparison in compare_all(sample, scores_for(records, path), records, "same"):
        assert comparison.macro.difference.high == comparison.macro.difference.low == 0
        assert comparison.macro.p == 1


def test_a_reference_is_compared_film_by_film_whatever_its_order(films, tmp_path):
    records = films[1]
    sample = scored_sample(*films)
    better = sample.scores + 0.4 * sample.positive
    path = write_reference(tmp_path / "better.csv", records[::-1], better[::-1])
    everything, quoted = compare_all(sample, scores_for(records, path), records, "better")
    assert (everything.films, everything.of, quoted.films) == (240, 240, 120)
    assert everything.macro.theirs == pytest.approx(aucs(better, sample.positive * 1.0).mean())
    assert everything.macro.difference.high < 0
    assert everything.macro.p < 0.01
    assert quoted.subset == "1024 px films"


def test_only_the_films_that_the_reference_has_are_compared_and_counted(films, tmp_path):
    records = films[1]
    sample = scored_sample(*films)
    path = write_reference(tmp_path / "part.csv", records[:100], sample.scores[:100])
    everything = compare_all(sample, scores_for(records, path), records, "part")[0]
    assert (everything.films, everything.of) == (100, 240)
    assert "100 of 240 films are in it" in everything.sheet().title
    expected = aucs(sample.scores[:100], sample.positive[:100] * 1.0).mean()
    assert everything.macro.ours == pytest.approx(expected)


def test_a_reference_without_any_of_the_films_is_refused(films, tmp_path):
    records = films[1]
    path = write_reference(tmp_path / "other.csv", records[:3], np.zeros((3, 14)))
    with pytest.raises(BadReference, match="none of the 237 films"):
        scores_for(records[3:], path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image_index\n1.png\n", "column Atelectasis, .* is missing"),
        ("image_index," + ",".join(LABELS) + "\n", "has no film"),
        ("image_index," + ",".join(LABELS) + "\n1.png" + ",x" * 14, "1.png: could not convert"),
        ("image_index," + ",".join(LABELS) + "\n1.png" + ",nan" * 14, "1.png: .* finite"),
        ("image_index," + ",".join(LABELS) + "\n1.png,0.5\n", "1.png"),
    ],
)
def test_an_unreadable_reference_is_refused_in_words(tmp_path, text, said):
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(BadReference, match=said):
        read_reference(tmp_path / "bad.csv")


def test_the_shared_reference_has_the_macro_auc_that_is_stated(shared_data):
    records = [r for r in read_film_list(shared_data / "films.csv") if r.split == "test"]
    scores = scores_for(records, shared_data / "reference_densenet121.csv")
    labels = np.array([record.labels for record in records], float)
    assert aucs(scores, labels).mean() == pytest.approx(0.806, abs=5e-4)


# the origin


def test_no_finding_is_right_where_nothing_is_flagged_and_nothing_is_there():
    flagged, positive = np.zeros((30, 14), bool), np.zeros((30, 14), bool)
    flagged[:10, 0] = True
    positive[5:15, 0] = True  # 20 films unflagged, of which 5 have something
    sample = ScoredSample(flagged * 1.0, flagged, positive, np.arange(30))
    evaluation = evaluate_sample("all films", sample)
    assert evaluation.no_finding.value == pytest.approx(15 / 20)
    rows = {row.category: row for row in beside_origin(evaluation)}
    assert rows["No Finding"].ours == evaluation.no_finding
    assert rows["No Finding"].share == pytest.approx(20 / 30)
    assert rows["Atelectasis"].ours.value == pytest.approx(5 / 10)
    assert set(rows) == set(PRECISION)


# what is written


@pytest.fixture(scope="module")
def report(films):
    predictions, records = films
    theirs = scored_sample(list(predictions_of(records, seed=9)), records).scores
    theirs[:40] = np.nan  # the reference lacks some films
    return measure_bundle(predictions, records, MODEL, theirs, "<other>")


@pytest.fixture(scope="module")
def written(report, tmp_path_factory):
    return write_report(report, tmp_path_factory.mktemp("report") / "new" / "folder").parent


def test_the_page_holds_everything_and_needs_no_network(report, written):
    page = (written / "report.html").read_text(encoding="utf-8")
    assert re.search(r"(https?:)?//[a-z]", re.sub(r"base64,[^\"]+", "", page)) is None
    assert re.findall(r"<(?:script|link|iframe)", page) == []
    assert page.count('src="data:image/png;base64,') == page.count("<img") == 3
    assert "&lt;other&gt;, all films: 200 of 240 films are in it" in page
    assert "No contest" in page
    for evaluation in report.evaluations:
        assert evaluation.title in page
        assert str(evaluation.macro_auc) in page


def test_the_pictures_and_the_figures_lie_beside_the_page(report, written):
    for name in ("roc.png", "precision_recall.png", "reliability.png"):
        with Image.open(written / name) as picture:
            assert min(picture.size) > 1000
            assert np.asarray(picture.convert("L")).std() > 10
    assert json.loads((written / "evaluation.json").read_text()) == report.as_json()


def test_findings_that_no_film_has_do_not_stop_the_pictures(tmp_path):
    records = list(records_of(24, tmp_path, labels=(0,) * 13 + (1,)))
    report = measure_bundle(list(predictions_of(records)), records, MODEL)
    assert report.evaluations[0].counted == 0
    assert write_report(report, tmp_path / "out").is_file()


def test_a_model_card_has_every_finding_of_the_films_to_quote_and_a_line_a_group(films):
    lines = _measured(evaluate(*films))
    assert sum(line.startswith("| Hernia |") for line in lines) == 2
    assert sum(line.startswith("| macro average |") for line in lines) == 2
    assert sum(line.startswith("| view AP |") for line in lines) == 1


# the command


@pytest.fixture(scope="module")
def film_list(tmp_path_factory):
    folder = tmp_path_factory.mktemp("list")
    records = list(records_of(24, folder))
    generator = np.random.default_rng(1)
    with (folder / "films.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "patient_id", "split", "source_px", *LABELS])
        for record in records:
            pixels = generator.integers(0, 255, (40, 36), dtype=np.uint8)
            Image.fromarray(pixels).save(record.path)
            said = (record.path.name, record.patient, "test", record.source_px)
            writer.writerow([*said, *record.labels])
    write_reference(folder / "reference.csv", records[:20], generator.random((20, 14)))
    return folder


def run(film_list, tiny_bundle, *words):
    command = ["evaluate", "--films", str(film_list / "films.csv"), "--device", "cpu"]
    return CliRunner().invoke(app, [*command, "--bundle", str(tiny_bundle), *map(str, words)])


def test_evaluate_prints_json_for_machines(film_list, tiny_bundle):
    result = run(film_list, tiny_bundle, "--json", "--reference", film_list / "reference.csv")
    assert result.exit_code == 0
    said = json.loads(result.stdout)
    assert said["bundle"] == "tiny"
    assert [subset["films"] for subset in said["subsets"]] == [24]
    assert {left["subset"]: left["films"] for left in said["left_out"]} == {
        "1024 px films": 12, "64 px films": 12, "by sex": 0, "by age": 0, "by view": 0,
    }  # fmt: skip
    assert said["comparisons"][0]["films"] == 20
    assert said["origin"]["subsets"][0]["rows"][-1]["origin"] == PRECISION["No Finding"]


def test_evaluate_prints_tables_for_people_and_writes_the_report(film_list, tiny_bundle, tmp_path):
    words = ("--out", tmp_path / "out", "--reference", film_list / "reference.csv")
    result = run(film_list, tiny_bundle, *words)
    assert result.exit_code == 0
    assert "macro average" in result.stdout
    assert "Against reference, all films: 20 of 24 films are in it" in result.stdout
    assert "1024 px films: not measured, 12 films are fewer than 20" in result.stdout
    assert "No contest" in result.stdout
    assert (tmp_path / "out" / "report.html").is_file()


def test_without_matplotlib_the_report_is_refused_before_films_are_read(
    film_list, tiny_bundle, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run(film_list, tiny_bundle, "--out", tmp_path)
    assert result.exit_code == 1
    assert "`make setup`" in result.stderr
    assert run(film_list, tiny_bundle).exit_code == 0
