"""The whole way from films to a bundle, in small, on the processor: a GPU waits for no error."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from inference.findings import LABELS
from inference.model.bundle import load_bundle

ROOT = Path(__file__).parents[2]


@pytest.fixture
def data(labelled_films, tmp_path):
    """Films laid out as the script wants them."""
    folder = tmp_path / "data"
    shutil.copytree(labelled_films.parent, folder)
    (folder / "films.csv").rename(folder / "films_all.csv")
    (folder / "unlabelled").mkdir()
    for film in sorted(folder.glob("0_*.png")):
        shutil.copy(film, folder / "unlabelled" / film.name)
    (folder / "second").mkdir()
    head = f"image_index,{','.join(LABELS)}"
    (folder / "second/expert_labels.csv").write_text(f"{head}\n0_0.png,{','.join('1' * 14)}\n")
    box = "image_index,finding,x,y,w,h\n2_0.png,Mass,0,0,1024,512\n"
    (folder / "second/boxes.csv").write_text(box)
    return folder


def test_the_script_goes_from_films_to_a_judged_bundle(data, tmp_path):
    small = "--set architecture=resnet18 --set size_px=32 --set epochs=1 --set batch_size=8"
    small += " --set workers=0 --set warmup_epochs=1"
    environment = os.environ | {
        "HILUM": f"{sys.executable} -m training.cli",
        "PYTHONPATH": str(ROOT),
        "DATA": str(data),
        "OUT": str(tmp_path / "out"),
        "DEVICE": "cpu",
        "FOLDS": "2",
        "PRETRAIN_SET": small,
        "TRAIN_SET": f"{small} --set start_px=32",
        "OMP_NUM_THREADS": "1",
    }
    script = [ROOT / "training/train_gpu.sh"]
    done = subprocess.run(
        script, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "macro average" in done.stdout
    bundle = load_bundle(tmp_path / "out/bundle")
    assert all(reading.unseen is not None for reading in bundle.calibrations)
    assert bundle.metadata.hilum.readings["Mass"].maps is not None
