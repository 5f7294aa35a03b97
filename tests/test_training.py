import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from inference.bundle import CARD, WEIGHTS, calibrate, load_bundle
from inference.film import Film
from inference.findings import LABELS
from inference.preprocessing import Preprocessing
from training.augment import Augmentation
from training.calibration import SPECIFICITY, calibrate_findings, fit
from training.cli import app
from training.data import BadFilmList, load_films, read_film_list, read_picture
from training.export import BundleExists, NoRun, export_run
from training.loop import BEST, CHECKPOINT, OtherRun, rarity, train
from training.settings import TrainSettings

ROOT = Path(__file__).parents[1]
SPLIT = "chexnet_7_1_2_split"
SETTINGS = TrainSettings(
    architecture="resnet18", size_px=32, start_px=32, epochs=3, batch_size=8, warmup_epochs=1
)


def rows_of(patients, films_each):
    generator = np.random.default_rng(0)
    for patient in range(patients):
        split = ("train", "train", "val", "test")[patient % 4]
        for film in range(films_each):
            labels = dict(zip(LABELS, (generator.random(14) < 0.4).astype(int), strict=True))
            yield {
                "file": f"{patient}_{film}.png",
                "source_px": (1024, 64)[film % 2],
                "patient_id": patient,
                SPLIT: split,
                **labels,
            }


def write_films(folder, rows):
    folder.mkdir(exist_ok=True)
    generator = np.random.default_rng(1)
    for row in rows:
        pixels = generator.integers(0, 120, (40, 36), dtype=np.uint8)
        pixels[:20] += np.uint8(130 * row["Mass"])  # a Mass is a bright upper half
        Image.fromarray(pixels).save(folder / row["file"])
    with (folder / "films.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder / "films.csv"


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    return write_films(tmp_path_factory.mktemp("films"), list(rows_of(patients=16, films_each=4)))


@pytest.fixture(scope="module")
def run(films, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "whole"
    train(films, out, SETTINGS)
    return out


# the list of films


def test_a_film_list_gives_records_with_labels_in_the_order_of_findings(films):
    records = read_film_list(films)
    assert len(records) == 64
    row = next(iter(rows_of(16, 4)))
    assert records[0].labels == tuple(row[label] for label in LABELS)
    assert records[0].path == films.parent / "0_0.png"


def test_a_split_that_leaks_patients_is_refused_with_their_number(tmp_path):
    rows = list(rows_of(8, 2))
    rows[0][SPLIT] = "val"  # its other film stays in train
    rows[2][SPLIT] = "test"
    with pytest.raises(BadFilmList, match="2 of 8 patients"):
        read_film_list(write_films(tmp_path / "leaky", rows))


def test_a_missing_column_is_named(tmp_path):
    rows = [{k: v for k, v in row.items() if k != "patient_id"} for row in rows_of(2, 1)]
    with pytest.raises(BadFilmList, match="patient_id"):
        read_film_list(write_films(tmp_path, rows))


def test_an_unknown_split_is_refused(tmp_path):
    rows = [row | {SPLIT: "holdout"} for row in rows_of(1, 1)]
    with pytest.raises(BadFilmList, match="'holdout'"):
        read_film_list(write_films(tmp_path, rows))


def test_an_empty_list_is_refused(tmp_path):
    (tmp_path / "films.csv").write_text("file\n")
    with pytest.raises(BadFilmList, match="no film"):
        read_film_list(tmp_path / "films.csv")


def test_training_sees_what_inference_sees(films):
    preprocessing = Preprocessing(32)
    loaded = load_films(read_film_list(films), "val", preprocessing)
    direct = preprocessing(read_picture(loaded.records[3].path))
    cached = preprocessing.normalise(loaded.pixels[3].float() / 255)
    assert (direct - cached).abs().max() < 0.5 / 255 / preprocessing.std + 1e-6


def test_the_shared_films_split_by_patient(shared_data):
    records = read_film_list(shared_data / "films.csv")
    assert {record.split for record in records} == {"train", "val", "test"}
    assert isinstance(read_picture(records[0].path), Film)


# augmentation


def test_augmentation_repeats_with_its_seed_and_varies_without():
    pixels = torch.randint(0, 255, (2, 1, 40, 40), dtype=torch.uint8)
    first, again, other = (Augmentation(32, seed)(pixels) for seed in (1, 1, 2))
    assert first.shape == (2, 1, 32, 32)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_augmentation_never_swaps_left_and_right():
    pixels = torch.zeros((1, 1, 40, 40), dtype=torch.uint8)
    pixels[..., 20:] = 255  # the heart's side
    augment = Augmentation(32, seed=0)
    for _ in range(50):
        varied = augment(pixels)
        assert varied[..., 20:].mean() > varied[..., :12].mean()


# the loop


def test_training_finds_what_can_be_seen(films, run):
    best = torch.load(run / BEST, weights_only=True)
    history = torch.load(run / CHECKPOINT, weights_only=True)["history"]
    assert len(history) == SETTINGS.epochs
    assert history[-1]["loss"] < history[0]["loss"]
    assert best["val_macro_auc"] == max(entry["val_macro_auc"] for entry in history)


def test_a_killed_run_goes_on_to_the_same_weights(films, run, tmp_path):
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "training.cli", "train"]
    options = {"--films": films, "--out": out, "--epochs": 3, "--size-px": 32, "--start-px": 32}
    options |= {"--batch-size": 8, "--architecture": "resnet18", "--device": "cpu"}
    options |= {"--warmup-epochs": 1}
    words = [str(word) for option in options.items() for word in option]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([*command, *words], cwd=ROOT, env=environment)
    deadline = time.monotonic() + 300
    while not (out / CHECKPOINT).exists():
        assert process.poll() is None, "it ended before an epoch was kept"
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 1 <= torch.load(out / CHECKPOINT, weights_only=True)["epoch"] < SETTINGS.epochs
    train(films, out, SETTINGS)
    for name in (BEST, CHECKPOINT):
        whole = torch.load(run / name, weights_only=True)
        resumed = torch.load(out / name, weights_only=True)
        key = "weights" if name == BEST else "network"
        for weight, same in zip(whole[key].values(), resumed[key].values(), strict=True):
            assert torch.equal(weight, same)


def test_a_run_with_other_settings_is_not_continued(films, run):
    with pytest.raises(OtherRun, match="other settings"):
        train(films, run, SETTINGS.model_copy(update={"learning_rate": 0.5}))


def test_rare_findings_weigh_more_within_bounds():
    labels = torch.zeros(100, 3)
    labels[:50, 0] = 1
    labels[:10, 1] = 1
    assert torch.allclose(rarity(labels), torch.tensor([1.0, 3.0, 6.0]))


def test_the_film_grows_and_the_rate_falls():
    settings = TrainSettings(epochs=10, start_px=64, size_px=128, learning_rate=1.0)
    sides = [settings.side_at(epoch) for epoch in range(10)]
    assert sides[0] == 64
    assert sides == sorted(sides)
    assert set(sides[6:]) == {128}
    assert settings.rate_at(0) == 0
    assert settings.rate_at(settings.warmup_epochs) == 1.0
    assert settings.rate_at(10) == pytest.approx(0)


# calibration


def synthetic(films=4000, slope=0.5, shift=-1.0):
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(films, 14)) * 3
    truth = generator.random((films, 14)) < 1 / (1 + np.exp(-(slope * logits + shift)))
    return logits, truth.astype(float)


def test_calibration_finds_the_slope_and_shift_that_made_the_labels():
    slopes, intercepts = fit(*synthetic())
    assert np.abs(slopes - 0.5).max() < 0.05
    assert np.abs(intercepts + 1.0).max() < 0.2


def test_calibrated_probabilities_keep_the_order_of_logits_and_match_the_frequency():
    logits, labels = synthetic()
    readings = tuple(calibrate_findings(logits, labels).values())
    probabilities = calibrate(torch.from_numpy(logits).float(), readings).numpy()
    order = np.argsort(logits, axis=0)
    assert (np.diff(np.take_along_axis(probabilities, order, axis=0), axis=0) >= 0).all()
    assert np.abs(probabilities.mean(axis=0) - labels.mean(axis=0)).max() < 0.01


def test_operating_points_spare_nine_of_ten_films_without_the_finding():
    logits, labels = synthetic()
    readings = tuple(calibrate_findings(logits, labels).values())
    probabilities = calibrate(torch.from_numpy(logits).float(), readings).numpy()
    thresholds = np.array([reading.threshold for reading in readings])
    for k in range(14):
        spared = (probabilities[labels[:, k] == 0, k] < thresholds[k]).mean()
        assert spared == pytest.approx(SPECIFICITY, abs=0.01)


@pytest.mark.parametrize("positives", [0, 1, 12])
def test_a_finding_with_few_positives_keeps_the_common_slope(positives):
    logits, labels = synthetic(films=200)
    labels[:, 13] = 0
    labels[np.argsort(logits[:, 13])[:positives], 13] = 1  # as wrong as can be
    reading = calibrate_findings(logits, labels)["Hernia"]
    assert 0 < reading.slope < 1
    assert np.isfinite(reading.intercept)
    assert 0 < reading.threshold < 1


# export and the command line


def test_an_exported_run_is_a_bundle_that_reads_like_the_network(films, run, tmp_path):
    bundle = export_run(run, tmp_path / "bundle", version="1.2.3", device="cpu")
    best = torch.load(run / BEST, weights_only=True)["weights"]
    for name, value in bundle.network().state_dict().items():
        assert torch.allclose(value.float(), best[name].float(), rtol=1e-3, atol=1e-4)
    assert load_bundle(tmp_path / "bundle").identity == bundle.identity
    assert bundle.identity.version == "1.2.3"
    card = (tmp_path / "bundle" / CARD).read_text()
    assert "not a medical device" in card
    assert "32 frontal films of 8 patients" in card
    assert "| macro average |" in card
    assert str(films) not in card
    assert (tmp_path / "bundle" / WEIGHTS).stat().st_size < 25e6
    with pytest.raises(BundleExists):
        export_run(run, tmp_path / "bundle")


def test_a_folder_without_a_run_is_not_exported(tmp_path):
    with pytest.raises(NoRun):
        export_run(tmp_path, tmp_path / "bundle")


def test_what_is_wrong_is_said_in_one_line(films, tmp_path):
    words = ["evaluate", "--films", str(films), "--bundle", str(tmp_path)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1
