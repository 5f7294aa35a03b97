import json
import sys

import optuna
import pytest
import torch
from labelled import ROOT, SETTINGS, killed_after_an_epoch
from optuna.trial import TrialState
from PIL import Image
from typer.testing import CliRunner

from training.classifier.tune import STUDY, open_study, read_plan, tune, unfinished
from training.classifier.tune_report import BEST_SETTINGS, PLOT, TABLE
from training.cli import app
from training.data.film_list import Source
from training.loop import CHECKPOINT, OtherRun
from training.settings import BadSetting, TrainSettings, read_settings

BASE = {"architecture": "resnet18", "size_px": 32, "start_px": 32, "epochs": 2, "batch_size": 16}

SEARCH = """
[study]
trials = 3
[search]
learning_rate = { low = 1e-4, high = 1e-2, log = true }
batch_size = { low = 8, high = 16 }
"""
GRID = """
[study]
sampler = "grid"
seeds = [0, 1]
[search]
objective = ["soft_margin", "focal"]
"""


def written(folder, text):
    path = folder / "study.toml"
    base = "".join(f"{name} = {json.dumps(value)}\n" for name, value in BASE.items())
    path.write_text(base + text)
    return path


def words(folder, films, text):
    config = str(written(folder, text))
    return ["tune", "--films", str(films), "--out", str(folder / "out"), "--config", config]


def trials(out, plan):
    with open_study(out / STUDY, plan) as study:
        return study.get_trials()


def test_a_search_leaves_a_table_a_plot_and_settings_to_train_with(labelled_films, tmp_path):
    command = [*words(tmp_path, labelled_films, SEARCH), "--device", "cpu"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    out = tmp_path / "out"
    assert "learning_rate" in result.stdout
    table = (out / TABLE).read_text().splitlines()
    assert len(table) == 2 + 3
    with Image.open(out / PLOT) as picture:
        assert picture.width > 800
    best = read_settings(TrainSettings, out / BEST_SETTINGS, [])
    tried = trials(out, read_plan(tmp_path / "study.toml", []))
    first = max(tried, key=lambda trial: trial.value)
    assert (best.learning_rate, best.batch_size) == tuple(first.params.values())
    assert best.size_px == 32
    assert all(1e-4 <= trial.params["learning_rate"] <= 1e-2 for trial in tried)
    CliRunner().invoke(app, command)  # nothing is left to try
    assert len(trials(out, read_plan(tmp_path / "study.toml", []))) == 3


def test_a_grid_is_tried_whole_with_each_seed(labelled_films, tmp_path):
    plan = read_plan(written(tmp_path, GRID), [])
    study = tune(Source(films=labelled_films), tmp_path / "out", plan)
    assert {trial.params["objective"] for trial in study.get_trials()} == {"soft_margin", "focal"}
    for trial in study.get_trials():
        scores = trial.user_attrs["scores"]
        assert len(scores) == 2
        assert trial.value == pytest.approx(sum(scores) / 2)
    assert len(list((tmp_path / "out" / "runs").iterdir())) == 4
    assert " to " in (tmp_path / "out" / TABLE).read_text()


def test_a_killed_search_goes_on_with_the_run_that_was_under_way(labelled_films, tmp_path):
    command = words(tmp_path, labelled_films, GRID)
    killed_after_an_epoch([sys.executable, "-m", "training.cli", *command])
    out = tmp_path / "out"
    plan = read_plan(tmp_path / "study.toml", [])
    study = tune(Source(films=labelled_films), out, plan)
    states = [trial.state for trial in study.get_trials()]
    assert states.count(TrialState.COMPLETE) == 2
    assert states.count(TrialState.FAIL) == 1
    assert len(list((out / "runs").iterdir())) == 4  # the killed run went on in its folder


def test_what_was_cut_short_is_tried_again_once(tmp_path):
    plan = read_plan(written(tmp_path, SEARCH), [])
    point = {"learning_rate": 0.001, "batch_size": 9}
    with open_study(tmp_path / STUDY, plan) as study:
        study.enqueue_trial(point)
        trial = study.ask()
        trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
        trial.suggest_int("batch_size", 8, 16)
    with open_study(tmp_path / STUDY, plan) as study:
        assert unfinished(study) == []  # it waits already
        again = study.ask()
        assert again.suggest_float("learning_rate", 1e-4, 1e-2, log=True) == 0.001
        assert again.number == 1


def test_a_hopeless_run_is_stopped_early(labelled_films, tmp_path, monkeypatch):
    plan = read_plan(written(tmp_path, SEARCH), ["epochs=3"])
    monkeypatch.setattr(optuna.Trial, "should_prune", lambda trial: trial.number > 0)
    study = tune(Source(films=labelled_films), tmp_path / "out", plan)
    states = [trial.state for trial in study.get_trials()]
    assert states == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.PRUNED]
    runs = (tmp_path / "out" / "runs").glob(f"*/{CHECKPOINT}")
    assert sorted(torch.load(run, weights_only=True)["epoch"] for run in runs) == [1, 1, 3]
    assert (tmp_path / "out" / TABLE).read_text().count("stopped early") == 2


def test_another_search_does_not_go_on_in_the_same_folder(tmp_path):
    with open_study(tmp_path / STUDY, read_plan(written(tmp_path, SEARCH), [])):
        pass
    more = read_plan(written(tmp_path, SEARCH.replace("trials = 3", "trials = 9")), [])
    with open_study(tmp_path / STUDY, more):
        pass
    other = read_plan(written(tmp_path, GRID), [])
    with (
        pytest.raises(OtherRun, match="study of other settings"),
        open_study(tmp_path / STUDY, other),
    ):
        pass


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[search]\nlearning_rat = [1e-3]", "learning_rate"),
        ('[search]\nobjective = ["mse"]', "objective"),
        ("[search]\nseed = [1, 2]", "seed"),
        ("[search]\nbalance = { low = 0.0, high = 3.0 }", "balance"),
        ("[search]\nbalance = { low = 0.0, hihg = 1.0 }", "high: Field required"),
        ("[study]\nsampler = 'grid'\n[search]\nbalance = { low = 0.0, high = 1.0 }", "list"),
        ("[study]\ntrial = 3\n[search]\nbalance = [0.5]", "trial"),
        ("", "search"),
        ("[search", "study.toml"),
    ],
)
def test_a_search_that_cannot_be_is_refused_with_the_reason(tmp_path, text, said):
    with pytest.raises(BadSetting, match=said):
        read_plan(written(tmp_path, text), [])


@pytest.mark.parametrize("path", sorted((ROOT / "training" / "configs").glob("*.toml")), ids=str)
def test_the_settings_that_ship_can_be_read(path):
    if "[search]" in path.read_text():
        assert read_plan(path, []).search
    else:
        assert read_settings(TrainSettings, path, []) != SETTINGS


def test_the_table_of_objectives_has_all_four_with_the_same_seeds():
    plan = read_plan(ROOT / "training" / "configs" / "objectives.toml", [])
    assert len(plan.points) * len(plan.seeds) == 12
