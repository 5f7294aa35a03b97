"""Choices by films that did not teach, and figures film by film."""

from dataclasses import replace

import numpy as np
import pytest
from labelled import SETTINGS
from typer.testing import CliRunner

from inference.findings import LABELS
from training.classifier.cross_validation import (
    by_patient,
    by_source,
    cross_validate,
    fold_of,
    score,
    text_table,
)
from training.cli import app
from training.data.film_list import BadFilmList, Source
from training.evaluation.per_film import per_film
from training.evaluation.per_film import text_table as per_film_sheet
from training.evaluation.sample import ScoredSample

pytestmark = pytest.mark.xdist_group("cross_validation")  # its fixtures are made once

ONE_EPOCH = SETTINGS.model_copy(update={"epochs": 1})


@pytest.fixture(scope="module")
def records(labelled_films):
    """The films as a list, half of each patient's from another source."""
    listed = Source(films=labelled_films).records()
    return [replace(one, source="ab"[int(one.patient) % 2]) for one in listed]


def test_each_film_of_train_and_val_judges_once_and_no_patient_teaches_where_it_judges(records):
    parts = by_patient(records, 3)
    held = [one.name for part in parts for one in part.held]
    assert sorted(held) == sorted(one.name for one in records if one.split != "test")
    for part in parts:
        judges = {one.patient for one in part.held}
        assert judges.isdisjoint({one.patient for one in part.records if one.split == "train"})
        assert {fold_of(patient, 3) for patient in judges} == {int(part.name[-1])}


def test_a_source_that_is_left_out_takes_its_patients_with_it(records):
    mixed = [replace(records[0], source="c"), *records[1:]]
    parts = by_source(mixed)
    assert [part.name for part in parts] == ["source-0", "source-1", "source-2"]
    (alone,) = parts[2].held
    assert alone.name == records[0].name
    assert alone.patient not in {one.patient for one in parts[2].records if one.split == "train"}


def test_one_source_cannot_be_left_out_and_an_empty_fold_is_refused(records):
    with pytest.raises(BadFilmList, match="all films are of one source"):
        by_source([replace(one, source="a") for one in records])
    with pytest.raises(BadFilmList, match="no film would judge; take fewer folds"):
        by_patient(records[:4], 5)


def test_networks_read_the_films_that_did_not_teach_them_and_go_on_where_they_were(
    records, tmp_path
):
    parts = by_patient(records, 2)
    said = cross_validate(parts, tmp_path, ONE_EPOCH)
    assert said.logits.shape == (len(said.records), len(LABELS))
    assert len(said.records) == sum(one.split != "test" for one in records)
    again = cross_validate(parts, tmp_path, ONE_EPOCH)  # all is there: nothing is trained
    assert (again.logits == said.logits).all()
    table = text_table([said, again])
    assert table.rows[-1][0] == "macro average"
    assert table.rows[-1][2] == f"{score(said):.3f}"
    assert f"{len(said.records)} films out of fold" in table.title


def test_the_command_says_a_table(labelled_films, tmp_path):
    names = ("architecture", "size_px", "start_px", "epochs", "batch_size")
    small = [f"--set={name}={getattr(ONE_EPOCH, name)}" for name in names]
    options = ["--films", str(labelled_films), "--out", str(tmp_path), "--folds", "2"]
    said = CliRunner().invoke(app, ["cross-validate", *options, *small, "--device", "cpu"])
    assert said.exit_code == 0, said.output
    assert "macro average" in said.stdout


# film by film


def sample(flagged, positive):
    flags = np.zeros((len(flagged), 14), bool)
    truth = np.zeros((len(flagged), 14), bool)
    for k, (said, true) in enumerate(zip(flagged, positive, strict=True)):
        flags[k, list(said)], truth[k, list(true)] = True, True
    return ScoredSample(flags.astype(float), flags, truth, np.arange(len(flagged)))


def test_films_without_findings_are_counted_flagged_once_and_findings_are_recalled():
    found = per_film("all", sample([(0,), (1, 2), (), (3, 4), ()], [(), (), (), (3, 5), (6,)]))
    assert (found.clear, found.findings) == (3, 3)
    assert found.flagged.value == pytest.approx(2 / 3)
    assert found.recall.value == pytest.approx(1 / 3)
    assert found.flagged.low <= found.flagged.value <= found.flagged.high
    assert per_film_sheet([found]).rows[0][1] == "3"
