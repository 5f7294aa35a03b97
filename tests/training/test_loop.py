import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from labelled import (
    ENVIRONMENT,
    ROOT,
    SETTINGS,
    killed_after_an_epoch,
    rows_of,
    write_films,
    write_list,
)
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.utils.data import Dataset

from training.classifier.train import (
    RUN,
    begin,
    labels_of,
    sampling_weights,
    source_of,
    teachers,
    train,
)
from training.data.film_list import BadFilmList, Source
from training.loop import BEST, CHECKPOINT, EpochSampler, OtherRun, Task, fit, start, update_ema
from training.settings import BadSetting, LoopSettings, TrainSettings, read_settings

TINY = LoopSettings(
    epochs=4, batch_size=2, bf16=False, warmup_epochs=0, learning_rate=0.1, average_decay=0.5
)
TRAIN = [sys.executable, "-m", "training.cli", "train", "--device", "cpu"]


def load(path):
    return torch.load(path, weights_only=True)


def options_for(films, out, settings=SETTINGS):
    changed = settings.model_dump(exclude_defaults=True).items()
    chosen = [word for name, value in changed for word in ("--set", f"{name}={value}")]
    return ["--films", str(films), "--out", str(out), *chosen]


class Points(Dataset):
    """x and 2 x: what `task` learns; remembers what was asked for."""

    def __init__(self, count=6):
        self.asked = []
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, at):
        self.asked.append(at)
        x = torch.tensor([at[1] / self.count])
        return x, 2 * x


def task(scores=None, points=None, **more):
    """A network with one weight; its score follows `scores` where they are given."""
    torch.manual_seed(0)
    network = nn.Linear(1, 1)
    told = iter(scores or [])

    def loss(network, batch):
        return nn.functional.mse_loss(network(batch[0]), batch[1])

    def score(average):
        return next(told) if scores else -float((average.weight - 2).abs())

    return Task(network, points or Points(), loss, score, **more)


# a run of the real thing


def test_training_finds_what_can_be_seen(labelled_films, finished_run):
    best, history = load(finished_run / BEST), load(finished_run / CHECKPOINT)["history"]
    assert [entry["epoch"] for entry in history] == [1, 2, 3]
    assert history[-1]["loss"] < history[0]["loss"]
    assert best["score"] == max(entry["score"] for entry in history)
    assert TrainSettings.model_validate(best["settings"]) == SETTINGS
    assert source_of(finished_run) == Source(films=labelled_films)


def test_a_run_is_not_continued_on_other_films(labelled_films, finished_run, tmp_path):
    run = shutil.copytree(finished_run, tmp_path / "run")
    rows = list(rows_of(patients=16, films_each=4))
    moved = [row | {"file": labelled_films.parent / row["file"]} for row in rows]
    train(Source(films=write_list(tmp_path / "same.csv", moved)), run, SETTINGS)  # only elsewhere
    with pytest.raises(OtherRun, match="other films"):
        train(Source(films=write_list(tmp_path / "fewer.csv", moved[:-8])), run, SETTINGS)


def test_tensorboard_can_show_a_run(finished_run):
    events = EventAccumulator(str(finished_run / "events"))
    events.Reload()
    assert set(events.Tags()["scalars"]) == {"loss", "score", "learning_rate"}
    assert [event.step for event in events.Scalars("loss")] == [1, 2, 3]


def test_a_killed_run_goes_on_to_the_same_weights(labelled_films, finished_run, tmp_path):
    out = tmp_path / "killed"
    killed_after_an_epoch([*TRAIN, *options_for(labelled_films, out)])
    assert 1 <= load(out / CHECKPOINT)["epoch"] < SETTINGS.epochs
    train(Source(films=labelled_films), out, SETTINGS)
    for name, key in ((BEST, "weights"), (CHECKPOINT, "network"), (CHECKPOINT, "average")):
        whole, resumed = load(finished_run / name)[key], load(out / name)[key]
        for weight, same in zip(whole.values(), resumed.values(), strict=True):
            assert torch.equal(weight, same)


def test_two_processes_train_one_network(labelled_films, tmp_path):
    out = tmp_path / "two"
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
    ]
    words = ["-m", *TRAIN[2:], *options_for(labelled_films, out)]
    done = subprocess.run(
        [*torchrun, *words],
        check=False,
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    state = load(out / CHECKPOINT)
    assert [entry["epoch"] for entry in state["history"]] == [1, 2, 3]
    assert load(out / BEST)["score"] == state["best"]
    assert len(list((out / "events").iterdir())) == 1  # only the first process writes
    assert {path.name for path in out.iterdir()} == {BEST, CHECKPOINT, RUN, "events"}
    assert done.stderr.count("epoch 1: loss") == 1


def test_workers_change_nothing(labelled_films, finished_run, tmp_path):
    one = SETTINGS.model_copy(update={"workers": 1})
    train(Source(films=labelled_films), tmp_path, one)
    whole, same = (load(run / CHECKPOINT)["network"] for run in (finished_run, tmp_path))
    assert all(torch.equal(whole[name], same[name]) for name in whole)


def test_the_head_may_learn_faster_than_the_trunk():
    network = nn.ModuleDict({"trunk": nn.Linear(2, 2), "head": nn.Linear(2, 1)})
    run = start(network, TINY.model_copy(update={"head_rate": 5.0}))
    factors = {id(p): g["factor"] for g in run.optimizer.param_groups for p in g["params"]}
    assert {factors[id(p)] for p in network["trunk"].parameters()} == {1.0}
    assert {factors[id(p)] for p in network["head"].parameters()} == {5.0}


def test_without_a_judge_the_last_epoch_is_kept(tmp_path):
    learning = replace(task(), score=None)
    fit(learning, TINY, tmp_path)
    assert load(tmp_path / BEST)["epoch"] == TINY.epochs
    whole = load(tmp_path / CHECKPOINT)["average"]
    assert all(torch.equal(load(tmp_path / BEST)["weights"][name], whole[name]) for name in whole)


# which films teach


def test_val_films_may_teach_and_films_of_small_sources_may_not(labelled_films):
    records = Source(films=labelled_films).records()
    everything = teachers(records, SETTINGS.model_copy(update={"teach_val": True}))
    assert {one.split for one in everything} == {"train", "test"}
    assert len(everything) == len(records)
    sharp = teachers(records, SETTINGS.model_copy(update={"sharp_only": True}))
    assert {one.source_px for one in sharp if one.split == "train"} == {1024}
    assert {one.source_px for one in sharp if one.split == "val"} == {1024, 64}


def test_a_run_remembers_its_boxes_and_is_not_continued_on_others(labelled_films, tmp_path):
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("image_index,finding,x,y,w,h\n0_0.png,Mass,0,0,1024,512\n")
    source = Source(films=labelled_films, boxes=(boxes,))
    once = SETTINGS.model_copy(update={"epochs": 1, "box_weight": 0.5})
    train(source, tmp_path / "run", once)
    assert source_of(tmp_path / "run") == source
    with pytest.raises(OtherRun, match="other films"):
        train(Source(films=labelled_films), tmp_path / "run", once)


# the film list must do


def test_too_few_films_to_choose_an_epoch_by_are_refused_at_once(tmp_path):
    rows = list(rows_of(8, 1))
    path = write_films(tmp_path, rows)
    with pytest.raises(BadFilmList, match="5 films with it"):
        train(Source(films=path), tmp_path / "run", SETTINGS)
    for split in ("train", "val"):
        path = write_list(tmp_path / "films.csv", [row for row in rows if row["split"] != split])
        with pytest.raises(BadFilmList, match=f"'{split}'"):
            train(Source(films=path), tmp_path / "run", SETTINGS)
    assert not (tmp_path / "run").exists()


def test_the_network_begins_with_the_frequency_of_each_finding(labelled_films):
    records = Source(films=labelled_films).records()
    logits, _ = begin(labels_of(records, "train"), SETTINGS)[0].eval()(torch.rand(1, 1, 32, 32))
    labels = torch.tensor([one.labels for one in records if one.split == "train"]).float()
    assert torch.allclose(logits[0].sigmoid(), labels.mean(dim=0), atol=1e-5)


# stopping and going on


def test_a_finished_run_is_not_run_again(tmp_path):
    fit(task(), TINY, tmp_path)
    points = Points()
    assert fit(task(points=points), TINY, tmp_path) == tmp_path / BEST
    assert points.asked == []


def test_a_run_goes_on_for_more_epochs(tmp_path):
    fit(task(), TINY, tmp_path)
    points = Points()
    fit(task(points=points), TINY.model_copy(update={"epochs": 6}), tmp_path)
    assert {epoch for epoch, _ in points.asked} == {4, 5}
    assert load(tmp_path / CHECKPOINT)["epoch"] == 6


def test_a_run_with_other_settings_is_not_continued(tmp_path):
    fit(task(), TINY, tmp_path)
    with pytest.raises(OtherRun, match="other settings"):
        fit(task(), TINY.model_copy(update={"learning_rate": 0.5}), tmp_path)


def test_a_run_stops_when_the_score_has_not_risen_for_long(tmp_path):
    patient = TINY.model_copy(update={"epochs": 20, "patience": 3})
    scores = [0.1, 0.5, 0.3, 0.5, 0.4, 0.9]
    fit(task(scores), patient, tmp_path)
    state = load(tmp_path / CHECKPOINT)
    assert (state["epoch"], state["best_epoch"]) == (5, 2)
    assert load(tmp_path / BEST)["epoch"] == 2
    fit(task(scores), patient, tmp_path)  # nor does it go on
    assert load(tmp_path / CHECKPOINT)["epoch"] == 5


def test_a_run_stops_when_it_is_told_that_it_is_enough(tmp_path):
    told = []

    def enough(epoch, score):
        told.append((epoch, score))
        return epoch == 2

    fit(task([0.1, 0.2, 0.3], should_stop=enough), TINY, tmp_path)
    assert told == [(1, 0.1), (2, 0.2)]
    fit(task([0.3, 0.4]), TINY, tmp_path)  # but can go on
    assert load(tmp_path / CHECKPOINT)["epoch"] == 4


def test_a_half_written_file_is_not_taken_for_a_checkpoint(tmp_path):
    (tmp_path / CHECKPOINT).with_suffix(".part").write_bytes(b"half")
    fit(task(), TINY, tmp_path)
    assert load(tmp_path / CHECKPOINT)["epoch"] == 4


# what a step does


def test_each_film_is_shown_once_an_epoch_in_another_order():
    sampler = EpochSampler(task(), TINY)
    first = [at for batch in sampler for at in batch]
    assert sorted(first) == [(0, k) for k in range(6)]
    sampler.epoch = 1
    second = [at for batch in sampler for at in batch]
    assert sorted(second) == [(1, k) for k in range(6)]
    assert [k for _, k in first] != [k for _, k in second]


def test_fewer_films_than_a_batch_are_one_batch():
    assert len(list(EpochSampler(task(), TINY.model_copy(update={"batch_size": 64})))) == 1


def test_balance_shows_films_with_rare_findings_more_often():
    labels = torch.zeros(1000, 14)
    labels[:400, 0] = 1
    labels[:10, 1] = 1  # each of these has the common finding too
    common, rare, none = 20, 5, 900
    for balance in (0.5, 1.0):
        shown = sampling_weights(labels, balance)
        assert float(shown[rare] / shown[common]) == pytest.approx((400 / 10) ** balance)
        assert shown[none] < shown[common]
    points = task(points=Points(1000), weights=sampling_weights(labels, 1.0))
    drawn = torch.tensor([index for batch in EpochSampler(points, TINY) for _, index in batch])
    assert 250 < int((drawn < 10).sum()) < 420  # a third: rare, common and none are alike


def test_the_average_follows_the_network_slowly():
    network, average = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    network.weight.data.fill_(3.0)
    network.num_batches_tracked.fill_(7)
    update_ema(average, network, decay=0.75)
    assert average.weight.tolist() == [1.5, 1.5]
    assert average.num_batches_tracked == 7


def test_what_is_kept_is_the_average(tmp_path):
    fit(task(), TINY, tmp_path)
    state = load(tmp_path / CHECKPOINT)
    assert not torch.equal(state["average"]["weight"], state["network"]["weight"])
    assert torch.equal(load(tmp_path / BEST)["weights"]["weight"], state["average"]["weight"])


# settings


def test_the_film_grows_and_the_rate_falls():
    settings = TrainSettings(epochs=10, start_px=64, size_px=128, learning_rate=1.0)
    sides = [settings.side_at(epoch) for epoch in range(10)]
    assert sides[0] == 64
    assert sides == sorted(sides)
    assert set(sides[6:]) == {128}
    assert settings.rate_at(0) == 0
    assert settings.rate_at(settings.warmup_epochs) == 1.0
    assert settings.rate_at(10) == pytest.approx(0)
    small = TrainSettings(epochs=10, start_px=96, size_px=64)
    assert {small.side_at(epoch) for epoch in range(10)} == {64}


def test_settings_come_from_a_file_and_then_from_the_command(tmp_path):
    config = tmp_path / "settings.toml"
    config.write_text('epochs = 7\nobjective = "focal"\n')
    settings = read_settings(TrainSettings, config, ["epochs=9", "bf16=false"])
    assert (settings.epochs, settings.objective, settings.bf16) == (9, "focal", False)
    assert settings.batch_size == TrainSettings().batch_size


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("epoch=3", "did you mean epochs"),
        ("epochs=many", "epochs"),
        ("objective=mse", "objective"),
        ("balance=2", "balance"),
        ("epochs", "NAME=VALUE"),
    ],
)
def test_a_setting_that_cannot_be_is_named(change, said):
    with pytest.raises(BadSetting, match=said):
        read_settings(TrainSettings, None, [change])
