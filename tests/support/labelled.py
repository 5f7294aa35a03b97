"""Invented films with labels that can be seen on them, as a training set; nobody is on them."""

import csv
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference.findings import LABELS
from training.classifier.train import train
from training.data.film_list import Source
from training.settings import TrainSettings

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
SETTINGS = TrainSettings(
    architecture="resnet18", size_px=32, start_px=32, epochs=3, batch_size=8, warmup_epochs=1
)


def rows_of(patients, films_each):
    """Yield rows of films.csv: a quarter of the patients in val, a quarter in test."""
    generator = np.random.default_rng(0)
    for patient in range(patients):
        split = ("train", "train", "val", "test")[patient % 4]
        for film in range(films_each):
            labels = dict(zip(LABELS, (generator.random(14) < 0.4).astype(int), strict=True))
            yield {
                "file": f"{patient}_{film}.png",
                "source_px": (1024, 64)[film % 2],
                "patient_id": patient,
                "split": split,
                **labels,
            }


def write_list(path, rows):
    """Write films.csv and return where."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_films(folder, rows):
    """Write the films of ``rows`` and their list; a Mass is a bright upper half."""
    folder.mkdir(exist_ok=True)
    generator = np.random.default_rng(1)
    for row in rows:
        pixels = generator.integers(0, 120, (40, 36), dtype=np.uint8)
        pixels[:20] += np.uint8(130 * int(row["Mass"]))
        Image.fromarray(pixels).save(folder / row["file"])
    return write_list(folder / "films.csv", rows)


def killed_after_an_epoch(command):
    """Run a command that trains, and kill it as soon as it says what its first epoch led to."""
    with subprocess.Popen(
        command, cwd=ROOT, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    ) as process:
        said = []
        for line in process.stderr:
            said.append(line)
            if "epoch 1: loss" in line:
                process.kill()
                return
    pytest.fail(f"it ended before an epoch: {said}")


@pytest.fixture(scope="session")
def labelled_films(tmp_path_factory):
    """The list of 64 films of 16 patients."""
    return write_films(tmp_path_factory.mktemp("films"), list(rows_of(patients=16, films_each=4)))


@pytest.fixture(scope="session")
def finished_run(labelled_films, tmp_path_factory):
    """The folder of a run on `labelled_films` that came to its end."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    train(Source(films=labelled_films), out, SETTINGS)
    return out
