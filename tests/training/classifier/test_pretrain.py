import numpy as np
import pytest
import torch
from labelled import SETTINGS, rows_of, write_films
from PIL import Image
from typer.testing import CliRunner

from training.classifier.pretrain import TARGETS, crop, films_of, pretrain
from training.classifier.train import train
from training.cli import app
from training.data.film_list import BadFilmList, Source
from training.loop import BEST, CHECKPOINT, OtherRun
from training.settings import PretrainSettings

pytestmark = pytest.mark.xdist_group("pretrain")  # its fixtures are made once

TINY = PretrainSettings(architecture="resnet18", size_px=32, epochs=2, batch_size=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of 8 films without labels."""
    place = tmp_path_factory.mktemp("unlabelled")
    write_films(place, list(rows_of(8, 1)))
    (place / "films.csv").unlink()
    return place


@pytest.fixture(scope="module")
def pretrained(folder, tmp_path_factory):
    pytest.importorskip("efficientnet_lite_pytorch")
    out = tmp_path_factory.mktemp("pretrained")
    pretrain(films_of([folder], None, None), out, TINY)
    return out


def load(path):
    return torch.load(path, weights_only=True)


def test_a_pretrained_network_is_what_training_can_begin_with(pretrained, labelled_films, tmp_path):
    once = SETTINGS.model_copy(update={"epochs": 1, "initial": str(pretrained / BEST)})
    train(Source(films=labelled_films), tmp_path, once)
    assert load(tmp_path / CHECKPOINT)["epoch"] == 1
    assert load(pretrained / BEST)["weights"]["head.weight"].shape[0] == 256


def test_pretraining_is_kept_and_not_done_twice(pretrained, folder):
    history = load(pretrained / CHECKPOINT)["history"]
    assert [entry["epoch"] for entry in history] == [1, 2]
    written = (pretrained / TARGETS).stat().st_mtime_ns, (pretrained / BEST).stat().st_mtime_ns
    pretrain(films_of([folder], None, None), pretrained, TINY)
    after = (pretrained / TARGETS).stat().st_mtime_ns, (pretrained / BEST).stat().st_mtime_ns
    assert after == written


def test_a_run_on_other_films_is_not_continued(pretrained, folder):
    with pytest.raises(OtherRun, match="8 films, not on 7"):
        pretrain(films_of([folder], None, None)[1:], pretrained, TINY)


def test_a_crop_shows_the_same_part_of_the_film_and_of_its_grid():
    rows, columns = torch.meshgrid(
        *[(torch.arange(s) + 0.5) / s for s in (140, 140)], indexing="ij"
    )
    film = (rows + 3 * columns)[None]  # its brightness says where one is
    grid = torch.nn.functional.adaptive_avg_pool2d(film, 7)
    parts = set()
    for seed in range(20):
        pixels, seen = crop(film, grid, 70, seed)
        assert pixels.shape == (1, 70, 70)
        assert seen.shape == grid.shape
        # a cell at the border of the film repeats it instead of going on: hence the inner cells
        shown = torch.nn.functional.adaptive_avg_pool2d(pixels, 7)[:, 1:-1, 1:-1]
        assert (shown - seen[:, 1:-1, 1:-1]).abs().max() < 0.04
        parts.add(round(float(pixels.mean()), 3))
    assert len(parts) == 20


def test_test_films_are_refused(labelled_films, tmp_path):
    records = Source(films=labelled_films).records()
    with pytest.raises(BadFilmList, match="test films"):
        pretrain(records, tmp_path, TINY)


def test_of_a_list_only_the_train_films_are_taken(labelled_films, folder):
    records = films_of([folder], labelled_films, None)
    assert len(records) == 32 + 8
    assert {record.split for record in records} == {"train"}


def test_without_films_pretraining_says_where_it_looked(tmp_path):
    with pytest.raises(BadFilmList, match=str(tmp_path)):
        films_of([tmp_path], None, None)
    (tmp_path / "note.txt").write_text("no film")
    words = ["pretrain", "--folder", str(tmp_path), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: no film")


def test_an_unreadable_film_is_named(tmp_path):
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no film")
    with pytest.raises(BadFilmList, match=r"b\.png"):
        pretrain(films_of([tmp_path], None, None), tmp_path / "out", TINY)
